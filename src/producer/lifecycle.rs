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
    last_act: Arc<Mutex<End>>,
    end: Arc<Latch<()>>,
    control: Arc<SenderControl>,
    waker: Arc<SenderWaker>,
}

/// Whether the sender has ended.
enum End {
    ToCome(Option<LastAct>),
    Reached,
}

impl End {
    /// The sender has ended: what is to be done now.
    fn reach(&mut self) -> Option<LastAct> {
        match std::mem::replace(self, Self::Reached) {
            Self::ToCome(act) => act,
            Self::Reached => None,
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
    last_act: Arc<Mutex<End>>,
    log: LogContext,
}

impl Drop for Running {
    fn drop(&mut self) {
        let last_act = self.last_act.lock().reach();
        if let Some(act) = last_act {
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
        let last_act = Arc::new(Mutex::new(Rank::LEAF, End::ToCome(None)));
        let running = Running {
            end: Arc::clone(&end),
            last_act: Arc::clone(&last_act),
            log,
        };
        let thread = Self {
            handle: Mutex::new(Rank::LEAF, None),
            last_act,
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
        let mut end = self.last_act.lock();
        match &mut *end {
            End::ToCome(to_come) => {
                debug_assert!(to_come.is_none(), "there is one last act");
                *to_come = Some(act);
            }
            End::Reached => {
                drop(end);
                contain(log, act);
            }
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
