//! Keys of batching and memory.

use super::{ConfigKey, ConfigType, Group, Importance, Validator};

const fn row(
    name: &'static str,
    config_type: ConfigType,
    default: &'static str,
    importance: Importance,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey::new(name, config_type, Some(default), importance, doc).group_of(Group::Batching)
}

pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "batch.size",
        ConfigType::Int,
        "16384",
        Importance::Medium,
        "The size in bytes at which the batch of a partition is full and is sent without waiting for \
         `linger.ms`. Larger batches mean fewer requests and better compression, and more memory for each \
         partition in use; a record larger than this gets a batch of its own. With 0 every record is a \
         batch. For throughput try 65536 or more, together with a linger of some milliseconds.",
    )
    .valid(Validator::AtLeast(0))
    .note_of(
        "More than `buffer.memory` is rejected when the configuration is built; in Java every send fails \
         then.",
    ),
    row(
        "linger.ms",
        ConfigType::Long,
        "0",
        Importance::Medium,
        "How long, in milliseconds, a batch that is not full waits for more records before it is \
         sent. 0 sends as soon as the connection is free, and batches still form under load. 5 to \
         100 trades that much delay for fewer and larger requests.",
    )
    .valid(Validator::AtLeast(0))
    .note_of("Values above 2147483647 are treated as 2147483647."),
    row(
        "buffer.memory",
        ConfigType::Long,
        "33554432",
        Importance::High,
        "The bytes of memory for records that are queued or in flight. When it is exhausted, `send` blocks \
         up to `max.block.ms` for memory to become free and then fails. Keep it well above `batch.size` \
         times the number of partitions written to; requests and compression take some memory on top.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "compression.type",
        ConfigType::Text,
        "none",
        Importance::High,
        "The codec of batches: `none`, `gzip`, `snappy`, `lz4` or `zstd`. Whole batches are compressed, so \
         larger batches compress better.",
    )
    .valid(Validator::OneOf(&["none", "gzip", "snappy", "lz4", "zstd"]))
    .note_of(
        "Each codec is a feature of the library, on by default; one that is not compiled in is rejected. \
         zstd needs brokers of 2.1 or later.",
    ),
    row(
        "compression.gzip.level",
        ConfigType::Int,
        "-1",
        Importance::Medium,
        "The compression level of gzip, for `compression.type=gzip`: from 1, the fastest, to 9, the \
         smallest. -1 stands for 6.",
    )
    .valid(Validator::BetweenOr(1, 9, -1))
    .note_of("Not in Kafka 3.0: added in Kafka 3.8 (KIP-390)."),
    row(
        "compression.lz4.level",
        ConfigType::Int,
        "9",
        Importance::Medium,
        "The compression level of LZ4, for `compression.type=lz4`. 9 is the fast compressor that Kafka has \
         always used.",
    )
    .valid(Validator::Between(1, 17))
    .note_of(
        "Not in Kafka 3.0: added in Kafka 3.8 (KIP-390). With `compression.type=lz4` any other level than 9 \
         is rejected: the other levels belong to LZ4's high compression mode, which this library does not \
         have. For smaller batches use `zstd`.",
    ),
    row(
        "compression.zstd.level",
        ConfigType::Int,
        "3",
        Importance::Medium,
        "The compression level of Zstandard, for `compression.type=zstd`: from 1, fast, to 22, the smallest. \
         Levels below 0 are faster still and compress less; 0 stands for 3.",
    )
    .valid(Validator::Between(-131_072, 22))
    .note_of("Not in Kafka 3.0: added in Kafka 3.8 (KIP-390)."),
    row(
        "max.request.size",
        ConfigType::Int,
        "1048576",
        Importance::Medium,
        "The largest record in bytes, before compression, that `send` accepts, and roughly the largest \
         request. Raising it helps only if the broker (`message.max.bytes`) and the topic \
         (`max.message.bytes`) allow as much.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "max.block.ms",
        ConfigType::Long,
        "60000",
        Importance::Medium,
        "How long, in milliseconds, `send` may block for metadata and for memory, taken together, and how \
         long calls like `partitions_for` and the transactional calls block. Time spent in serializers and \
         partitioners does not count, nor does the DNS lookup of `bootstrap.servers` when the producer is \
         built, which may take 30 s. Set it low where the calling thread must not block, and handle the \
         error.",
    )
    .valid(Validator::AtLeast(0)),
];
