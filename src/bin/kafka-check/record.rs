//! The step of the test records, which the producer itself sends.

use std::time::{Duration, Instant};

use kafka_producer::probe;
use kafka_producer::{
    ConfigError, ConstructError, Error, KafkaProducer, ProducerConfig, ProducerRecord,
    RecordMetadata,
};

use crate::advice::{self, ShortTimeouts};
use crate::finding::{CheckProblem, CheckStep};
use crate::options::TestRecord;

const TRANSACTIONAL_ID: &str = "transactional.id";

/// Keys that are left out of the producer's configuration: a transactional id would fence the producer that uses it,
/// and plug-ins are the application's.
const LEFT_OUT: [&str; 7] = [
    TRANSACTIONAL_ID,
    "transaction.timeout.ms",
    "interceptor.classes",
    "metric.reporters",
    "partitioner.class",
    "key.serializer",
    "value.serializer",
];

/// Sends test records to one topic after the other.
pub(crate) struct RecordCheck {
    producer: KafkaProducer<str, str>,
    record: TestRecord,
    timeout: Duration,
    /// The time limits of the configuration that are shorter than `timeout`.
    short: ShortTimeouts,
    /// Whether the checked configuration has a transactional id.
    is_transactional: bool,
}

impl RecordCheck {
    pub(crate) fn new(
        config: &ProducerConfig,
        record: &TestRecord,
        timeout: Duration,
    ) -> Result<Self, ConstructError> {
        Ok(Self {
            producer: KafkaProducer::new(of_check(config, timeout)?)?,
            record: record.clone(),
            timeout,
            short: ShortTimeouts::of(config, timeout),
            is_transactional: config.originals().contains_key(TRANSACTIONAL_ID),
        })
    }

    pub(crate) fn run(&self, topic: &str) -> (CheckStep, Option<RecordMetadata>) {
        let began = Instant::now();
        let record = ProducerRecord::new(topic, &*self.record.value);
        let record = match &self.record.key {
            Some(key) => record.with_key(&**key),
            None => record,
        };
        let sent = self
            .producer
            .send(record)
            .map_err(Error::from)
            .and_then(|future| future.get().map_err(Error::from));
        let mut step = CheckStep::new("records", "", topic).took(began.elapsed());
        if self.is_transactional {
            let left_out = format!("sent without {TRANSACTIONAL_ID}: transactions are not checked");
            step.more.push(left_out);
        }
        match sent {
            Ok(metadata) => {
                let partition = metadata.partition();
                let detail = if metadata.has_offset() {
                    format!("partition {partition}, offset {}", metadata.offset())
                } else {
                    format!("partition {partition}, no offset (acks=0)")
                };
                (step.detail(detail), Some(metadata))
            }
            Err(error) => {
                let problem = advice::of_record(&error, self.short);
                (step.problems([problem]), None)
            }
        }
    }

    /// Closes the producer. Its records have ended.
    pub(crate) fn close(self) {
        // An error would be about records, whose errors were reported.
        let _ = self.producer.close_timeout(self.timeout);
    }
}

/// The step of a producer that could not be built.
pub(crate) fn not_built(error: &ConstructError) -> CheckStep {
    let step = CheckStep::new("records", "", "producer");
    step.problems([CheckProblem::failure(error.to_string())])
}

/// The configuration of the producer. Its time limits are lowered to that of a step.
fn of_check(config: &ProducerConfig, timeout: Duration) -> Result<ProducerConfig, ConfigError> {
    let delivery = config.delivery_timeout().min(timeout);
    let limits = [
        ("max.block.ms", config.max_block().min(timeout)),
        ("delivery.timeout.ms", delivery),
        // Not above delivery.timeout.ms, which would be a conflict.
        ("request.timeout.ms", config.request_timeout().min(delivery)),
    ];
    probe::changed(config, |keys| {
        keys.retain(|key, _| !LEFT_OUT.contains(&&**key));
        for (key, limit) in limits {
            keys.insert(key.to_owned(), limit.as_millis().to_string());
        }
        keys.insert("linger.ms".to_owned(), "0".to_owned());
    })
}
