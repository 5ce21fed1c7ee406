//! The step of the test records, which the producer itself sends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka_producer::{
    ConfigError, ConstructError, Error, ErrorCode, KafkaProducer, ProducerConfig, ProducerRecord,
    RecordMetadata,
};

use crate::advice;
use crate::finding::{CheckProblem, CheckStep};
use crate::options::TestRecord;

/// Keys that are left out of the producer's configuration: a transactional id would fence the producer that uses it,
/// and plug-ins are the application's.
const LEFT_OUT: [&str; 9] = [
    "transactional.id",
    "transaction.timeout.ms",
    "interceptor.classes",
    "metric.reporters",
    "partitioner.class",
    "key.serializer",
    "value.serializer",
    "delivery.timeout.ms",
    "request.timeout.ms",
];

/// Sends test records to one topic after the other.
pub(crate) struct RecordCheck {
    producer: KafkaProducer<str, str>,
    record: TestRecord,
    timeout: Duration,
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
        let step = CheckStep::new("records", "", topic, began.elapsed());
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
                let problem = advice::of_record(error.to_string(), code_of(&error));
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

/// The code of the error, or that of the last response, after which the time for further attempts ran out.
fn code_of(error: &Error) -> Option<ErrorCode> {
    let of_response = || match error {
        Error::Produce(error) => error.broker_error().map(|response| response.code),
        _ => None,
    };
    error.code().or_else(of_response)
}

/// The step of a producer that could not be built.
pub(crate) fn not_built(error: &ConstructError) -> CheckStep {
    let step = CheckStep::new("records", "", "producer", Duration::ZERO);
    step.problems([CheckProblem::failure(error.to_string())])
}

/// The configuration of the producer, with the time limit of a step.
fn of_check(config: &ProducerConfig, timeout: Duration) -> Result<ProducerConfig, ConfigError> {
    let mut keys: BTreeMap<String, String> = config.originals().clone();
    keys.retain(|key, _| !LEFT_OUT.contains(&&**key));
    let millis = timeout.as_millis().to_string();
    for key in ["max.block.ms", "request.timeout.ms", "delivery.timeout.ms"] {
        keys.insert(key.to_owned(), millis.clone());
    }
    keys.insert("linger.ms".to_owned(), "0".to_owned());
    ProducerConfig::from_map(keys)
}
