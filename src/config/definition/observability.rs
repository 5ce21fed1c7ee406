//! Metrics and reporters.

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
        "How many milliseconds one sample of a rate or average covers.",
    )
    .valid(Validator::AtLeast(0)),
    row(
        "metrics.num.samples",
        ConfigType::Int,
        "2",
        "How many samples are kept: a rate or average speaks of this many windows of \
         `metrics.sample.window.ms`.",
    )
    .valid(Validator::AtLeast(1)),
    row(
        "metrics.recording.level",
        ConfigType::Text,
        "INFO",
        "The most detailed level of metrics that is recorded: `INFO`, `DEBUG` or `TRACE`.",
    )
    .valid(Validator::OneOf(&["INFO", "DEBUG", "TRACE"])),
    row(
        "metric.reporters",
        ConfigType::List,
        "",
        "Metrics reporters by name.",
    )
    .note_of("Not built yet: refused unless empty."),
];
