//! The sending threads: started once, parked between rounds.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::allocations;
use crate::client::Client;
use crate::share::{Round, Share};

/// The sending threads.
pub(crate) struct SendingThreads {
    board: Arc<Board>,
    threads: Vec<JoinHandle<()>>,
}

/// State shared with the threads: the current round, and the threads that are still busy.
struct Board {
    state: Mutex<State>,
    /// Notified of a new round, and of the end; the threads wait for it.
    begun: Condvar,
    /// Notified when the last thread has finished the round. Apart from the other, since with one for both each thread
    /// that finishes would wake up all that have finished before.
    finished: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of the current round, by which a thread detects a new one.
    number: u64,
    round: Option<Arc<Round>>,
    /// Threads that have not finished the round.
    busy: usize,
    allocations: Option<u64>,
    closed: bool,
}

impl SendingThreads {
    pub(crate) fn start<C: Client>(client: &Arc<C>, threads: usize) -> Result<Self, String> {
        let board = Arc::new(Board {
            state: Mutex::new(State::default()),
            begun: Condvar::new(),
            finished: Condvar::new(),
        });
        let threads = (0..threads)
            .map(|thread| {
                let (client, board) = (Arc::clone(client), Arc::clone(&board));
                std::thread::Builder::new()
                    .name(format!("sender-{thread}"))
                    .spawn(move || work(&*client, &board, thread))
                    .map_err(|error| format!("cannot start a thread: {error}"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { board, threads })
    }

    pub(crate) fn size(&self) -> usize {
        self.threads.len()
    }

    /// Starts a round in all threads.
    pub(crate) fn begin(&self, round: Arc<Round>) {
        let mut state = self.board.state();
        state.number += 1;
        state.round = Some(round);
        state.busy = self.threads.len();
        state.allocations = None;
        drop(state);
        self.board.begun.notify_all();
    }

    /// Waits until all threads have finished the round, at most until `until`. Returns true if they have finished.
    pub(crate) fn wait(&self, until: Option<Instant>) -> bool {
        let mut state = self.board.state();
        while state.busy > 0 {
            let left = until.map_or(FOREVER, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            state = self
                .board
                .finished
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// Allocations of the threads in the last round, if they are counted.
    pub(crate) fn allocations(&self) -> Option<u64> {
        self.board.state().allocations
    }

    /// Ends the threads. Does not wait for them if one is blocked in its client.
    pub(crate) fn stop(self) {
        let mut state = self.board.state();
        state.closed = true;
        let idle = state.busy == 0;
        drop(state);
        self.board.begun.notify_all();
        if idle {
            for thread in self.threads {
                // An error means that the thread has panicked, which was printed then.
                let _ = thread.join();
            }
        }
    }
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the round after number `seen`; `None` at the end.
    fn next(&self, seen: u64) -> Option<(u64, Arc<Round>)> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            match &state.round {
                Some(round) if state.number > seen => {
                    return Some((state.number, Arc::clone(round)));
                }
                _ => {
                    state = self
                        .begun
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn finish_round(&self, allocations: Option<u64>) {
        let mut state = self.state();
        state.busy -= 1;
        if let Some(count) = allocations {
            *state.allocations.get_or_insert(0) += count;
        }
        let is_last = state.busy == 0;
        drop(state);
        if is_last {
            self.finished.notify_all();
        }
    }
}

fn work<C: Client>(client: &C, board: &Board, thread: usize) {
    let mut seen = 0;
    while let Some((number, round)) = board.next(seen) {
        seen = number;
        let share = Share { thread, round };
        let allocations = allocations::of_caller(|| client.share(&share));
        board.finish_round(allocations);
    }
}

const FOREVER: Duration = Duration::from_secs(1 << 30);
