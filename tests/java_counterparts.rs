//! Kafka's unit tests and our counterparts: checks the lists in `tests/java` against our tests. A test names its Java
//! counterparts in its doc comment (`/// Java: SomeTest#testThis, #testThat`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A Java test class in a list.
#[derive(Debug, PartialEq, Eq)]
struct Class {
    name: String,
    /// The expected number of rows.
    listed: usize,
    /// The number of tests of the class.
    has: usize,
    rows: Vec<Row>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Row {
    test: String,
    /// `path::name` of each of our tests.
    ours: BTreeSet<String>,
    differs: Option<String>,
    /// The reason why there is no test of ours; `None` if there is one.
    none: Option<String>,
}

/// Parses a list; the comment at the top of the list describes the format.
fn read_list(text: &str) -> Result<Vec<Class>, String> {
    let mut classes: Vec<Class> = Vec::new();
    for line in text.lines() {
        let wrong = || format!("not a line of a list: {line:?}");
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(head) = line.strip_prefix('[') {
            let head = head.strip_suffix(']').ok_or_else(wrong)?;
            let [name, listed, "of", has] = head.split(' ').collect::<Vec<_>>()[..] else {
                return Err(wrong());
            };
            classes.push(Class {
                name: name.to_owned(),
                listed: listed.parse().map_err(|_| wrong())?,
                has: has.parse().map_err(|_| wrong())?,
                rows: Vec::new(),
            });
            continue;
        }
        let rows = &mut classes.last_mut().ok_or_else(wrong)?.rows;
        let Some(detail) = line.strip_prefix("    ") else {
            rows.push(Row {
                test: line.to_owned(),
                ..Row::default()
            });
            continue;
        };
        let row = rows.last_mut().ok_or_else(wrong)?;
        let is_new = if let Some(what) = detail.strip_prefix("differs: ") {
            row.differs.replace(what.to_owned()).is_none()
        } else if let Some(why) = detail.strip_prefix("none: ") {
            row.none.replace(why.to_owned()).is_none()
        } else {
            row.ours.insert(detail.to_owned())
        };
        if !is_new {
            return Err(wrong());
        }
    }
    Ok(classes)
}

/// A Java test: class and method.
type JavaTest = (String, String);

/// The Java tests that each of our tests names, by `path::name` of our test.
type Named = BTreeMap<String, BTreeSet<JavaTest>>;

/// Adds the tests in a file, with the Java tests that their doc comments name.
fn read_tests(path: &str, text: &str, named: &mut Named) {
    let mut doc = String::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            doc.push_str(comment);
        } else if line == "#[test]" {
            is_test = true;
        } else if line.starts_with("#[") {
            // Skip other attributes.
        } else {
            let function = line.strip_prefix("fn ").and_then(|it| it.split_once('('));
            if let Some((name, _)) = function.filter(|_| is_test) {
                named.insert(format!("{path}::{name}"), java_tests(&doc));
            }
            doc.clear();
            is_test = false;
        }
    }
}

/// The Java tests in a doc comment: `SomeTest#testThis, #testThat` are two tests of a class.
fn java_tests(doc: &str) -> BTreeSet<JavaTest> {
    let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let mut class = String::new();
    let mut tests = BTreeSet::new();
    let mut rest = doc;
    while let Some((before, after)) = rest.split_once('#') {
        let named = before.rsplit(|it| !is_name(it)).next().unwrap_or_default();
        if !named.is_empty() {
            named.clone_into(&mut class);
        }
        let test = after.split(|it| !is_name(it)).next().unwrap_or_default();
        if class.ends_with("Test") && !test.is_empty() {
            tests.insert((class.clone(), test.to_owned()));
        }
        rest = after;
    }
    tests
}

/// The errors in the lists that can be detected without our tests.
fn faults_of_lists(classes: &[Class]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for class in classes {
        let name = &class.name;
        if !seen.insert((name.as_str(), "")) {
            faults.push(format!("{name} is listed twice"));
        }
        let rows = class.rows.len();
        if rows != class.listed || rows > class.has {
            let (listed, has) = (class.listed, class.has);
            faults.push(format!(
                "{name} must have {listed} rows of {has}, not {rows}"
            ));
        }
        for row in &class.rows {
            let test = &row.test;
            if !seen.insert((name, test)) {
                faults.push(format!("{name}#{test} is listed twice"));
            }
            if row.ours.is_empty() != row.none.is_some() {
                let either = "has neither a test of ours nor a reason, or both";
                faults.push(format!("{name}#{test} {either}"));
            }
        }
    }
    faults
}

/// The contradictions between the lists and our tests. If a class is not listed completely, our tests may also name
/// tests of it that are not listed.
fn disagreements(classes: &[Class], named: &Named) -> Vec<String> {
    let mut faults = Vec::new();
    for class in classes {
        let mut naming: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (ours, tests) in named {
            for (_, test) in tests.iter().filter(|(name, _)| *name == class.name) {
                naming.entry(test).or_default().insert(ours);
            }
        }
        let name = &class.name;
        for row in &class.rows {
            let test = &row.test;
            let naming = naming.remove(test.as_str()).unwrap_or_default();
            let listed: BTreeSet<&str> = row.ours.iter().map(String::as_str).collect();
            for ours in listed.difference(&naming) {
                let what = if named.contains_key(*ours) {
                    "does not name it"
                } else {
                    "is not there"
                };
                faults.push(format!("{name}#{test}: {ours} {what}"));
            }
            for ours in naming.difference(&listed) {
                faults.push(format!("{name}#{test}: {ours} names it and is not listed"));
            }
        }
        if class.rows.len() == class.has {
            for (test, ours) in naming {
                faults.push(format!(
                    "{name}#{test} is not a test of the class, but is named by {ours:?}"
                ));
            }
        }
    }
    faults
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Adds the files below a folder of the repository with this extension.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
}

fn all_lists() -> Vec<Class> {
    let mut paths = Vec::new();
    files(&root().join("tests/java"), "txt", &mut paths);
    let lists = paths.iter().flat_map(|path| {
        let text = fs::read_to_string(path).expect("a list");
        read_list(&text).unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display()))
    });
    lists.collect()
}

fn all_tests() -> Named {
    let mut paths = Vec::new();
    for folder in ["src", "tests"] {
        files(&root().join(folder), "rs", &mut paths);
    }
    let mut named = Named::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("source");
        let path = path.strip_prefix(root()).expect("below it");
        let path = path.to_string_lossy().replace('\\', "/");
        read_tests(&path, &text, &mut named);
    }
    named
}

#[test]
fn each_java_test_is_listed_once_with_a_test_of_ours_or_a_reason() {
    let classes = all_lists();
    assert_eq!(faults_of_lists(&classes), [""; 0]);
    let manager = classes
        .iter()
        .find(|it| it.name == "TransactionManagerTest");
    assert_eq!(manager.map(|it| (it.rows.len(), it.has)), Some((115, 115)));
}

#[test]
fn our_tests_name_the_java_tests_that_they_are_listed_for_and_no_others() {
    assert_eq!(disagreements(&all_lists(), &all_tests()), [""; 0]);
}

// ---- the check itself

const LIST: &str = "\
# A comment.

[ATest 3 of 3]
testOne
    src/a.rs::one
    src/a.rs::both
testTwo
    src/a.rs::both
    differs: a little
testThree
    none: a matter of Java
";

const TESTS: &str = "\
/// Java: ATest#testOne
#[test]
fn one() {}

/// It shows two. BTest#testOther; Java: ATest#testOne,
/// #testTwo, and is not `ATest`'s
#[test]
#[ignore = \"slow\"]
fn both() {}

/// ATest#testThree
fn no_test() {}
";

fn faults(list: &str, tests: &str) -> Vec<String> {
    let classes = read_list(list).expect("a list");
    let mut named = Named::new();
    read_tests("src/a.rs", tests, &mut named);
    let mut faults = faults_of_lists(&classes);
    faults.extend(disagreements(&classes, &named));
    faults
}

#[test]
fn a_list_that_agrees_with_the_tests_has_no_faults() {
    assert_eq!(faults(LIST, TESTS), [""; 0]);
    let classes = read_list(LIST).expect("a list");
    assert_eq!(classes[0].rows[1].differs.as_deref(), Some("a little"));
}

#[test]
fn each_disagreement_between_lists_and_tests_is_reported() {
    let same = |_: &str| TESTS.to_owned();
    let cases: [(String, String, &str); 8] = [
        (
            LIST.replace("testThree", "testOne"),
            same(LIST),
            "ATest#testOne is listed twice",
        ),
        (
            LIST.replace("[ATest 3", "[ATest 2"),
            same(LIST),
            "must have 2 rows of 3, not 3",
        ),
        (
            LIST.replace("    none: a matter of Java\n", ""),
            same(LIST),
            "ATest#testThree has neither",
        ),
        (
            format!("{LIST}    src/a.rs::one\n"),
            same(LIST),
            "ATest#testThree has neither a test of ours nor a reason, or both",
        ),
        (
            LIST.to_owned(),
            TESTS.replace("fn one", "fn renamed"),
            "src/a.rs::one is not there",
        ),
        (
            LIST.to_owned(),
            TESTS.replace("Java: ATest#testOne\n", "It has lost its name.\n"),
            "src/a.rs::one does not name it",
        ),
        (
            LIST.replace("testTwo\n    src/a.rs::both", "testTwo\n    src/a.rs::one"),
            same(LIST),
            "src/a.rs::both names it and is not listed",
        ),
        (
            LIST.to_owned(),
            TESTS.replace("#testTwo", "#testTwo, #testFour"),
            "ATest#testFour is not a test of the class",
        ),
    ];
    for (list, tests, expected) in cases {
        let faults = faults(&list, &tests);
        let is_found = faults.iter().any(|it| it.contains(expected));
        assert!(is_found, "{expected:?} is not among {faults:?}");
    }
}

#[test]
fn an_invalid_line_of_a_list_is_rejected() {
    for wrong in [
        "testBeforeAnyClass\n",
        "[ATest 3 of]\n",
        "[ATest three of 3]\n",
        "[ATest 1 of 1]\n    src/a.rs::of_no_row\n",
        "[ATest 1 of 1]\ntestOne\n    src/a.rs::one\n    src/a.rs::one\n",
    ] {
        assert!(read_list(wrong).is_err(), "{wrong:?}");
    }
}
