//! What the compiler says about mistakes in the use of the API: its output contains our sentence.
//!
//! The programs are compiled against the library that this test is linked with, so nothing is built for them.
#![allow(clippy::unwrap_used, reason = "tests: they fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// Compiles without an error: what the others are compared with, since every error would be found in a broken setup.
const CONTROL: &str = "
    pub fn main() {
        let config = kafka_producer::ProducerConfig::builder().build().unwrap();
        let _ = kafka_producer::KafkaProducer::<str, [u8]>::builder(config).stock_key_serializer();
    }
";

#[test]
fn a_type_without_a_stock_serializer_gets_the_remedy() {
    let said = errors_of(
        "
        #[derive(Clone)]
        pub struct Order;
        pub fn main() {
            let config = kafka_producer::ProducerConfig::builder().build().unwrap();
            let _ = kafka_producer::KafkaProducer::<str, Order>::new(config);
        }
        ",
    );
    assert_says(&said, "no built-in serializer for `Order`");
    assert_says(&said, "build the producer with a serializer for it");
}

#[test]
fn a_builder_refuses_a_stock_serializer_for_such_a_type() {
    let said = errors_of(
        "
        #[derive(Clone)]
        pub struct Order;
        pub fn main() {
            let config = kafka_producer::ProducerConfig::builder().build().unwrap();
            let _ = kafka_producer::KafkaProducer::<str, Order>::builder(config).stock_serializers();
        }
        ",
    );
    assert_says(&said, "no built-in serializer for `Order`");
}

#[test]
fn a_value_that_is_no_serializer_is_told_how_to_make_one() {
    let said = errors_of(
        "
        pub fn main() {
            let config = kafka_producer::ProducerConfig::builder().build().unwrap();
            let _ = kafka_producer::KafkaProducer::<str, u8>::builder(config).value_serializer(7);
        }
        ",
    );
    assert_says(&said, "does not implement `Serializer<u8>`");
    assert_says(&said, "serialize_with");
}

#[test]
fn only_an_interceptor_needs_a_value_that_is_clone_and_the_error_says_why() {
    let program = |(key, value): (&str, &str), call: &str| {
        format!(
            "
            use kafka_producer::{{BoxError, KafkaProducer, ProducerConfig, ProducerInterceptor, ProducerRecord}};
            pub struct Order;
            pub struct Nothing;
            impl ProducerInterceptor<{key}, {value}> for Nothing {{
                fn on_send(&self, _: &mut ProducerRecord<'_, {key}, {value}>) -> Result<(), BoxError> {{
                    Ok(())
                }}
            }}
            pub fn main() {{
                let config = ProducerConfig::builder().build().unwrap();
                let _ = KafkaProducer::<{key}, {value}>::builder(config){call};
            }}
            "
        )
    };
    let (of_key, of_value) = (("Order", "str"), ("str", "Order"));
    compile(&program(of_key, ".stock_value_serializer()"), library()).unwrap();
    compile(&program(of_value, ".stock_key_serializer()"), library()).unwrap();
    for call in [
        ".interceptor(Nothing)",
        ".register_interceptor(\"a.Nothing\", || Box::new(Nothing))",
    ] {
        let said = errors_of(&program(of_key, call));
        assert_says(&said, "keys must be `Clone` for interceptors");
        let said = errors_of(&program(of_value, call));
        assert_says(&said, "values must be `Clone` for interceptors");
        assert_says(&said, "can be sent as `Arc<V>`");
    }
}

/// A result that is looked at nowhere is a mistake, unless a callback gets it as well.
#[test]
fn only_a_record_without_a_callback_has_a_future_that_must_be_used() {
    let program = |call: &str| {
        format!(
            "
            #![deny(unused_must_use)]
            use kafka_producer::{{KafkaProducer, ProducerRecord, SendError}};
            pub fn main(producer: &KafkaProducer<str, str>) -> Result<(), SendError> {{
                producer.{call}?;
                Ok(())
            }}
            "
        )
    };
    let record = "ProducerRecord::new(\"t\", \"v\")";
    let said = errors_of(&program(&format!("send({record})")));
    assert_says(
        &said,
        "a record's fate is known only to its future and its callback",
    );
    let with_callback = program(&format!("send_with_callback({record}, |_| {{}})"));
    compile(&with_callback, library()).unwrap();
}

#[track_caller]
fn assert_says(said: &str, sentence: &str) {
    assert!(said.contains(sentence), "not {sentence:?} but:\n{said}");
}

/// What the compiler says about a program with an error.
fn errors_of(program: &str) -> String {
    compile(program, library()).expect_err("the program has an error")
}

/// The library that this test is linked with, or one that compiles the same programs.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut said = String::new();
        for library in libraries() {
            match compile(CONTROL, &library) {
                Ok(()) => return library,
                Err(errors) => said = errors,
            }
        }
        panic!("no library compiles a program without an error: {said}");
    })
}

/// The builds of the library beside this test, the newest first: there may be others, with other features.
fn libraries() -> Vec<PathBuf> {
    let mut found: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            let name = entry.file_name().into_string().unwrap_or_default();
            let hash = name.strip_prefix("libkafka_producer-");
            hash.is_some_and(|hash| hash.strip_suffix(".rlib").is_some())
        })
        .map(|entry| (entry.metadata().unwrap().modified().unwrap(), entry.path()))
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

/// The folder of this test, and of the libraries that it is linked with.
fn folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().to_owned()
}

fn compile(program: &str, library: &Path) -> Result<(), String> {
    /// Tests run at the same time: each program has its own files.
    static NEXT: AtomicU32 = AtomicU32::new(0);

    let out = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let source = out.join(format!("compile_errors_{number}.rs"));
    fs::write(&source, program).unwrap();
    let dependencies = format!("dependency={}", folder().display());
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler)
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata"])
        .args([
            "--crate-name",
            &format!("program_{number}"),
            "-L",
            &dependencies,
            "--extern",
        ])
        .arg(format!("kafka_producer={}", library.display()))
        .arg("--out-dir")
        .arg(out)
        .arg(&source)
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
