//! The options of the command line.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::{Long, Short, Value};

use crate::arguments::{
    Result, number, option_called, property, stray_word, text, topic, word, wrong,
};

pub(crate) const VERSION: &str = concat!("kafka-check ", env!("CARGO_PKG_VERSION"));

pub(crate) const USAGE: &str = "\
usage: kafka-check [--bootstrap-server HOST:PORT[,HOST:PORT...]]
           [--producer.config FILE] [--from-env PREFIX]
           [--producer-property KEY=VALUE]... [--topic TOPIC]...
           [--send [--key TEXT] [--value TEXT]] [--registered-class CLASS]...
           [--timeout-ms MS] [--json]";

pub(crate) const HELP: &str = "\
usage: kafka-check [options]

Checks whether a producer can work with its cluster: the configuration, each
bootstrap server (name, TCP, TLS, SASL, versions), each broker under its
advertised address, the topics, and on request one record for each topic. For
a failure it names likely reasons and the configuration keys to change. It
changes nothing, and creates no topics; only --send writes.

  --bootstrap-server SERVERS     overrides the key bootstrap.servers
  --producer.config FILE         a Java properties file
  --from-env PREFIX              environment variables, such as
                                 KAFKA_LINGER_MS for the prefix KAFKA_; they
                                 override the file
  --producer-property KEY=VALUE  one key, repeatable; overrides both
  --topic TOPIC                  a topic to check, repeatable
  --send                         sends one test record to each topic
  --key TEXT, --value TEXT       key and value of that record
  --registered-class CLASS       a class of a plug-in that the application
                                 registers with its builder, repeatable
  --timeout-ms MS                time limit of each step (default: 5000)
  --json                         prints one JSON document at the end, instead
                                 of text while the steps run
  --version                      prints the version of this tool
  -h, --help                     prints this help

A record of --send has the time limits of the configuration (max.block.ms,
delivery.timeout.ms, request.timeout.ms), as far as they are shorter.

Exit code: 0 if all is well, also with warnings; 1 if a step failed, or the
output cannot be written; 141 if its reader has left; 2 if the command line is
invalid. A closed standard output (>&-) is no failure: it is as /dev/null.";

/// The parsed command line.
#[derive(Debug)]
pub(crate) enum CheckCommand {
    Help,
    Version,
    Run(Box<CheckOptions>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckOptions {
    pub(crate) servers: Option<String>,
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) env_prefix: Option<String>,
    pub(crate) properties: Vec<(String, String)>,
    /// Without duplicates.
    pub(crate) topics: Vec<String>,
    pub(crate) record: Option<TestRecord>,
    /// Classes of plug-ins that the application registers.
    pub(crate) registered: Vec<String>,
    pub(crate) timeout: Duration,
    pub(crate) json: bool,
}

/// Key and value of the record that `--send` sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestRecord {
    pub(crate) key: Option<String>,
    pub(crate) value: String,
}

const SERVERS: &str = "bootstrap-server";
const CONFIG: &str = "producer.config";
const FROM_ENV: &str = "from-env";
const PROPERTY: &str = "producer-property";
const TOPIC: &str = "topic";
const SEND: &str = "send";
const KEY: &str = "key";
const VALUE: &str = "value";
const REGISTERED: &str = "registered-class";
const TIMEOUT: &str = "timeout-ms";
const JSON: &str = "json";
const VERSION_OPTION: &str = "version";
const HELP_OPTION: &str = "help";

const OPTIONS: [&str; 13] = [
    SERVERS,
    CONFIG,
    FROM_ENV,
    PROPERTY,
    TOPIC,
    SEND,
    KEY,
    VALUE,
    REGISTERED,
    TIMEOUT,
    JSON,
    VERSION_OPTION,
    HELP_OPTION,
];

const DEFAULT_TIMEOUT_MS: u64 = 5_000;
/// A day: longer times overflow in arithmetic with the clock on some platforms.
const MAX_TIMEOUT_MS: u64 = 86_400_000;
/// Maximum number of topics: all of them are in one request.
const MAX_TOPICS: usize = 1_000;
const DEFAULT_VALUE: &str = "test record of kafka-check";

/// The options as given.
#[derive(Default)]
struct GivenCheckOptions {
    servers: Option<String>,
    config_file: Option<PathBuf>,
    env_prefix: Option<String>,
    properties: Vec<(String, String)>,
    topics: Vec<String>,
    send: bool,
    key: Option<String>,
    value: Option<String>,
    registered: Vec<String>,
    timeout_ms: Option<u64>,
    json: bool,
}

pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<CheckCommand> {
    let mut given = GivenCheckOptions::default();
    let mut last = None;
    while let Some(argument) = parser.next()? {
        let name = match argument {
            Short('h') => return Ok(CheckCommand::Help),
            Long(name) => option_called(name, &OPTIONS)?,
            Short(letter) => return wrong(format!("unrecognized arguments: '-{letter}'")),
            Value(_) => return stray_word(last),
        };
        last = Some(name);
        let parser = &mut parser;
        match name {
            HELP_OPTION => return Ok(CheckCommand::Help),
            VERSION_OPTION => return Ok(CheckCommand::Version),
            SEND => given.send = true,
            JSON => given.json = true,
            SERVERS => given.servers = Some(text(name, word(parser, name)?)?),
            CONFIG => given.config_file = Some(PathBuf::from(word(parser, name)?)),
            FROM_ENV => given.env_prefix = Some(text(name, word(parser, name)?)?),
            PROPERTY => {
                let pair = text(name, word(parser, name)?)?;
                given.properties.push(property(name, &pair)?);
            }
            TOPIC => given.topics.push(topic(name, word(parser, name)?)?),
            KEY => given.key = Some(text(name, word(parser, name)?)?),
            VALUE => given.value = Some(text(name, word(parser, name)?)?),
            REGISTERED => given.registered.push(text(name, word(parser, name)?)?),
            TIMEOUT => given.timeout_ms = Some(number(parser, name)?),
            _ => return wrong(format!("unrecognized arguments: '--{name}'")),
        }
    }
    let options = given.complete()?;
    Ok(CheckCommand::Run(Box::new(options)))
}

impl GivenCheckOptions {
    fn complete(self) -> Result<CheckOptions> {
        let has_source = self.servers.is_some()
            || self.config_file.is_some()
            || self.env_prefix.is_some()
            || !self.properties.is_empty();
        if !has_source {
            return wrong(format!(
                "one of --{SERVERS}, --{CONFIG}, --{FROM_ENV} and --{PROPERTY} is required"
            ));
        }
        let mut topics: Vec<String> = Vec::new();
        for topic in self.topics {
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
        if topics.len() > MAX_TOPICS {
            return wrong(format!("argument --{TOPIC}: more than {MAX_TOPICS} topics"));
        }
        if self.send && topics.is_empty() {
            return wrong(format!("argument --{SEND}: requires --{TOPIC}"));
        }
        if !self.send && (self.key.is_some() || self.value.is_some()) {
            return wrong(format!("arguments --{KEY} and --{VALUE}: require --{SEND}"));
        }
        let timeout_ms = self.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS);
        if !(1..=MAX_TIMEOUT_MS).contains(&timeout_ms) {
            return wrong(format!(
                "argument --{TIMEOUT}: {timeout_ms} is not between 1 and {MAX_TIMEOUT_MS}"
            ));
        }
        let record = self.send.then(|| TestRecord {
            key: self.key,
            value: self.value.unwrap_or_else(|| DEFAULT_VALUE.to_owned()),
        });
        Ok(CheckOptions {
            servers: self.servers,
            config_file: self.config_file,
            env_prefix: self.env_prefix,
            properties: self.properties,
            topics,
            record,
            registered: self.registered,
            timeout: Duration::from_millis(timeout_ms),
            json: self.json,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<CheckCommand> {
        parse(lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn a_complete_command_line_is_parsed() {
        let line = "--bootstrap-server a:1 --producer-property a=b=c --producer-property d= --topic t --topic t \
                    --topic u --send --value v --timeout-ms 7 --json";
        let Ok(CheckCommand::Run(options)) = parsed(line) else {
            panic!("{line}");
        };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(options.properties, [pair("a", "b=c"), pair("d", "")]);
        assert_eq!(options.topics, ["t", "u"]);
        assert_eq!(options.timeout, Duration::from_millis(7));
        assert!(options.json);
        let record = options.record.unwrap();
        assert_eq!((record.key, &*record.value), (None, "v"));
    }

    #[test]
    fn an_invalid_command_line_is_refused_without_quoting_secrets() {
        for (line, words) in [
            ("", "is required"),
            ("--topic t", "is required"),
            ("--boot a:1 --send", "requires --topic"),
            ("--boot a:1 --value v", "require --send"),
            ("--boot a:1 --timeout-ms 0", "between 1"),
            ("--boot a:1 --timeout-ms x", "not a number"),
            ("--boot a:1 --producer-property s3cret", "KEY=VALUE"),
            ("--boot a:1 --producer x", "ambiguous"),
            ("--boot a:1 password=s3cret;", "unrecognized"),
            ("--boot a:1 --json=s3cret", "takes no value"),
            ("--boot", "expected one argument"),
        ] {
            let error = parsed(line).unwrap_err().to_string();
            assert!(error.contains(words), "{line}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
