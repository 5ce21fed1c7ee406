//! The options of the command line, with the rules of Kafka's tool: no abbreviations, and the word after an option is
//! its value even if it begins with a dash, unless it is the name of an option.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::{Long, Short, Value};

use crate::arguments::{self, Result, property, required, stray_word, text, wrong};
use crate::flags::{ACKS, CODEC, FLAGS};
use crate::nearest::nearest;

/// The parsed command line.
#[derive(Debug)]
pub(crate) enum ConsoleProducerCommand {
    Help,
    Version,
    Run(ConsoleProducerOptions),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConsoleProducerOptions {
    pub(crate) topic: String,
    pub(crate) reader_file: Option<PathBuf>,
    /// The properties of the reader that are given as options.
    pub(crate) reader_properties: Vec<(String, String)>,
    pub(crate) producer: ProducerOptions,
}

/// The options that configure the producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProducerOptions {
    pub(crate) is_sync: bool,
    pub(crate) servers: String,
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) properties: Vec<(String, String)>,
    /// The values of the given options of [`FLAGS`], by the name of the option.
    pub(crate) flags: BTreeMap<&'static str, String>,
}

const TOPIC: &str = "topic";
const BOOTSTRAP_SERVER: &str = "bootstrap-server";
const BROKER_LIST: &str = "broker-list";
const SYNC: &str = "sync";
const PROPERTY: &str = "property";
const READER_CONFIG: &str = "reader-config";
const LINE_READER: &str = "line-reader";
const PRODUCER_PROPERTY: &str = "producer-property";
const PRODUCER_CONFIG: &str = "producer.config";
const HELP: &str = "help";
const VERSION: &str = "version";

/// All options except those of [`FLAGS`].
const OTHERS: [&str; 11] = [
    TOPIC,
    BOOTSTRAP_SERVER,
    BROKER_LIST,
    SYNC,
    PROPERTY,
    READER_CONFIG,
    LINE_READER,
    PRODUCER_PROPERTY,
    PRODUCER_CONFIG,
    HELP,
    VERSION,
];

/// Kafka's own reader, by its name in later versions and in 3.0.
const LINE_READERS: [&str; 2] = [
    "org.apache.kafka.tools.LineMessageReader",
    "kafka.tools.ConsoleProducer$LineMessageReader",
];

/// The options as given, before the check for missing ones.
#[derive(Default)]
struct GivenConsoleOptions {
    /// The values of the options that have one and may be given once.
    once: BTreeMap<&'static str, String>,
    is_sync: bool,
    reader_file: Option<PathBuf>,
    reader_properties: Vec<(String, String)>,
    config_file: Option<PathBuf>,
    properties: Vec<(String, String)>,
    flags: BTreeMap<&'static str, String>,
}

pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<ConsoleProducerCommand> {
    let mut given = GivenConsoleOptions::default();
    let mut last = None;
    while let Some(argument) = parser.next()? {
        let name = match argument {
            Long(name) => option_called(name)?,
            Short('h') => HELP,
            Short(letter) => {
                return wrong(format!(
                    "unknown option -{letter}: options begin with two dashes"
                ));
            }
            Value(_) => return stray_word(last),
        };
        last = Some(name);
        match name {
            HELP => return Ok(ConsoleProducerCommand::Help),
            VERSION => return Ok(ConsoleProducerCommand::Version),
            SYNC => given.is_sync = true,
            PROPERTY => given
                .reader_properties
                .push(property(name, &value(&mut parser, name)?)?),
            PRODUCER_PROPERTY => given
                .properties
                .push(property(name, &value(&mut parser, name)?)?),
            READER_CONFIG => given.reader_file = Some(path(&mut parser, name)?),
            PRODUCER_CONFIG => given.config_file = Some(path(&mut parser, name)?),
            CODEC => once(&mut given.flags, name, codec(&mut parser)?)?,
            TOPIC => {
                let topic = arguments::topic(name, word(&mut parser, name)?)?;
                once(&mut given.once, name, topic)?;
            }
            BOOTSTRAP_SERVER | BROKER_LIST | LINE_READER => {
                once(&mut given.once, name, value(&mut parser, name)?)?;
            }
            flag => {
                let value = value(&mut parser, flag)?;
                check_flag(flag, &value)?;
                once(&mut given.flags, flag, value)?;
            }
        }
    }
    given.complete().map(ConsoleProducerCommand::Run)
}

fn all_options() -> impl Iterator<Item = &'static str> {
    OTHERS
        .into_iter()
        .chain(FLAGS.iter().map(|flag| flag.option))
}

fn option_called(given: &str) -> Result<&'static str> {
    if let Some(name) = all_options().find(|name| *name == given) {
        return Ok(name);
    }
    wrong(match nearest(given, all_options()) {
        Some(name) => format!("unknown option --{given}; did you mean --{name}?"),
        None => format!("unknown option --{given}; --help lists all options"),
    })
}

/// The value of an option. Another option in its place means that the value was forgotten.
fn word(parser: &mut lexopt::Parser, name: &str) -> Result<OsString> {
    if let Some(attached) = parser.optional_value() {
        return Ok(attached);
    }
    let is_option = |word: &str| {
        let name = word.strip_prefix("--");
        name.is_some_and(|name| all_options().any(|option| option == name))
    };
    let mut rest = parser.raw_args()?;
    match rest.next_if(|word| !word.to_str().is_some_and(is_option)) {
        Some(word) => Ok(word),
        None => wrong(format!("argument --{name}: expected one argument")),
    }
}

fn value(parser: &mut lexopt::Parser, name: &str) -> Result<String> {
    text(name, word(parser, name)?)
}

fn path(parser: &mut lexopt::Parser, name: &str) -> Result<PathBuf> {
    word(parser, name).map(PathBuf::from)
}

/// The value of `--compression-codec`, which is optional.
fn codec(parser: &mut lexopt::Parser) -> Result<String> {
    let mut word = parser.optional_value();
    if word.is_none() {
        let mut rest = parser.raw_args()?;
        word = rest.next_if(|word| !word.as_encoded_bytes().starts_with(b"-"));
    }
    let codec = text(CODEC, word.unwrap_or_default())?;
    Ok(if codec.is_empty() {
        "gzip".to_owned()
    } else {
        codec
    })
}

fn once(
    values: &mut BTreeMap<&'static str, String>,
    name: &'static str,
    value: String,
) -> Result<()> {
    match values.insert(name, value) {
        None => Ok(()),
        Some(_) => wrong(format!("argument --{name} is given more than once")),
    }
}

/// Whether a value is of the option's type. The bounds are checked with the configuration.
fn check_flag(name: &str, value: &str) -> Result<()> {
    if name == ACKS {
        return match value {
            "0" | "1" | "-1" | "all" => Ok(()),
            _ => wrong(format!(
                "argument --{name}: invalid choice: '{value}' (choose from 0, 1, -1, all)"
            )),
        };
    }
    match value.parse::<i64>() {
        Ok(_) => Ok(()),
        Err(error) => wrong(format!(
            "argument --{name}: '{value}' is not a number: {error}"
        )),
    }
}

impl GivenConsoleOptions {
    fn complete(mut self) -> Result<ConsoleProducerOptions> {
        let topic = required(self.once.remove(TOPIC), TOPIC)?;
        let servers = self.once.remove(BOOTSTRAP_SERVER);
        let servers = servers.or_else(|| self.once.remove(BROKER_LIST));
        let servers = required(servers, BOOTSTRAP_SERVER)?;
        if let Some(class) = self.once.get(LINE_READER) {
            if !LINE_READERS.contains(&class.as_str()) {
                return wrong(format!(
                    "argument --{LINE_READER}: '{class}' is not available: other readers than {} are Java classes, \
                     which this tool cannot load. --{PROPERTY} sets the format of lines, see --{HELP}",
                    LINE_READERS[0]
                ));
            }
        }
        Ok(ConsoleProducerOptions {
            topic,
            reader_file: self.reader_file,
            reader_properties: self.reader_properties,
            producer: ProducerOptions {
                is_sync: self.is_sync,
                servers,
                config_file: self.config_file,
                properties: self.properties,
                flags: self.flags,
            },
        })
    }
}

#[cfg(test)]
mod tests;
