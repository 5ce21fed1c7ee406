//! Keys of later versions of Kafka's producer that this version of the library does not support.

mod table;

use std::collections::BTreeMap;
use std::fmt::Write;

use super::checks::Notice;
use crate::error::ConfigError;
use crate::util::log::Level;
use table::NOT_BUILT;

/// A key that is not supported.
pub(super) struct NotBuilt {
    key: &'static str,
    /// The version of Kafka that added the key.
    since: &'static str,
    /// Values with which Kafka's producer does what this one does anyway; compared in lower case.
    same: &'static [&'static str],
    reaction: Reaction,
    /// What this library does not do.
    lacking: &'static str,
    /// What to do instead.
    remedy: &'static str,
}

impl NotBuilt {
    /// The key with the version of Kafka that added it.
    fn name(&self) -> String {
        format!("{} (Kafka {})", self.key, self.since)
    }

    fn differs_only_in_key(&self, other: &Self) -> bool {
        let rest = |row: &Self| (row.same, row.reaction, row.lacking, row.remedy);
        rest(self) == rest(other)
    }
}

/// What is done about the key, which would otherwise be ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    /// An error: other records would be sent, or elsewhere.
    Refuse,
    /// A warning: only times differ, or what is known about the producer.
    Warn,
    /// A line in the log, which the builder writes for this key and other settings of JMX together.
    LogWithOthers,
}

/// Whether it is a key of Kafka's producer that is known not to be supported.
pub(super) fn is_known(key: &str) -> bool {
    NOT_BUILT.iter().any(|row| row.key == key)
}

/// Reports the given keys that are not supported: as problems where Kafka's producer would do something else, otherwise
/// as notices. Keys with the same text share a notice. There is no notice of a key that a plug-in reads.
pub(super) fn check(
    given: &BTreeMap<String, String>,
    is_of_plugin: impl Fn(&str) -> bool,
    problems: &mut Vec<ConfigError>,
) -> Vec<Notice> {
    let mut without_effect = Vec::new();
    for row in NOT_BUILT {
        let Some(value) = given.get(row.key) else {
            continue;
        };
        if row.same.contains(&&*value.trim().to_ascii_lowercase()) {
            continue;
        }
        match row.reaction {
            Reaction::Refuse => problems.push(refuse(row, value)),
            Reaction::Warn if is_of_plugin(row.key) => {}
            Reaction::Warn => without_effect.push(row),
            Reaction::LogWithOthers => {}
        }
    }
    let groups = grouped(without_effect);
    groups.iter().map(|rows| warn(rows)).collect()
}

/// Rows that differ only in the key and its version together, in the order of the first of each.
fn grouped(rows: impl IntoIterator<Item = &'static NotBuilt>) -> Vec<Vec<&'static NotBuilt>> {
    let mut groups: Vec<Vec<&NotBuilt>> = Vec::new();
    for row in rows {
        let mut groups_so_far = groups.iter_mut();
        match groups_so_far.find(|group| group[0].differs_only_in_key(row)) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

fn refuse(row: &NotBuilt, value: &str) -> ConfigError {
    let problem = format!("{} (a key of Kafka {})", row.lacking, row.since);
    ConfigError::not_built(row.key, Some(value), problem, row.remedy)
}

fn warn(rows: &[&NotBuilt]) -> Notice {
    let keys: Vec<_> = rows.iter().map(|row| row.name()).collect();
    let verb = if rows.len() == 1 { "has" } else { "have" };
    let NotBuilt {
        lacking, remedy, ..
    } = rows[0];
    Notice {
        level: Level::Warn,
        text: format!("{} {verb} no effect: {lacking}. {remedy}.", keys.join(", ")),
    }
}

/// The table of all keys that are not supported, as Markdown.
pub(super) fn render_markdown() -> String {
    let mut text =
        String::from("| key, and the version of Kafka that added it | here |\n|---|---|\n");
    for rows in grouped(NOT_BUILT) {
        let keys: Vec<_> = rows
            .iter()
            .map(|row| format!("`{}` ({})", row.key, row.since))
            .collect();
        let row = rows[0];
        let reaction = match row.reaction {
            Reaction::Refuse => "an error",
            Reaction::Warn => "a warning",
            Reaction::LogWithOthers => "a line in the log",
        };
        let unless = match row.same.first().filter(|value| !value.is_empty()) {
            Some(value) => format!(", unless it is `{value}`"),
            None => String::new(),
        };
        let (keys, lacking, remedy) = (keys.join("<br>"), row.lacking, row.remedy);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {keys} | {reaction}{unless}: {lacking}. {remedy}. |"
        );
    }
    text
}

#[cfg(test)]
mod tests;
