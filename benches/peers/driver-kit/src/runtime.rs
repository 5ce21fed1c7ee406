//! What drivers of clients on tokio have in common (feature `tokio`).

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use tokio::runtime::{EnterGuard, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::client::Refusal;
use crate::share::{Share, Turn};
use crate::tally::Ticket;

/// The runtime of a client: multi-threaded, with tokio's own number of workers.
#[derive(Debug)]
pub struct Tokio(Runtime);

impl Tokio {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start() -> Result<Self, Refusal> {
        Runtime::new().map(Self).map_err(Refusal::failed)
    }

    /// Blocks the calling thread until a future is ready.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    /// Blocks the calling thread until a future is ready, or `until` has come, which is an error.
    ///
    /// # Errors
    /// Those of the future, and that it was given up.
    pub fn block_on_until(
        &self,
        until: Option<Instant>,
        future: impl Future<Output = Result<(), String>>,
    ) -> Result<(), String> {
        self.0.block_on(async {
            match until {
                None => future.await,
                Some(end) => timeout_at(end.into(), future)
                    .await
                    .unwrap_or_else(|_| Err(GIVEN_UP.to_owned())),
            }
        })
    }

    /// For clients that look for the runtime they are called in.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.0.enter()
    }

    /// Runs a task.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.spawn(task);
    }

    /// Sends a blast's records one after the other in one future for the whole share, as in a task of the client's
    /// users. Sending may wait while the client is full.
    pub fn blast<'a, F>(&self, share: &'a Share, send: impl Fn(Turn<'a>) -> F)
    where
        F: Future<Output = Result<(), String>>,
    {
        let all = async {
            for turn in share.turns() {
                if let Err(reason) = send(turn).await {
                    turn.ticket.failed(reason);
                }
            }
            Ok(())
        };
        // The kit tells that it was given up.
        let _ = self.block_on_until(share.give_up_at(), all);
    }

    /// For [`About::notes`](crate::About): what it runs on, and what its sending threads do.
    pub fn note(&self, sending: &str) -> String {
        let workers = self.0.metrics().num_workers();
        format!(
            "It runs on tokio's multi-threaded runtime with its default number of workers, {workers}; {sending}"
        )
    }
}

/// Compares the partitions that a client sees with those it should see.
///
/// # Errors
/// When they are not as many.
pub fn check_partitions(topic: &str, wanted: i32, found: usize) -> Result<(), Refusal> {
    if i32::try_from(found) == Ok(wanted) {
        return Ok(());
    }
    Err(Refusal::Failed(format!(
        "topic {topic} has {found} partitions, not {wanted}"
    )))
}

/// For clients whose deliveries are futures and nothing else: a task that awaits each, in the order in which they
/// were sent, and counts it. What is outstanding is bounded by the client's own buffer.
#[derive(Debug)]
pub struct Deliveries<F>(UnboundedSender<Outstanding<F>>);

#[derive(Debug)]
enum Outstanding<F> {
    Delivery(F, Option<Ticket>),
    /// A request to report when all earlier deliveries have ended, and whether those without a ticket failed.
    End(oneshot::Sender<Result<(), String>>),
}

impl<F, T, E> Deliveries<F>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    E: Display + Send + 'static,
    T: Send + 'static,
{
    /// Starts the task, which ends with the runtime.
    pub fn count_on(tokio: &Tokio) -> Self {
        let (outstanding, sent) = unbounded_channel();
        tokio.spawn(count(sent));
        Self(outstanding)
    }

    /// Hands a delivery over; without ticket its end is told by [`all_ended`](Self::all_ended).
    #[inline]
    pub fn add(&self, delivery: F, ticket: Option<Ticket>) {
        // The task ends with the runtime, after all sending.
        let _ = self.0.send(Outstanding::Delivery(delivery, ticket));
    }

    /// Waits until all that were handed over before have ended.
    ///
    /// # Errors
    /// How many of those without ticket failed since the last call, and why the first of them.
    pub async fn all_ended(&self) -> Result<(), String> {
        let (reached, end) = oneshot::channel();
        let _ = self.0.send(Outstanding::End(reached));
        end.await
            .unwrap_or_else(|_| Err("the counting task has ended".to_owned()))
    }
}

async fn count<F, T, E>(mut outstanding: UnboundedReceiver<Outstanding<F>>)
where
    F: Future<Output = Result<T, E>>,
    E: Display,
{
    let mut some = Vec::with_capacity(AT_A_TIME);
    let (mut failed, mut first_error) = (0_u64, None);
    while outstanding.recv_many(&mut some, AT_A_TIME).await > 0 {
        for next in some.drain(..) {
            match next {
                Outstanding::Delivery(delivery, ticket) => match (delivery.await, ticket) {
                    (Ok(_), Some(ticket)) => ticket.acked(),
                    (Ok(_), None) => {}
                    (Err(error), Some(ticket)) => ticket.failed(error),
                    (Err(error), None) => {
                        failed += 1;
                        first_error.get_or_insert_with(|| error.to_string());
                    }
                },
                Outstanding::End(reached) => {
                    let outcome = match first_error.take() {
                        None => Ok(()),
                        Some(error) => Err(format!("{failed} records failed: {error}")),
                    };
                    failed = 0;
                    // The receiver is gone if the waiter has given up.
                    let _ = reached.send(outcome);
                }
            }
        }
    }
}

const GIVEN_UP: &str = "given up before all records had ended";
const AT_A_TIME: usize = 1024;

/// How long closing a client may take.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[test]
    fn a_run_that_does_not_end_is_given_up_in_time() {
        let tokio = Tokio::start().unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(
            tokio.block_on_until(Some(soon), pending()),
            Err(GIVEN_UP.to_owned())
        );
        assert!(soon <= Instant::now());
        let later = Some(Instant::now() + Duration::from_secs(600));
        for until in [None, later] {
            let lost = tokio.block_on_until(until, ready(Err("lost".to_owned())));
            assert_eq!(lost, Err("lost".to_owned()));
        }
    }

    #[test]
    fn failures_without_a_ticket_are_reported_after_all_earlier_ones_have_ended() {
        let tokio = Tokio::start().unwrap();
        let deliveries = Deliveries::count_on(&tokio);
        let (tell, told) = oneshot::channel();
        deliveries.add(told, None);
        {
            let ended = deliveries.all_ended();
            let soon = Some(Instant::now() + Duration::from_millis(20));
            assert!(
                tokio.block_on_until(soon, ended).is_err(),
                "one has not ended"
            );
        }
        tell.send(()).unwrap();
        assert_eq!(tokio.block_on(deliveries.all_ended()), Ok(()));
        for _ in 0..3 {
            // A sender that is dropped counts as a failure.
            deliveries.add(oneshot::channel().1, None);
        }
        let failed = tokio.block_on(deliveries.all_ended()).unwrap_err();
        assert!(failed.starts_with("3 records failed: "), "{failed}");
        assert_eq!(
            tokio.block_on(deliveries.all_ended()),
            Ok(()),
            "they are told once"
        );
    }

    #[test]
    fn another_number_of_partitions_is_refused() {
        assert!(check_partitions("t", 12, 12).is_ok());
        let Err(Refusal::Failed(reason)) = check_partitions("t", 12, 1) else {
            panic!("one is not twelve");
        };
        assert_eq!(reason, "topic t has 1 partitions, not 12");
    }
}
