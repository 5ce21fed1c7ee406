//! Planted defects: each listed defect is planted, and in no more places than necessary.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[path = "sim/planted.rs"]
mod planted;

/// Defects that are planted at several places: the name, the number of places, and the reason.
const AT_SEVERAL_PLACES: &[(&str, usize, &str)] = &[
    ("AnnouncesLate", 2, "left out at its place, and done later"),
    (
        "MaybeWrittenRenumbered",
        2,
        "an error of a broker and a new epoch both lead to another number",
    ),
    (
        "UnknownTopicAskedForAlways",
        2,
        "the topic is requested, and the request is repeated",
    ),
    (
        "FlushCountsLate",
        2,
        "left out at its place, and done later",
    ),
    ("IncompleteLate", 2, "left out at its place, and done later"),
    (
        "LeavesInboxLate",
        2,
        "left out at its place, and done later",
    ),
    (
        "QueueMadeTwice",
        2,
        "both look-ups of an existing queue are left out",
    ),
    (
        "WakesBeforeAnnouncing",
        2,
        "left out at its place, and done later",
    ),
];

/// The names in the list of `src/planted.rs`.
fn listed(text: &str) -> Vec<&str> {
    let list = text
        .split_once("\ndefects! {\n")
        .and_then(|(_, after)| after.split_once("\n}\n"));
    let (list, _) = list.expect("the list is there");
    let names = list.lines().map(str::trim);
    let names = names.filter(|line| !line.starts_with("//") && !line.is_empty());
    names
        .map(|line| line.strip_suffix(';').expect("a name"))
        .collect()
}

/// Adds the number of times that each defect is planted in a piece of code.
fn count_planted(text: &str, counts: &mut BTreeMap<String, usize>) {
    for line in text.split("planted!(").skip(1) {
        let names = line.split(')').next().unwrap_or_default();
        for name in names.split('|') {
            *counts.entry(name.trim().to_owned()).or_default() += 1;
        }
    }
}

fn count_planted_below(folder: &Path, counts: &mut BTreeMap<String, usize>) {
    for entry in fs::read_dir(folder).expect("the source is readable") {
        let path = entry.expect("the source is readable").path();
        if path.is_dir() {
            count_planted_below(&path, counts);
        } else if !path.ends_with("src/planted.rs") && path.extension().is_some_and(|it| it == "rs")
        {
            let text = fs::read_to_string(&path).expect("the source is readable");
            count_planted(&text, counts);
        }
    }
}

fn source() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn every_defect_of_the_list_is_planted_where_it_has_to_be() {
    let text = fs::read_to_string(source().join("planted.rs")).expect("the list is there");
    let mut counts = BTreeMap::new();
    count_planted_below(&source(), &mut counts);
    let expected = |name: &str| {
        let several = AT_SEVERAL_PLACES.iter().find(|(it, ..)| *it == name);
        several.map_or(1, |(_, places, _)| *places)
    };
    let expected: BTreeMap<String, usize> = listed(&text)
        .into_iter()
        .map(|name| (name.to_owned(), expected(name)))
        .collect();
    assert_eq!(counts, expected);
}

#[test]
fn the_table_of_catchers_has_every_defect_in_the_order_of_the_list() {
    let text = fs::read_to_string(source().join("planted.rs")).expect("the list is there");
    let table: Vec<&str> = planted::CAUGHT_BY.iter().map(|(name, _)| *name).collect();
    assert_eq!(table, listed(&text));
}

#[test]
fn planted_conditions_are_found_also_over_several_lines() {
    let mut counts = BTreeMap::new();
    let code = "if planted!(A) {}\nlet x = !planted!(\n    B\n) && planted!(A | C);";
    count_planted(code, &mut counts);
    let expected = [("A", 2), ("B", 1), ("C", 1)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counts, BTreeMap::from(expected));
}

/// Checks without the simulator that each test in the table fails with its defect, and passes without it.
#[cfg(planted_defects)]
#[test]
#[ignore = "a matter of minutes"]
fn every_test_of_the_table_catches_its_defect() {
    let search = planted::search::Search {
        seeds: None,
        only: Vec::new(),
    };
    let report = search.run();
    println!("{report}");
    assert_eq!(report.missed_with_a_test(), Vec::<&str>::new());
}
