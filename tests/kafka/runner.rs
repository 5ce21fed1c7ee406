//! The test runner of this binary, with the interface of libtest: runs tests one after another.
//!
//! The tests need Java, Maven and some time, so they run only with `KAFKA_TESTS=required`; otherwise each is listed as
//! ignored. Standard output and error are not captured.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness;
use crate::parts::{self, Part};

/// The result of a test.
pub(crate) type TestResult = Result<(), Box<dyn std::error::Error>>;

/// The default timeout of a test, see [`TEST_SECONDS`].
const TEST_TIMEOUT: Duration = Duration::from_secs(900);
/// Environment variable with another timeout in seconds, for long runs and slow machines.
const TEST_SECONDS: &str = "KAFKA_TEST_SECONDS";
/// The exit code of `cargo test` for failed tests.
const FAILED: u8 = 101;

/// A named test.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    name: &'static str,
    run: fn() -> TestResult,
}

impl Test {
    /// `path` is the module path, which begins with the crate name.
    pub(crate) const fn new(path: &'static str, run: fn() -> TestResult) -> Self {
        Self { name: path, run }
    }

    fn name(&self) -> &'static str {
        self.name
            .split_once("::")
            .map_or(self.name, |(_, name)| name)
    }
}

/// Lists functions of the current module as tests.
macro_rules! tests {
    ($($(#[$when:meta])* $name:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[crate::runner::Test] = &[
            $(
                $(#[$when])*
                crate::runner::Test::new(concat!(module_path!(), "::", stringify!($name)), $name)
            ),+
        ];
    };
}
pub(crate) use tests;

/// The supported options of libtest.
#[derive(Debug, Default)]
struct Arguments {
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
    /// `--ignored` or `--include-ignored`: here either all tests are ignored, or none.
    ignored_too: bool,
    /// Selects the tests that run with this part; `None` selects all tests.
    part: Option<Part>,
    purpose: Purpose,
}

/// What to do with the selected tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Purpose {
    List,
    #[default]
    Run,
    /// Run the tests, and write results into the documentation.
    Publish,
}

/// Counts of results.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: Vec<&'static str>,
    ignored: usize,
    filtered: usize,
}

/// Runs the selected tests. `finish` stops the clusters that they shared. `publish` writes results into the
/// documentation; it is called only with `--publish`.
pub(crate) fn main(
    tests: &[Test],
    finish: impl FnOnce(),
    publish: impl FnOnce() -> TestResult,
) -> ExitCode {
    let arguments = match parse(lexopt::Parser::from_env()) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(FAILED);
        }
    };
    let names: Vec<&str> = tests.iter().map(Test::name).collect();
    if let Err(why) = parts::check(&names) {
        eprintln!("error: {why}");
        return ExitCode::from(FAILED);
    }
    let chosen: Vec<Test> = tests
        .iter()
        .filter(|test| arguments.choose(test))
        .copied()
        .collect();
    if arguments.purpose == Purpose::List {
        return list(&chosen);
    }
    let wanted = std::env::var("KAFKA_TESTS").is_ok_and(|value| value == "required");
    let start = Instant::now();
    println!(
        "\nrunning {} test{}",
        chosen.len(),
        if chosen.len() == 1 { "" } else { "s" }
    );
    let mut tally = Tally {
        filtered: tests.len() - chosen.len(),
        ..Tally::default()
    };
    if wanted || arguments.ignored_too {
        run_all(&chosen, &mut tally);
    } else {
        ignore_all(&chosen, &mut tally);
    }
    finish();
    let code = tally.report(start.elapsed());
    if arguments.purpose != Purpose::Publish {
        return code;
    }
    match publish() {
        Ok(()) => code,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(FAILED)
        }
    }
}

fn parse(mut parser: lexopt::Parser) -> Result<Arguments, lexopt::Error> {
    use lexopt::prelude::{Long, Short, Value, ValueExt};

    let mut arguments = Arguments::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(filter) => arguments.filters.push(filter.string()?),
            Long("skip") => arguments.skips.push(parser.value()?.string()?),
            Long("exact") => arguments.exact = true,
            Long("list") => arguments.purpose = Purpose::List,
            Long("part") => {
                let number = parser.value()?.parse()?;
                let part = Part::numbered(number);
                arguments.part =
                    Some(part.ok_or_else(|| {
                        format!("--part takes a number from 1 to {}", Part::COUNT)
                    })?);
            }
            Long("part-of-commit") => {
                let (part, how) = Part::drawn();
                println!(
                    "part {} of {}, drawn {how}; again: KAFKA_TESTS=required cargo test --test kafka -- --part {}",
                    part.number(),
                    Part::COUNT,
                    part.number()
                );
                arguments.part = Some(part);
            }
            Long("publish") => arguments.purpose = Purpose::Publish,
            Long("ignored" | "include-ignored") => arguments.ignored_too = true,
            // Accepted without effect: output is never captured, and tests never run concurrently.
            Long("nocapture" | "no-capture" | "show-output" | "quiet") | Short('q') => {}
            Long("test-threads" | "format" | "color" | "report-time" | "logfile") => {
                parser.value()?;
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(arguments)
}

impl Arguments {
    fn choose(&self, test: &Test) -> bool {
        let matches = |pattern: &String| {
            if self.exact {
                test.name() == pattern
            } else {
                test.name().contains(pattern.as_str())
            }
        };
        (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self.skips.iter().any(matches)
            && self.part.is_none_or(|part| part.takes(test.name()))
    }
}

fn list(tests: &[Test]) -> ExitCode {
    for test in tests {
        println!("{}: test", test.name());
    }
    println!("\n{} tests, 0 benchmarks", tests.len());
    ExitCode::SUCCESS
}

fn ignore_all(tests: &[Test], tally: &mut Tally) {
    for test in tests {
        println!(
            "test {0} ... ignored, run with: KAFKA_TESTS=required cargo test --test kafka -- {0}",
            test.name()
        );
        tally.ignored += 1;
    }
}

fn run_all(tests: &[Test], tally: &mut Tally) {
    let missing = harness::missing_tools();
    for test in tests {
        let start = Instant::now();
        let outcome = if missing.is_empty() {
            run(*test)
        } else {
            Err(format!("it needs {} on the PATH", missing.join(" and ")))
        };
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                println!("test {} ... ok <{seconds:.1}s>", test.name());
                tally.passed += 1;
            }
            Err(why) => {
                println!("test {} ... FAILED <{seconds:.1}s>\n{why}", test.name());
                tally.failed.push(test.name());
            }
        }
    }
}

/// Runs a test on its own thread with a timeout. After a timeout the thread is abandoned: everything it started ends
/// with this process.
fn run(test: Test) -> Result<(), String> {
    let (sender, outcome) = channel();
    let thread = thread::Builder::new()
        .name(test.name().to_owned())
        .spawn(move || {
            let result = match catch_unwind(AssertUnwindSafe(test.run)) {
                Ok(result) => result.map_err(|error| format!("error: {error}")),
                Err(panic) => Err(message(panic.as_ref())),
            };
            // An error means that the timeout has passed.
            let _ = sender.send(result);
        });
    if let Err(error) = thread {
        return Err(format!("cannot start a thread: {error}"));
    }
    let seconds = std::env::var(TEST_SECONDS).ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    let limit = seconds.map_or(TEST_TIMEOUT, Duration::from_secs);
    outcome
        .recv_timeout(limit)
        .unwrap_or_else(|_| Err(format!("no result within {limit:?}")))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.map_or_else(|| "panicked".to_owned(), |text| format!("panicked: {text}"))
}

impl Tally {
    fn report(&self, elapsed: Duration) -> ExitCode {
        if !self.failed.is_empty() {
            println!("\nfailures:\n    {}", self.failed.join("\n    "));
        }
        let word = if self.failed.is_empty() {
            "ok"
        } else {
            "FAILED"
        };
        println!(
            "\ntest result: {word}. {} passed; {} failed; {} ignored; 0 measured; {} filtered out; \
             finished in {:.2}s\n",
            self.passed,
            self.failed.len(),
            self.ignored,
            self.filtered,
            elapsed.as_secs_f64()
        );
        if self.failed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(FAILED)
        }
    }
}
