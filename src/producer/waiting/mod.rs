//! Calls that may have to wait, cut into steps that take no time, and the one place where an application
//! thread sleeps between two of them.
//!
//! A [`BlockingCall`] goes as far as it can and then says what it waits for, and until when. A [`Driver`]
//! sleeps until then and steps again: that is what the producer's methods do. Whoever has a thread to spare
//! for no call (a simulator, a test) steps many calls and the sender in any order instead.

mod call;
mod driver;
mod latch;
mod stopwatch;

pub(crate) use call::{BlockingCall, Check, Event, Nap, Step, Wait};
pub(crate) use driver::Driver;
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) use driver::awake;
pub(crate) use latch::Latch;
pub(crate) use stopwatch::Stopwatch;

#[cfg(test)]
mod tests;
