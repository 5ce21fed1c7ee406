//! Compares the sizes of our compressed batches with Java's.

use std::collections::BTreeMap;
use std::fmt::Write;

use kafka_producer::internals::wire::BatchSpec;

/// The maximum in percent by which our batches may be larger than Java's. It applies to all batches of a codec and
/// format together, and to each single batch unless its codec is in `EXCEPTIONS`.
const LARGER_PERCENT: f64 = 5.0;

/// Codecs with single batches that are larger by more than `LARGER_PERCENT`: the maximum in percent, and the reason.
const EXCEPTIONS: &[(&str, f64, &str)] = &[
    (
        "gzip",
        11.0,
        "zlib-rs looks for matches in a quicker way than zlib at the default level",
    ),
    // No batch of the zstd implementation in Rust is larger than Java's, so the exception depends on the feature.
    #[cfg(feature = "zstd")]
    (
        "zstd",
        17.0,
        "the encoder knows how much there is, and takes the library's settings for so little",
    ),
];

fn exception(codec: &str) -> (f64, &'static str) {
    let found = EXCEPTIONS.iter().find(|(name, ..)| *name == codec);
    found.map_or((LARGER_PERCENT, ""), |(_, percent, why)| (*percent, why))
}

#[derive(Debug, Default)]
struct Row {
    count: usize,
    ours: usize,
    java: usize,
    /// The maximum in percent by which a batch of ours is larger than Java's, with the batch's name. `smallest` is the
    /// same for the batch that is smaller by the most.
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
            let (count, percent) = (row.count, row.percent());
            let (allowed, why) = exception(codec);
            writeln!(
                table,
                "{codec:6} v{magic} {count:3} batches, together {percent:+.2} %"
            )
            .unwrap();
            for (percent, name) in [&row.largest, &row.smallest] {
                if !name.is_empty() {
                    writeln!(table, "{:10}one {percent:+.2} %: {name}", "").unwrap();
                }
            }
            if row.largest.0 > LARGER_PERCENT {
                writeln!(table, "{:10}up to {allowed:+.0} %, since {why}", "").unwrap();
            }
        }
        println!("{table}");
        for ((codec, magic), row) in &self.0 {
            let (percent, name) = &row.largest;
            assert!(
                *percent <= exception(codec).0,
                "{codec} v{magic} is larger by {percent:.1} %: {name}"
            );
            assert!(
                row.percent() <= LARGER_PERCENT,
                "{codec} v{magic} is larger by {:.1} % all together",
                row.percent()
            );
        }
    }

    /// Fails if an exception is not needed.
    pub(crate) fn check_exceptions(&self) {
        for (codec, allowed, _) in EXCEPTIONS {
            let rows = self.0.iter().filter(|((name, _), _)| name == codec);
            let most = rows.map(|(_, row)| row.largest.0).fold(0.0, f64::max);
            assert!(
                most > LARGER_PERCENT && most > allowed - 2.0,
                "{codec} is larger by {most:.1} % only: lower its exception"
            );
        }
    }
}

impl Row {
    /// By how many percent all our batches together are larger.
    fn percent(&self) -> f64 {
        (self.ours as f64 / self.java as f64 - 1.0) * 100.0
    }
}
