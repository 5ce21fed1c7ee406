//! The options that each set a key of the configuration, and their defaults.

/// An option that sets a key of the configuration.
#[derive(Debug)]
pub(crate) struct ProducerFlag {
    pub(crate) option: &'static str,
    pub(crate) key: &'static str,
    pub(crate) default: Option<&'static str>,
}

const fn flag(
    option: &'static str,
    key: &'static str,
    default: Option<&'static str>,
) -> ProducerFlag {
    ProducerFlag {
        option,
        key,
        default,
    }
}

pub(crate) const ACKS: &str = "request-required-acks";
pub(crate) const ACKS_KEY: &str = "acks";
pub(crate) const CODEC: &str = "compression-codec";
pub(crate) const LINGER: &str = "timeout";

/// Later options override earlier ones with the same key.
///
/// # Kafka
/// Names and defaults are those of 3.0. There `--batch-size` has no effect; it sets `batch.size`, as in later versions.
pub(crate) const FLAGS: [ProducerFlag; 12] = [
    flag("batch-size", "batch.size", None),
    flag("max-partition-memory-bytes", "batch.size", Some("16384")),
    flag("max-memory-bytes", "buffer.memory", Some("33554432")),
    flag(CODEC, "compression.type", Some("none")),
    flag(LINGER, "linger.ms", Some("1000")),
    flag(ACKS, ACKS_KEY, Some("1")),
    flag("request-timeout-ms", "request.timeout.ms", Some("1500")),
    flag("message-send-max-retries", "retries", Some("3")),
    flag("retry-backoff-ms", "retry.backoff.ms", Some("100")),
    flag("max-block-ms", "max.block.ms", Some("60000")),
    flag("metadata-expiry-ms", "metadata.max.age.ms", Some("300000")),
    flag("socket-buffer-size", "send.buffer.bytes", Some("102400")),
];
