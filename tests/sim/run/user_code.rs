//! User code with the behaviour that the scenario gives it: it fails, panics, takes time, or calls the producer back.

use std::collections::VecDeque;
use std::fmt::{Debug, Display};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use kafka_producer::{
    BoxError, ClusterResourceListener, Headers, Metric, MetricsContext, MetricsReporter,
    PartitionId, PartitionInput, Partitioner, ProduceError, ProduceErrorKind, ProducerInterceptor,
    ProducerRecord, RecordMetadata, Serialized, Serializer,
};

use super::stage::{Kept, Producer, Stage, contents_of_value, outcome, returned, value_of};
use crate::events::{Call, EventKind, ProducerIndex, RecordId, Report, Returned, Who};
use crate::scenario::{Act, Behaviour};

pub(crate) const LOGGER: &str = "logger";

pub(crate) const PANIC: &str = "the user's code panics";

/// Suppresses the output of intended panics.
pub(crate) fn suppress_intended_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_meant = info
                .payload()
                .downcast_ref::<String>()
                .is_some_and(|text| text == PANIC);
            if !is_meant {
                others(info);
            }
        }));
    });
}

/// A piece of user code, which counts its calls.
pub(crate) struct Piece {
    name: &'static str,
    producer: ProducerIndex,
    behaviour: Behaviour,
    calls: AtomicU32,
    /// The run to which the piece belongs. Values left over from an earlier run may be dropped during a later run.
    run: Option<u64>,
}

impl Piece {
    pub(crate) fn new(name: &'static str, producer: ProducerIndex, behaviour: &Behaviour) -> Self {
        Self {
            name,
            producer,
            behaviour: behaviour.clone(),
            calls: AtomicU32::new(0),
            run: Stage::current().map(|stage| stage.number),
        }
    }

    /// Performs the acts that are due at this call. The result is an error if the code is to fail; callers return the
    /// error if their interface allows one.
    pub(crate) fn run(&self) -> Result<(), BoxError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let is_of_another = |stage: &Stage| self.run.is_some_and(|run| run != stage.number);
        if Stage::current().is_some_and(|stage| stage.is_muted.get() || is_of_another(&stage)) {
            return Ok(());
        }
        for every in &self.behaviour.acts {
            if every.every > 0 && call % every.every == 0 {
                self.act(&every.act)?;
            }
        }
        Ok(())
    }

    fn act(&self, act: &Act) -> Result<(), BoxError> {
        let Some(stage) = Stage::current() else {
            return Ok(());
        };
        if self.name == LOGGER && stage.who() != Who::Sender(self.producer) && act.waits() {
            // On any thread but the sender of that producer the act would really block.
            return Ok(());
        }
        stage.emit(EventKind::UserCode {
            piece: self.name,
            act: format!("{act:?}"),
        });
        match act {
            Act::Fails => return Err("simulated failure of user code".into()),
            Act::Panics => panic!("{PANIC}"),
            Act::TakesMs(ms) => {
                stage
                    .world
                    .advance_to(stage.now() + Duration::from_millis(*ms));
            }
            Act::Sends(topic) => send_inside(&stage, self.producer, topic, false),
            Act::TrySends(topic) => send_inside(&stage, self.producer, topic, true),
            Act::Flushes => {
                self.call(&stage, Call::Flush { timeout: None }, Producer::flush);
            }
            Act::Closes => {
                self.call(&stage, Call::Close { timeout: None }, Producer::close);
            }
            Act::AsksForPartitions(topic) => {
                let call = Call::PartitionsFor {
                    topic: topic.clone(),
                };
                self.call(&stage, call, |producer| producer.partitions_for(topic));
            }
            Act::ReadsMetrics => {
                if let Some(producer) = stage.producer(self.producer) {
                    let metrics = producer.metrics();
                    let read = metrics.all();
                    let read = read.iter().map(|metric| metric.value().to_string().len());
                    let text = metrics.prometheus_text();
                    assert!(read.sum::<usize>() > 0 && !text.is_empty());
                }
            }
            Act::DropsFutures => {
                let futures: Vec<_> = match stage.producers.borrow_mut().get_mut(self.producer) {
                    Some(held) => held.futures.iter_mut().map(std::mem::take).collect(),
                    None => Vec::new(),
                };
                for Kept { record, future, .. } in futures.into_iter().flatten() {
                    let call = stage.new_call();
                    stage.emit(EventKind::CallBegins {
                        call,
                        operation: Call::DropFuture { record },
                    });
                    drop(future);
                    stage.emit(EventKind::CallEnds {
                        call,
                        returned: Returned::Ok,
                    });
                }
            }
            Act::Gets => {
                let kept = match stage.producers.borrow_mut().get_mut(self.producer) {
                    Some(held) => held.futures.iter_mut().find_map(VecDeque::pop_back),
                    None => None,
                };
                if let Some(Kept { record, future, .. }) = kept {
                    let call = Call::Get {
                        record,
                        timeout: None,
                    };
                    let result = record_call(&stage, call, || future.get());
                    let is_misuse = matches!(
                        &result,
                        Err(error) if *error.kind() == ProduceErrorKind::Misuse
                    );
                    if is_misuse {
                        stage.keep(self.producer, 0, record, future);
                    } else {
                        stage.emit(EventKind::FutureReported {
                            record,
                            outcome: outcome(result.as_ref()),
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

impl Piece {
    /// Records a call of the interceptor: `on_send` if `sent`, otherwise `on_acknowledgement`.
    fn intercepts(&self, sent: bool) {
        if let Some(stage) = Stage::current() {
            let producer = self.producer;
            stage.emit(EventKind::Intercepted { producer, sent });
        }
    }

    /// Calls the producer back, if it is still there.
    fn call<T, E: Debug + Display>(
        &self,
        stage: &Stage,
        operation: Call,
        how: impl FnOnce(&Producer) -> Result<T, E>,
    ) {
        if let Some(producer) = stage.producer(self.producer) {
            // The result is recorded as an event.
            let _ = record_call(stage, operation, || how(&producer));
        }
    }
}

/// Makes a call, and records its beginning and end.
fn record_call<T, E: Debug + Display>(
    stage: &Stage,
    operation: Call,
    how: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let call = stage.new_call();
    stage.emit(EventKind::CallBegins { call, operation });
    let ended = how();
    let returned = returned(&ended);
    stage.emit(EventKind::CallEnds { call, returned });
    ended
}

impl Act {
    /// Whether the act may block: it is refused inside user code, but elsewhere it may have to wait.
    fn waits(&self) -> bool {
        matches!(
            self,
            Self::Sends(_) | Self::Flushes | Self::Closes | Self::AsksForPartitions(_) | Self::Gets
        )
    }
}

/// Sends a record from user code, where a call that would have to wait is refused.
fn send_inside(stage: &Stage, index: ProducerIndex, topic: &str, only_tries: bool) {
    let Some(producer) = stage.producer(index) else {
        return;
    };
    let id = stage.new_record();
    let value = value_of(id, 12);
    stage.emit(EventKind::RecordOffered {
        record: id,
        producer: index,
        topic: topic.to_owned(),
        partition: None,
        key: None,
        timestamp: None,
        contents: contents_of_value(&value),
        size: value.len(),
        has_callback: false,
        inside: true,
    });
    let record = ProducerRecord::new(topic, &value[..]);
    let (kind, text) = if only_tries {
        match producer.try_send(record) {
            Ok(future) => return accepted(stage, index, id, future),
            Err(error) => (format!("{:?}", error.reason()), error.to_string()),
        }
    } else {
        match record_call(stage, Call::Send(id), || producer.send(record)) {
            Ok(future) => return accepted(stage, index, id, future),
            Err(error) => (format!("{error:?}"), error.to_string()),
        }
    };
    stage.emit(EventKind::RecordRefused {
        record: id,
        kind,
        text,
    });
}

fn accepted(
    stage: &Stage,
    producer: ProducerIndex,
    record: RecordId,
    future: kafka_producer::FutureRecordMetadata,
) {
    stage.emit(EventKind::RecordAccepted { record });
    stage.keep(producer, 0, record, future);
}

/// Callback of a record. It reports the outcome as an event, or, if it never ran, that it was dropped.
pub(crate) struct Callback {
    record: RecordId,
    piece: Arc<Piece>,
    has_run: bool,
}

impl Callback {
    pub(crate) fn new(record: RecordId, piece: &Arc<Piece>) -> Self {
        Self {
            record,
            piece: Arc::clone(piece),
            has_run: false,
        }
    }

    pub(crate) fn run(mut self, answer: Result<&RecordMetadata, &ProduceError>) {
        self.has_run = true;
        let stage = Stage::current();
        if let Some(stage) = stage.filter(|stage| Some(stage.number) == self.piece.run) {
            // Checked for one record in four only, since the search through all held futures is slow.
            if self.record.0 % 4 == 0 && stage.is_done(self.piece.producer, self.record) {
                let outcome = outcome(answer);
                let record = self.record;
                stage.emit(EventKind::FutureReported { record, outcome });
            }
            stage.emit(EventKind::CallbackRan {
                record: self.record,
                outcome: outcome(answer),
            });
        }
        // A callback cannot return an error.
        let _ = self.piece.run();
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        let stage = Stage::current().filter(|stage| Some(stage.number) == self.piece.run);
        if let Some(stage) = stage.filter(|_| !self.has_run) {
            stage.emit(EventKind::CallbackDropped {
                record: self.record,
            });
        }
    }
}

impl Serializer<[u8]> for Piece {
    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Headers,
        data: &'a [u8],
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        self.run()?;
        Ok(Some(Serialized::Borrowed(data)))
    }
}

impl Partitioner<[u8], [u8]> for Piece {
    fn close(&self) -> Result<(), BoxError> {
        self.run()
    }

    fn partition(&self, record: &PartitionInput<'_, [u8], [u8]>) -> Result<PartitionId, BoxError> {
        self.run()?;
        let count = record
            .cluster()
            .partition_count(record.topic())
            .unwrap_or(1)
            .max(1);
        let number = record
            .value()
            .and_then(|value| value.first_chunk())
            .map_or(0, |id| u64::from_be_bytes(*id));
        Ok((number % count as u64) as PartitionId)
    }
}

impl ProducerInterceptor<[u8], [u8]> for Piece {
    fn close(&self) -> Result<(), BoxError> {
        self.run()
    }

    fn on_send(&self, _record: &mut ProducerRecord<'_, [u8], [u8]>) -> Result<(), BoxError> {
        self.intercepts(true);
        self.run()
    }

    fn on_acknowledgement(&self, _metadata: &RecordMetadata, _error: Option<&ProduceError>) {
        self.intercepts(false);
        let _ = self.run();
    }
}

/// A cluster listener, shared with the plug-in that provides it.
pub(crate) struct Listener(pub(crate) Piece);

impl ClusterResourceListener for Listener {
    fn on_update(&self, _cluster_id: Option<&str>) {
        let _ = self.0.run();
    }
}

/// An interceptor that only provides a cluster listener.
pub(crate) struct WithListener(pub(crate) Arc<Listener>);

impl ProducerInterceptor<[u8], [u8]> for WithListener {
    fn on_send(&self, _record: &mut ProducerRecord<'_, [u8], [u8]>) -> Result<(), BoxError> {
        Ok(())
    }

    fn cluster_listener(&self) -> Option<Arc<dyn ClusterResourceListener>> {
        Some(Arc::clone(&self.0) as _)
    }
}

/// A metrics reporter that records its calls.
pub(crate) struct Reporter(pub(crate) Piece);

impl Reporter {
    fn record_call(&self, report: Report) -> Result<(), BoxError> {
        kafka_producer::internals::assert_unlocked();
        let stage = Stage::current().filter(|stage| Some(stage.number) == self.0.run);
        if let Some(stage) = stage {
            let producer = self.0.producer;
            stage.emit(EventKind::Reported { producer, report });
        }
        self.0.run()
    }
}

impl MetricsReporter for Reporter {
    fn context_change(&self, _: &MetricsContext) -> Result<(), BoxError> {
        self.record_call(Report::Context)
    }

    fn init(&self, metrics: &[Metric]) -> Result<(), BoxError> {
        self.record_call(Report::Init)?;
        metrics
            .iter()
            .try_for_each(|metric| self.metric_change(metric))
    }

    fn metric_change(&self, metric: &Metric) -> Result<(), BoxError> {
        self.record_call(Report::Change(metric.name().to_string()))
    }

    fn metric_removal(&self, metric: &Metric) -> Result<(), BoxError> {
        self.record_call(Report::Removal(metric.name().to_string()))
    }

    fn close(&self) -> Result<(), BoxError> {
        self.record_call(Report::Close)
    }
}

/// Installs a process-wide logger, which passes each line to the run on its thread.
pub(crate) fn install_logger() {
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        Stage::current().is_some_and(|stage| metadata.level() <= stage.log_level)
    }

    fn log(&self, line: &log::Record<'_>) {
        kafka_producer::internals::assert_unlocked();
        let Some(stage) = Stage::current().filter(|stage| line.level() <= stage.log_level) else {
            return;
        };
        if stage.is_logging.replace(true) {
            return;
        }
        stage.emit(EventKind::LogLine {
            level: line.level(),
            text: line.args().to_string(),
        });
        let piece = stage.logger.borrow();
        // The panic is caught only to reset `is_logging`, and is then resumed: the library has to cope with a logger
        // that panics.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| piece.run()));
        stage.is_logging.set(false);
        drop(piece);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    }

    fn flush(&self) {}
}
