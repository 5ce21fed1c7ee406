//! Rules across keys: derived values and conflicts.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::util::log::Level;

use super::bootstrap::parse_bootstrap;
use super::draft::Draft;
use super::kinds::{Acks, SecurityProtocol};
use super::settings::{compression_level_key, compression_type};
use super::value::ConfigValue;
use crate::compress;
use crate::error::ConfigError;
use crate::util::secret_text::holds_secret;

/// Kafka's limit for idempotence: brokers keep the sequence numbers of the last five batches of a producer, and cannot
/// recognise a duplicate of an older one.
const MAX_IN_FLIGHT_FOR_IDEMPOTENCE: i64 = 5;

/// Upper bound, in milliseconds, of times that Kafka adds up as `int`.
const MAX_MS: i64 = i32::MAX as i64;

/// A remark about a valid configuration, logged when all checks have passed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// Checks the keys against each other and derives the values that follow from other keys. Returns the security
/// protocol.
///
/// A problem of a key that has another problem already is left out: the key has its default here, not its value.
pub(crate) fn run(
    draft: &mut Draft,
    notices: &mut Vec<Notice>,
    problems: &mut Vec<ConfigError>,
) -> SecurityProtocol {
    let known: Vec<ConfigError> = problems.clone();
    let mut check = |result: Result<(), ConfigError>| {
        if let Err(problem) = result {
            let names =
                |known: &ConfigError| known.keys().any(|key| problem.keys().any(|k| k == key));
            if !known.iter().any(names) {
                problems.push(problem);
            }
        }
    };
    // The order matters: later rules use the values that earlier ones have derived.
    let security_protocol = security_protocol(draft);
    let protocol = security_protocol
        .as_ref()
        .copied()
        .unwrap_or(SecurityProtocol::Plaintext);
    check(security_protocol.map(drop));
    check(names(draft));
    clamp_linger(draft);
    reconnect_backoff(draft);
    retry_backoff(draft, notices);
    check(idempotence(draft, notices));
    check(delivery_timeout(draft, notices));
    check(batch_fits_into_memory(draft));
    check(compression(draft));
    check(security(protocol));
    check(parse_bootstrap(draft.list("bootstrap.servers")).map(drop));
    protocol
}

/// Names must not be secrets: each log line and the brokers' logs contain them.
fn names(draft: &Draft) -> Result<(), ConfigError> {
    let mut problems = Vec::new();
    for key in ["client.id", "transactional.id"] {
        if draft.text(key).is_some_and(holds_secret) {
            problems.push(ConfigError::invalid(
                key,
                None,
                "the value looks like a login module, a private key, a connection string or a URL with a password",
                "Set it to a name, which is logged and sent to the brokers as it is; secrets belong in \
                 sasl.jaas.config and the ssl keys",
            ));
        }
    }
    ConfigError::all(problems).map_or(Ok(()), Err)
}

/// Parses the security protocol, which other checks depend on.
fn security_protocol(draft: &Draft) -> Result<SecurityProtocol, ConfigError> {
    draft.text("security.protocol").unwrap_or_default().parse()
}

fn clamp_linger(draft: &mut Draft) {
    if draft.integer("linger.ms") > MAX_MS {
        draft.derive("linger.ms", ConfigValue::Integer(MAX_MS), &["linger.ms"]);
    }
}

/// As in Kafka: a `reconnect.backoff.ms` without `reconnect.backoff.max.ms` makes the back-off constant.
fn reconnect_backoff(draft: &mut Draft) {
    if draft.is_given("reconnect.backoff.ms") && !draft.is_given("reconnect.backoff.max.ms") {
        let base = ConfigValue::Integer(draft.integer("reconnect.backoff.ms"));
        draft.derive("reconnect.backoff.max.ms", base, &["reconnect.backoff.ms"]);
    }
}

/// A maximum below the first back-off makes the back-off constant, at the maximum (KIP-580).
fn retry_backoff(draft: &mut Draft, notices: &mut Vec<Notice>) {
    let base = draft.integer("retry.backoff.ms");
    match draft.optional_integer("retry.backoff.max.ms") {
        Some(max) if max < base => {
            notices.push(Notice {
                level: Level::Warn,
                text: format!(
                    "retry.backoff.ms={base} is above retry.backoff.max.ms={max}: every pause is \
                     {max} ms"
                ),
            });
            let max = ConfigValue::Integer(max);
            draft.derive("retry.backoff.ms", max, &["retry.backoff.max.ms"]);
        }
        _ => {}
    }
}

/// Disables idempotence if it is enabled by default and another key has a value that it does not work with. If
/// idempotence was enabled explicitly, or transactions need it, such a value is an error instead.
///
/// # Kafka
/// `ProducerConfig#postProcessAndValidateIdempotenceConfigs` of 3.0.1.
fn idempotence(draft: &mut Draft, notices: &mut Vec<Notice>) -> Result<(), ConfigError> {
    const KEY: &str = "enable.idempotence";
    let transactional = draft.text("transactional.id").is_some();
    let mut problems = Vec::new();
    if draft.boolean(KEY) {
        for conflict in idempotence_conflicts(draft) {
            if draft.is_given(KEY) {
                problems.push(ConfigError::conflict(
                    &[conflict.key, KEY],
                    format!("enable.idempotence=true needs {}", conflict.need),
                    format!(
                        "Leave {} out, or set enable.idempotence=false and accept that retries \
                         may duplicate or reorder records",
                        conflict.key
                    ),
                ));
            } else if transactional {
                problems.push(ConfigError::conflict(
                    &[conflict.key, "transactional.id"],
                    format!("Transactions need {}", conflict.need),
                    format!("Leave {} or transactional.id out", conflict.key),
                ));
            } else {
                notices.push(Notice {
                    level: conflict.level,
                    text: format!("Idempotence is disabled: it needs {}", conflict.need),
                });
                draft.derive(KEY, ConfigValue::Boolean(false), &[conflict.key]);
            }
        }
    } else if transactional {
        problems.push(ConfigError::conflict(
            &["transactional.id", KEY],
            "A transactional.id is set, and enable.idempotence=false",
            "Leave one of the two out",
        ));
    }
    ConfigError::all(problems).map_or(Ok(()), Err)
}

/// A value that idempotence does not work with.
struct IdempotenceConflict {
    key: &'static str,
    need: String,
    level: Level,
}

fn idempotence_conflicts(draft: &Draft) -> Vec<IdempotenceConflict> {
    let mut found = Vec::new();
    if draft.integer("retries") == 0 {
        found.push(IdempotenceConflict {
            key: "retries",
            need: "retries above 0, but retries=0".to_owned(),
            level: Level::Info,
        });
    }
    let acks = draft.text("acks").unwrap_or_default();
    if Acks::parse(acks) != Some(Acks::All) {
        found.push(IdempotenceConflict {
            key: "acks",
            need: format!("acks=all, but acks={acks}"),
            level: Level::Info,
        });
    }
    let in_flight = draft.integer("max.in.flight.requests.per.connection");
    if in_flight > MAX_IN_FLIGHT_FOR_IDEMPOTENCE {
        found.push(IdempotenceConflict {
            key: "max.in.flight.requests.per.connection",
            need: format!(
                "at most {MAX_IN_FLIGHT_FOR_IDEMPOTENCE} requests in flight, but \
                 max.in.flight.requests.per.connection={in_flight}"
            ),
            // A warning, because more requests in flight can also reorder records, and Kafka 4.0 rejects the value.
            level: Level::Warn,
        });
    }
    found
}

/// The delivery timeout must cover the linger time and one request that times out.
fn delivery_timeout(draft: &mut Draft, notices: &mut Vec<Notice>) -> Result<(), ConfigError> {
    const KEY: &str = "delivery.timeout.ms";
    let (linger, request) = (
        draft.integer("linger.ms"),
        draft.integer("request.timeout.ms"),
    );
    // No overflow: both are at most 32 bits by now.
    let least = (linger + request).min(MAX_MS);
    let timeout = draft.integer(KEY);
    if timeout >= least {
        return Ok(());
    }
    if draft.is_given(KEY) {
        return Err(ConfigError::conflict(
            &[KEY, "linger.ms", "request.timeout.ms"],
            format!(
                "{KEY}={timeout} is below linger.ms={linger} plus request.timeout.ms={request}, so \
                 a record could expire before one request for it has timed out"
            ),
            format!("Set {KEY} to {least} or more, or lower one of the other two"),
        ));
    }
    notices.push(Notice {
        level: Level::Warn,
        text: format!(
            "{KEY} is raised from {timeout} to {least}, which is linger.ms={linger} plus \
             request.timeout.ms={request}"
        ),
    });
    let from = ["linger.ms", "request.timeout.ms"];
    draft.derive(KEY, ConfigValue::Integer(least), &from);
    Ok(())
}

/// Rejects a batch larger than the buffer pool. In Java every `send` fails in this case.
fn batch_fits_into_memory(draft: &Draft) -> Result<(), ConfigError> {
    let (batch, memory) = (draft.integer("batch.size"), draft.integer("buffer.memory"));
    if batch <= memory {
        return Ok(());
    }
    Err(ConfigError::conflict(
        &["batch.size", "buffer.memory"],
        format!("batch.size={batch} is above buffer.memory={memory}, so no batch can be allocated"),
        "Lower batch.size or raise buffer.memory",
    ))
}

/// The codec must be compiled in and support its configured level. The levels of other codecs are ignored.
fn compression(draft: &Draft) -> Result<(), ConfigError> {
    let codec = compression_type(draft);
    compress::available(codec).map_err(|missing| {
        ConfigError::not_built(
            "compression.type",
            Some(codec.name()),
            missing.to_string(),
            missing.remedy(),
        )
    })?;
    let Some(key) = compression_level_key(codec) else {
        return Ok(());
    };
    let level = draft.integer(key);
    compress::check_level(codec, level as i32).map_err(|error| {
        ConfigError::not_built(key, Some(&level.to_string()), error.problem, error.remedy)
    })
}

/// TLS must be compiled in if the protocol uses it. The values of the TLS keys are validated later, when the files that
/// they name are read.
fn security(protocol: SecurityProtocol) -> Result<(), ConfigError> {
    if !protocol.uses_tls() || cfg!(feature = "tls-no-provider") {
        return Ok(());
    }
    Err(ConfigError::not_built(
        "security.protocol",
        Some(protocol.as_str()),
        "this build of the library has no TLS",
        "Build it with the feature tls, or connect to a listener that does without TLS",
    ))
}

/// Counter for generated client ids (`producer-N`), one for the process as in Kafka.
static NEXT_CLIENT: AtomicU64 = AtomicU64::new(1);

/// Generates the client id, if none is given.
pub(crate) fn client_id(draft: &mut Draft) {
    const TRANSACTIONAL_ID: &str = "transactional.id";
    if draft.is_given("client.id") {
        return;
    }
    let (name, from) = if let Some(id) = draft.text(TRANSACTIONAL_ID) {
        (format!("producer-{id}"), TRANSACTIONAL_ID)
    } else {
        let number = NEXT_CLIENT.fetch_add(1, Ordering::Relaxed);
        (format!("producer-{number}"), "client.id")
    };
    draft.derive("client.id", ConfigValue::Text(name), &[from]);
}
