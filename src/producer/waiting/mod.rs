//! Blocking calls as state machines, and the driver that runs them: the only place where an application thread sleeps.
//!
//! A [`BlockingCall`] proceeds as far as it can and then returns the event it waits for, and a deadline. A [`Driver`]
//! sleeps until the event or the deadline, and then steps the call again; the producer's methods use a driver. A
//! simulator or a test instead steps many calls and the sender on one thread, in any order.

mod call;
mod driver;
mod latch;
mod stopwatch;

pub(crate) use call::{BlockingCall, Check, Event, SleepPermit, Step, Wait};
pub(crate) use driver::Driver;
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) use driver::awake;
pub(crate) use latch::Latch;
pub(crate) use stopwatch::Stopwatch;

#[cfg(test)]
mod tests;
