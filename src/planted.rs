//! Small wrong changes, planted on purpose, to see what finds them. Not one of them is in a build without
//! `--cfg planted_defects`; with it they are all there, and the one that was [chosen](choose) is at work.
//!
//! Where one is planted stands `if planted!(Name) { … }`, beside the line that is right.

#![cfg_attr(
    not(planted_defects),
    allow(dead_code, unreachable_pub, reason = "a list of names then")
)]

/// Whether this defect is the one at work. `false`, a constant, without `--cfg planted_defects`.
macro_rules! planted {
    ($defect:ident) => {
        cfg!(planted_defects) && crate::planted::is_chosen(crate::planted::Defect::$defect)
    };
}
pub(crate) use planted;

macro_rules! defects {
    ($($(#[doc = $what:literal])+ $name:ident;)*) => {
        /// A wrong change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Defect {
            $($(#[doc = $what])+ $name,)*
        }

        impl Defect {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name, as it stands where it is planted.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What it does.
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($what),+).trim_ascii_start(),)*
                }
            }
        }
    };
}

defects! {
    /// A batch takes one sequence fewer than it has records.
    SequenceOffByOne;
}

#[cfg(planted_defects)]
static CHOSEN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(usize::MAX);

/// Puts a defect to work, or none.
#[cfg(planted_defects)]
pub fn choose(defect: Option<Defect>) {
    let number = defect.map_or(usize::MAX, |defect| defect as usize);
    CHOSEN.store(number, std::sync::atomic::Ordering::SeqCst);
}

#[cfg(planted_defects)]
pub(crate) fn is_chosen(defect: Defect) -> bool {
    CHOSEN.load(std::sync::atomic::Ordering::Relaxed) == defect as usize
}

/// Without planted defects none is at work.
#[cfg(not(planted_defects))]
pub(crate) const fn is_chosen(_: Defect) -> bool {
    false
}
