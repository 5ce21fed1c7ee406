//! How large our compressed batches are beside Java's.

use std::collections::BTreeMap;

use kafka_producer::internals::wire::BatchSpec;

/// Ours may be larger than Java's by so much, in percent.
const LARGER_PERCENT: f64 = 5.0;

#[derive(Debug, Default)]
struct Row {
    count: usize,
    ours: usize,
    java: usize,
    /// By how many percent ours is larger at most, and smaller at most, each with the batch.
    largest: (f64, String),
    smallest: (f64, String),
}

/// Sizes by format and codec.
#[derive(Debug, Default)]
pub(crate) struct Sizes(BTreeMap<(String, i8), Row>);

impl Sizes {
    pub(crate) fn add(&mut self, spec: &BatchSpec, name: &str, ours: usize, java: usize) {
        let row = self.0.entry((spec.codec.clone(), spec.magic)).or_default();
        row.count += 1;
        row.ours += ours;
        row.java += java;
        let percent = (ours as f64 / java as f64 - 1.0) * 100.0;
        let name = format!("{ours} beside {java}: {}", name.split(':').next().unwrap());
        if percent > row.largest.0 {
            row.largest = (percent, name);
        } else if percent < row.smallest.0 {
            row.smallest = (percent, name);
        }
    }

    /// Prints the table, and fails if a batch is larger than it may be.
    pub(crate) fn check(&self, title: &str) {
        let mut table = format!("\nSizes of compressed {title}, ours beside Java's\n");
        for ((codec, magic), row) in &self.0 {
            let percent = (row.ours as f64 / row.java as f64 - 1.0) * 100.0;
            table += &format!(
                "{codec:6} v{magic} {:3} batches, all together {percent:+.2} %\n",
                row.count
            );
            for (percent, name) in [&row.largest, &row.smallest] {
                if !name.is_empty() {
                    table += &format!("{:14}{percent:+.2} % {name}\n", "");
                }
            }
        }
        println!("{table}");
        for ((codec, magic), row) in &self.0 {
            let (percent, name) = &row.largest;
            assert!(
                *percent <= LARGER_PERCENT,
                "{codec} v{magic} is larger by {percent:.1} %: {name}"
            );
        }
    }
}
