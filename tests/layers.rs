//! The layers of the library: checks the imports in the source against a table of allowed dependencies.
//!
//! The check reads text, not syntax: every `crate::…` and `super::…` path outside comments and outside
//! unit tests counts as an import.

use std::fs;
use std::path::{Path, PathBuf};

/// A module, its height, and its group. A module may use modules with a lower height, and those of its own group. The
/// entry with the longest path applies to a module.
const LAYERS: &[(&str, u32, &str)] = &[
    ("planted", 0, "planted"),
    ("util", 2, "util"),
    ("sync", 1, "sync"),
    ("clock", 2, "clock"),
    ("types", 10, "types"),
    ("error", 11, "error"),
    ("compress", 20, "compress"),
    ("record", 30, "record"),
    ("protocol", 30, "protocol"),
    ("config", 40, "config"),
    ("metrics", 45, "metrics"),
    ("security", 50, "security"),
    ("network", 60, "network"),
    ("client", 70, "client"),
    ("probe", 75, "probe"),
    ("producer::record", 80, "values"),
    ("producer::record_metadata", 80, "values"),
    ("producer::serializer", 80, "values"),
    ("producer::interceptor", 80, "values"),
    ("producer::partitioner", 80, "values"),
    ("producer::metrics_reporter", 80, "values"),
    ("producer::metrics_reporters", 80, "values"),
    ("producer::app_info", 80, "values"),
    ("producer::future", 80, "values"),
    ("producer::callback_scope", 80, "values"),
    ("producer::instance", 80, "values"),
    ("producer::cluster_listeners", 80, "values"),
    ("producer::user_code", 80, "values"),
    ("producer::thunks", 80, "values"),
    ("producer::produce_request_result", 80, "values"),
    ("producer::waiting", 80, "values"),
    ("producer::buffer_pool", 81, "batches"),
    ("producer::batch", 81, "batches"),
    ("producer::accumulator", 81, "batches"),
    ("producer::counters", 81, "batches"),
    ("producer::wake", 81, "batches"),
    ("producer::metadata", 82, "machinery"),
    ("producer::sensors", 82, "machinery"),
    ("producer::transaction", 82, "machinery"),
    ("producer::sender", 82, "machinery"),
    ("producer", 83, "facade"),
    ("testing", 90, "testing"),
    ("internals", 91, "internals"),
    ("guide", 92, "guide"),
];

/// Imports that are allowed although they violate the table: the importing module, the imported one, and the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "producer::accumulator",
    "producer::metadata::ClusterObserver",
    "the trait belongs to the one who calls it; the accumulator is its listener",
)];

/// Names of system interfaces.
const SYSTEM: &[&str] = &[
    "std::net",
    "std::thread",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
    "mio::",
    "socket2::",
];

/// Types of `std::net` that are plain data.
const PLAIN_ADDRESSES: &[&str] = &["SocketAddr", "IpAddr", "Ipv4Addr", "Ipv6Addr"];

/// The modules that may use system interfaces, together with their submodules.
const SYSTEM_HOMES: &[&str] = &[
    "clock",
    "network::mio_poller",
    "network::socket",
    "network::resolver",
    "producer::lifecycle",
    "security::http::connection",
    "util::process",
    "testing",
];

fn layer_of(module: &str) -> Option<(u32, &'static str)> {
    LAYERS
        .iter()
        .filter(|(path, ..)| within(module, path))
        .max_by_key(|(path, ..)| path.len())
        .map(|&(_, height, group)| (height, group))
}

fn within(module: &str, path: &str) -> bool {
    module
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The code of a file without comments and without unit tests at its end; line numbers are kept.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]"
            && lines
                .peek()
                .is_some_and(|next| next.ends_with("mod tests {"))
        {
            break;
        }
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Parses the path or the group of paths at the start of `text`, and adds each with `prefix`.
fn expand(prefix: &str, text: &str, paths: &mut Vec<String>) {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let (mut depth, mut start) = (0_u32, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    if !group[start..at].trim().is_empty() {
                        expand(prefix, &group[start..at], paths);
                    }
                    start = at + 1;
                    if c == '}' {
                        return;
                    }
                }
                _ => {}
            }
        }
        return;
    }
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}::{name}")
    };
    match rest.strip_prefix("::") {
        Some(rest) if !name.is_empty() => expand(&path, rest, paths),
        _ => paths.push(path),
    }
}

/// The paths of the crate that `code`, the text of `module`, uses, with their lines.
fn imports(module: &str, code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for keyword in ["crate::", "super::"] {
        for (at, _) in code.match_indices(keyword) {
            let before = &code[..at];
            if before.ends_with(is_name) || before.ends_with("::") {
                continue;
            }
            let mut base: Vec<&str> = Vec::new();
            let mut rest = &code[at + keyword.len()..];
            if keyword == "super::" {
                base = module.split("::").collect();
                base.pop();
                while let Some(further) = rest.strip_prefix("super::") {
                    base.pop();
                    rest = further;
                }
            }
            if keyword == "super::" && base.is_empty() {
                // An inline module of a file at the root: its parent is the file itself.
                base.push(module);
            }
            let mut paths = Vec::new();
            expand(&base.join("::"), rest, &mut paths);
            let line = before.matches('\n').count() + 1;
            found.extend(paths.into_iter().map(|path| (line, path)));
        }
    }
    found
}

fn layer_violations(file: &str, module: &str, text: &str) -> Vec<String> {
    let Some((height, group)) = layer_of(module) else {
        return vec![format!(
            "{file}:1: {module} has no place in the table of layers"
        )];
    };
    let allowed = |path: &str| {
        let excepted = EXCEPTIONS
            .iter()
            .any(|(user, used, _)| within(module, user) && within(path, used));
        let lower = layer_of(path).map(|(other, name)| other < height || name == group);
        // Re-exports of the crate's root have no layer: only `testing` may use them.
        excepted || lower.unwrap_or(group == "testing")
    };
    imports(module, &code_of(text))
        .into_iter()
        .filter(|(_, path)| !allowed(path))
        .map(|(line, path)| format!("{file}:{line}: {module} must not use {path}"))
        .collect()
}

/// Whether the names of `std::net` after the path are plain addresses only; `{SocketAddr, TcpStream}` are two names.
fn only_plain_addresses(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix("::") else {
        return false;
    };
    let mut names = Vec::new();
    expand("", rest, &mut names);
    names
        .iter()
        .all(|name| PLAIN_ADDRESSES.iter().any(|plain| within(name, plain)))
}

fn system_violations(file: &str, module: &str, text: &str) -> Vec<String> {
    if SYSTEM_HOMES.iter().any(|home| within(module, home)) {
        return Vec::new();
    }
    let code = code_of(text);
    let mut violations = Vec::new();
    for name in SYSTEM {
        for (at, _) in code.match_indices(name) {
            let rest = &code[at + name.len()..];
            let goes_on = !name.ends_with(':') && rest.starts_with(is_name);
            let part_of_a_name =
                goes_on || code[..at].ends_with(is_name) || code[..at].ends_with("::");
            if part_of_a_name || (*name == "std::net" && only_plain_addresses(rest)) {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            violations.push(format!(
                "{file}:{line}: {module} must not use the system by {name}"
            ));
        }
    }
    // `use std::{thread, time::Instant}` would hide the names above.
    for (at, _) in code.match_indices("use std::{") {
        let line = code[..at].matches('\n').count() + 1;
        violations.push(format!(
            "{file}:{line}: {module} groups its imports from std, which hides them from this check"
        ));
    }
    violations
}

/// The module of a file below `src`; `None` for unit tests, models, test doubles, the root and tools.
fn module_of(file: &Path) -> Option<String> {
    let mut parts: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    let outside = parts
        .iter()
        .any(|part| part == "tests" || part == "models" || part.starts_with("mock_"));
    let root = matches!(
        parts.first().map(String::as_str),
        None | Some("lib" | "bin")
    );
    (!outside && !root).then(|| parts.join("::"))
}

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the source is readable") {
        let path = entry.expect("the source is readable").path();
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// A logger is user code: all log lines of the library go through `util::log`, which catches the panics of the logger.
fn log_violations(file: &str, module: &str, text: &str) -> Vec<String> {
    let is_exempt = ["util::log", "internals"]
        .iter()
        .any(|home| within(module, home));
    if is_exempt {
        return Vec::new();
    }
    let code = code_of(text);
    let takes_ours =
        code.contains("use crate::util::log;") || code.contains("use crate::util::log::{self, ");
    let lines = code.lines().zip(1..);
    lines
        .filter(|(line, _)| {
            let names = |macro_name: &&str| line.contains(&format!("log::{macro_name}!("));
            let calls = ["error", "warn", "info", "debug", "trace", "log"]
                .iter()
                .any(names);
            line.trim_start().starts_with("use log::")
                || line.contains(" ::log::")
                || calls && !takes_ours
        })
        .map(|(_, number)| format!("{file}:{number}: {module} must log through util::log"))
        .collect()
}

#[test]
fn every_log_line_is_written_by_the_macros_that_catch_a_loggers_panics() {
    check_tree(log_violations);
}

#[test]
fn a_line_that_goes_to_the_logger_directly_is_found() {
    let direct = "fn f() {\n    log::warn!(\"x\");\n}\n";
    assert_eq!(
        log_violations("f.rs", "client::f", direct),
        ["f.rs:2: client::f must log through util::log"]
    );
    let imported = "use log::{debug, warn};\n";
    assert_eq!(log_violations("f.rs", "client::f", imported).len(), 1);
    let ours = format!("use crate::util::log;\n{direct}");
    assert!(log_violations("f.rs", "client::f", &ours).is_empty());
}

/// The modules that may catch panics, or mark a thread as inside user code, and the reason.
const FENCES: &[(&str, &str)] = &[
    ("util::panic", "it catches the panics"),
    (
        "config::providers",
        "config providers are called before there is a producer",
    ),
    (
        "util::log",
        "the logger is user code of the whole process, and of no producer",
    ),
    ("producer::user_code", "where all other user code is called"),
    ("producer::callback_scope", "it marks the threads"),
    (
        "producer::sender",
        "the sender's own panics fail its producer and no other",
    ),
    (
        "producer::lifecycle",
        "a thread ends without a panic, whatever is dropped last",
    ),
    ("producer::batch::packer", "codecs of other crates"),
    (
        "network::resolver",
        "a look-up that panics is one that failed",
    ),
    (
        "security::tls::reload",
        "a cryptography provider that panics at one file does not keep the other from being used",
    ),
    (
        "security::sasl::login",
        "a fetch that panics, in a cryptography provider for instance, is one that failed",
    ),
];

/// The functions that catch panics, and that mark threads.
const MEANS: &[&str] = &[
    "catch_unwind",
    "util::panic",
    "panic::",
    "callback_scope::enter",
];

/// User code must run through `producer::user_code` only.
fn fence_violations(file: &str, module: &str, text: &str) -> Vec<String> {
    if FENCES.iter().any(|(home, _)| within(module, home)) {
        return Vec::new();
    }
    let code = code_of(text);
    let lines = code.lines().zip(1..);
    lines
        .filter(|(line, _)| MEANS.iter().any(|means| line.contains(means)))
        .map(|(_, number)| {
            format!("{file}:{number}: {module} must run user code through producer::user_code")
        })
        .collect()
}

#[test]
fn only_the_listed_modules_catch_panics_or_mark_a_thread() {
    check_tree(fence_violations);
}

#[test]
fn a_panic_that_is_caught_elsewhere_is_found() {
    let by_hand = "use crate::util::panic;\nfn f() {\n    panic::contain(|| ());\n}\n";
    assert_eq!(
        fence_violations("f.rs", "producer::f", by_hand),
        [
            "f.rs:1: producer::f must run user code through producer::user_code",
            "f.rs:3: producer::f must run user code through producer::user_code"
        ]
    );
    let marked = "let _scope = callback_scope::enter(producer);\n";
    assert_eq!(fence_violations("f.rs", "producer::f", marked).len(), 1);
    assert!(fence_violations("f.rs", "producer::user_code", by_hand).is_empty());
}

/// The modules in which a thread waits on a condition variable: an application thread between two steps of a call, the
/// sender thread until no batch is being packed, and threads of the embedded broker.
const SLEEPERS: &[&str] = &[
    "sync",
    "producer::waiting",
    "producer::accumulator::packing",
    "testing",
];

fn sleep_violations(file: &str, module: &str, text: &str) -> Vec<String> {
    if SLEEPERS.iter().any(|home| within(module, home)) {
        return Vec::new();
    }
    let code = code_of(text);
    let lines = code.lines().zip(1..);
    lines
        .filter(|(line, _)| line.contains(".wait(&mut ") || line.contains(".wait_for(&mut "))
        .map(|(_, number)| {
            format!("{file}:{number}: {module} must not sleep: see producer::waiting")
        })
        .collect()
}

#[test]
fn only_calls_the_sender_and_the_embedded_broker_wait_on_a_condition_variable() {
    check_tree(sleep_violations);
}

#[test]
fn a_sleep_elsewhere_is_found() {
    let sleeps = "fn f() {\n    condvar.wait_for(&mut guard, left);\n}\n";
    assert_eq!(
        sleep_violations("f.rs", "producer::f", sleeps),
        ["f.rs:2: producer::f must not sleep: see producer::waiting"]
    );
    assert!(sleep_violations("f.rs", "producer::waiting::call", sleeps).is_empty());
}

fn check_tree(check: fn(&str, &str, &str) -> Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let src = root.join("src");
    let mut files = Vec::new();
    source_files(&src, &mut files);
    files.sort();
    let (mut checked, mut violations) = (0, Vec::new());
    for path in files {
        let below_src = path.strip_prefix(&src).expect("a file of src");
        let Some(module) = module_of(below_src) else {
            continue;
        };
        let text = fs::read_to_string(&path).expect("the source is readable");
        let name = format!("src/{}", below_src.display());
        violations.extend(check(&name, &module, &text));
        checked += 1;
    }
    assert!(checked > 50, "only {checked} files were found");
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn every_file_uses_only_lower_layers() {
    check_tree(layer_violations);
}

#[test]
fn only_few_files_reach_the_system() {
    check_tree(system_violations);
}

#[test]
fn an_import_from_above_is_found_with_its_line() {
    let text = "//! crate::producer is fine in a comment\nuse crate::types::NodeId;\nuse crate::client::{\n    metadata::Metadata,\n};\n";
    assert_eq!(
        layer_violations("src/network/x.rs", "network::x", text),
        ["src/network/x.rs:3: network::x must not use client::metadata::Metadata"]
    );
}

#[test]
fn modules_of_equal_height_must_not_use_each_other() {
    assert_eq!(
        layer_violations("f", "record::x", "use crate::protocol::wire::Reader;").len(),
        1
    );
    assert_eq!(
        layer_violations("f", "clock", "fn f() { crate::util::murmur2::hash(); }").len(),
        1
    );
    assert!(layer_violations("f", "record::x", "use crate::record::format::A;").is_empty());
}

#[test]
fn super_paths_and_groups_are_followed() {
    let text = "use super::{batch::BatchId, sender::{Sender, Completion}};";
    let found = layer_violations("f", "producer::accumulator", text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].ends_with("must not use producer::sender::Sender"),
        "{found:?}"
    );
    let deeper = "use super::super::sender::Sender;";
    assert_eq!(
        layer_violations("f", "producer::accumulator::drain", deeper).len(),
        1
    );
}

#[test]
fn nothing_uses_testing_not_even_through_the_root() {
    assert_eq!(
        layer_violations("f", "producer::lifecycle", "use crate::testing::A;").len(),
        1
    );
    assert_eq!(
        layer_violations("f", "network::x", "use crate::KafkaProducer;").len(),
        1
    );
    assert!(layer_violations("f", "testing::x", "use crate::producer::sender::A;").is_empty());
}

#[test]
fn a_module_without_a_layer_is_found() {
    assert_eq!(layer_violations("f", "novelty::x", "").len(), 1);
}

#[test]
fn unit_tests_may_use_any_layer() {
    let text = "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::producer::A;\n}\n";
    assert!(layer_violations("f", "network::x", text).is_empty());
}

#[test]
fn a_system_name_is_found_but_an_address_is_plain_data() {
    let text = "use std::net::SocketAddr;\nuse std::net::{IpAddr, TcpStream};\nlet t = std::time::Instant::now();\n";
    let found = system_violations("f", "client::x", text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("f:2:") && found[1].starts_with("f:3:"),
        "{found:?}"
    );
    assert!(system_violations("f", "network::socket", text).is_empty());
    assert_eq!(
        system_violations("f", "client::x", "use std::{thread, time};").len(),
        1
    );
}

/// The source folders of this package.
const SOURCE_FOLDERS: &[&str] = &["src", "tests", "benches/tools", "examples"];

/// Files of modules that should be the `mod.rs` of their folder: a module with submodules must not be a file next to
/// it.
fn misplaced_modules(files: &[PathBuf]) -> Vec<String> {
    let beside = files.iter().filter(|file| {
        let folder = file.with_extension("");
        files.iter().any(|other| other.starts_with(&folder))
    });
    beside
        .map(|file| {
            let folder = file.with_extension("");
            format!("{} must be {}/mod.rs", file.display(), folder.display())
        })
        .collect()
}

#[test]
fn a_module_with_submodules_is_the_mod_rs_of_its_folder() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in SOURCE_FOLDERS {
        source_files(&root.join(folder), &mut files);
    }
    assert!(files.len() > 500, "only {} files were found", files.len());
    let misplaced = misplaced_modules(&files);
    assert!(misplaced.is_empty(), "\n{}\n", misplaced.join("\n"));
}

#[test]
fn a_module_file_next_to_its_folder_is_reported() {
    let files = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(
        misplaced_modules(&files(&["src/a.rs", "src/a/b.rs", "src/ab.rs"])),
        ["src/a.rs must be src/a/mod.rs"]
    );
    assert!(misplaced_modules(&files(&["src/a/mod.rs", "src/a/b.rs", "src/b.rs"])).is_empty());
}

/// Finds string literals with a gap of blanks: the backslash before a line break is missing, so the indentation of the
/// next line is part of the text.
fn gap_violations(file: &str, _module: &str, text: &str) -> Vec<String> {
    let lines = text.lines().zip(1..);
    let has_gap = |line: &str| {
        let line = line.trim();
        !line.starts_with("//") && line.contains('"') && line.contains("        ")
    };
    lines
        .filter(|(line, _)| has_gap(line))
        .map(|(_, number)| format!("{file}:{number}: a text has a gap of blanks"))
        .collect()
}

#[test]
fn no_text_has_a_gap_of_blanks() {
    check_tree(gap_violations);
}

#[test]
fn a_gap_of_blanks_is_found() {
    let text = "    let text = \"it is to be             done\";\n    // a   table          \n";
    assert_eq!(
        gap_violations("f.rs", "f", text),
        ["f.rs:1: a text has a gap of blanks"]
    );
}
