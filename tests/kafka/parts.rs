//! The parts of these tests that take turns: all of them together take too long for every run of the gate.
//!
//! What is named here belongs to a part; everything else is run with each part. The gate draws a part by the
//! commit, so that the next commit has the next.

use std::path::Path;
use std::process::Command;

/// Tests by the beginnings of their names; seconds of two quiet processors behind them.
const PARTS: [&[&str]; 6] = [
    // 132 + 31 + 28 + 150 + 25 + 5
    &[
        "cluster::killed",
        "cluster::recreated",
        "matrix::kafka_0_10_2_2",
        "sasl::over_tls_a_leader_that_is_killed",
        "security::records::kafka_3_0_0_ssl",
        "security::records::kafka_3_0_0_oauthbearer",
    ],
    // 118 + 39 + 29 + 120 + 25 + 6
    &[
        "sasl::a_leader_that_is_killed",
        "cluster::rolling",
        "cluster::paused",
        "matrix::kafka_0_11_0_3",
        "security::records::newest_kafka_ssl",
        "security::records::newest_kafka_scram_sha_256",
    ],
    // 146 + 29 + 46 + 25 + 5 + 2
    &[
        "cluster::upgraded",
        "matrix::kafka_1_1_1",
        "sasl::each_mechanism_is_taken_and",
        "security::records::kafka_3_0_0_mtls",
        "security::records::kafka_3_0_0_scram_sha_512",
        "security::vendors",
    ],
    // 87 + 64 + 25 + 34 + 25 + 5
    &[
        "cluster::hung",
        "cluster::impatient",
        "matrix::kafka_2_4_1",
        "sasl::each_mechanism_is_taken_by",
        "security::records::newest_kafka_mtls",
        "security::records::newest_kafka_plain",
    ],
    // 76 + 47 + 20 + 20 + 29 + 25 + 5 + 50
    &[
        "cluster::moved",
        "cluster::outage",
        "matrix::kafka_2_8_2",
        "matrix::kafka_3_9_2",
        "matrix::kafka_4_4_0",
        "security::records::newest_kafka_scram_sha_512",
        "security::records::newest_kafka_oauthbearer",
        "security::failures",
    ],
    // 235: the harness itself; + 25 + 6
    &[
        "self_test",
        "security::records::kafka_3_0_0_plain",
        "security::records::kafka_3_0_0_scram_sha_256",
    ],
];

/// One of the parts, numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part(usize);

impl Part {
    /// How many there are.
    pub(crate) const COUNT: usize = PARTS.len();

    /// The part of a number, if there is one.
    pub(crate) fn numbered(number: usize) -> Option<Self> {
        (1..=Self::COUNT).contains(&number).then_some(Self(number))
    }

    /// The part that this commit has, and how it was drawn.
    pub(crate) fn drawn() -> (Self, String) {
        let is_whole = git(&["rev-parse", "--is-shallow-repository"]).as_deref() == Some("false");
        let count = git(&["rev-list", "--count", "HEAD"]).filter(|_| is_whole);
        draw(count.as_deref(), git(&["rev-parse", "HEAD"]).as_deref())
    }

    pub(crate) const fn number(self) -> usize {
        self.0
    }

    /// Whether a test is run with this part.
    pub(crate) fn takes(self, test: &str) -> bool {
        owners(test).next().is_none_or(|owner| owner == self)
    }
}

/// By the number of the commit where all commits are there, by its hash where only the last is, and the first part
/// where there is no commit.
fn draw(count: Option<&str>, hash: Option<&str>) -> (Part, String) {
    let count = count.and_then(|count| Some((count.parse().ok()?, count)));
    let short = hash.and_then(|hash| hash.get(..8));
    let hash = short.and_then(|short| Some((usize::from_str_radix(short, 16).ok()?, short)));
    match (count, hash) {
        (Some((number, text)), _) => (nth(number), format!("by the number of the commit, {text}")),
        (None, Some((number, text))) => (nth(number), format!("by the hash of the commit, {text}")),
        (None, None) => (nth(0), "without a commit to draw by".to_owned()),
    }
}

fn nth(number: usize) -> Part {
    Part(1 + number % Part::COUNT)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn owners(test: &str) -> impl Iterator<Item = Part> {
    (1..=Part::COUNT)
        .map(Part)
        .filter(move |part| names(*part).iter().any(|name| test.starts_with(name)))
}

fn names(part: Part) -> &'static [&'static str] {
    PARTS[part.0 - 1]
}

/// Looks through the table above, whether or not any test is run.
///
/// # Errors
/// A name that is no test's, and a test of two parts.
pub(crate) fn check(tests: &[&str]) -> Result<(), String> {
    let has_tls = cfg!(any(
        feature = "tls",
        feature = "tls-aws-lc-rs",
        feature = "tls-graviola"
    ));
    for name in PARTS.into_iter().flatten() {
        let is_built =
            has_tls || !(name.starts_with("security::") || name.starts_with("sasl::over_tls"));
        if is_built && !tests.iter().any(|test| test.starts_with(name)) {
            return Err(format!("tests/kafka/parts.rs: no test is called {name}…"));
        }
    }
    if let Some(test) = tests.iter().find(|test| owners(test).count() > 1) {
        return Err(format!("tests/kafka/parts.rs: {test} is in two parts"));
    }
    let drawn = (0..Part::COUNT).map(|count| draw(Some(&count.to_string()), Some("ffffffff")).0);
    if !(1..=Part::COUNT).map(Part).eq(drawn) {
        return Err("tests/kafka/parts.rs: one commit after another does not draw all".to_owned());
    }
    if (draw(None, Some("00000008e0a1")).0, draw(None, None).0) != (nth(8), Part(1)) {
        return Err("tests/kafka/parts.rs: a part is not drawn by the hash".to_owned());
    }
    Ok(())
}
