//! The options of the command line, with the rules of Kafka's tool.

mod payload;

pub(crate) use payload::PayloadSource;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::{Long, Short, Value};

use crate::arguments::{
    self, Result, at_least_minus_one, number, required, stray_word, text, topic, word, words, wrong,
};
use crate::cpu_clock::REPORTS_CPU_TIME;

/// The parsed command line.
#[derive(Debug)]
pub(crate) enum PerfTestCommand {
    Help,
    Version,
    Run(Box<PerfTestOptions>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PerfTestOptions {
    pub(crate) topic: String,
    pub(crate) records: u64,
    pub(crate) payload: PayloadSource,
    /// Records per second; `None` for no limit.
    pub(crate) throughput: Option<NonZeroU32>,
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) print_metrics: bool,
    pub(crate) print_resources: bool,
    /// Whether a failed record makes the exit code 1.
    pub(crate) fail_on_error: bool,
    /// The page to be written at the end.
    pub(crate) html: Option<PathBuf>,
    pub(crate) transactions: Option<TransactionSettings>,
}

/// Settings of `--transaction-duration-ms` and `--transactional-id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransactionSettings {
    /// Overrides the id of the configuration. If neither sets one, it is [`DEFAULT_TRANSACTIONAL_ID`].
    pub(crate) id: Option<String>,
    pub(crate) duration: Duration,
}

const TOPIC: &str = "topic";
const RECORDS: &str = "num-records";
const SIZE: &str = "record-size";
const FILE: &str = "payload-file";
const MONOTONIC: &str = "payload-monotonic";
const DELIMITER: &str = "payload-delimiter";
const THROUGHPUT: &str = "throughput";
const PROPERTIES: &str = "producer-props";
const CONFIG: &str = "producer.config";
const METRICS: &str = "print-metrics";
const TRANSACTIONAL_ID: &str = "transactional-id";
pub(crate) const TRANSACTION_DURATION: &str = "transaction-duration-ms";
const HELP: &str = "help";

/// The options of Kafka's tool, and of those of later versions the supported ones.
const KAFKA_OPTIONS: [&str; 13] = [
    TOPIC,
    RECORDS,
    SIZE,
    FILE,
    MONOTONIC,
    DELIMITER,
    THROUGHPUT,
    PROPERTIES,
    CONFIG,
    METRICS,
    TRANSACTIONAL_ID,
    TRANSACTION_DURATION,
    HELP,
];

/// The default of Kafka's tool.
pub(crate) const DEFAULT_TRANSACTIONAL_ID: &str = "performance-producer-default-transactional-id";

const RESOURCES: &str = "print-resources";
const FAIL_ON_ERROR: &str = "fail-on-error";
const HTML: &str = "html";
const VERSION: &str = "version";

/// Not options of Kafka's tool. They cannot be abbreviated, so that no abbreviation of Kafka's options becomes
/// ambiguous.
const OWN_OPTIONS: [&str; 4] = [RESOURCES, FAIL_ON_ERROR, HTML, VERSION];

/// The options as given, before the check for missing and conflicting ones.
#[derive(Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
struct Given {
    topic: Option<String>,
    records: Option<i64>,
    size: Option<i32>,
    file: Option<PathBuf>,
    monotonic: bool,
    delimiter: Option<String>,
    throughput: Option<i32>,
    properties: Option<Vec<String>>,
    config_file: Option<PathBuf>,
    print_metrics: bool,
    print_resources: bool,
    fail_on_error: bool,
    html: Option<PathBuf>,
    transactional_id: Option<String>,
    transaction_duration_ms: i64,
}

pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<PerfTestCommand> {
    let mut given = Given::default();
    let mut last = None;
    while let Some(argument) = parser.next()? {
        let name = match argument {
            Short('h') => return Ok(PerfTestCommand::Help),
            Long(name) => option_called(name)?,
            Short(letter) => return wrong(format!("unrecognized arguments: '-{letter}'")),
            Value(_) => return stray_word(last),
        };
        last = Some(name);
        match name {
            HELP => return Ok(PerfTestCommand::Help),
            VERSION => return Ok(PerfTestCommand::Version),
            MONOTONIC => given.monotonic = true,
            FAIL_ON_ERROR => given.fail_on_error = true,
            METRICS => given.print_metrics = true,
            RESOURCES => given.print_resources = true,
            // Kafka's tool forgets the properties of an earlier option.
            PROPERTIES => {
                let all = given.properties.get_or_insert_with(Vec::new);
                all.extend(words(&mut parser, name)?);
            }
            FILE => given.file = Some(word(&mut parser, name)?.into()),
            CONFIG => given.config_file = Some(word(&mut parser, name)?.into()),
            HTML => given.html = Some(word(&mut parser, name)?.into()),
            TOPIC => given.topic = Some(topic(name, word(&mut parser, name)?)?),
            DELIMITER => given.delimiter = Some(text(name, word(&mut parser, name)?)?),
            RECORDS => given.records = Some(number(&mut parser, name)?),
            SIZE => given.size = Some(number(&mut parser, name)?),
            THROUGHPUT => given.throughput = Some(number(&mut parser, name)?),
            TRANSACTION_DURATION => given.transaction_duration_ms = number(&mut parser, name)?,
            TRANSACTIONAL_ID => {
                given.transactional_id = Some(text(name, word(&mut parser, name)?)?);
            }
            _ => return wrong(format!("unrecognized arguments: '--{name}'")),
        }
    }
    let options = given.complete()?;
    Ok(PerfTestCommand::Run(Box::new(options)))
}

/// Resolves the name of an option, or an unambiguous prefix of it.
fn option_called(given: &str) -> Result<&'static str> {
    if let Some(own) = OWN_OPTIONS.iter().find(|own| **own == given) {
        return Ok(own);
    }
    arguments::option_called(given, &KAFKA_OPTIONS)
}

impl Given {
    fn complete(self) -> Result<PerfTestOptions> {
        let topic = required(self.topic, TOPIC)?;
        let records = required(self.records, RECORDS)?;
        let throughput = required(self.throughput, THROUGHPUT)?;
        let throughput = at_least_minus_one(THROUGHPUT, throughput)?;
        let payload = payload::source(self.size, self.file, self.monotonic, self.delimiter)?;
        let records = match u64::try_from(records) {
            Ok(records) if records > 0 => records,
            _ => return wrong(format!("argument --{RECORDS}: {records} is below 1")),
        };
        // At 0 records per second Kafka's tool hangs after the first record.
        let throughput = match u32::try_from(throughput) {
            Ok(0) => {
                return wrong(format!(
                    "argument --{THROUGHPUT}: at 0 records a second nothing is ever sent; -1 is no limit"
                ));
            }
            rate => rate.ok().and_then(NonZeroU32::new),
        };
        if self.properties.is_none() && self.config_file.is_none() {
            return wrong(format!(
                "either --{PROPERTIES} or --{CONFIG} must be specified"
            ));
        }
        if self.print_resources && !REPORTS_CPU_TIME {
            return wrong(format!(
                "argument --{RESOURCES}: CPU times are not read on this system"
            ));
        }
        if self
            .html
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-")
        {
            return wrong(format!(
                "argument --{HTML}: standard output has the lines of the run; give the name of a file"
            ));
        }
        let properties = self.properties.unwrap_or_default();
        let properties = properties
            .iter()
            .map(|word| property(word))
            .collect::<Result<_>>()?;
        // The transactional id has no effect unless the duration is above 0.
        let duration_ms = u64::try_from(self.transaction_duration_ms).unwrap_or(0);
        let transactional_id = self.transactional_id;
        let transactions = (duration_ms > 0).then_some(TransactionSettings {
            id: transactional_id,
            duration: Duration::from_millis(duration_ms),
        });
        Ok(PerfTestOptions {
            topic,
            records,
            payload,
            throughput,
            config_file: self.config_file,
            properties,
            print_metrics: self.print_metrics,
            print_resources: self.print_resources,
            fail_on_error: self.fail_on_error,
            html: self.html,
            transactions,
        })
    }
}

/// Parses `KEY=VALUE` as Kafka's tool does: `=` at the end is ignored, and the value must not be empty or contain `=`.
fn property(word: &str) -> Result<(String, String)> {
    match word.trim_end_matches('=').split_once('=') {
        Some((key, value)) if !value.contains('=') => Ok((key.to_owned(), value.to_owned())),
        _ => {
            // Only a key is quoted: the value, or a word without a key, may be a password. So may a word without a
            // dot, such as Base64, even if it ends with '='.
            let key = word.split_once('=').map(|(key, _)| key);
            let key = key.filter(|key| key.contains('.'));
            let key = key.map(|key| format!(" {key}"));
            wrong(format!(
                "argument --{PROPERTIES}: invalid property{}: give KEY=VALUE; a value that is empty \
                 or has a '=' goes into a file for --{CONFIG}",
                key.unwrap_or_default()
            ))
        }
    }
}

#[cfg(test)]
mod tests;
