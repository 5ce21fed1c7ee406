//! Tests that run Java: it writes the vectors again, and reads our batches. Without `KAFKA_TESTS=required` these tests
//! are ignored, so that all other tests need only Rust.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value as Json;

use crate::batches::{Batch, our_batches};
use crate::input::hex;
use crate::vectors;

crate::tests![
    the_vectors_are_those_that_java_writes,
    java_reads_our_batches
];

/// The build folder, which is deleted when all tests are done.
pub(crate) fn build_folder() -> PathBuf {
    let folder = format!("wire-{}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder)
}

/// Runs the Java program with these arguments. Returns its output.
fn run_java(command: &str, path: &Path) -> String {
    // The first test that needs the program builds it.
    static CLASS_PATH: OnceLock<String> = OnceLock::new();
    let class_path = CLASS_PATH.get_or_init(build);
    let mut java = Command::new("java");
    java.args([
        "-XX:+UseSerialGC",
        "-Dfile.encoding=UTF-8",
        "-cp",
        class_path,
    ])
    .args(["kafkaproducer.wire.Vectors", command])
    .arg(path);
    output(&mut java)
}

/// Compiles the program with Maven, and returns the class path.
fn build() -> String {
    let folder = build_folder();
    fs::create_dir_all(&folder).unwrap();
    let class_path = folder.join("class-path");
    let mut mvn = Command::new("mvn");
    mvn.args(["-q", "-B", "-f"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/java/pom.xml"))
        .arg(format!("-Dbuild.folder={}", folder.display()))
        .args(["compile", "dependency:build-classpath"])
        .arg(format!("-Dmdep.outputFile={}", class_path.display()));
    output(&mut mvn);
    let jars = fs::read_to_string(class_path).unwrap();
    format!("{}:{}", folder.join("classes").display(), jars.trim())
}

fn output(command: &mut Command) -> String {
    let name = command.get_program().to_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("these tests need {name:?} on the PATH: {error}"));
    let [printed, said] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(
        output.status.success(),
        "{command:?} failed:\n{printed}{said}"
    );
    printed
}

fn the_vectors_are_those_that_java_writes() {
    let written = build_folder().join("written");
    run_java("write", &written);
    for (file, _) in vectors::FILES {
        let anew = fs::read_to_string(written.join(file)).unwrap();
        let path = vectors::folder().join(file);
        let mut checked_in = fs::read_to_string(&path).unwrap_or_default();
        // Only changed files are written, because other tests read them at the same time.
        if std::env::var_os("UPDATE_VECTORS").is_some() && checked_in != anew {
            fs::write(&path, &anew).unwrap();
            checked_in.clone_from(&anew);
        }
        assert_eq!(
            anew.lines().count(),
            checked_in.lines().count(),
            "Java writes another number of vectors into {file}; {HOW_TO_UPDATE}"
        );
        let mut other_gzip = 0;
        for (at, (anew, old)) in anew.lines().zip(checked_in.lines()).enumerate() {
            if anew == old {
                continue;
            }
            assert!(
                differ_only_in_gzip(anew, old),
                "{file}:{}: Java writes something else: {anew}\n{HOW_TO_UPDATE}",
                at + 1
            );
            other_gzip += 1;
        }
        println!("{file}: as Java writes it; this Java's gzip differs in {other_gzip} lines");
    }
}

const HOW_TO_UPDATE: &str =
    "UPDATE_VECTORS=1 KAFKA_TESTS=required cargo test --test wire -- java writes them anew";

/// Whether two lines differ only in gzip bytes: gzip is part of the JVM, and JVMs differ.
fn differ_only_in_gzip(anew: &str, old: &str) -> bool {
    let [anew, old] = [anew, old].map(|line| {
        let mut vector: Json = serde_json::from_str(line).unwrap();
        let gzip = vector["codec"] == "gzip";
        (gzip, gzip.then(|| vector["bytes"].take()).is_some(), vector)
    });
    anew.0 && anew == old
}

fn java_reads_our_batches() {
    let batches = our_batches();
    let lines: Vec<String> = batches.iter().map(|batch| hex(&batch.bytes)).collect();
    let file = build_folder().join("ours.txt");
    fs::create_dir_all(build_folder()).unwrap();
    fs::write(&file, lines.join("\n")).unwrap();
    let printed = run_java("read", &file);
    let read: Vec<Json> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(read.len(), batches.len());
    for (batch, read) in batches.iter().zip(&read) {
        check(batch, read);
    }
    println!("Java read {} batches of ours", batches.len());
}

fn check(batch: &Batch, read: &Json) {
    let what = &batch.name;
    assert!(read["error"].is_null(), "{what}: {}", read["error"]);
    let batches = read["batches"].as_array().unwrap();
    let mut records = batches
        .iter()
        .flat_map(|batch| batch["records"].as_array().unwrap());
    for (offset, expected) in batch.records.iter().enumerate() {
        let read = records
            .next()
            .unwrap_or_else(|| panic!("{what}: no record {offset}"));
        let digits = |bytes: &Option<bytes::Bytes>| bytes.as_deref().map(hex);
        assert_eq!(read["offset"].as_u64(), Some(offset as u64), "{what}");
        assert_eq!(
            read["timestamp"], expected.timestamp,
            "{what}, record {offset}"
        );
        assert_eq!(
            read["key"],
            Json::from(digits(&expected.key)),
            "{what}, record {offset}"
        );
        assert_eq!(
            read["value"],
            Json::from(digits(&expected.value)),
            "{what}, record {offset}"
        );
        let headers = expected.headers.iter();
        let headers: Json = headers
            .map(|(name, value)| Json::from(vec![Some(name.clone()), digits(value)]))
            .collect();
        assert_eq!(read["headers"], headers, "{what}, record {offset}");
    }
    assert_eq!(records.next(), None, "{what}");
    let latest = batch.records.iter().map(|record| record.timestamp).max();
    let found = batches
        .iter()
        .map(|batch| batch["maxTimestamp"].as_i64().unwrap())
        .max();
    assert_eq!(found, latest, "{what}");
    for read in batches {
        let spec = &batch.spec;
        assert_eq!(read["magic"], spec.magic, "{what}");
        assert_eq!(read["codec"], spec.codec, "{what}");
        assert_eq!(read["producerId"], spec.producer_id, "{what}");
        assert_eq!(read["producerEpoch"], spec.producer_epoch, "{what}");
        assert_eq!(read["baseSequence"], spec.base_sequence, "{what}");
        assert_eq!(read["transactional"], spec.transactional, "{what}");
    }
}
