//! Keys of metrics and metrics reporters.

use super::{ConfigKey, ConfigType, Group, Importance, Validator};

const fn row(
    name: &'static str,
    config_type: ConfigType,
    default: &'static str,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey::new(name, config_type, Some(default), Importance::Low, doc)
        .group_of(Group::Observability)
}

pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "metrics.sample.window.ms",
        ConfigType::Long,
        "30000",
        "The duration of one sample of a rate or average, in milliseconds. Samples shorter than the interval at which \
         metrics are read expire before they are read.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "metrics.num.samples",
        ConfigType::Int,
        "2",
        "How many samples are kept: a rate or average covers this many windows of \
         `metrics.sample.window.ms`.",
    )
    .valid(Validator::AtLeast(1))
    .note_of(
        "At most 100 samples are kept: with more, each window is longer by the same factor, and a line is \
         logged.",
    ),
    row(
        "metrics.recording.level",
        ConfigType::Text,
        "INFO",
        "The level of detail up to which metrics are recorded: `INFO`, `DEBUG` or `TRACE`.",
    )
    .valid(Validator::OneOf(&["INFO", "DEBUG", "TRACE"]))
    .note_of("Without effect so far: there are no metrics but those of `INFO`, as in Kafka's producer."),
    row(
        "metric.reporters",
        ConfigType::List,
        "",
        "Metrics reporters by the names they are registered with, in the order in which they are notified of \
         metrics that are added and removed. Keys `metrics.context.NAME` are labels for them: with \
         `metrics.context.cluster=eu-1` a reporter adds `cluster=eu-1` to every metric.",
    )
    .note_of(
        "There is no JMX: `org.apache.kafka.common.metrics.JmxReporter` is ignored with a line in the log, \
         unless a reporter is registered with that name, and so are its keys (`metrics.jmx.include`).",
    ),
];
