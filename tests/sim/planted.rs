//! Planted defects: which seed or test catches each.
//!
//! [`CAUGHT_BY`] names a test for each defect that one is known to catch. [`Search`] looks for the first seed that
//! does, each defect in a process of its own, since a producer that is wrong on purpose may loop, overflow the stack or
//! end the process.

#![allow(dead_code, reason = "the searching is for builds with planted defects")]

/// A test that catches a defect: `"lib"` or the name of a test target, and the test's name there.
pub(crate) type Catcher = (&'static str, &'static str);

/// Every defect, in the order of the list in `src/planted.rs`.
pub(crate) const CAUGHT_BY: &[(&str, Option<Catcher>)] = &[
    ("SequenceOffByOne", None),
    ("FirstBatchFollowed", None),
    ("MaybeWrittenRenumbered", None),
    ("OvertakenRenumbered", None),
    ("OldEpochAcknowledges", None),
    ("EpochBumpForgetsPartition", None),
    ("PieceForgetsFate", None),
    ("DuplicateFails", None),
    ("DisputedCalledNotWritten", None),
    ("ExpiredCalledNotWritten", None),
    ("OlderRequestsCalledUntouched", None),
    ("UntouchedCalledHandedOver", None),
    ("LateResponseCompletesNewer", None),
    ("AnswersDroppedAtEnd", None),
    ("PieceForgetsPlace", None),
    ("ReenqueuedLast", None),
    ("MutedDrained", None),
    ("MutedAfterExpiry", None),
    ("StaleLeader", None),
    ("RefusalAsksForNoMetadata", None),
    ("DrainIndexShared", None),
    ("GatedPartitionEndsTurn", None),
    ("WindowOneTooWide", None),
    ("ExpiredBatchRetried", None),
    ("ExpirySkippedWithoutId", None),
    ("OverdueSentAfterPacking", None),
    ("LingerNotWaitedFor", None),
    ("ExpiryNotWaitedFor", None),
    ("SpinsWhileNotReady", None),
    ("BlockedTimeForgotten", None),
    ("SetupNeverTimesOut", None),
    ("RequestNeverTimesOut", None),
    ("RetriedAtOnce", None),
    ("ReconnectsAtOnce", None),
    ("EachRetryLogged", None),
    ("MemoryRefundedTwice", None),
    ("MemoryNeverRefunded", None),
    ("MemoryBackWhileSocketReads", None),
    ("GatheredMemoryLost", None),
    ("AdoptedMemoryNotOwed", None),
    ("BatchNeverForgotten", None),
    ("ExpiredStaysCounted", None),
    ("SenderNotWoken", None),
    ("NotifiedSenderSleeps", None),
    ("FullBatchWakesNobody", None),
    ("AnnouncedAfterAppend", None),
    ("MemoryWaiterNotWoken", None),
    ("NextInLineNotWoken", None),
    ("MemoryWaiterLetsLinger", None),
    ("MetadataWaiterNotWoken", None),
    ("WaiterNotWoken", None),
    ("TaskNotWoken", None),
    ("CloserNotWoken", None),
    ("CloseWakesNobody", None),
    ("CloseLeavesMemoryWaiters", None),
    ("CloseLeavesMetadataWaiters", None),
    ("WaiterReleasedBeforeCallback", None),
    ("AcknowledgedTwice", None),
    ("PanicEndsCallbacks", None),
    ("PanickingWakerNotContained", None),
    ("SplitNotFlushed", None),
    ("SplitEndsFlush", None),
    ("FlushGivesBackToLinger", None),
    ("CloseSleepsAfterLastBatch", None),
    ("CloseForgetsUnderWay", None),
    ("SecondCloseReturnsEarly", None),
    ("BadTopicNameAskedFor", None),
    ("NewTopicForgotten", None),
    ("PartialAnswerForgetsOthers", None),
    ("RecentTopicOutlivesChange", None),
    ("RecreatedTopicKeepsEpochs", None),
    ("OlderEpochNeverBelieved", None),
    ("RefusingBrokerStarvesMetadata", None),
    ("LostMetadataRequestAwaited", None),
    ("BootstrapNotAskedAgain", None),
    ("ReadinessForgotten", None),
    ("EndOfInputForgotten", None),
    ("RestOfWorkForgotten", None),
    ("FramesSplicedByEarlyAnswer", None),
    ("FailedLookUpAwaited", None),
    ("OneLookUpAtATime", None),
];

#[cfg(planted_defects)]
pub(crate) use search::Search;
#[cfg(planted_defects)]
pub(crate) use search::{SEEDS, run_seeds};

#[cfg(planted_defects)]
mod search {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt;
    use std::io::{BufRead, BufReader};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};
    use std::sync::Mutex;
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::thread;
    use std::time::{Duration, Instant};

    use kafka_producer::internals::{Defect, PLANTED_DEFECT};

    use super::{CAUGHT_BY, Catcher};

    /// The variable of the environment by which a child is told how many seeds to run, from 1 on.
    pub(crate) const SEEDS: &str = "PLANTED_SEEDS";

    /// A seed that takes longer than this is one that does not end.
    const LONGEST_SEED: Duration = Duration::from_secs(20);

    /// The same for a test.
    const LONGEST_TEST: Duration = Duration::from_secs(120);

    /// What a child says before each seed, and of the one that has found something.
    const BEGINS: &str = "seed ";
    const VIOLATES: &str = "violates ";

    /// How many defects the simulator is to catch.
    const CAUGHT_BY_SEEDS: usize = 30;

    /// What is looked for, and how.
    #[derive(Debug)]
    pub(crate) struct Search {
        /// The arguments with which this program, as a child, calls [`run_seeds`], and how many seeds it runs at
        /// most; none if there is no simulator.
        pub(crate) seeds: Option<(Vec<String>, u64)>,
        /// Only these; all if it is empty.
        pub(crate) only: Vec<String>,
        /// How many defects are tried at the same time.
        pub(crate) at_once: usize,
    }

    impl Default for Search {
        fn default() -> Self {
            Self {
                seeds: Some((std::env::args().skip(1).collect(), 1000)),
                only: Vec::new(),
                at_once: thread::available_parallelism().map_or(1, usize::from),
            }
        }
    }

    /// What caught a defect.
    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Caught {
        Seed(u64, String),
        Test(Catcher, &'static str),
        /// By none of as many seeds, nor by a test; why, if the search itself failed.
        Not(u64, String),
    }

    /// Each defect and what caught it.
    #[derive(Debug)]
    pub(crate) struct Report(Vec<(&'static str, Caught)>);

    /// For the child: runs as many seeds as it was told, until one has a violation. `run_seed` says what a seed
    /// violates; if it panics, that is a violation too.
    pub(crate) fn run_seeds(seeds: u64, run_seed: impl Fn(u64) -> Vec<String>) {
        for seed in 1..=seeds {
            println!("{BEGINS}{seed}");
            let violations = catch_unwind(AssertUnwindSafe(|| run_seed(seed)))
                .unwrap_or_else(|_| vec!["a panic".to_owned()]);
            if let Some(first) = violations.first() {
                println!("{VIOLATES}{}", first.replace('\n', " "));
                return;
            }
        }
    }

    impl Search {
        /// Tries each defect. What has none at work must find nothing, or the rest would say nothing.
        ///
        /// # Panics
        /// If something is found without a defect.
        pub(crate) fn run(&self) -> Report {
            let programs = built_tests();
            self.check_without_defects(&programs);
            let rows: Vec<&(&str, Option<Catcher>)> = CAUGHT_BY
                .iter()
                .filter(|(name, _)| self.only.is_empty() || self.only.iter().any(|it| it == name))
                .collect();
            let left = Mutex::new(rows.iter());
            let done = Mutex::new(BTreeMap::new());
            thread::scope(|scope| {
                for _ in 0..self.at_once.max(1) {
                    scope.spawn(|| {
                        loop {
                            let next = left.lock().unwrap().next();
                            let Some((name, test)) = next else { return };
                            let caught = self.catch(name, *test, &programs);
                            done.lock().unwrap().insert(*name, caught);
                        }
                    });
                }
            });
            let mut done = done.into_inner().unwrap();
            let rows = rows.into_iter();
            Report(
                rows.map(|(name, _)| (*name, done.remove(name).expect("tried")))
                    .collect(),
            )
        }

        fn catch(&self, name: &str, test: Option<Catcher>, programs: &Programs) -> Caught {
            let mut seeds_run = 0;
            if let Some((arguments, seeds)) = &self.seeds {
                match find_seed(name, arguments, *seeds) {
                    Found::Seed(seed, what) => return Caught::Seed(seed, what),
                    Found::Nothing => seeds_run = *seeds,
                    Found::Failed(why) => return Caught::Not(0, why),
                }
            }
            let Some(test) = test else {
                return Caught::Not(seeds_run, String::new());
            };
            match run_tests(programs, test.0, &[test.1], name) {
                TestEnd::Failed => Caught::Test(test, "it fails"),
                TestEnd::Hung => Caught::Test(test, "it does not end"),
                TestEnd::Passed => Caught::Not(seeds_run, format!("{} passes", test.1)),
                TestEnd::Missing => Caught::Not(seeds_run, format!("there is no {}", test.1)),
            }
        }

        fn check_without_defects(&self, programs: &Programs) {
            if let Some((arguments, seeds)) = &self.seeds {
                match find_seed("", arguments, *seeds) {
                    Found::Nothing => {}
                    Found::Seed(seed, what) => panic!("without a defect seed {seed}: {what}"),
                    Found::Failed(why) => panic!("without a defect: {why}"),
                }
            }
            let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for (program, name) in CAUGHT_BY.iter().filter_map(|(_, test)| *test) {
                names.entry(program).or_default().insert(name);
            }
            for (program, names) in names {
                let names: Vec<&str> = names.into_iter().collect();
                let end = run_tests(programs, program, &names, "");
                assert!(
                    end == TestEnd::Passed,
                    "without a defect the tests of {program}: {end:?}"
                );
            }
        }
    }

    // ---- seeds

    enum Found {
        Seed(u64, String),
        Nothing,
        Failed(String),
    }

    /// Runs this program again with a defect at work, and listens to what it says of its seeds.
    fn find_seed(defect: &str, arguments: &[String], seeds: u64) -> Found {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(program)
            .args(arguments)
            .env(PLANTED_DEFECT, defect)
            .env(SEEDS, seeds.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program can be run");
        let (say, said) = channel();
        let output = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let listener = thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        let mut running = 0;
        let found = loop {
            match said.recv_timeout(LONGEST_SEED) {
                Ok(line) => {
                    if let Some(what) = line.strip_prefix(VIOLATES) {
                        break Found::Seed(running, what.to_owned());
                    }
                    if let Some(Ok(seed)) = line.strip_prefix(BEGINS).map(str::parse) {
                        running = seed;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let why = format!("it did not end within {} s", LONGEST_SEED.as_secs());
                    break Found::Seed(running, why);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = child.wait().expect("it is a child");
                    break if running == 0 {
                        Found::Failed(format!("no seed was run: {status}"))
                    } else if status.success() {
                        Found::Nothing
                    } else {
                        Found::Seed(running, format!("the process ended: {status}"))
                    };
                }
            }
        };
        end(&mut child);
        drop(said);
        listener.join().expect("it only listens");
        found
    }

    fn end(child: &mut Child) {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }

    // ---- tests

    /// The built programs of tests, by target.
    type Programs = BTreeMap<String, PathBuf>;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum TestEnd {
        Passed,
        Failed,
        Hung,
        Missing,
    }

    /// Builds the tests that are named in the table, with the flags and the folder of this one.
    fn built_tests() -> Programs {
        let targets: BTreeSet<&str> = CAUGHT_BY
            .iter()
            .filter_map(|(_, test)| test.map(|(target, _)| target))
            .collect();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["test", "--no-run", "--message-format=json"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        for target in &targets {
            match *target {
                "lib" => cargo.arg("--lib"),
                target => cargo.args(["--test", target]),
            };
        }
        let output = cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo can be run");
        assert!(output.status.success(), "the tests are not built");
        let mut programs = Programs::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let message: serde_json::Value = serde_json::from_str(line).expect("cargo writes JSON");
            let Some(program) = message["executable"].as_str() else {
                continue;
            };
            let is_lib = message["target"]["kind"][0] == "lib";
            let name = message["target"]["name"].as_str().unwrap_or_default();
            let name = if is_lib { "lib" } else { name };
            programs.insert(name.to_owned(), program.into());
        }
        programs
    }

    fn run_tests(programs: &Programs, target: &str, names: &[&str], defect: &str) -> TestEnd {
        let Some(program) = programs.get(target) else {
            return TestEnd::Missing;
        };
        let mut child = Command::new(program)
            .args(names)
            .arg("--exact")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env(PLANTED_DEFECT, defect)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the tests can be run");
        let mut output = child.stdout.take().expect("it is a pipe");
        let reader = thread::spawn(move || {
            let mut text = String::new();
            // Cut short if it is killed.
            let _ = std::io::Read::read_to_string(&mut output, &mut text);
            text
        });
        let began = Instant::now();
        let status = loop {
            match child.try_wait().expect("it is a child") {
                Some(status) => break Some(status),
                None if began.elapsed() > LONGEST_TEST => break None,
                None => thread::sleep(Duration::from_millis(20)),
            }
        };
        end(&mut child);
        let text = reader.join().expect("it only reads");
        let count = names.len();
        let plural = if count == 1 { "" } else { "s" };
        match status {
            _ if !text.contains(&format!("running {count} test{plural}\n")) => TestEnd::Missing,
            None => TestEnd::Hung,
            Some(status) if status.success() => TestEnd::Passed,
            Some(_) => TestEnd::Failed,
        }
    }

    // ---- what came of it

    impl Report {
        /// Defects that nothing caught.
        pub(crate) fn missed(&self) -> Vec<&'static str> {
            let missed = self
                .0
                .iter()
                .filter(|(_, it)| matches!(it, Caught::Not(..)));
            missed.map(|(name, _)| *name).collect()
        }

        /// Those of them for which a test is named.
        pub(crate) fn missed_with_a_test(&self) -> Vec<&'static str> {
            let has_test = |name: &&str| {
                CAUGHT_BY
                    .iter()
                    .any(|(it, test)| it == name && test.is_some())
            };
            self.missed().into_iter().filter(has_test).collect()
        }

        /// How many were caught by seeds.
        pub(crate) fn caught_by_seeds(&self) -> usize {
            let caught = self
                .0
                .iter()
                .filter(|(_, it)| matches!(it, Caught::Seed(..)));
            caught.count()
        }

        /// What is wrong with it: defects that nothing caught, or too few that seeds did.
        pub(crate) fn failure(&self) -> Option<String> {
            let (missed, by_seeds) = (self.missed(), self.caught_by_seeds());
            if !missed.is_empty() {
                return Some(format!("caught by nothing: {}", missed.join(", ")));
            }
            let wanted = CAUGHT_BY_SEEDS.min(self.0.len());
            (by_seeds < wanted).then(|| format!("only {by_seeds} were caught by seeds"))
        }
    }

    /// A table in Markdown.
    impl fmt::Display for Report {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            writeln!(f, "| defect | what it does | caught by | seeds needed |")?;
            writeln!(f, "|---|---|---|---|")?;
            for (name, caught) in &self.0 {
                let what = Defect::ALL.iter().find(|defect| defect.name() == *name);
                let what = what.map_or("", |defect| defect.what());
                let (by, seeds) = match caught {
                    Caught::Seed(seed, what) => (format!("seed {seed}: {what}"), seed.to_string()),
                    Caught::Test((target, test), how) => {
                        (format!("`{target}`: `{test}` ({how})"), "–".to_owned())
                    }
                    Caught::Not(seeds, why) if why.is_empty() => {
                        ("nothing".to_owned(), format!("more than {seeds}"))
                    }
                    Caught::Not(_, why) => (format!("nothing: {why}"), "–".to_owned()),
                };
                writeln!(f, "| `{name}` | {what} | {by} | {seeds} |")?;
            }
            let (all, missed) = (self.0.len(), self.missed().len());
            let by_seeds = self.caught_by_seeds();
            writeln!(
                f,
                "\n{all} defects: {by_seeds} caught by seeds, {} by tests, {missed} by nothing",
                all - by_seeds - missed
            )
        }
    }
}
