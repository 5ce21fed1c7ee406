//! The sender's thread: how it starts, how others learn that it has ended, and how it is told to.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::sender::SenderControl;
use super::wake::SenderWaker;
use crate::sync::{Mutex, Rank};

/// How threads are started: the system's way, or a test's.
pub(crate) type Spawn =
    Box<dyn FnOnce(Builder, Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> + Send>;

/// The running sender thread.
#[derive(Debug)]
pub(crate) struct SenderThread {
    handle: Mutex<Option<JoinHandle<()>>>,
    /// Nothing is ever sent on it: its other end is dropped by the thread's last act.
    exited: Receiver<()>,
    control: Arc<SenderControl>,
    waker: Arc<SenderWaker>,
}

/// How long a sender that was told to end at once may take: it can be inside a callback, which is user
/// code and may take its time.
const FORCED_GRACE: Duration = Duration::from_secs(10);

impl SenderThread {
    /// Starts `run` on a thread of its own.
    ///
    /// # Errors
    /// The system's, when it has no thread to give.
    pub(crate) fn start(
        name: String,
        run: impl FnOnce() + Send + 'static,
        control: Arc<SenderControl>,
        waker: Arc<SenderWaker>,
        spawn: Spawn,
    ) -> io::Result<Self> {
        let (alive, exited) = bounded(0);
        let body = move || {
            let _alive = alive;
            run();
        };
        let handle = spawn(Builder::new().name(name), Box::new(body))?;
        Ok(Self {
            handle: Mutex::new(Rank::LEAF, Some(handle)),
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

/// Starts threads the system's way.
pub(crate) fn system_spawn() -> Spawn {
    Box::new(Builder::spawn)
}
