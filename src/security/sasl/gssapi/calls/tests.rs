use std::io;

use super::*;
use crate::clock::mock::MockClock;
use crate::security::sasl::dependencies::{Wake, Work, random_of_seed};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::util::log::LogContext;

/// Work that waits for a thread, as it does while a call hangs.
type Queue = Arc<Mutex<Vec<Work>>>;

struct Rig {
    calls: Arc<KdcCalls>,
    queue: Queue,
    wakes: Arc<AtomicUsize>,
}

fn rig() -> Rig {
    let queue: Queue = Arc::new(Mutex::new(Rank::LEAF, Vec::new()));
    let wakes = Arc::new(AtomicUsize::new(0));
    let wake = Wake::default();
    let counter = Arc::clone(&wakes);
    wake.attach(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let queued = Arc::clone(&queue);
    let calls = KdcCalls::new(SaslDependencies {
        run: Arc::new(move |work| {
            queued.lock().push(work);
            Ok(())
        }),
        wake: Arc::new(wake),
        random: random_of_seed(1),
        clock: Arc::new(MockClock::new()),
        log: LogContext::for_tests(),
        seed: 0,
    });
    Rig {
        calls,
        queue,
        wakes,
    }
}

impl Rig {
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

fn at(seconds: u64) -> Instant {
    Instant::ORIGIN.saturating_add(Duration::from_secs(seconds))
}

#[test]
fn calls_that_may_ask_a_kdc_run_one_after_another() {
    let rig = rig();
    let first = rig.calls.begin(at(0), failing).unwrap().expect("a turn");
    assert!(rig.calls.begin(at(1), failing).unwrap().is_none());
    // A call that asks no KDC needs no turn.
    let local = rig.calls.begin_local(failing).unwrap();
    assert!(first.take().is_none() && local.take().is_none());
    rig.run_one();
    assert_eq!(rig.wakes.load(Ordering::SeqCst), 1);
    assert!(first.take().is_some_and(|outcome| outcome.is_err()));
    assert!(first.take().is_none(), "an outcome is returned once");
    assert!(!rig.calls.has_succeeded());
    assert!(rig.calls.begin(at(1), failing).unwrap().is_some());
}

#[test]
fn a_hung_call_delays_others_and_does_not_prevent_them() {
    let rig = rig();
    let (mut now, mut waited) = (0, Vec::new());
    let mut last = 0;
    while waited.len() < MAX_CALLS {
        if rig.calls.begin(at(now), failing).unwrap().is_some() {
            waited.push(now - last);
            last = now;
        }
        now += 1;
    }
    assert_eq!(waited[..5], [0, 30, 60, 120, 240]);
    assert_eq!(waited.last(), Some(&3600));
    // The number of threads is bounded, for however long the KDC hangs.
    assert!(
        rig.calls
            .begin(at(now + 1_000_000), failing)
            .unwrap()
            .is_none()
    );
    rig.run_one();
    assert!(
        rig.calls
            .begin(at(now + 1_000_000), failing)
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_call_that_is_never_run_gives_its_turn_back() {
    let rig = rig();
    let first = rig.calls.begin(at(0), failing).unwrap().expect("a turn");
    // Dropped without the lock: the drop ends the call.
    let unused = std::mem::take(&mut *rig.queue.lock());
    drop(unused);
    let failure = first.take().and_then(Result::err).expect("a failure");
    assert_eq!(failure.kind, GssFailureKind::Transient);
    assert!(rig.calls.begin(at(0), failing).unwrap().is_some());
}

#[test]
fn a_thread_that_cannot_be_started_is_an_error_and_gives_its_turn_back() {
    let calls = KdcCalls::new(SaslDependencies {
        run: Arc::new(|_| Err(io::ErrorKind::WouldBlock.into())),
        wake: Arc::default(),
        random: random_of_seed(1),
        clock: Arc::new(MockClock::new()),
        log: LogContext::for_tests(),
        seed: 0,
    });
    for _ in 0..2 {
        let why = calls.begin(at(0), failing).err().expect("no thread");
        assert!(why.contains("no thread could be started"), "{why}");
    }
}
