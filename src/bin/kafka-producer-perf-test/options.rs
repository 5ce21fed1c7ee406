//! The command line, read as Kafka's tool reads its own: options may be abbreviated, the last of several
//! wins, and what begins with a dash is no value unless it is a number.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use lexopt::prelude::{Long, Short, Value};

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Request {
    Help,
    Run(Options),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) topic: String,
    pub(crate) records: u64,
    pub(crate) payload: PayloadSource,
    /// Records a second; none is as fast as possible.
    pub(crate) throughput: Option<NonZeroU32>,
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) print_metrics: bool,
    pub(crate) print_resources: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PayloadSource {
    Random { bytes: usize },
    File { path: PathBuf, delimiter: String },
}

/// A command line that cannot be used.
#[derive(Debug)]
pub(crate) struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for UsageError {}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

type Result<T> = std::result::Result<T, UsageError>;

fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(UsageError(message.into()))
}

const TOPIC: &str = "topic";
const RECORDS: &str = "num-records";
const SIZE: &str = "record-size";
const FILE: &str = "payload-file";
const DELIMITER: &str = "payload-delimiter";
const THROUGHPUT: &str = "throughput";
const PROPERTIES: &str = "producer-props";
const CONFIG: &str = "producer.config";
const METRICS: &str = "print-metrics";
const TRANSACTIONAL_ID: &str = "transactional-id";
const TRANSACTION_DURATION: &str = "transaction-duration-ms";
const HELP: &str = "help";

/// The options of Kafka's tool.
const KAFKAS: [&str; 12] = [
    TOPIC,
    RECORDS,
    SIZE,
    FILE,
    DELIMITER,
    THROUGHPUT,
    PROPERTIES,
    CONFIG,
    METRICS,
    TRANSACTIONAL_ID,
    TRANSACTION_DURATION,
    HELP,
];

/// Ours. It has no abbreviation, so that each means what it means to Kafka's tool.
const RESOURCES: &str = "print-resources";

/// What was given, before it is known whether it is complete.
#[derive(Default)]
struct Given {
    topic: Option<String>,
    records: Option<i64>,
    size: Option<i32>,
    file: Option<PathBuf>,
    delimiter: Option<String>,
    throughput: Option<i32>,
    properties: Option<Vec<String>>,
    config_file: Option<PathBuf>,
    print_metrics: bool,
    print_resources: bool,
    transaction_duration_ms: i64,
}

pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Request> {
    let mut given = Given::default();
    while let Some(argument) = parser.next()? {
        let name = match argument {
            Short('h') => return Ok(Request::Help),
            Long(name) => option_called(name)?,
            Short(letter) => return wrong(format!("unrecognized arguments: '-{letter}'")),
            Value(word) => {
                return wrong(format!(
                    "unrecognized arguments: '{}'",
                    word.to_string_lossy()
                ));
            }
        };
        match name {
            HELP => return Ok(Request::Help),
            METRICS => given.print_metrics = true,
            RESOURCES => given.print_resources = true,
            PROPERTIES => given.properties = Some(words(&mut parser, name)?),
            FILE | CONFIG => {
                let path = PathBuf::from(word(&mut parser, name)?);
                *(if name == FILE {
                    &mut given.file
                } else {
                    &mut given.config_file
                }) = Some(path);
            }
            TOPIC => given.topic = Some(text(name, word(&mut parser, name)?)?),
            DELIMITER => given.delimiter = Some(text(name, word(&mut parser, name)?)?),
            RECORDS => given.records = Some(number(&mut parser, name)?),
            SIZE => given.size = Some(number(&mut parser, name)?),
            THROUGHPUT => given.throughput = Some(number(&mut parser, name)?),
            TRANSACTION_DURATION => given.transaction_duration_ms = number(&mut parser, name)?,
            // Without a duration an id has no effect, and a duration is refused.
            _ => drop(word(&mut parser, name)?),
        }
    }
    given.complete().map(Request::Run)
}

/// The option that is meant by a name or the beginning of one.
fn option_called(given: &str) -> Result<&'static str> {
    if given == RESOURCES {
        return Ok(RESOURCES);
    }
    if let Some(name) = KAFKAS.into_iter().find(|name| *name == given) {
        return Ok(name);
    }
    let meant: Vec<&str> = KAFKAS
        .into_iter()
        .filter(|name| name.starts_with(given))
        .collect();
    match meant[..] {
        [name] => Ok(name),
        [] => wrong(format!("unrecognized arguments: '--{given}'")),
        _ => wrong(format!(
            "ambiguous option: --{given} could match --{}",
            meant.join(", --")
        )),
    }
}

/// `-1` is a value, `-x` is not.
fn is_value(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    match bytes.strip_prefix(b"-") {
        None | Some([]) => true,
        Some(rest) => rest
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.'),
    }
}

/// The one value of an option.
fn word(parser: &mut lexopt::Parser, name: &str) -> Result<OsString> {
    if let Some(attached) = parser.optional_value() {
        return Ok(attached);
    }
    match parser.raw_args()?.next_if(is_value) {
        Some(word) => Ok(word),
        None => wrong(format!("argument --{name}: expected one argument")),
    }
}

/// The values of an option that takes several: one behind `=`, or all words up to the next option.
fn words(parser: &mut lexopt::Parser, name: &str) -> Result<Vec<String>> {
    if let Some(attached) = parser.optional_value() {
        return Ok(vec![text(name, attached)?]);
    }
    let mut rest = parser.raw_args()?;
    let mut words = Vec::new();
    while let Some(word) = rest.next_if(is_value) {
        words.push(text(name, word)?);
    }
    if words.is_empty() {
        return wrong(format!("argument --{name}: expected at least one argument"));
    }
    Ok(words)
}

fn text(name: &str, word: OsString) -> Result<String> {
    word.into_string().or_else(|word| {
        let shown = word.to_string_lossy();
        wrong(format!("argument --{name}: '{shown}' is not UTF-8"))
    })
}

fn number<T: FromStr<Err: fmt::Display>>(parser: &mut lexopt::Parser, name: &str) -> Result<T> {
    let text = text(name, word(parser, name)?)?;
    text.parse()
        .or_else(|error| wrong(format!("argument --{name}: '{text}' is no number: {error}")))
}

fn required<T>(value: Option<T>, name: &str) -> Result<T> {
    match value {
        Some(value) => Ok(value),
        None => wrong(format!("argument --{name} is required")),
    }
}

impl Given {
    fn complete(self) -> Result<Options> {
        let topic = required(self.topic, TOPIC)?;
        let records = required(self.records, RECORDS)?;
        let throughput = required(self.throughput, THROUGHPUT)?;
        let payload = match (self.size, self.file) {
            (Some(_), Some(_)) => {
                return wrong(format!(
                    "argument --{FILE}: not allowed with argument --{SIZE}"
                ));
            }
            (None, None) => {
                return wrong(format!(
                    "one of the arguments --{SIZE} --{FILE} is required"
                ));
            }
            (Some(size), None) => match usize::try_from(size) {
                Ok(bytes) => PayloadSource::Random { bytes },
                Err(_) => return wrong(format!("argument --{SIZE}: {size} is below 0")),
            },
            (None, Some(path)) => PayloadSource::File {
                path,
                delimiter: delimiter(self.delimiter),
            },
        };
        let records = match u64::try_from(records) {
            Ok(records) if records > 0 => records,
            _ => return wrong(format!("argument --{RECORDS}: {records} is below 1")),
        };
        // Kafka's tool would wait for ever after the first record.
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
        let properties = self.properties.unwrap_or_default();
        let properties = properties
            .iter()
            .map(|word| property(word))
            .collect::<Result<_>>()?;
        if self.transaction_duration_ms > 0 {
            return wrong(format!(
                "argument --{TRANSACTION_DURATION}: transactions are not built yet; leave it out to send \
                 the same records without"
            ));
        }
        Ok(Options {
            topic,
            records,
            payload,
            throughput,
            config_file: self.config_file,
            properties,
            print_metrics: self.print_metrics,
            print_resources: self.print_resources,
        })
    }
}

/// A backslash and an n, which is what the shell leaves of `'\n'`, are a line's end.
fn delimiter(given: Option<String>) -> String {
    match given {
        Some(given) if given != r"\n" => given,
        _ => "\n".to_owned(),
    }
}

/// Kafka's tool knows no `=` in a value, and no empty value.
fn property(word: &str) -> Result<(String, String)> {
    match word.trim_end_matches('=').split_once('=') {
        Some((key, value)) if !value.contains('=') => Ok((key.to_owned(), value.to_owned())),
        _ => {
            // The value may be a password.
            let key = word.split('=').next().unwrap_or_default();
            wrong(format!(
                "argument --{PROPERTIES}: invalid property {key}: give KEY=VALUE; a value that is empty \
                 or has a '=' goes into a file for --{CONFIG}"
            ))
        }
    }
}

#[cfg(test)]
mod tests;
