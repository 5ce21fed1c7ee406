//! Prometheus exporter: text exposition format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::definition::{Family, MetricDefinition};
use super::group::MetricGroup;
use super::value::MetricValue;

/// The Prometheus name of a metric. It equals the name that the JMX exporter generates by default from the name of
/// Kafka's bean, `kafka.producer:type=<group>`, and the attribute.
pub(super) fn name(family: &Family, definition: &MetricDefinition) -> String {
    let mut text = group_name(family);
    text.push('_');
    push_name(&mut text, definition.name);
    text
}

/// Name of the info metric, whose labels carry the text values of a family.
fn group_name(family: &Family) -> String {
    let mut text = String::from("kafka_producer_");
    push_name(&mut text, family.group);
    text
}

/// Appends a name or label with hyphens replaced: `client-id` becomes `client_id`.
pub(super) fn push_name(text: &mut String, kafkas: &str) {
    text.extend(kafkas.chars().map(|c| if c == '-' { '_' } else { c }));
}

/// Groups of the same family with their values; each group is read at one moment.
struct Instances {
    family: &'static Family,
    read: Vec<GroupReading>,
}

struct GroupReading {
    /// Without braces.
    labels: String,
    values: Vec<MetricValue>,
}

/// Formats these groups. Their tags must differ within a family.
pub(super) fn text(groups: impl Iterator<Item = Arc<MetricGroup>>) -> String {
    let mut text = String::new();
    for instances in by_family(groups) {
        for (at, (_, definition)) in instances.family.metrics().enumerate() {
            write_metric(&mut text, &instances, at, definition);
        }
        write_info(&mut text, &instances);
    }
    text
}

/// Collects the groups of each family, because all samples of a metric must be adjacent in the text. The families keep
/// their order of registration.
fn by_family(groups: impl Iterator<Item = Arc<MetricGroup>>) -> Vec<Instances> {
    let mut families: Vec<Instances> = Vec::new();
    let mut places = BTreeMap::new();
    for group in groups {
        let family = group.family;
        // Families may share a group, but no metric name is in two families of the same group.
        let first = family.metrics().next().map(|(_, metric)| metric.name);
        let place = *places
            .entry((family.group, first))
            .or_insert(families.len());
        if place == families.len() {
            let read = Vec::new();
            families.push(Instances { family, read });
        }
        let mut labels = String::new();
        for (tag, value) in &*group.tags {
            push_label(&mut labels, tag, value);
        }
        // All values of a group under one lock, before any text is made.
        let values = group.values(group.clock().now());
        families[place].read.push(GroupReading { labels, values });
    }
    families
}

fn write_metric(
    text: &mut String,
    instances: &Instances,
    at: usize,
    definition: &MetricDefinition,
) {
    let name = name(instances.family, definition);
    let mut is_headed = false;
    for read in &instances.read {
        let MetricValue::Number(number) = read.values[at] else {
            continue;
        };
        // The header is written before the first sample, so that a metric without samples has none.
        if !is_headed {
            is_headed = true;
            let kind = if definition.stat.is_counter() {
                "counter"
            } else {
                "gauge"
            };
            write_head(text, &name, definition.description, kind);
        }
        text.push_str(&name);
        text.push('{');
        text.push_str(&read.labels);
        text.push_str("} ");
        push_number(text, number);
        text.push('\n');
    }
}

/// Writes text values as the labels of an info metric, whose value is always 1.
fn write_info(text: &mut String, instances: &Instances) {
    let family = instances.family;
    let name = group_name(family);
    let mut is_headed = false;
    for read in &instances.read {
        let mut labels = read.labels.clone();
        for ((_, definition), value) in family.metrics().zip(&read.values) {
            if let MetricValue::Text(words) = value {
                push_label(&mut labels, definition.name, words);
            }
        }
        if labels.len() == read.labels.len() {
            continue;
        }
        if !is_headed {
            is_headed = true;
            write_head(text, &name, "Text values, as labels.", "gauge");
        }
        let _ = writeln!(text, "{name}{{{labels}}} 1");
    }
}

// Writing to a string cannot fail.
fn write_head(text: &mut String, name: &str, description: &str, kind: &str) {
    let _ = write!(text, "# HELP {name} ");
    for c in description.chars() {
        push_escaped(text, c, false);
    }
    let _ = writeln!(text, "\n# TYPE {name} {kind}");
}

fn push_label(labels: &mut String, tag: &str, value: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    push_name(labels, tag);
    labels.push_str("=\"");
    for c in value.chars() {
        push_escaped(labels, c, true);
    }
    labels.push('"');
}

/// Appends a character. Quotes are escaped only in the value of a label, that is if `in_quotes` is true.
fn push_escaped(text: &mut String, c: char, in_quotes: bool) {
    match c {
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '"' if in_quotes => text.push_str("\\\""),
        c => text.push(c),
    }
}

fn push_number(text: &mut String, number: f64) {
    if number == f64::INFINITY {
        text.push_str("+Inf");
    } else if number == f64::NEG_INFINITY {
        text.push_str("-Inf");
    } else {
        // Writes "NaN" if the value is not a number.
        let _ = write!(text, "{number}");
    }
}

#[cfg(test)]
mod tests;
