//! What keys mean together: which follow from others, and which do not go together.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::util::log::Level;

use super::bootstrap::parse_bootstrap;
use super::draft::Draft;
use super::kinds::{Acks, SecurityProtocol};
use super::settings::{compression_level_key, compression_type};
use super::value::Value;
use crate::compress;
use crate::error::ConfigError;

/// With more requests in flight a broker cannot tell a repeated batch from a new one.
const MAX_IN_FLIGHT_FOR_IDEMPOTENCE: i64 = 5;

/// The bound of times that are added up in 32 bits in Kafka.
const MAX_MS: i64 = i32::MAX as i64;

/// Something the user should know of, though it is no error. Logged when all checks are passed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// Checks the keys against each other and fills in what follows from others.
pub(crate) fn run(draft: &mut Draft) -> Result<Vec<Notice>, ConfigError> {
    let mut notices = Vec::new();
    clamp_linger(draft);
    reconnect_backoff(draft);
    retry_backoff(draft, &mut notices);
    idempotence(draft, &mut notices)?;
    delivery_timeout(draft, &mut notices)?;
    batch_fits_into_memory(draft)?;
    compression(draft)?;
    security(draft)?;
    parse_bootstrap(draft.list("bootstrap.servers"))?;
    // Last, so that a refused configuration does not use up a number.
    client_id(draft);
    Ok(notices)
}

/// The protocol's name is looked up before anything depends on it.
pub(crate) fn security_protocol(draft: &Draft) -> Result<SecurityProtocol, ConfigError> {
    let given = draft.text("security.protocol").unwrap_or_default();
    SecurityProtocol::parse(given).ok_or_else(|| {
        ConfigError::invalid(
            "security.protocol",
            Some(given),
            "there is no such protocol",
            "Set it to PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
        )
    })
}

fn clamp_linger(draft: &mut Draft) {
    if draft.integer("linger.ms") > MAX_MS {
        draft.derive("linger.ms", Value::Integer(MAX_MS));
    }
}

/// A base that was set without a ceiling makes the pause constant.
fn reconnect_backoff(draft: &mut Draft) {
    if draft.is_given("reconnect.backoff.ms") && !draft.is_given("reconnect.backoff.max.ms") {
        let base = draft.integer("reconnect.backoff.ms");
        draft.derive("reconnect.backoff.max.ms", Value::Integer(base));
    }
}

/// A ceiling below the first pause makes the pause constant, at the ceiling (KIP-580).
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
            draft.derive("retry.backoff.ms", Value::Integer(max));
        }
        _ => {}
    }
}

/// Idempotence is on unless something it needs was changed; what was asked for explicitly is
/// never switched off silently.
///
/// # Kafka
/// `ProducerConfig#postProcessAndValidateIdempotenceConfigs` of 3.0.1.
fn idempotence(draft: &mut Draft, notices: &mut Vec<Notice>) -> Result<(), ConfigError> {
    const KEY: &str = "enable.idempotence";
    let transactional = draft.text("transactional.id").is_some();
    if draft.boolean(KEY) {
        for obstacle in obstacles(draft) {
            if draft.is_given(KEY) {
                return Err(ConfigError::conflict(
                    &[obstacle.key, KEY],
                    format!("enable.idempotence=true needs {}", obstacle.need),
                    format!(
                        "Leave {} out, or set enable.idempotence=false and accept that retries \
                         may duplicate or reorder records",
                        obstacle.key
                    ),
                ));
            }
            if transactional {
                return Err(ConfigError::conflict(
                    &[obstacle.key, "transactional.id"],
                    format!("Transactions need {}", obstacle.need),
                    format!("Leave {} or transactional.id out", obstacle.key),
                ));
            }
            notices.push(Notice {
                level: obstacle.level,
                text: format!("Idempotence is switched off: it needs {}", obstacle.need),
            });
            draft.derive(KEY, Value::Boolean(false));
        }
    } else if transactional {
        return Err(ConfigError::conflict(
            &["transactional.id", KEY],
            "A transactional.id is set, and enable.idempotence=false",
            "Leave one of the two out",
        ));
    }
    Ok(())
}

/// Something that idempotence cannot live with.
struct Obstacle {
    key: &'static str,
    need: String,
    level: Level,
}

fn obstacles(draft: &Draft) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if draft.integer("retries") == 0 {
        found.push(Obstacle {
            key: "retries",
            need: "retries above 0, and retries=0".to_owned(),
            level: Level::Info,
        });
    }
    let acks = draft.text("acks").unwrap_or_default();
    if Acks::parse(acks) != Some(Acks::All) {
        found.push(Obstacle {
            key: "acks",
            need: format!("acks=all, and acks={acks}"),
            level: Level::Info,
        });
    }
    let in_flight = draft.integer("max.in.flight.requests.per.connection");
    if in_flight > MAX_IN_FLIGHT_FOR_IDEMPOTENCE {
        found.push(Obstacle {
            key: "max.in.flight.requests.per.connection",
            need: format!(
                "at most {MAX_IN_FLIGHT_FOR_IDEMPOTENCE} requests in flight, and \
                 max.in.flight.requests.per.connection={in_flight}"
            ),
            // A warning, for order is lost too, and Kafka 4.0 refuses this.
            level: Level::Warn,
        });
    }
    found
}

/// A batch must be able to linger and then have one request time out before it expires.
fn delivery_timeout(draft: &mut Draft, notices: &mut Vec<Notice>) -> Result<(), ConfigError> {
    const KEY: &str = "delivery.timeout.ms";
    let (linger, request) = (
        draft.integer("linger.ms"),
        draft.integer("request.timeout.ms"),
    );
    // Both are within 32 bits by now.
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
    draft.derive(KEY, Value::Integer(least));
    Ok(())
}

/// In Java every `send` fails when the two do not go together.
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

/// The codec must be part of this build, and able to do its level. Levels of other codecs do not matter.
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

/// TLS must be part of this build. What its keys say is checked by those who read the files they name.
fn security(draft: &Draft) -> Result<(), ConfigError> {
    let protocol = security_protocol(draft)?;
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

/// The number of the next producer without a name of its own, in this process.
static NEXT_CLIENT: AtomicU64 = AtomicU64::new(1);

fn client_id(draft: &mut Draft) {
    if draft.is_given("client.id") {
        return;
    }
    let name = if let Some(id) = draft.text("transactional.id") {
        format!("producer-{id}")
    } else {
        let number = NEXT_CLIENT.fetch_add(1, Ordering::Relaxed);
        format!("producer-{number}")
    };
    draft.derive("client.id", Value::Text(name));
}
