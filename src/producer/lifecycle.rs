//! The sender's thread: how it starts, how others learn that it has ended, and how it is told to.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crate::util::log::{LogContext, error};

use super::callback_scope;
use super::instance::Instance;
use super::sender::SenderControl;
use super::waiting::{Event, Latch};
use super::wake::SenderWaker;
use crate::planted::planted;
use crate::sync::{Mutex, Rank};
use crate::util::panic;

/// How threads are started: the system's way, or a test's.
pub(crate) type Spawn =
    Box<dyn FnOnce(Builder, Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> + Send>;

/// What a thread does before it ends.
pub(crate) type LastAct = Box<dyn FnOnce() + Send>;

/// The running sender thread.
#[derive(Debug)]
pub(crate) struct SenderThread {
    handle: Mutex<Option<JoinHandle<()>>>,
    ending: Arc<Ending>,
    end: Arc<Latch<()>>,
    control: Arc<SenderControl>,
    waker: Arc<SenderWaker>,
}

/// Who does the last act: the sender's thread, unless it has ended when the act is left to it.
#[derive(Debug)]
pub(super) struct Ending(Mutex<End>);

/// Whether the sender has ended.
enum End {
    ToCome(Option<LastAct>),
    Reached,
}

impl Ending {
    pub(super) fn to_come() -> Self {
        Self(Mutex::new(Rank::LEAF, End::ToCome(None)))
    }

    /// The sender has ended: what is to be done now.
    pub(super) fn reach(&self) -> Option<LastAct> {
        match std::mem::replace(&mut *self.0.lock(), End::Reached) {
            End::ToCome(act) => act,
            End::Reached => None,
        }
    }

    /// Leaves an act to the sender's thread. It comes back if the sender has ended.
    pub(super) fn leave(&self, act: LastAct) -> Option<LastAct> {
        let mut end = self.0.lock();
        match &mut *end {
            End::ToCome(to_come) => {
                debug_assert!(to_come.is_none(), "there is one last act");
                if planted!(LastActLeftBehind) {
                    drop(end);
                    *self.0.lock() = End::ToCome(Some(act));
                } else {
                    *to_come = Some(act);
                }
                None
            }
            End::Reached => Some(act),
        }
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToCome(None) => "ToCome",
            Self::ToCome(Some(_)) => "ToCome, with a last act",
            Self::Reached => "Reached",
        })
    }
}

/// A sender that runs, in a thread or by hand. When this is dropped the last act is done, and then the end is
/// known.
#[derive(Debug)]
pub(crate) struct Running {
    end: Arc<Latch<()>>,
    ending: Arc<Ending>,
    log: LogContext,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(act) = self.ending.reach() {
            contain(&self.log, act);
        }
        self.end.set(());
    }
}

impl SenderThread {
    /// Starts `run` on a thread of its own, which is marked as that of the producer.
    ///
    /// # Errors
    /// The system's, when it has no thread to give.
    pub(crate) fn start(
        name: &str,
        instance: Instance,
        run: impl FnOnce() + Send + 'static,
        control: Arc<SenderControl>,
        waker: Arc<SenderWaker>,
        spawn: Spawn,
    ) -> io::Result<Self> {
        let (thread, running) = Self::without_thread(instance.log().clone(), control, waker);
        let body = move || {
            let _running = running;
            callback_scope::mark_sender(instance.id());
            // With the sender go the user's interceptors and listeners, if nobody else has them any more.
            contain(instance.log(), run);
        };
        let handle = spawn(Builder::new().name(thread_name(name)), Box::new(body))?;
        *thread.handle.lock() = Some(handle);
        Ok(thread)
    }

    /// Stands for a sender that somebody else runs, until what is returned besides is dropped.
    pub(crate) fn without_thread(
        log: LogContext,
        control: Arc<SenderControl>,
        waker: Arc<SenderWaker>,
    ) -> (Self, Running) {
        let end = Arc::new(Latch::new());
        let ending = Arc::new(Ending::to_come());
        let running = Running {
            end: Arc::clone(&end),
            ending: Arc::clone(&ending),
            log,
        };
        let thread = Self {
            handle: Mutex::new(Rank::LEAF, None),
            ending,
            end,
            control,
            waker,
        };
        (thread, running)
    }

    /// What is to be waited for until the sender has ended.
    pub(crate) fn end(&self) -> &dyn Event {
        &*self.end
    }

    /// Whether the sender has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.get().is_some()
    }

    /// Lets the system's thread go, if the sender has ended.
    ///
    /// # Blocking
    /// Not for the sender, whose last act is done; only for what the user's code left in the thread's locals.
    pub(crate) fn join_if_ended(&self) {
        if self.has_ended() {
            let handle = self.handle.lock().take();
            if let Some(handle) = handle {
                // Its panics were contained inside.
                let _ = handle.join();
            }
        }
    }

    /// Tells the sender to end at once, without waiting for it.
    pub(crate) fn abandon(&self) {
        self.control.force();
        self.waker.wake();
    }

    /// Leaves to the thread what is to be done when the sender has ended. If it has, that is done here.
    pub(crate) fn at_end(&self, log: &LogContext, act: LastAct) {
        if let Some(act) = self.ending.leave(act) {
            contain(log, act);
        }
    }
}

/// A thread ends in peace: what it would panic with, nobody waits for.
fn contain(log: &LogContext, act: impl FnOnce()) {
    if let Err(reason) = panic::contain(act) {
        error!(log, "a panic at the end of a producer's thread: {reason}");
    }
}

/// As threads can be named: systems end the name at a NUL, and the standard library panics.
fn thread_name(name: &str) -> String {
    name.replace('\0', "\u{fffd}")
}

/// Starts threads the system's way.
pub(crate) fn system_spawn() -> Spawn {
    Box::new(Builder::spawn)
}
