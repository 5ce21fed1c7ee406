//! The Markdown documents: their links lead to files and headings that exist, and the guide is complete on docs.rs.
//!
//! The check reads text, not syntax: fenced code and code spans are removed, then every `](target)` and every line
//! `[label]: target` is a link. Links to web sites are not followed.

mod quotes;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The longest line of the guide, in characters. Table rows and definitions of links may be longer.
const LONGEST_LINE: usize = 120;

/// The folder of the guide.
const GUIDE: &str = "docs/guide/";

/// The addresses of the library's items on docs.rs begin with it.
const ITEMS: &str = "https://docs.rs/kafka-producer/latest/kafka_producer/";

/// Folders that are searched for documents; the first is the repository without its subfolders.
const FOLDERS: &[&str] = &[
    "",
    "docs",
    "docs/guide",
    "tests",
    "benches",
    "fuzz",
    "examples",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a folder and of its direct subfolders, as paths from the repository's root.
fn documents_in(folder: &str, depth: u32, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(root().join(folder)) else {
        return;
    };
    for entry in entries.map_while(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        if entry.path().is_dir() {
            if depth > 0 && name != "target" {
                documents_in(&path, depth - 1, found);
            }
        } else if Path::new(&name).extension().is_some_and(|it| it == "md") {
            found.insert(path);
        }
    }
}

fn documents() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in FOLDERS {
        documents_in(folder, u32::from(!folder.is_empty()), &mut found);
    }
    found
}

/// The lines outside fenced code, with their numbers.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            lines.push((number, line));
        }
    }
    lines
}

/// The line without code spans; a code span in brackets is kept, because it is the label of a link.
fn without_code(line: &str) -> String {
    let mut text = String::new();
    for (number, part) in line.split('`').enumerate() {
        let is_label = text.ends_with('[');
        if number % 2 == 0 {
            text.push_str(part);
        } else if is_label {
            text.extend(["`", part, "`"]);
        }
    }
    text
}

/// The label and target of a line that defines a link.
fn definition(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('[')?.split_once("]: ")
}

/// The targets of a document's links, with their line numbers.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        if let Some((_, target)) = definition(line) {
            found.push((number, target.trim().to_owned()));
        }
        let line = without_code(line);
        let ends = line.split("](").skip(1);
        found.extend(ends.filter_map(|end| Some((number, end.split_once(')')?.0.to_owned()))));
    }
    found
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, line) in prose(text) {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let slug = heading.trim().chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
            _ => None,
        });
        found.insert(slug.collect());
    }
    found
}

/// Why a link of a document is broken; `None` if it is not.
fn fault(document: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("crate::") {
        return None;
    }
    let (file, anchor) = match target.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (target, None),
    };
    let path = if file.is_empty() {
        root().join(document)
    } else {
        root().join(document).parent()?.join(file)
    };
    if !path.exists() {
        return Some(format!("no file {file}"));
    }
    let anchor = anchor?;
    let text = fs::read_to_string(&path).ok()?;
    let exists = anchors(&text).contains(anchor);
    (!exists).then(|| format!("no heading for #{anchor}"))
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let mut broken = Vec::new();
    let documents = documents();
    assert!(documents.len() > 20, "only {documents:?}");
    for document in &documents {
        for (line, target) in targets(&read(document)) {
            if let Some(fault) = fault(document, &target) {
                broken.push(format!("{document}:{line}: {target}: {fault}"));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn lines_of_the_guide_are_not_too_long() {
    let mut long = Vec::new();
    for document in documents().iter().filter(|path| path.starts_with(GUIDE)) {
        for (number, line) in prose(&read(document)) {
            let is_exempt = line.starts_with('|') || definition(line).is_some();
            if !is_exempt && line.chars().count() > LONGEST_LINE {
                long.push(format!("{document}:{number}"));
            }
        }
    }
    assert!(
        long.is_empty(),
        "longer than {LONGEST_LINE}:\n{}",
        long.join("\n")
    );
}

/// The labels of the links of a page, and those that it defines.
fn labels(text: &str) -> (BTreeSet<String>, BTreeMap<String, String>) {
    let mut used = BTreeSet::new();
    let mut defined = BTreeMap::new();
    for (_, line) in prose(text) {
        if let Some((label, target)) = definition(line) {
            defined.insert(label.to_owned(), target.to_owned());
            continue;
        }
        let line = without_code(line);
        let mut parts = line.split('[').skip(1).peekable();
        while let Some(part) = parts.next() {
            match part.split_once(']') {
                // The text of `[text][label]` or of `[text](target)`.
                Some((_, rest))
                    if rest.starts_with('(') || rest.is_empty() && parts.peek().is_some() => {}
                Some((label, _)) => drop(used.insert(label.to_owned())),
                None => {}
            }
        }
    }
    (used, defined)
}

/// The page or item that a link of the guide leads to, in one form for the repository and for docs.rs: `from_java`,
/// `JAVA_MAP`, `KafkaProducer::send`.
fn destination(target: &str) -> String {
    if let Some(item) = target.strip_prefix("crate::") {
        return item.trim_start_matches("guide::").to_owned();
    }
    let Some(item) = target.strip_prefix(ITEMS) else {
        let file = target.rsplit('/').next().unwrap_or(target);
        let page = file.trim_end_matches(".md");
        return page.replace('-', "_");
    };
    let (module, page) = match item.rsplit_once('/') {
        Some((module, page)) => (format!("{module}::"), page),
        None => (String::new(), item),
    };
    // Such as `struct.KafkaProducer.html#method.send`.
    let (_, name) = page.split_once('.').unwrap_or(("", page));
    let name = name.replace(".html#method.", "::");
    module + name.trim_end_matches(".html")
}

#[test]
fn the_guide_has_the_same_links_in_the_repository_and_on_docs_rs() {
    let in_crate = read("src/guide/links.md") + &read("src/guide/testing_links.md");
    let (_, in_crate) = labels(&in_crate);
    let module = read("src/guide/mod.rs");
    let mut faults = Vec::new();
    for page in documents().iter().filter(|path| path.starts_with(GUIDE)) {
        let name = page.trim_start_matches(GUIDE);
        if name != "README.md" && !module.contains(&format!("\"{name}\"")) {
            faults.push(format!("{page} is not in src/guide/mod.rs"));
        }
        let (used, defined) = labels(&read(page));
        for label in &used {
            if !defined.contains_key(label) {
                faults.push(format!("{page}: [{label}] is not defined"));
            }
        }
        for (label, target) in &defined {
            if !used.contains(label) {
                faults.push(format!("{page}: [{label}] is not used"));
            }
            match in_crate.get(label) {
                None => faults.push(format!("{page}: [{label}] is not in src/guide/links.md")),
                Some(other) if destination(target) == destination(other) => {}
                Some(other) => faults.push(format!("{page}: [{label}]: {target} is not {other}")),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn links_in_the_repository_and_on_docs_rs_are_compared_by_their_destination() {
    for (page, in_crate) in [
        ("from-java.md", "crate::guide::from_java"),
        (
            "../METRICS.md",
            "https://docs.rs/crate/a/latest/source/docs/METRICS.md",
        ),
        ("enum.Error.html#method.code", "crate::Error::code"),
        (
            "testing/struct.TestCluster.html",
            "crate::testing::TestCluster",
        ),
    ] {
        let page = if page.contains(".html") {
            format!("{ITEMS}{page}")
        } else {
            page.to_owned()
        };
        assert_eq!(destination(&page), destination(in_crate));
    }
    let send = format!("{ITEMS}struct.KafkaProducer.html#method.send");
    assert_ne!(
        destination(&send),
        destination("crate::KafkaProducer::close")
    );
    assert_ne!(
        destination("failures.md"),
        destination("crate::guide::sending")
    );
}

#[test]
fn a_broken_link_is_found() {
    assert_eq!(fault("README.md", "CHANGELOG.md#changelog"), None);
    assert!(fault("README.md", "docs/NOTHING.md").is_some());
    assert!(fault("README.md", "CHANGELOG.md#nothing").is_some());
    assert_eq!(
        targets("a [b](c.md) `[d](e.md)`\n```\n[f](g.md)\n```\n[h]: i.md").len(),
        2
    );
}
