//! The parts into which these tests are divided, because all of them together take too long for every CI run.
//!
//! Tests named here belong to a part; all others run with each part. CI chooses the part by the commit, so that the
//! next commit runs the next part.

use std::path::Path;
use std::process::Command;

/// Prefixes of test names; the comments have their durations in seconds on two idle processors.
const PARTS: [&[&str]; 6] = [
    // 132 + 31 + 28 + 50 + 150 + 25 + 5
    &[
        "cluster::killed",
        "cluster::recreated",
        "matrix::kafka_0_10_2_2",
        "transactions::rights",
        "sasl::over_tls_a_leader_that_is_killed",
        "security::records::kafka_3_0_0_ssl",
        "security::records::kafka_3_0_0_oauthbearer",
    ],
    // 120 + 118 + 39 + 29 + 25 + 25 + 25 + 6 + 40 + 40
    &[
        "sasl::a_leader_that_is_killed",
        "cluster::rolling",
        "cluster::paused",
        "matrix::kafka_0_11_0_3",
        "transactions::basics::kafka_0_11_0_3",
        "transactions::basics::kafka_2_4_1",
        "security::records::newest_kafka_ssl",
        "security::records::newest_kafka_scram_sha_256",
        "security::records::newest_kafka_oidc",
        "security::gssapi",
    ],
    // 146 + 29 + 150 + 46 + 25 + 5 + 20 + 2
    &[
        "cluster::upgraded",
        "matrix::kafka_1_1_1",
        "transactions::crashes::kafka_3_0_0",
        "sasl::each_mechanism_works_and",
        "security::records::kafka_3_0_0_mtls",
        "security::records::kafka_3_0_0_scram_sha_512",
        "security::java_stores",
        "security::vendors",
    ],
    // 87 + 64 + 25 + 170 + 34 + 25 + 5
    &[
        "cluster::hung",
        "cluster::impatient",
        "matrix::kafka_2_4_1",
        "transactions::crashes::newest",
        "sasl::each_mechanism_works_with",
        "security::records::newest_kafka_mtls",
        "security::records::newest_kafka_plain",
    ],
    // 76 + 47 + 20 + 20 + 29 + 25 + 100 + 25 + 5 + 50
    &[
        "cluster::moved",
        "cluster::outage",
        "matrix::kafka_2_8_2",
        "matrix::kafka_3_9_2",
        "matrix::kafka_4_4_0",
        "transactions::basics::newest",
        "transactions::fencing",
        "security::records::newest_kafka_scram_sha_512",
        "security::records::newest_kafka_oauthbearer",
        "security::failures",
    ],
    // 235: the harness itself; + 45 + 120 + 25 + 6 + 15
    &[
        "self_test",
        "producer::metrics",
        "cluster::verified",
        "security::records::kafka_3_0_0_plain",
        "security::records::kafka_3_0_0_scram_sha_256",
        "security::reload",
    ],
];

/// A part, numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part(usize);

impl Part {
    /// The number of parts.
    pub(crate) const COUNT: usize = PARTS.len();

    /// The part with this number.
    pub(crate) fn numbered(number: usize) -> Option<Self> {
        (1..=Self::COUNT).contains(&number).then_some(Self(number))
    }

    /// The part of this commit, and how it was chosen.
    pub(crate) fn drawn() -> (Self, String) {
        let is_whole = git(&["rev-parse", "--is-shallow-repository"]).as_deref() == Some("false");
        let count = git(&["rev-list", "--count", "HEAD"]).filter(|_| is_whole);
        draw(count.as_deref(), git(&["rev-parse", "HEAD"]).as_deref())
    }

    pub(crate) const fn number(self) -> usize {
        self.0
    }

    /// Whether a test runs with this part.
    pub(crate) fn takes(self, test: &str) -> bool {
        owners(test).next().is_none_or(|owner| owner == self)
    }
}

/// Chooses the part by the commit count if the whole history is there, and by the commit hash if only the last commit
/// is. Without a commit it is the first part.
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

/// Validates the table above, independent of which tests run.
///
/// # Errors
/// A name that matches no test, or a test in two parts.
pub(crate) fn check(tests: &[&str]) -> Result<(), String> {
    let has_tls = cfg!(any(
        feature = "tls",
        feature = "tls-aws-lc-rs",
        feature = "tls-graviola"
    ));
    for name in PARTS.into_iter().flatten() {
        let is_built = (cfg!(feature = "oidc") || !name.ends_with("_oidc"))
            && (cfg!(feature = "gssapi") || !name.starts_with("security::gssapi"))
            && (cfg!(feature = "pkcs12") || !name.starts_with("security::java_stores"))
            && (has_tls || !(name.starts_with("security::") || name.starts_with("sasl::over_tls")));
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
