//! The facts about a run that are known before it starts: its options, the settings of the producer, the machine.

use std::time::SystemTime;

use kafka_producer::{ConfigSource, ProducerConfig, probe};

use super::{calendar, number};
use crate::machine::Machine;
use crate::options::{PayloadSource, PerfTestOptions};

#[derive(Debug, Clone)]
pub(crate) struct RunFacts {
    pub(crate) topic: String,
    pub(crate) planned_records: u64,
    /// The date and time of the start.
    pub(crate) started: String,
    /// Names and values of the options.
    pub(crate) run: Vec<(&'static str, String)>,
    pub(crate) machine: Vec<(&'static str, String)>,
    pub(crate) settings: ProducerSettings,
}

/// Keys and values of the configuration. Passwords and the values of unknown keys are hidden, as in the `Debug` output
/// of [`ProducerConfig`].
#[derive(Debug, Clone, Default)]
pub(crate) struct ProducerSettings {
    /// Set by the user, or derived from what the user set.
    pub(crate) given: Vec<(String, String)>,
    pub(crate) defaults: Vec<(String, String)>,
}

impl RunFacts {
    pub(crate) fn new(options: &PerfTestOptions, config: &ProducerConfig) -> Self {
        let started = calendar::utc(SystemTime::now());
        Self {
            topic: options.topic.clone(),
            planned_records: options.records,
            run: run_rows(options, config, &started),
            started,
            machine: machine_rows(&Machine::read()),
            settings: ProducerSettings::of(config),
        }
    }
}

fn run_rows(
    options: &PerfTestOptions,
    config: &ProducerConfig,
    started: &str,
) -> Vec<(&'static str, String)> {
    let payload = match &options.payload {
        PayloadSource::Random { bytes } => {
            format!("{} bytes, random letters", number::grouped(*bytes as u64))
        }
        PayloadSource::File { path, delimiter } => format!(
            "drawn from the file {}, delimiter {delimiter:?}",
            path.display()
        ),
        PayloadSource::Monotonic => "number of the record".to_owned(),
    };
    let throughput = options.throughput.map_or_else(
        || "no limit".to_owned(),
        |rate| format!("{} records/s", number::grouped(rate.get().into())),
    );
    let transactions = options.transactions.as_ref().map_or_else(
        || "none".to_owned(),
        |transactions| {
            let ns = u64::try_from(transactions.duration.as_nanos()).unwrap_or(u64::MAX);
            let id = config.transactional_id().unwrap_or_default();
            format!("of {}, id {id}", number::duration(ns))
        },
    );
    vec![
        ("started", started.to_owned()),
        ("topic", options.topic.clone()),
        ("records", number::grouped(options.records)),
        ("payload", payload),
        ("target rate", throughput),
        ("transactions", transactions),
    ]
}

fn machine_rows(machine: &Machine) -> Vec<(&'static str, String)> {
    let unknown = || "unknown".to_owned();
    let processors = match (machine.usable_processors, machine.processors) {
        (Some(usable), Some(all)) if usable != all => format!("{usable} usable of {all}"),
        (Some(count), _) | (None, Some(count)) => count.to_string(),
        (None, None) => unknown(),
    };
    let build = if cfg!(debug_assertions) {
        "debug build: do not compare its figures"
    } else {
        "release build"
    };
    vec![
        (
            "processor",
            machine.cpu_model.clone().unwrap_or_else(unknown),
        ),
        ("processors", processors),
        (
            "memory",
            machine.memory_bytes.map_or_else(unknown, number::bytes),
        ),
        ("system", machine.system.clone()),
        (
            "library",
            format!("kafka-producer {}, {build}", env!("CARGO_PKG_VERSION")),
        ),
    ]
}

impl ProducerSettings {
    fn of(config: &ProducerConfig) -> Self {
        let mut settings = Self::default();
        let effective = config.effective();
        let is_known = |key: &str| effective.iter().any(|(known, ..)| *known == key);
        for (key, value, source) in &effective {
            let row = ((*key).to_owned(), value.clone());
            match source {
                ConfigSource::Default => settings.defaults.push(row),
                _ => settings.given.push(row),
            }
        }
        let unknown = config.originals().keys().filter(|key| !is_known(key));
        let hidden = unknown.map(|key| (probe::shown_key(key).to_owned(), HIDDEN.to_owned()));
        settings.given.extend(hidden);
        settings
    }
}

/// In place of a value that may be a secret.
const HIDDEN: &str = "[hidden]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_values_of_unknown_keys_are_hidden() {
        let builder = ProducerConfig::builder()
            .set("bootstrap.servers", "127.0.0.1:9092")
            .set("linger.ms", "5")
            .set("security.protocol", "SASL_PLAINTEXT")
            .set("sasl.mechanism", "PLAIN")
            .set(
                "sasl.jaas.config",
                "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"s3cret\";",
            )
            .set("my.own.key", "s3cret");
        let settings = ProducerSettings::of(&builder.build().unwrap());
        assert!(!format!("{settings:?}").contains("s3cret"), "{settings:?}");
        let given = |key: &str| settings.given.iter().find(|(own, _)| own == key).unwrap();
        assert_eq!(given("linger.ms").1, "5");
        assert_eq!(given("sasl.jaas.config").1, HIDDEN);
        assert_eq!(given("my.own.key").1, HIDDEN);
        assert!(settings.defaults.iter().any(|(key, _)| key == "batch.size"));
    }
}
