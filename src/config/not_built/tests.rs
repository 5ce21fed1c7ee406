use std::collections::BTreeSet;

use super::*;
use crate::config::strictness::Strictness;
use crate::config::{ProducerConfig, definition, providers};

/// The names of all keys of the producer of Kafka 4.4.0 (`ProducerConfig.configNames()`).
const KAFKA_4_4_0: &str = include_str!("kafka-4.4.0.txt");

/// A value that is not one of those with which nothing differs.
fn differing(row: &NotBuilt) -> &'static str {
    if row.same.contains(&"false") {
        "true"
    } else {
        "other"
    }
}

fn noticed(
    key: &str,
    value: &str,
    strictness: &Strictness,
) -> Result<(ProducerConfig, Vec<Notice>), ConfigError> {
    let given = BTreeMap::from([(key.to_owned(), value.to_owned())]);
    ProducerConfig::check_quietly(given, strictness)
}

fn strict() -> Strictness {
    Strictness {
        is_strict: true,
        plugin_keys: Vec::new(),
    }
}

#[test]
fn every_key_of_kafkas_latest_producer_is_supported_or_known_not_to_be() {
    let is_supported = |key: &str| definition::key(key).is_some() || providers::is_key(key);
    let is_unknown = |key: &&str| !is_supported(key) && !is_known(key);
    let unknown: Vec<_> = KAFKA_4_4_0.lines().filter(is_unknown).collect();
    assert_eq!(unknown, [""; 0]);
}

#[test]
fn no_key_is_listed_twice_or_supported() {
    let keys: BTreeSet<_> = NOT_BUILT.iter().map(|row| row.key).collect();
    assert_eq!(keys.len(), NOT_BUILT.len());
    for key in keys {
        assert_eq!(definition::key(key), None, "{key}");
        assert!(!providers::is_key(key), "{key}");
    }
}

#[test]
fn each_key_that_is_not_supported_is_reported_with_its_version_and_a_remedy() {
    for row in NOT_BUILT {
        // In a strict configuration it is no unknown key.
        for strictness in [Strictness::default(), strict()] {
            let built = noticed(row.key, differing(row), &strictness);
            match (row.reaction, built) {
                (Reaction::Refuse, Err(error)) => {
                    assert!(error.is_not_built(), "{error}");
                    let [problem] = error.problems() else {
                        panic!("{error}");
                    };
                    assert_eq!(
                        (problem.key(), problem.remedy()),
                        (Some(row.key), row.remedy)
                    );
                    assert!(problem.problem().contains(row.since), "{error}");
                }
                (Reaction::Warn, Ok((config, notices))) => {
                    let [notice] = &notices[..] else {
                        panic!("{}: {} notices", row.key, notices.len());
                    };
                    assert_eq!(notice.level, Level::Warn);
                    assert!(notice.text.starts_with(&row.name()), "{}", notice.text);
                    assert!(notice.text.contains(row.lacking), "{}", notice.text);
                    assert_eq!(config.unused_keys(), [""; 0]);
                }
                (Reaction::LogWithOthers, Ok((config, notices))) => {
                    assert_eq!((notices.len(), config.unused_keys()), (0, Vec::new()));
                }
                (_, built) => panic!("{}: {:?}", row.key, built.map(|_| ())),
            }
        }
    }
}

#[test]
fn a_value_with_which_nothing_differs_is_not_reported() {
    for row in NOT_BUILT {
        for value in row.same {
            let (config, notices) = noticed(row.key, value, &strict()).expect(row.key);
            assert_eq!((notices.len(), config.unused_keys()), (0, Vec::new()));
        }
    }
}

#[test]
fn keys_for_the_same_thing_share_a_warning() {
    let keys = [
        "sasl.oauthbearer.assertion.file",
        "sasl.oauthbearer.jwt.retriever.class",
    ];
    let given = BTreeMap::from(keys.map(|key| (key.to_owned(), "x".to_owned())));
    let (_, notices) = ProducerConfig::check_quietly(given, &strict()).expect("only warnings");
    let [notice] = &notices[..] else {
        panic!("{} notices", notices.len());
    };
    for key in keys {
        assert!(notice.text.contains(key), "{}", notice.text);
    }
}

#[test]
fn keys_with_another_remedy_or_reaction_do_not_share_a_warning() {
    const fn row(reaction: Reaction, remedy: &'static str) -> NotBuilt {
        NotBuilt {
            key: "a.key",
            since: "4.4",
            same: &[],
            reaction,
            lacking: "nothing happens",
            remedy,
        }
    }
    static ROWS: [NotBuilt; 4] = [
        row(Reaction::Warn, "Leave it out"),
        row(Reaction::Warn, "Use another"),
        row(Reaction::Refuse, "Leave it out"),
        row(Reaction::Warn, "Leave it out"),
    ];
    let sizes: Vec<_> = grouped(&ROWS).iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 1, 1]);
}

#[test]
fn a_key_that_a_plug_in_reads_is_not_warned_of() {
    let mut strictness = strict();
    strictness.plugin_keys.push("sasl.oauthbearer.".to_owned());
    let key = "sasl.oauthbearer.assertion.file";
    let (_, notices) = noticed(key, "/a.jwt", &strictness).expect("it is valid");
    assert_eq!(notices.len(), 0);
    // Whatever a plug-in reads, this producer would send other records than Kafka's.
    strictness.plugin_keys.push("partitioner.".to_owned());
    assert!(noticed("partitioner.ignore.keys", "true", &strictness).is_err());
}
