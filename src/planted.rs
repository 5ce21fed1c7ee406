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

    // Written without knowledge of what looks for them.
    /// The next topic of an answer to a produce request is known by the number of its partition alone.
    BlindAnswerByNumber;
    /// A partition that has a batch under way is unmuted when it gets another leader.
    BlindUnmutedByNewLeader;
    /// Batches go on lingering while somebody waits for memory.
    BlindLingerOverMemory;
    /// Who gives up waiting for memory keeps what it was given so far.
    BlindTicketKeepsGathered;
    /// What was acknowledged last is remembered beyond the end of its epoch.
    BlindAcknowledgedOutlivesEpoch;
    /// An answer for some new topics passes for one that has those asked for meanwhile.
    BlindPartialAnswersAll;
    /// If the newest request of a connection that ended is untouched, so are all before it.
    BlindAllUntouched;
    /// The failures of a node are forgotten when it is connected, not when it is ready.
    BlindConnectedIsFine;
    /// A connection that cannot be written to any more is ended with what has arrived on it unread.
    BlindClosingReadsNothing;
    /// A wait for memory has the whole of `max.block.ms`, whatever was waited for before.
    BlindEachWaitItsTime;
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
