//! The `log` crate's macros, with the logger contained. A logger is the user's code and runs on any thread of ours: one
//! that panics (a `println!` into a pipe that is closed) must harm nobody but the line.
//!
//! All of the library logs through these; `tests/layers.rs` checks it.

pub(crate) use ::log::{Level, max_level};

macro_rules! contained {
    ($level:expr, $($line:tt)+) => {{
        let level = $level;
        // What nobody wants costs a comparison, as in the macros themselves.
        if level <= ::log::STATIC_MAX_LEVEL && level <= ::log::max_level() {
            $crate::util::panic::run_unheard(|| ::log::log!(level, $($line)+));
        }
    }};
}

macro_rules! error {
    ($($line:tt)+) => { $crate::util::log::log!(::log::Level::Error, $($line)+) };
}

macro_rules! warning {
    ($($line:tt)+) => { $crate::util::log::log!(::log::Level::Warn, $($line)+) };
}

macro_rules! info {
    ($($line:tt)+) => { $crate::util::log::log!(::log::Level::Info, $($line)+) };
}

macro_rules! debug {
    ($($line:tt)+) => { $crate::util::log::log!(::log::Level::Debug, $($line)+) };
}

macro_rules! trace {
    ($($line:tt)+) => { $crate::util::log::log!(::log::Level::Trace, $($line)+) };
}

pub(crate) use contained as log;
// A macro of that name cannot be told from the attribute before it is imported.
pub(crate) use warning as warn;
pub(crate) use {debug, error, info, trace};
