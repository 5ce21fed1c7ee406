//! Dry construction: whether a producer can be built from the configuration, and whether it could send any record.

use kafka_producer::{
    BoxError, ByteArraySerializer, ConfigError, ConstructError, Headers, KafkaProducer, Metric,
    MetricsReporter, PartitionId, PartitionInput, Partitioner, PluginConfig, ProducerBuilder,
    ProducerConfig, ProducerInterceptor, ProducerRecord, Serialized, Serializer, StockSerialize,
    probe,
};

use crate::config_failures::failures;
use crate::finding::{CheckProblem, KeySide};

/// The keys that name classes of plug-ins.
const CLASS_KEYS: [&str; 5] = [
    "interceptor.classes",
    "metric.reporters",
    "partitioner.class",
    "key.serializer",
    "value.serializer",
];

/// Maximum number of unknown classes that are reported: each costs a construction.
const MAX_CLASSES: usize = 50;

/// Why no producer can be built from the configuration, and why it could send no record. `registered` has the classes
/// that the application registers with its builder.
pub(crate) fn problems(config: &ProducerConfig, registered: &[String]) -> Vec<CheckProblem> {
    let mut problems = limits(config);
    let mut known = registered.to_vec();
    // The builder stops at its first error, so each unknown class is reported, and then taken for a registered one.
    while known.len() < registered.len() + MAX_CLASSES {
        let Err(error) = builder(config, &known).check() else {
            break;
        };
        let ConstructError::Config(error) = error else {
            problems.push(CheckProblem::failure(error.to_string()));
            break;
        };
        let Some(class) = unknown_class(&error) else {
            problems.extend(failures(&error));
            break;
        };
        if known.iter().any(|known| known == class) {
            // It is registered, and refused for another reason.
            problems.extend(failures(&error));
            break;
        }
        problems.extend(failures(&error).into_iter().map(of_class));
        known.push(class.to_owned());
    }
    problems
}

/// The class that the error is about; `None` if it is about something else.
fn unknown_class(error: &ConfigError) -> Option<&str> {
    let key = error.key()?;
    error.value().filter(|_| CLASS_KEYS.contains(&key))
}

fn of_class(problem: CheckProblem) -> CheckProblem {
    problem
        .likely("it is a Java class, which this library cannot load")
        .likely(
            "the application registers the class with its builder: give its name to \
             --registered-class",
        )
}

/// Limits below the size of the smallest record.
fn limits(config: &ProducerConfig) -> Vec<CheckProblem> {
    let smallest = probe::smallest_record_bytes();
    let problem = |(key, limit): (&str, usize)| {
        (limit < smallest).then(|| impossible_limit(key, limit, smallest))
    };
    let limits = [
        ("max.request.size", config.max_request_size()),
        ("buffer.memory", config.buffer_memory()),
    ];
    limits.into_iter().filter_map(problem).collect()
}

fn impossible_limit(key: &str, limit: usize, smallest: usize) -> CheckProblem {
    CheckProblem::failure(format!(
        "{key}={limit}: no record can be sent: the smallest takes {smallest} bytes"
    ))
    .change(
        key,
        KeySide::Client,
        "above the size of the largest record, or the default",
    )
}

type BytesBuilder = ProducerBuilder<[u8], [u8]>;

/// A builder that knows Kafka's own serializers and the classes in `known`.
///
/// Which serializer fits depends on the types of the application's records, which are unknown here: the types of this
/// builder have no meaning.
fn builder(config: &ProducerConfig, known: &[String]) -> BytesBuilder {
    let mut builder = KafkaProducer::<[u8], [u8]>::builder(config.clone()).stock_serializers();
    builder = with_serializers_of::<str>(builder);
    builder = with_serializers_of::<[u8]>(builder);
    builder = with_serializers_of::<i16>(builder);
    builder = with_serializers_of::<i32>(builder);
    builder = with_serializers_of::<i64>(builder);
    builder = with_serializers_of::<f32>(builder);
    builder = with_serializers_of::<f64>(builder);
    builder = with_serializers_of::<()>(builder);
    #[cfg(feature = "uuid")]
    {
        builder = with_serializers_of::<uuid::Uuid>(builder);
    }
    for class in known {
        builder = builder
            .register_key_serializer(class, || Box::new(ByteArraySerializer::new()))
            .register_value_serializer(class, || Box::new(ByteArraySerializer::new()))
            .register_partitioner(class, || Box::new(Registered))
            .register_interceptor(class, || Box::new(Registered))
            .register_metrics_reporter(class, || Box::new(Registered));
    }
    builder
}

/// Registers the serializers that Kafka has for the type `T`.
fn with_serializers_of<T: StockSerialize + ?Sized + 'static>(
    mut builder: BytesBuilder,
) -> BytesBuilder {
    for class in T::JAVA_CLASSES {
        let make = move || -> Box<dyn Serializer<[u8]>> {
            match T::stock_serializer(class) {
                Some(serializer) => Box::new(OtherType(serializer)),
                None => Box::new(ByteArraySerializer::new()),
            }
        };
        builder = builder
            .register_key_serializer(*class, make)
            .register_value_serializer(*class, make);
    }
    builder
}

/// A serializer for another type: it is configured, and never gets a record.
struct OtherType<T: ?Sized>(Box<dyn Serializer<T>>);

impl<T: ?Sized + 'static> Serializer<[u8]> for OtherType<T> {
    fn configure(&mut self, config: &PluginConfig, is_key: bool) -> Result<(), BoxError> {
        self.0.configure(config, is_key)
    }

    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        _: &'a [u8],
    ) -> Result<Option<Serialized<'a>>, BoxError> {
        Ok(None)
    }

    fn close(&self) -> Result<(), BoxError> {
        self.0.close()
    }
}

/// Stands for a plug-in of the application. The dry construction calls none of its methods but `configure` and `close`.
struct Registered;

impl Partitioner<[u8], [u8]> for Registered {
    fn partition(&self, _: &PartitionInput<'_, [u8], [u8]>) -> Result<PartitionId, BoxError> {
        Ok(0)
    }
}

impl ProducerInterceptor<[u8], [u8]> for Registered {
    fn on_send(&self, _: &mut ProducerRecord<'_, [u8], [u8]>) -> Result<(), BoxError> {
        Ok(())
    }
}

impl MetricsReporter for Registered {
    fn metric_change(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }

    fn metric_removal(&self, _: &Metric) -> Result<(), BoxError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str, registered: &[&str]) -> Vec<String> {
        let text = format!("bootstrap.servers=127.0.0.1:1\n{text}");
        let config = ProducerConfig::from_properties_str(&text).unwrap();
        let registered: Vec<_> = registered.iter().map(|it| (*it).to_owned()).collect();
        let problems = problems(&config, &registered).into_iter();
        problems.map(|problem| problem.text).collect()
    }

    #[test]
    fn every_unknown_class_is_reported_unless_the_application_registers_it() {
        let text = "interceptor.classes=a.A,b.B\nmetric.reporters=c.C\npartitioner.class=d.D\n\
                    key.serializer=e.E\nvalue.serializer=f.F";
        let found = problems_of(text, &[]);
        assert_eq!(found.len(), 6, "{found:?}");
        for class in ["a.A", "b.B", "c.C", "d.D", "e.E", "f.F"] {
            let class = format!("{class:?}");
            assert!(found.iter().any(|text| text.contains(&class)), "{found:?}");
        }
        let registered = ["a.A", "b.B", "c.C", "d.D", "e.E", "f.F"];
        assert!(problems_of(text, &registered).is_empty());
    }

    #[test]
    fn the_classes_of_kafka_fit_whatever_the_types_of_the_records_are() {
        let text = "key.serializer=org.apache.kafka.common.serialization.IntegerSerializer\n\
                    value.serializer=org.apache.kafka.common.serialization.StringSerializer\n\
                    partitioner.class=org.apache.kafka.clients.producer.RoundRobinPartitioner\n\
                    metric.reporters=org.apache.kafka.common.metrics.JmxReporter";
        assert!(problems_of(text, &[]).is_empty());
    }

    #[test]
    fn a_comma_too_many_is_an_error_of_its_own() {
        let found = problems_of("interceptor.classes=a.A,,b.B", &["a.A", "b.B"]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("comma"), "{found:?}");
    }

    #[test]
    fn a_limit_below_the_smallest_record_is_reported() {
        let smallest = probe::smallest_record_bytes();
        for key in ["max.request.size", "buffer.memory"] {
            let of = |limit: usize| problems_of(&format!("{key}={limit}\nbatch.size=1"), &[]);
            assert!(of(smallest).is_empty());
            let found = of(smallest - 1);
            assert!(found[0].starts_with(key), "{found:?}");
        }
    }
}
