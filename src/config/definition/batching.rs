//! How records become batches and how much memory they may take.

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
        "The size in bytes at which the batch of a partition counts as full and is sent without \
         waiting for `linger.ms`. Larger batches mean fewer requests and better compression, and \
         more memory for each partition in use; a record larger than this gets a batch of its own. \
         With 0 every record is a batch. For throughput try 65536 or more, together with a linger \
         of some milliseconds.",
    )
    .valid(Validator::AtLeast(0))
    .note_of(
        "More than `buffer.memory` is refused when the configuration is built; in Java every send \
         fails then.",
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
    .note_of("Values above 2147483647 count as 2147483647."),
    row(
        "buffer.memory",
        ConfigType::Long,
        "33554432",
        Importance::High,
        "The bytes of memory for records that were handed over and are not yet answered by a \
         broker. When it is used up, `send` waits up to `max.block.ms` for some to come free and \
         then fails. Keep it well above `batch.size` times the number of partitions written to; \
         requests and compression take some memory on top.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "compression.type",
        ConfigType::Text,
        "none",
        Importance::High,
        "How batches are compressed: `none`, `gzip`, `snappy`, `lz4` or `zstd`. Whole batches are \
         compressed, so larger batches shrink better.",
    )
    .valid(Validator::OneOf(&["none", "gzip", "snappy", "lz4", "zstd"]))
    .note_of(
        "Each codec is a feature of the library, on by default; one that was left out of the build is \
         refused. zstd needs brokers of 2.1 or later.",
    ),
    row(
        "compression.gzip.level",
        ConfigType::Int,
        "-1",
        Importance::Medium,
        "How hard gzip tries, where `compression.type=gzip`: from 1, the quickest, to 9, the \
         smallest. -1 stands for 6.",
    )
    .valid(Validator::BetweenOr(1, 9, -1))
    .note_of("Not in Kafka 3.0: it came with Kafka 3.8 (KIP-390)."),
    row(
        "compression.lz4.level",
        ConfigType::Int,
        "9",
        Importance::Medium,
        "How hard LZ4 tries, where `compression.type=lz4`. 9 is the quick compressor that Kafka has \
         always used.",
    )
    .valid(Validator::Between(1, 17))
    .note_of(
        "Not in Kafka 3.0: it came with Kafka 3.8 (KIP-390). With `compression.type=lz4` anything \
         but 9 is refused: the other levels belong to LZ4's slow compressor, which this library does \
         not have. For smaller batches take `zstd`.",
    ),
    row(
        "compression.zstd.level",
        ConfigType::Int,
        "3",
        Importance::Medium,
        "How hard Zstandard tries, where `compression.type=zstd`: from 1, quick, to 22, the \
         smallest. Levels below 0 are quicker still and compress less; 0 stands for 3.",
    )
    .valid(Validator::Between(-131_072, 22))
    .note_of("Not in Kafka 3.0: it came with Kafka 3.8 (KIP-390)."),
    row(
        "max.request.size",
        ConfigType::Int,
        "1048576",
        Importance::Medium,
        "The largest record in bytes, before compression, that `send` accepts, and roughly the most \
         that one request carries. Raising it helps only if the broker (`message.max.bytes`) and \
         the topic (`max.message.bytes`) allow as much.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "max.block.ms",
        ConfigType::Long,
        "60000",
        Importance::Medium,
        "How long, in milliseconds, `send` may wait for metadata and for memory, taken together, \
         and calls like `partitions_for` for their answer. Time spent in serializers and \
         partitioners does not count, nor does the look-up of `bootstrap.servers` when the producer \
         is built, which may take 30 s. Set it low where the calling thread must not stall, and \
         handle the error.",
    )
    .valid(Validator::AtLeast(0)),
];
