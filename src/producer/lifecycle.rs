//! The lifecycle of the sender thread: start, forced close, end, join.

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

/// The function that spawns threads: the system's, or a test's.
pub(crate) type Spawn =
    Box<dyn FnOnce(Builder, Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> + Send>;

/// An action that runs when the sender ends.
pub(crate) type EndAction = Box<dyn FnOnce() + Send>;

/// The running sender thread.
#[derive(Debug)]
pub(crate) struct SenderThread {
    handle: Mutex<Option<JoinHandle<()>>>,
    ending: Arc<EndActionHolder>,
    end: Arc<Latch<()>>,
    control: Arc<SenderControl>,
    waker: Arc<SenderWaker>,
}

/// Hands an action over to the sender's thread, which runs it when the sender ends. If the sender has ended already,
/// the caller keeps the action.
#[derive(Debug)]
pub(super) struct EndActionHolder(Mutex<EndActionState>);

/// Whether the sender has ended.
enum EndActionState {
    /// The sender has not ended. Holds the action to run at its end, if one is registered.
    Running(Option<EndAction>),
    /// The sender has ended.
    Ended,
}

impl EndActionHolder {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Rank::LEAF, EndActionState::Running(None)))
    }

    /// Marks the sender as ended, and returns the action to run.
    pub(super) fn end(&self) -> Option<EndAction> {
        match std::mem::replace(&mut *self.0.lock(), EndActionState::Ended) {
            EndActionState::Running(action) => action,
            EndActionState::Ended => None,
        }
    }

    /// Registers an action for the end of the sender; returns it if the sender has ended.
    pub(super) fn register(&self, action: EndAction) -> Option<EndAction> {
        let mut end = self.0.lock();
        match &mut *end {
            EndActionState::Running(registered) => {
                debug_assert!(registered.is_none(), "one end action at most");
                if planted!(LastActLeftBehind) {
                    drop(end);
                    *self.0.lock() = EndActionState::Running(Some(action));
                } else {
                    // Stored under the lock: the sender cannot end between the check and the store, which would lose
                    // the action.
                    *registered = Some(action);
                }
                None
            }
            EndActionState::Ended => Some(action),
        }
    }
}

impl fmt::Debug for EndActionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running(None) => "Running",
            Self::Running(Some(_)) => "Running, with an end action",
            Self::Ended => "Ended",
        })
    }
}

/// The guard of a running sender, in a thread or stepped by hand. On drop it runs the end action and then opens the
/// latch of the end.
#[derive(Debug)]
pub(crate) struct Running {
    end: Arc<Latch<()>>,
    ending: Arc<EndActionHolder>,
    log: LogContext,
}

impl Drop for Running {
    fn drop(&mut self) {
        // In this order: a thread that sees the end relies on the end action having run.
        if let Some(action) = self.ending.end() {
            contain(&self.log, action);
        }
        self.end.set(());
    }
}

impl SenderThread {
    /// Spawns the sender thread, which runs `run`, and marks it as the producer's.
    ///
    /// # Errors
    /// The system's error, when it cannot spawn a thread.
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
            // Dropped after `run`, and also if the thread cannot be spawned: waiters for the end never hang.
            let _running = running;
            callback_scope::mark_sender(instance.id());
            // Panics are caught: dropping the sender may drop the last reference to the user's interceptors and
            // listeners, whose destructors may panic.
            contain(instance.log(), run);
        };
        let handle = spawn(Builder::new().name(thread_name(name)), Box::new(body))?;
        *thread.handle.lock() = Some(handle);
        Ok(thread)
    }

    /// A handle for a sender without a thread, which the caller steps. The sender ends when the returned guard is
    /// dropped.
    pub(crate) fn without_thread(
        log: LogContext,
        control: Arc<SenderControl>,
        waker: Arc<SenderWaker>,
    ) -> (Self, Running) {
        let end = Arc::new(Latch::new());
        let ending = Arc::new(EndActionHolder::new());
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

    /// The latch that opens when the sender has ended.
    pub(crate) fn end(&self) -> &dyn Event {
        &*self.end
    }

    /// Whether the sender has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.get().is_some()
    }

    /// Joins the thread, if the sender has ended.
    ///
    /// # Blocking
    /// Only for destructors of thread-locals that user code has used: the thread has finished everything else.
    pub(crate) fn join_if_ended(&self) {
        if self.has_ended() {
            // Joined outside of the lock, and by one caller only.
            let handle = self.handle.lock().take();
            if let Some(handle) = handle {
                // The thread has caught its own panics.
                let _ = handle.join();
            }
        }
    }

    /// Forces the sender to close at once, without waiting for it.
    pub(crate) fn abandon(&self) {
        // The forced close is set before the wake-up; otherwise the sender might read its inputs too early and sleep
        // again.
        self.control.force();
        self.waker.wake();
    }

    /// Runs `action` when the sender ends, on its thread; at once and on this thread if the sender has ended.
    pub(crate) fn at_end(&self, log: &LogContext, action: EndAction) {
        if let Some(action) = self.ending.register(action) {
            contain(log, action);
        }
    }
}

/// Runs `action` and logs its panic, which would be lost at the end of a thread.
fn contain(log: &LogContext, action: impl FnOnce()) {
    if let Err(reason) = panic::contain(action) {
        error!(log, "a panic at the end of a producer's thread: {reason}");
    }
}

/// A valid thread name: the standard library panics on a NUL byte.
fn thread_name(name: &str) -> String {
    name.replace('\0', "\u{fffd}")
}

/// Spawns system threads.
pub(crate) fn system_spawn() -> Spawn {
    Box::new(Builder::spawn)
}
