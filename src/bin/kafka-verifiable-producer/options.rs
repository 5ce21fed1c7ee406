//! The options of the command line.

use std::num::NonZeroU32;
use std::path::PathBuf;

use lexopt::prelude::{Long, Short, Value};

use crate::arguments::{
    self, Result, at_least_minus_one, number, option_called, required, stray_word, text, word,
    wrong,
};

pub(crate) const USAGE: &str = "\
usage: kafka-verifiable-producer [-h] --topic TOPIC
           (--bootstrap-server HOST1:PORT1[,HOST2:PORT2[...]] |
            --broker-list HOST1:PORT1[,HOST2:PORT2[...]])
           [--max-messages MAX-MESSAGES] [--throughput THROUGHPUT]
           [--acks ACKS] [--producer.config CONFIG_FILE]
           [--message-create-time CREATETIME] [--value-prefix VALUE-PREFIX]
           [--repeating-keys REPEATING-KEYS]";

pub(crate) const HELP: &str = "\
usage: kafka-verifiable-producer [options]

Sends the numbers 0, 1, 2 and so on to a topic, and prints the result of each as
a line of JSON.

  -h, --help              show this help
  --topic TOPIC           the topic to send to
  --bootstrap-server SERVERS
                          bootstrap servers, as HOST1:PORT1,HOST2:PORT2;
                          required, or
  --broker-list SERVERS   the same, by its older name
  --max-messages N        how many; -1: until a signal (default: -1)
  --throughput R          messages per second, evenly paced; -1: no limit
                          (default: -1)
  --acks ACKS             0, 1 or -1 (default: -1)
  --producer.config FILE  configuration of the producer, a Java properties file;
                          it overrides every option, and retries=0, the default
                          of this tool
  --message-create-time MS
                          the timestamp of the first record, in milliseconds
                          since 1970; -1: now (default: -1)
  --value-prefix N        values are N.0, N.1 and so on
  --repeating-keys N      keys are 0 to N-1, in turn; no keys without it

On Unix, SIGINT and SIGTERM end the run, with exit code 130 or 143. The results
of all messages that were sent are printed first: this takes as long as the
brokers take, at most delivery.timeout.ms (120000 by default). Further signals
have no effect. If nobody reads the output meanwhile, a signal ends the run
without them. The run ends in the same way, with exit code 141, when the reader
of its output has left, and with 1 if the output cannot be written.";

/// The parsed command line.
#[derive(Debug)]
pub(crate) enum VerifiableProducerCommand {
    Help,
    Run(VerifiableProducerOptions),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VerifiableProducerOptions {
    pub(crate) topic: String,
    pub(crate) servers: String,
    /// `None` for no limit.
    pub(crate) max_messages: Option<u64>,
    /// Messages per second, as given; negative for no limit.
    pub(crate) throughput: i32,
    pub(crate) acks: String,
    pub(crate) config_file: Option<PathBuf>,
    /// The timestamp of the first record in milliseconds since 1970; `None` if records are sent without a timestamp.
    pub(crate) create_time: Option<i64>,
    /// `None` for values without a prefix.
    pub(crate) value_prefix: Option<i32>,
    /// The number of distinct keys; `None` for records without a key.
    pub(crate) repeating_keys: Option<u32>,
}

impl VerifiableProducerOptions {
    pub(crate) fn rate(&self) -> Option<NonZeroU32> {
        u32::try_from(self.throughput)
            .ok()
            .and_then(NonZeroU32::new)
    }
}

const TOPIC: &str = "topic";
const BOOTSTRAP_SERVER: &str = "bootstrap-server";
const BROKER_LIST: &str = "broker-list";
const MAX_MESSAGES: &str = "max-messages";
const THROUGHPUT: &str = "throughput";
const ACKS: &str = "acks";
const CONFIG: &str = "producer.config";
const CREATE_TIME: &str = "message-create-time";
const VALUE_PREFIX: &str = "value-prefix";
const REPEATING_KEYS: &str = "repeating-keys";
const HELP_OPTION: &str = "help";

const ALL: [&str; 11] = [
    TOPIC,
    BOOTSTRAP_SERVER,
    BROKER_LIST,
    MAX_MESSAGES,
    THROUGHPUT,
    ACKS,
    CONFIG,
    CREATE_TIME,
    VALUE_PREFIX,
    REPEATING_KEYS,
    HELP_OPTION,
];

pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<VerifiableProducerCommand> {
    let (mut topic, mut bootstrap_server, mut broker_list) = (None, None, None);
    let (mut acks, mut config_file) = ("-1".to_owned(), None);
    let (mut max_messages, mut throughput): (i32, i32) = (-1, -1);
    let mut create_time: i64 = -1;
    let (mut value_prefix, mut repeating_keys) = (None, None);
    let mut last = None;
    while let Some(argument) = parser.next()? {
        let name = match argument {
            Short('h') => return Ok(VerifiableProducerCommand::Help),
            Long(name) => option_called(name, &ALL)?,
            Short(letter) => return wrong(format!("unrecognized arguments: '-{letter}'")),
            Value(_) => return stray_word(last),
        };
        last = Some(name);
        match name {
            TOPIC => topic = Some(arguments::topic(name, word(&mut parser, name)?)?),
            BOOTSTRAP_SERVER => bootstrap_server = Some(text(name, word(&mut parser, name)?)?),
            BROKER_LIST => broker_list = Some(text(name, word(&mut parser, name)?)?),
            ACKS => acks = text(name, word(&mut parser, name)?)?,
            CONFIG => config_file = Some(PathBuf::from(word(&mut parser, name)?)),
            MAX_MESSAGES => max_messages = at_least_minus_one(name, number(&mut parser, name)?)?,
            THROUGHPUT => throughput = at_least_minus_one(name, number(&mut parser, name)?)?,
            CREATE_TIME => create_time = at_least_minus_one(name, number(&mut parser, name)?)?,
            VALUE_PREFIX => value_prefix = Some(number(&mut parser, name)?),
            REPEATING_KEYS => repeating_keys = Some(number(&mut parser, name)?),
            _ => return Ok(VerifiableProducerCommand::Help),
        }
    }
    let topic = required(topic, TOPIC)?;
    let servers = match (bootstrap_server, broker_list) {
        (Some(servers), None) | (None, Some(servers)) => servers,
        (Some(_), Some(_)) => {
            return wrong(format!(
                "argument --{BROKER_LIST}: not allowed with argument --{BOOTSTRAP_SERVER}"
            ));
        }
        (None, None) => {
            return wrong(format!(
                "one of the arguments --{BOOTSTRAP_SERVER} --{BROKER_LIST} is required"
            ));
        }
    };
    if !["0", "1", "-1"].contains(&&*acks) {
        return wrong(format!(
            "argument --{ACKS}: invalid choice: '{acks}' (choose from {{0,1,-1}})"
        ));
    }
    // At 0 messages per second Kafka's tool hangs after the first message.
    if throughput == 0 {
        return wrong(format!(
            "argument --{THROUGHPUT}: at 0 records a second nothing is ever sent; -1 is no limit"
        ));
    }
    if repeating_keys == Some(0) {
        return wrong(format!(
            "argument --{REPEATING_KEYS}: it must be at least 1; leave it out for records without keys"
        ));
    }
    Ok(VerifiableProducerCommand::Run(VerifiableProducerOptions {
        topic,
        servers,
        max_messages: u64::try_from(max_messages).ok(),
        throughput,
        acks,
        config_file,
        create_time: (create_time > -1).then_some(create_time),
        value_prefix,
        repeating_keys,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: &str = "--topic t --broker-list a:1,b:2";

    fn parsed(line: &str) -> Result<VerifiableProducerCommand> {
        parse(lexopt::Parser::from_args(line.split_whitespace()))
    }

    fn options(line: &str) -> VerifiableProducerOptions {
        match parsed(line) {
            Ok(VerifiableProducerCommand::Run(options)) => options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn defaults_are_those_of_kafkas_tool() {
        let least = VerifiableProducerOptions {
            topic: "t".to_owned(),
            servers: "a:1,b:2".to_owned(),
            max_messages: None,
            throughput: -1,
            acks: "-1".to_owned(),
            config_file: None,
            create_time: None,
            value_prefix: None,
            repeating_keys: None,
        };
        assert_eq!(options(REQUIRED), least);
        assert_eq!(
            options("--topic t --bootstrap-server a:1,b:2 --max-messages -1"),
            least
        );
        let all = "--max-m 5 --through 7 --acks 0 --producer.config f --message-create-time 9 \
                   --value-prefix 3 --repeating-keys 2";
        let all = options(&format!("{REQUIRED} {all}"));
        assert_eq!(
            all,
            VerifiableProducerOptions {
                max_messages: Some(5),
                throughput: 7,
                acks: "0".to_owned(),
                config_file: Some("f".into()),
                create_time: Some(9),
                value_prefix: Some(3),
                repeating_keys: Some(2),
                ..least
            }
        );
        assert_eq!(all.rate(), NonZeroU32::new(7));
    }

    #[test]
    fn invalid_options_are_named() {
        for (line, words) in [
            ("--broker-list a:1", "--topic is required"),
            ("--topic t", "--bootstrap-server --broker-list is required"),
            (
                "--topic t --broker-list a:1 --bootstrap-server a:1",
                "not allowed",
            ),
            ("--topic t --broker-list a:1 --acks 2", "'2'"),
            ("--topic t --broker-list a:1 --acks all", "'all'"),
            ("--topic t --broker-list a:1 --throughput 0", "--throughput"),
            (
                "--topic t --broker-list a:1 --repeating-keys 0",
                "--repeating-keys",
            ),
            ("--topic t --broker-list a:1 --max-messages x", "'x'"),
            (
                "--topic t --broker-list a:1 --max-messages -2",
                "-2 is below -1",
            ),
            (
                "--topic t --broker-list a:1 --throughput -2",
                "-2 is below -1",
            ),
            (
                "--topic t --broker-list a:1 --message-create-time -2",
                "-2 is below -1",
            ),
            ("--topic t --broker-list a:1 --bogus", "'--bogus'"),
            ("--topic t --broker-list a:1 --b x", "ambiguous"),
            ("--topic t s3cret", "a word after --topic"),
            ("s3cret", "the first word"),
        ] {
            let error = parsed(line).expect_err(line).to_string();
            assert!(error.contains(words), "{line}: {error}");
            assert!(!error.contains("s3cret"), "{line}: {error}");
        }
        assert!(matches!(
            parsed("--he"),
            Ok(VerifiableProducerCommand::Help)
        ));
    }
}
