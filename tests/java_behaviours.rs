//! Behaviours of Kafka that comments cite by an id (`SE-15`) are explained in `tests/java/behaviours.toml`, and
//! a comment must be understandable without that file.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The prefixes of ids.
const SUBJECTS: [&str; 13] = [
    "KP", "MD", "RA", "BP", "PB", "SE", "NC", "SL", "TM", "PT", "IN", "MT", "XX",
];

/// The folders in which ids are cited.
const PLACES: [&str; 5] = ["src", "tests", "benches", "examples", "docs"];

#[test]
fn every_cited_behaviour_is_explained_and_every_explained_behaviour_is_cited() {
    let explained = catalogue();
    let mut cited: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in files() {
        for id in ids(&fs::read_to_string(&file).unwrap()) {
            cited.entry(id).or_insert_with(|| file.clone());
        }
    }
    for (id, file) in &cited {
        let place = file.display();
        assert!(
            explained.contains_key(id),
            "{place} cites {id}, which behaviours.toml lacks"
        );
    }
    for id in explained.keys() {
        assert!(
            cited.contains_key(id),
            "nothing cites {id} any more: take it out of behaviours.toml"
        );
    }
}

#[test]
fn no_comment_consists_of_ids_alone() {
    let mut bare = Vec::new();
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        for (line, comment) in comments(&text) {
            if is_ids_alone(&comment) {
                bare.push(format!("{}:{line}: {comment}", file.display()));
            }
        }
    }
    assert!(
        bare.is_empty(),
        "say what these are about:\n{}",
        bare.join("\n")
    );
}

#[test]
fn a_comment_of_ids_is_distinguished_from_one_with_words() {
    for bare in [
        "SE-15",
        "SE-15, TM-45",
        "(KP-1; MD-23)",
        "SE-15 and SE-16.",
        "RA-11 to RA-14",
    ] {
        assert!(is_ids_alone(bare), "{bare}");
    }
    for explained in [
        "SE-15: it can be sent again",
        "Java: SenderTest#testRetries",
        "as MD-5",
        "",
    ] {
        assert!(!is_ids_alone(explained), "{explained}");
    }
    let text =
        "/// SE-15\n/// and more\nfn a() {}\n    // KP-1\nlet x = 1; // no comment of its own\n";
    let found: Vec<_> = comments(text).into_iter().collect();
    assert_eq!(
        found,
        [(1, "SE-15 and more".to_owned()), (4, "KP-1".to_owned())]
    );
    assert_eq!(
        ids("SHA-256, SE-15; KPS-3, (TM-4)")
            .into_iter()
            .collect::<Vec<_>>(),
        ["SE-15", "TM-4"]
    );
}

fn catalogue() -> BTreeMap<String, String> {
    let text = fs::read_to_string(root().join("tests/java/behaviours.toml")).expect("it is there");
    let value = |line: &str, key: &str| {
        let rest = line.strip_prefix(key)?.strip_prefix(" = \"")?;
        Some(rest.strip_suffix('"')?.to_owned())
    };
    let mut rows = BTreeMap::new();
    let mut id = None;
    for line in text.lines() {
        id = value(line, "id").or(id);
        if let Some(text) = value(line, "text") {
            let id = id.take().expect("a row begins with its id");
            assert!(text.ends_with('.'), "{id} is no sentence");
            assert!(
                rows.insert(id.clone(), text).is_none(),
                "{id} is there twice"
            );
        }
    }
    assert!(!rows.is_empty());
    rows
}

/// The ids in a text, each once.
fn ids(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words
        .filter(|word| is_id(word))
        .map(str::to_owned)
        .collect()
}

fn is_id(word: &str) -> bool {
    word.split_once('-').is_some_and(|(subject, number)| {
        SUBJECTS.contains(&subject)
            && !number.is_empty()
            && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

fn is_ids_alone(comment: &str) -> bool {
    let mut words = comment
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(|word| !word.is_empty() && !matches!(*word, "and" | "to"));
    let mut seen = false;
    words.all(|word| {
        seen = true;
        is_id(word)
    }) && seen
}

/// The comments that stand on lines of their own. Each is joined into one line, with the number of its first line.
fn comments(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut last = 0;
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line)) {
        let Some(words) = line.trim().strip_prefix("//") else {
            continue;
        };
        let words = words.trim_start_matches(['/', '!']).trim();
        match found.last_mut() {
            Some((_, comment)) if last + 1 == number => {
                comment.push(' ');
                comment.push_str(words);
            }
            _ => found.push((number, words.to_owned())),
        }
        last = number;
    }
    found
}

/// Source files and documents, without this file, which contains example ids.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = PLACES.iter().map(|place| root().join(place)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is a folder") {
            let path = entry.expect("it can be read").path();
            let is_here = path.ends_with("java_behaviours.rs");
            let extension = path.extension().and_then(OsStr::to_str);
            if path.is_dir() {
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if !is_here && matches!(extension, Some("rs" | "md")) {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 100);
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
