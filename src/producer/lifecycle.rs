//! The sender's thread: how it starts, how others learn that it has ended, and how it is told to.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::util::log::error;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::callback_scope::{self, ProducerId};
use super::sender::SenderControl;
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
    /// Nothing is ever sent on it: its other end is dropped by the thread's last act.
    exited: Receiver<()>,
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

/// How long a sender that was told to end at once may take: it can be inside a callback, which is user
/// code and may take its time.
const FORCED_GRACE: Duration = Duration::from_secs(10);

impl SenderThread {
    /// Starts `run` on a thread of its own, which is marked as that of `producer`.
    ///
    /// # Errors
    /// The system's, when it has no thread to give.
    pub(crate) fn start(
        name: &str,
        producer: ProducerId,
        run: impl FnOnce() + Send + 'static,
        control: Arc<SenderControl>,
        waker: Arc<SenderWaker>,
        spawn: Spawn,
    ) -> io::Result<Self> {
        let (alive, exited) = bounded(0);
        let last_act = Arc::new(Mutex::new(Rank::LEAF, End::ToCome(None)));
        let end = Arc::clone(&last_act);
        let body = move || {
            let _alive = alive;
            callback_scope::mark_sender(producer);
            // With the sender go the user's interceptors and listeners, if nobody else has them any more.
            contain(run);
            let last_act = end.lock().reach();
            if let Some(act) = last_act {
                contain(act);
            }
        };
        let handle = spawn(Builder::new().name(thread_name(name)), Box::new(body))?;
        Ok(Self {
            handle: Mutex::new(Rank::LEAF, Some(handle)),
            last_act,
            exited,
            control,
            waker,
        })
    }

    /// Stands for a sender that has no thread: there is nothing to wait for.
    #[cfg(all(feature = "testing", feature = "_internals"))]
    pub(crate) fn none(control: Arc<SenderControl>, waker: Arc<SenderWaker>) -> Self {
        let (_, exited) = bounded(0);
        Self {
            handle: Mutex::new(Rank::LEAF, None),
            last_act: Arc::new(Mutex::new(Rank::LEAF, End::Reached)),
            exited,
            control,
            waker,
        }
    }

    /// Tells the sender to send what is left and to end; by force when `timeout` has passed. False if
    /// it has not ended even so.
    ///
    /// # Blocking
    /// Up to `timeout`, and up to 10 s more when it had to be forced.
    pub(crate) fn close(&self, timeout: Option<Duration>) -> bool {
        self.control.close();
        if timeout == Some(Duration::ZERO) {
            self.control.force();
        }
        self.waker.wake();
        if self.await_exit(timeout) {
            return true;
        }
        self.control.force();
        self.waker.wake();
        self.await_exit(Some(FORCED_GRACE))
    }

    /// Tells the sender to end at once, without waiting for it.
    pub(crate) fn abandon(&self) {
        self.control.force();
        self.waker.wake();
    }

    /// Leaves to the thread what is to be done when the sender has ended. If it has, that is done here.
    pub(crate) fn at_end(&self, act: LastAct) {
        let mut end = self.last_act.lock();
        match &mut *end {
            End::ToCome(to_come) => {
                debug_assert!(to_come.is_none(), "there is one last act");
                *to_come = Some(act);
            }
            End::Reached => {
                drop(end);
                contain(act);
            }
        }
    }

    fn await_exit(&self, timeout: Option<Duration>) -> bool {
        let ended = match timeout {
            None => self.exited.recv().is_err(),
            Some(timeout) => {
                matches!(
                    self.exited.recv_timeout(timeout),
                    Err(RecvTimeoutError::Disconnected)
                )
            }
        };
        if ended {
            // Its last act is done: the join does not wait. Its panics were contained inside.
            let handle = self.handle.lock().take();
            if let Some(handle) = handle {
                let _ = handle.join();
            }
        }
        ended
    }
}

/// A thread ends in peace: what it would panic with, nobody waits for.
fn contain(act: impl FnOnce()) {
    if let Err(reason) = panic::contain(act) {
        error!("a panic at the end of a producer's thread: {reason}");
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
