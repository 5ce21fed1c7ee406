//! Common code of the drivers whose clients use tokio (feature `tokio`).

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

/// The runtime of a client: multi-threaded, with tokio's default number of workers.
#[derive(Debug)]
pub struct Tokio(Runtime);

impl Tokio {
    /// Starts the runtime.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn start() -> Result<Self, Refusal> {
        Runtime::new().map(Self).map_err(Refusal::failed)
    }

    /// Blocks the calling thread until a future is ready.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    /// Blocks the calling thread until a future is ready, at most until `until`.
    ///
    /// # Errors
    /// The error of the future, or that `until` has passed.
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

    /// Enters the runtime, for clients that use the current runtime.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.0.enter()
    }

    /// Spawns a task.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.spawn(task);
    }

    /// Sends the records of a share one after another in one future, as a task of a user of the client would. The
    /// future waits while the buffer of the client is full.
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
        // The kit itself reports a cancelled round.
        let _ = self.block_on_until(share.give_up_at(), all);
    }

    /// A text for [`About::notes`](crate::About): the runtime, and the work of the sending threads.
    pub fn note(&self, sending: &str) -> String {
        let workers = self.0.metrics().num_workers();
        format!(
            "It runs on tokio's multi-threaded runtime with its default number of workers, {workers}; {sending}"
        )
    }
}

/// Checks the number of partitions in the client's metadata.
///
/// # Errors
/// If the number differs from the expected one.
pub fn check_partitions(topic: &str, wanted: i32, found: usize) -> Result<(), Refusal> {
    if i32::try_from(found) == Ok(wanted) {
        return Ok(());
    }
    Err(Refusal::Failed(format!(
        "topic {topic} has {found} partitions, not {wanted}"
    )))
}

/// For clients that report results only by futures: a task that awaits them in the order of the sends, and counts the
/// results. The client's own buffer limits the number of pending futures.
#[derive(Debug)]
pub struct Deliveries<F>(UnboundedSender<Outstanding<F>>);

#[derive(Debug)]
enum Outstanding<F> {
    Delivery(F, Option<Ticket>),
    /// A request to report when all earlier deliveries are complete, and whether those without a ticket failed.
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

    /// Adds a delivery. Without a ticket its failure is reported by [`all_ended`](Self::all_ended).
    #[inline]
    pub fn add(&self, delivery: F, ticket: Option<Ticket>) {
        // An error is impossible: the task ends with the runtime, after all sends.
        let _ = self.0.send(Outstanding::Delivery(delivery, ticket));
    }

    /// Waits until all deliveries added so far are complete.
    ///
    /// # Errors
    /// If deliveries without a ticket have failed since the last call: their number, and the reason of the first
    /// failure.
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
    fn a_future_that_is_never_ready_times_out() {
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
    fn failures_without_a_ticket_are_reported_after_all_earlier_deliveries_are_complete() {
        let tokio = Tokio::start().unwrap();
        let deliveries = Deliveries::count_on(&tokio);
        let (sender, receiver) = oneshot::channel();
        deliveries.add(receiver, None);
        {
            let ended = deliveries.all_ended();
            let soon = Some(Instant::now() + Duration::from_millis(20));
            assert!(
                tokio.block_on_until(soon, ended).is_err(),
                "one has not ended"
            );
        }
        sender.send(()).unwrap();
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
            "failures are reported once"
        );
    }

    #[test]
    fn an_unexpected_number_of_partitions_is_rejected() {
        assert!(check_partitions("t", 12, 12).is_ok());
        let Err(Refusal::Failed(reason)) = check_partitions("t", 12, 1) else {
            panic!("one is not twelve");
        };
        assert_eq!(reason, "topic t has 1 partitions, not 12");
    }
}
