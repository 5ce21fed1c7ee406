//! A type name is declared once: a search for it in `src` finds one declaration.
//!
//! The check reads text, not syntax: a line that begins with `struct`, `enum`, `trait`, `union` or `type`, whatever its
//! visibility, declares a name. Types of unit tests, models and fixtures are not checked, and neither are associated
//! types, whose names come from the trait.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Pairs of files that declare the same types, each with the reason. A build uses one file of a pair, and the users of
/// its types do not depend on which. Only tests may compile both: the backends of zstd are compared there.
const ALTERNATIVES: &[(&str, &str, &str)] = &[
    (
        "src/sync/mod.rs",
        "src/sync/modelled.rs",
        "locks, and the same for loom",
    ),
    (
        "src/security/tls/open_error.rs",
        "src/security/tls/no_java_store.rs",
        "a feature",
    ),
    (
        "src/compress/zstd/c.rs",
        "src/compress/zstd/pure.rs",
        "a feature",
    ),
];

/// Types that one file declares twice, for debug and release builds.
const IN_DEBUG_BUILDS_AND_NOT: &[(&str, &str)] =
    &[("src/sync/mod.rs", "Held"), ("src/sync/mod.rs", "Wakes")];

#[test]
fn no_type_name_is_declared_twice() {
    let mut declared: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
    let mut checked = 0;
    for (file, text) in files() {
        checked += 1;
        for (line, name) in type_names(&text) {
            declared.entry(name).or_default().push((file.clone(), line));
        }
    }
    assert!(checked > 200, "only {checked} files were found");
    let mut twice = Vec::new();
    for (name, places) in declared {
        if places.len() > 1 && !are_one(&name, &places) {
            for (file, line) in places {
                twice.push(format!("{file}:{line}: {name}"));
            }
        }
    }
    assert!(
        twice.is_empty(),
        "each of these names has several types:\n{}",
        twice.join("\n")
    );
}

#[test]
fn declarations_are_found_with_any_prefix_and_associated_types_are_not() {
    let text = "pub struct A;\n    pub(super) enum B {\npub(in crate::x) trait C: Send {\n    type D: E;\n}\n\
                impl C for A {\n    type D = A;\n}\ntype F<'a> = G;\n// struct H;\nlet structure = 1;\n\
                pub(crate) struct I<T>(T);\nmod m {\n    struct J;\n}\n";
    let names: Vec<String> = type_names(text).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["A", "B", "C", "F", "I", "J"]);
}

#[test]
fn unit_tests_at_the_end_of_a_file_are_not_checked() {
    let text = "struct A;\n\n#[cfg(test)]\nmod tests {\n    struct B;\n}\n";
    assert_eq!(type_names(text), [(1, "A".to_owned())]);
}

#[test]
fn two_declarations_for_different_builds_are_allowed_and_a_third_is_not() {
    let of = |files: &[&str]| -> Vec<(String, usize)> {
        files.iter().map(|file| ((*file).to_owned(), 1)).collect()
    };
    let (c, pure) = ("src/compress/zstd/c.rs", "src/compress/zstd/pure.rs");
    assert!(are_one("ZstdEncoder", &of(&[c, pure])));
    assert!(!are_one("ZstdEncoder", &of(&[c, c])));
    assert!(!are_one(
        "ZstdEncoder",
        &of(&[c, pure, "src/compress/mod.rs"])
    ));
    assert!(are_one(
        "Held",
        &of(&["src/sync/mod.rs", "src/sync/mod.rs"])
    ));
    assert!(!are_one(
        "Mutex",
        &of(&["src/sync/mod.rs", "src/sync/mod.rs"])
    ));
}

/// Whether these are two declarations of which each build uses only one.
fn are_one(name: &str, places: &[(String, usize)]) -> bool {
    let [(first, _), (second, _)] = places else {
        return false;
    };
    let is_twice_in_one = first == second && IN_DEBUG_BUILDS_AND_NOT.contains(&(first, name));
    is_twice_in_one
        || ALTERNATIVES.iter().any(|(one, other, _)| {
            (first == one && second == other) || (first == other && second == one)
        })
}

/// The types that a file declares, each with its line.
fn type_names(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().zip(1..).peekable();
    while let Some((line, number)) = lines.next() {
        let is_cfg_test = line.trim() == "#[cfg(test)]";
        if is_cfg_test
            && lines
                .peek()
                .is_some_and(|(next, _)| next.ends_with("mod tests {"))
        {
            break;
        }
        let is_indented = line.starts_with(' ');
        let Some((keyword, rest)) = without_visibility(line.trim_start()).split_once(' ') else {
            continue;
        };
        // An indented `type` is associated.
        let declares = match keyword {
            "struct" | "enum" | "trait" | "union" => true,
            "type" => !is_indented,
            _ => false,
        };
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let name = &rest[..end.unwrap_or(rest.len())];
        if declares && name.starts_with(char::is_uppercase) {
            found.push((number, name.to_owned()));
        }
    }
    found
}

fn without_visibility(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("pub") else {
        return line;
    };
    let rest = match rest.strip_prefix('(') {
        Some(inside) => inside.split_once(')').map_or(inside, |(_, after)| after),
        None => rest,
    };
    rest.trim_start()
}

/// Every file of `src` that is part of the library or of a tool, with its text.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is a folder") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                if !path.ends_with("tests") && !path.ends_with("models") {
                    folders.push(path);
                }
            } else if is_looked_at(&path) {
                let text = fs::read_to_string(&path).expect("it is text");
                let name = path.strip_prefix(root).expect("a file of this crate");
                found.push((name.display().to_string(), text));
            }
        }
    }
    found.sort();
    found
}

fn is_looked_at(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
        && !path.ends_with("tests.rs")
        && !path.ends_with("fixture.rs")
}
