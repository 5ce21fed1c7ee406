use std::io;
use std::time::Duration;

use super::turns::MAX_CALLS;
use super::*;
use crate::clock::mock::MockClock;
use crate::security::sasl::dependencies::{Wake, Work, random_of_seed};
use crate::sync::atomic::AtomicUsize;
use crate::util::log::LogContext;

/// Work that waits for a thread, as it does while a call hangs.
type Queue = Arc<Mutex<Vec<Work>>>;

/// A process, whose clock has another origin than those of its producers.
struct Process {
    clock: Arc<MockClock>,
    turns: Arc<KdcTurns>,
}

/// A producer.
struct Rig {
    calls: Arc<KdcCalls>,
    queue: Queue,
    wakes: Arc<AtomicUsize>,
}

fn process() -> Process {
    let clock = Arc::new(MockClock::new());
    let turns = KdcTurns::new(Arc::clone(&clock) as _);
    Process { clock, turns }
}

impl Process {
    fn producer(&self) -> Rig {
        let queue: Queue = Arc::new(Mutex::new(Rank::LEAF, Vec::new()));
        let wakes = Arc::new(AtomicUsize::new(0));
        let wake = Wake::default();
        let counter = Arc::clone(&wakes);
        wake.attach(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let queued = Arc::clone(&queue);
        let dependencies = SaslDependencies {
            run: Arc::new(move |work| {
                queued.lock().push(work);
                Ok(())
            }),
            wake: Arc::new(wake),
            random: random_of_seed(1),
            clock: Arc::new(MockClock::new()),
            log: LogContext::for_tests(),
            seed: 0,
        };
        Rig {
            calls: KdcCalls::new(dependencies, Arc::clone(&self.turns)),
            queue,
            wakes,
        }
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

impl Rig {
    fn begin(&self) -> Result<KdcCall, String> {
        self.calls.begin(NOW, failing)
    }

    #[track_caller]
    fn started(&self) -> PendingStep {
        match self.begin() {
            Ok(KdcCall::Started(pending)) => pending,
            Ok(KdcCall::Waits(until)) => panic!("it waits until {until:?}"),
            Err(why) => panic!("{why}"),
        }
    }

    /// The seconds for which a call has to wait.
    #[track_caller]
    fn waits(&self) -> u64 {
        match self.begin() {
            Ok(KdcCall::Waits(Deadline::At(until))) => (until - NOW).as_secs(),
            Ok(_) => panic!("it does not wait"),
            Err(why) => panic!("{why}"),
        }
    }

    fn run_one(&self) {
        let work = self.queue.lock().remove(0);
        work();
    }
}

fn failing() -> StepOutcome {
    Err(GssFailure {
        kind: GssFailureKind::Permanent,
        text: "no".to_owned(),
    })
}

/// The producers' time. Only the clock of the process counts.
const NOW: Instant = Instant::ORIGIN;

#[test]
fn calls_that_may_ask_a_kdc_run_one_after_another() {
    let rig = process().producer();
    let first = rig.started();
    rig.waits();
    // A call that asks no KDC needs no turn.
    let local = rig.calls.begin_local(failing).unwrap();
    assert!(first.take().is_none() && local.take().is_none());
    rig.run_one();
    assert_eq!(rig.wakes.load(Ordering::SeqCst), 1);
    assert!(first.take().is_some_and(|outcome| outcome.is_err()));
    assert!(first.take().is_none(), "an outcome is returned once");
    assert!(!rig.calls.has_succeeded());
    rig.started();
}

/// The library's ticket cache is that of the process.
#[test]
fn calls_of_several_producers_run_one_after_another_and_wake_each() {
    let process = process();
    let (one, other) = (process.producer(), process.producer());
    one.started();
    assert_eq!(other.waits(), 30);
    one.run_one();
    assert_eq!(other.wakes.load(Ordering::SeqCst), 1);
    other.started();
    one.waits();
    // A producer that is dropped meanwhile is woken no more.
    let wakes = Arc::clone(&one.wakes);
    drop(one);
    let before = wakes.load(Ordering::SeqCst);
    other.run_one();
    assert_eq!(wakes.load(Ordering::SeqCst), before);
}

/// Nothing else wakes a connection while the running call hangs.
#[test]
fn a_call_that_waits_has_the_time_from_which_it_may_start() {
    let process = process();
    let rig = process.producer();
    rig.started();
    process.pass(10);
    assert_eq!(rig.waits(), 20);
    process.pass(19);
    assert_eq!(rig.waits(), 1);
    process.pass(1);
    rig.started();
    assert_eq!(rig.waits(), 60);
}

/// Producers that are built anew get no new threads.
#[test]
fn too_many_hung_calls_of_a_process_are_an_error() {
    let process = process();
    let mut hung = Vec::new();
    while hung.len() < MAX_CALLS {
        let rig = process.producer();
        rig.started();
        hung.push(rig);
        process.pass(3600);
    }
    let last = process.producer();
    for _ in 0..2 {
        let why = last.begin().err().expect("an error");
        assert!(why.starts_with("16 calls of the Kerberos library"), "{why}");
        process.pass(1_000_000);
    }
    hung[3].run_one();
    last.started();
}

#[test]
fn a_call_that_is_never_run_gives_its_turn_back() {
    let rig = process().producer();
    let first = rig.started();
    // Dropped without the lock: the drop ends the call.
    let unused = std::mem::take(&mut *rig.queue.lock());
    drop(unused);
    let failure = first.take().and_then(Result::err).expect("a failure");
    assert_eq!(failure.kind, GssFailureKind::Transient);
    rig.started();
}

#[test]
fn a_thread_that_cannot_be_started_is_an_error_and_gives_its_turn_back() {
    let dependencies = SaslDependencies {
        run: Arc::new(|_| Err(io::ErrorKind::WouldBlock.into())),
        wake: Arc::default(),
        random: random_of_seed(1),
        clock: Arc::new(MockClock::new()),
        log: LogContext::for_tests(),
        seed: 0,
    };
    let calls = KdcCalls::new(dependencies, process().turns);
    for _ in 0..2 {
        let why = calls.begin(NOW, failing).err().expect("no thread");
        assert!(why.contains("no thread could be started"), "{why}");
    }
}
