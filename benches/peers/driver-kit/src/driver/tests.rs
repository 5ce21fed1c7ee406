//! Whole rounds with a mock client. The rounds are in one test, because a process has one tally.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Driver;
use crate::protocol::{About, Mode, Produce, Setup};
use crate::{Client, Record, Refusal, Share, Ticket, Turn};

/// A mock client: acknowledges records in order on its own thread, and rejects values that begin with 255.
struct Made {
    tickets: Mutex<Option<Sender<Ticket>>>,
    keys: AtomicU64,
    quiet: AtomicU64,
    quiet_fails: AtomicBool,
    groups: AtomicU64,
    hangs: AtomicBool,
}

impl Client for Made {
    fn start(_: &Setup) -> Result<(Self, About), Refusal> {
        let (sender, receiver) = channel::<Ticket>();
        std::thread::spawn(move || receiver.iter().for_each(Ticket::acked));
        let made = Self {
            tickets: Mutex::new(Some(sender)),
            keys: AtomicU64::new(0),
            quiet: AtomicU64::new(0),
            quiet_fails: AtomicBool::new(false),
            groups: AtomicU64::new(0),
            hangs: AtomicBool::new(false),
        };
        Ok((made, About::default()))
    }

    fn send(&self, record: Record<'_>, ticket: Ticket) -> Result<(), String> {
        self.keys.fetch_add(u64::from(record.key.is_some()), SeqCst);
        if record.value[0] == 255 {
            return Err("refused".into());
        }
        let carried = Ticket::from_bits(ticket.to_bits());
        if !self.hangs.load(SeqCst) {
            let sender = self.tickets.lock().unwrap();
            sender.as_ref().unwrap().send(carried).unwrap();
        }
        Ok(())
    }

    fn send_quietly(&self, _: Record<'_>) -> Result<(), String> {
        self.quiet.fetch_add(1, SeqCst);
        Ok(())
    }

    fn send_and_wait(&self, _: Record<'_>) -> Result<(), String> {
        std::thread::sleep(Duration::from_millis(1));
        Ok(())
    }

    fn begin_group(&self) -> Result<(), String> {
        self.groups.fetch_add(1, SeqCst);
        Ok(())
    }

    fn flush(&self, until: Option<Instant>) -> Result<(), String> {
        assert_eq!(
            until.is_some(),
            self.hangs.load(SeqCst),
            "a limit is for rounds that have one"
        );
        if self.quiet_fails.load(SeqCst) {
            Err("lost".into())
        } else {
            Ok(())
        }
    }
}

fn driver(values: &[u8], callback: bool) -> Driver<Made> {
    let folder = std::env::temp_dir();
    let file = |what: &str, bytes: &[u8]| {
        let path = folder.join(format!("driver-kit-{}-{what}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let setup = serde_json::json!({
        "bootstrap": "", "topic": "t", "partitions": 1, "partition": null, "acks": "1", "idempotent": false,
        "linger_ms": 5, "batch_bytes": 1, "buffer_bytes": 1, "max_in_flight": 5, "request_timeout_ms": 1,
        "delivery_timeout_ms": 1, "compression": "none", "defaults": false, "threads": 3, "callback": callback,
        "payloads": file("values", values), "payload_bytes": 2, "keys": file("keys", b"kk"), "key_bytes": 2,
        "a field of a later version": 1,
    });
    let setup: Setup = serde_json::from_value(setup).unwrap();
    Driver::start(&setup)
        .map_err(|refusal| format!("{refusal:?}"))
        .unwrap()
        .0
}

fn produce(mode: Mode, records: u64) -> Produce {
    Produce {
        mode,
        records,
        per_second: None,
        tick_ms: None,
        group: None,
        give_up_ms: None,
    }
}

#[test]
fn a_round_ends_when_every_record_is_complete() {
    let driver = driver(&[1, 1, 2, 2], true);
    // First more records than threads, and no multiple of their number; then fewer records than threads.
    for records in [1_000, 2] {
        let result = driver.produce(&produce(Mode::Blast, records)).unwrap();
        assert_eq!(
            (result.sent, result.acked, result.failed),
            (records, records, 0)
        );
        assert!(result.latency_ns.is_empty());
    }
    assert_eq!(driver.client.keys.load(SeqCst), 1_002);

    let one_by_one = driver.produce(&produce(Mode::OneByOne, 6)).unwrap();
    let counted: u64 = one_by_one.latency_ns.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, 6);
    assert!(
        one_by_one
            .latency_ns
            .iter()
            .all(|(nanos, _)| *nanos >= 1_000_000)
    );

    let paced = Produce {
        per_second: Some(1_000.0),
        ..produce(Mode::Rate, 50)
    };
    let result = driver.produce(&paced).unwrap();
    assert_eq!(result.acked, 50);
    assert!(
        result.seconds >= 0.049,
        "the last was due after 49 ms: {}",
        result.seconds
    );
    threads_wake_up_in_turn(&driver);
    assert!(
        driver
            .produce(&produce(Mode::Rate, 1))
            .unwrap_err()
            .contains("per_second")
    );

    check_that_a_cancelled_round_leaves_nothing_behind(&driver);
    driver.close();
    refused_and_lost_records_are_counted();
}

fn threads_wake_up_in_turn(driver: &Driver<Made>) {
    let ticks = Produce {
        per_second: Some(1_000.0),
        tick_ms: Some(5.0),
        ..produce(Mode::Rate, 50)
    };
    let result = driver.produce(&ticks).unwrap();
    assert_eq!(result.acked, 50);
    assert!(
        result.latency_ns.is_empty(),
        "no record has a time of its own"
    );
    assert!(result.seconds >= 0.049, "{}", result.seconds);

    let turns = |thread| {
        let round = Arc::new(driver.plan(&ticks).unwrap());
        let start = round.start;
        let share = Share { thread, round };
        let millis = |turn: Turn<'_>| turn.due.unwrap().duration_since(start).as_millis();
        let mut millis: Vec<u128> = share.turns().map(millis).collect();
        millis.dedup();
        millis
    };
    assert_eq!(turns(0), [0, 15, 30, 45, 60]);
    assert_eq!(turns(1), [5, 20, 35, 50]);
}

fn check_that_a_cancelled_round_leaves_nothing_behind(driver: &Driver<Made>) {
    driver.client.hangs.store(true, SeqCst);
    let given_up = Produce {
        give_up_ms: Some(20),
        ..produce(Mode::Blast, 9)
    };
    let result = driver.produce(&given_up).unwrap();
    assert_eq!((result.sent, result.acked, result.failed), (9, 0, 0));
    assert!((0.02..1.0).contains(&result.seconds), "{}", result.seconds);
    driver.client.hangs.store(false, SeqCst);
    // A late ticket of the previous round.
    Ticket::from_bits(1 << 48).acked();
    let result = driver.produce(&produce(Mode::Blast, 9)).unwrap();
    assert_eq!(result.acked, 9);
}

fn refused_and_lost_records_are_counted() {
    let half = driver(&[1, 1, 255, 255], true);
    let result = half.produce(&produce(Mode::Blast, 300)).unwrap();
    assert_eq!((result.acked, result.failed), (150, 150));
    assert_eq!(result.first_error.as_deref(), Some("refused"));
    half.close();

    let quiet = driver(&[1, 1], false);
    groups_end_one_after_the_other(&quiet);
    quiet.client.quiet.store(0, SeqCst);
    assert_eq!(
        quiet.produce(&produce(Mode::Blast, 300)).unwrap().acked,
        300
    );
    assert_eq!(quiet.client.quiet.load(SeqCst), 300);
    quiet.client.quiet_fails.store(true, SeqCst);
    let result = quiet.produce(&produce(Mode::Blast, 300)).unwrap();
    assert_eq!((result.acked, result.failed), (0, 300));
    assert_eq!(result.first_error.as_deref(), Some("lost"));
    quiet.close();
}

fn groups_end_one_after_the_other(driver: &Driver<Made>) {
    let groups = Produce {
        group: Some(10),
        ..produce(Mode::Groups, 63)
    };
    let result = driver.produce(&groups).unwrap();
    assert_eq!((result.sent, result.acked, result.failed), (63, 63, 0));
    let of_three_threads = 3 * 3;
    assert_eq!(driver.client.groups.load(SeqCst), of_three_threads);
    let counted: u64 = result.latency_ns.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, of_three_threads, "a latency for each group");

    driver.client.quiet_fails.store(true, SeqCst);
    let result = driver.produce(&groups).unwrap();
    assert_eq!(
        (result.acked, result.failed),
        (0, 63),
        "nothing after a group that failed"
    );
    driver.client.quiet_fails.store(false, SeqCst);
    let without = produce(Mode::Groups, 1);
    assert!(driver.produce(&without).unwrap_err().contains("group"));
}
