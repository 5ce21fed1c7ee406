//! Generator of `docs/CONFIGURATION.md` from the table of keys.

use std::fmt::Write;

use super::definition::{ConfigKey, ConfigType, Group, keys};
use super::not_built;

const INTRODUCTION: &str = "\
# Configuration

Keys, types and defaults are those of the producer of Apache Kafka 3.0, so that an existing \
`producer.properties` file can be used. If the value of a key below needs a feature that this version of the library \
does not have, it is rejected, unless the note of the key says that it has no effect. Keys of Kafka's producer that are \
not supported at all are listed at the end: some are rejected, and the others have no effect except a warning. A configuration is built \
from a file \
(`ProducerConfig::from_properties_file`), from environment variables (`ProducerConfig::from_env`), from keys and \
values (`ProducerConfig::from_map`) or in code (`ProducerConfig::builder`), and is checked the same way in each case; \
one error has all problems with the keys' values. In the name of an environment variable `_` stands for a dot, `__` for \
an underscore and `___` for a dash, as in Apache Kafka's Docker image (in Confluent's the last two are the other way \
round). Keys that are not listed here are kept and passed to plug-ins; unused keys, which \
nothing has read, are reported by `ProducerConfig::unused_keys`. With `ProducerConfigBuilder::strict` a key that is \
unknown here and to the plug-ins is an error.

Numbers are written in digits, booleans as `true` or `false` in any case, lists are separated by \
commas; whitespace at both ends is trimmed. Where values are listed, they are case-sensitive.

This file is generated from the library's table of keys. To generate it again after a change there: \
`UPDATE_DOCS=1 cargo test configuration_doc`.
";

const CONFIG_PROVIDERS: &str = "
## Config providers

A value may contain variables `${provider:path:key}` or `${provider:key}`, several if need be, which are replaced while \
the configuration is built, before anything else is done with the values. A recipe is in [SECURITY](SECURITY.md).

| key | value |
|---|---|
| `config.providers` | names of providers, separated by commas |
| `config.providers.NAME.class` | the class of the provider: one of those below |
| `config.providers.NAME.param.PARAMETER` | a parameter of the class; another than those below is an error, as is any \
other key of a provider that is named |

| class, in `org.apache.kafka.common.config.provider` | variable | parameter |
|---|---|---|
| `FileConfigProvider` | `${NAME:/path/of/file.properties:key}` | `allowed.paths`: the files and directories that it may \
read, absolute and separated by commas. By default all |
| `DirectoryConfigProvider` | `${NAME:/path/of/directory:file}`: the content of a regular file in the directory, nothing \
trimmed | `allowed.paths` |
| `EnvVarConfigProvider` | `${NAME:VARIABLE}` | `allowlist.pattern`: a regular expression that has to match the whole \
name of the variable. By default all are allowed. It has the syntax of the crate `regex-lite`: Java's \
without look-around and back-references |

Other providers, for example of a secret store, implement the trait `ConfigProvider`, and are given to \
`ProducerConfigBuilder::config_provider` with a name; they need neither `config.providers` nor a class, and are used \
instead of the class of that name.

- The first `}` ends a variable, the first colon its provider, and the second its path: so a path cannot contain a colon. \
Values of providers are not searched for variables, and neither are the values of the keys above.
- A variable of a provider that does not exist is left as it is, as in Java, with a warning if the key is one of this \
document. If the provider does not have the key, Java leaves the variable as well; here that is an error, as is a file \
that cannot be read, with provider, path and key.
- A value is put in as it is, as in Java. Inside quotation marks in `sasl.jaas.config` it must have a backslash before \
each `\"` and `\\`.
- A key of a provider that `config.providers` does not name is unused, and an error with \
`ProducerConfigBuilder::strict`.
- Files have at most 16 MiB. Pipes and devices are not read, and `..` does not lead out of an allowed directory; symbolic \
links are followed.
- `ProducerConfig::originals` and plug-ins get the values of providers, as in Java. Nothing prints them, whatever the \
key: `ProducerConfig::effective`, `Debug`, errors and warnings have `[hidden]` instead, also for values that are \
derived from them. Exceptions: hosts, the client id and the transactional id are in log lines and in errors of connections, \
values of less than four bytes are not recognized in a text, and a plug-in may print what it reads.
";

const NOT_SUPPORTED: &str = "
## Keys that are not supported

Keys that Kafka's producer has, up to Kafka 4.4, and this one does not. They are known, also with \
`ProducerConfigBuilder::strict`, and do not count as unused. A key that `ProducerConfigBuilder::plugin_keys` names is \
read by a plug-in, so there is no warning.

";

/// The whole document: all keys, by group, as Markdown.
pub(crate) fn render_markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    for group in Group::ALL {
        write_group(&mut text, *group);
    }
    text.push_str(CONFIG_PROVIDERS);
    text.push_str(NOT_SUPPORTED);
    text.push_str(&not_built::render_markdown());
    text
}

fn write_group(text: &mut String, group: Group) {
    let mut line = |content: String| {
        text.push_str(&content);
        text.push('\n');
    };
    line(format!("\n## {}", group.title()));
    if let Some(introduction) = introduction(group) {
        line(format!("\n{introduction}"));
    }
    for key in keys().filter(|key| key.group() == group) {
        line(format!("\n### `{}`\n", key.name()));
        line(key.documentation().to_owned());
        if let Some(note) = key.note() {
            line(format!("\n> {note}"));
        }
        line(format!("\n{}", facts(key)));
    }
}

/// The introduction of a group: what applies to all of its keys.
fn introduction(group: Group) -> Option<&'static str> {
    match group {
        Group::Tls => Some(
            "Used with `security.protocol=SSL`, and read when the producer is built; recipes are in \
             [SECURITY](SECURITY.md). With a `security.protocol` without TLS they have no effect \
             and are reported as unused.",
        ),
        Group::Sasl => Some(
            "With a `security.protocol` without SASL these keys have no effect and are \
             reported as unused.",
        ),
        _ => None,
    }
}

/// The last line of a key: type, default, valid values, importance.
fn facts(key: &ConfigKey) -> String {
    let mut text = format!("*Type:* {} · *Default:* ", key.config_type().name());
    // Writing to a String cannot fail.
    let _ = match key.default_value() {
        None => write!(text, "none"),
        Some("") => write!(text, "empty"),
        Some(value) => write!(text, "`{value}`{}", in_units(key, value)),
    };
    if let Some(valid) = key.valid_values() {
        let _ = write!(text, " · *Valid:* {valid}");
    }
    let _ = write!(text, " · *Importance:* {}", key.importance().name());
    text
}

/// The default of a time or a size in the largest unit of which it is a whole multiple; empty if there is none.
fn in_units(key: &ConfigKey, value: &str) -> String {
    let numeric = matches!(key.config_type(), ConfigType::Int | ConfigType::Long);
    let Some(number) = value.parse::<u64>().ok().filter(|_| numeric) else {
        return String::new();
    };
    match key.name().rsplit('.').next() {
        Some("ms") => in_time_units(number),
        Some("bytes" | "size" | "memory") => in_memory_units(number),
        _ => String::new(),
    }
}

fn in_memory_units(bytes: u64) -> String {
    in_largest_unit(
        bytes,
        &[
            ("TiB", 1 << 40),
            ("GiB", 1 << 30),
            ("MiB", 1 << 20),
            ("KiB", 1 << 10),
        ],
    )
    .map_or_else(String::new, |(count, unit)| format!(" ({count} {unit})"))
}

fn in_time_units(ms: u64) -> String {
    in_largest_unit(
        ms,
        &[
            ("day", 86_400_000),
            ("hour", 3_600_000),
            ("minute", 60_000),
            ("second", 1000),
        ],
    )
    .map_or_else(String::new, |(count, unit)| {
        format!(" ({count} {unit}{})", if count == 1 { "" } else { "s" })
    })
}

/// The largest unit of which `number` is a whole multiple, and how many of it; `None` if there is none.
fn in_largest_unit(number: u64, units: &[(&'static str, u64)]) -> Option<(u64, &'static str)> {
    units
        .iter()
        .find(|(_, size)| number >= *size && number % size == 0)
        .map(|(unit, size)| (number / size, *unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Java: ConfigDefTest#testNiceMemoryUnits
    #[test]
    fn sizes_that_are_whole_multiples_are_printed_in_units() {
        for (bytes, text) in [
            (0, ""),
            (1023, ""),
            (1024, " (1 KiB)"),
            (1025, ""),
            (2048, " (2 KiB)"),
            (1 << 20, " (1 MiB)"),
            (1 << 31, " (2 GiB)"),
            (1 << 50, " (1024 TiB)"),
        ] {
            assert_eq!(in_memory_units(bytes), text);
        }
    }

    /// Java: ConfigDefTest#testNiceTimeUnits
    #[test]
    fn times_that_are_whole_multiples_are_printed_in_units() {
        for (ms, text) in [
            (0, ""),
            (999, ""),
            (1000, " (1 second)"),
            (1001, ""),
            (2000, " (2 seconds)"),
            (120_000, " (2 minutes)"),
            (3_600_000, " (1 hour)"),
            (365 * 86_400_000, " (365 days)"),
        ] {
            assert_eq!(in_time_units(ms), text);
        }
    }

    #[test]
    fn configuration_doc_is_in_step_with_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIGURATION.md");
        let rendered = render_markdown();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &rendered).unwrap();
        }
        let checked_in = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            checked_in == rendered,
            "docs/CONFIGURATION.md differs from the table of keys; \
             run: UPDATE_DOCS=1 cargo test configuration_doc"
        );
    }
}
