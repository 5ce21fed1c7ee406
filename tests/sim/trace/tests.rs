use std::time::Duration;

use super::*;
use crate::events::{Failure, Outcome};
use crate::scenario::{
    Api, Begins, Behaviour, Brokers, Fault, Network, Plugins, Producer, Scenario, TimedFault, Topic,
};

fn scenario() -> Scenario {
    let fault = |at_ms, for_ms, fault| TimedFault {
        at_ms,
        for_ms,
        fault,
    };
    Scenario {
        seed: 17,
        network: Network {
            connect_us: 300,
            latency_us: 1_200,
            capacity: 65_536,
            splits: true,
            short_read_drains: false,
            spurious_percent: 3,
            at_once_percent: 0,
        },
        brokers: Brokers {
            nodes: 3,
            release: "V3_0".to_owned(),
            replication: 3,
            auto_create_topics: false,
            by_name: true,
            first_epoch: 0,
            verify_transactions: false,
            sasl: None,
            tls: None,
        },
        topics: vec![
            Topic {
                name: "orders".to_owned(),
                partitions: 4,
                log_append_time: false,
                max_message_bytes: Some(500),
            },
            Topic {
                name: "later".to_owned(),
                partitions: 0,
                log_append_time: false,
                max_message_bytes: None,
            },
        ],
        producers: vec![Producer {
            config: [("acks", "all"), ("linger.ms", "5")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            plugins: Plugins::default(),
            threads: Vec::new(),
            begins: Begins::First,
            crashes: None,
        }],
        logger: Behaviour::default(),
        logs_all: false,
        packing_us: 0,
        faults: vec![
            fault(20, Some(300), Fault::Hang { node: 1 }),
            fault(25, None, Fault::Cut { node: 2 }),
            fault(
                26,
                None,
                Fault::Error {
                    request: Api::Produce,
                    topic: Some("orders".to_owned()),
                    partition: Some(3),
                    code: 6,
                    times: Some(2),
                    after_applying: false,
                },
            ),
        ],
        heal_at_ms: 400,
    }
}

const APP: Who = Who::Thread {
    producer: 0,
    thread: 1,
};

/// A burst, its batch and its response; a flush that waits; faults.
fn events() -> Vec<Event> {
    let mut events = Vec::new();
    let mut add = |us: u64, who: Who, kind: EventKind| {
        let at = Duration::from_micros(us);
        events.push(Event { at, who, kind });
    };
    for id in 12..58 {
        let (record, call) = (RecordId(id), CallId(id));
        let us = 12_000 + id;
        add(
            us,
            APP,
            EventKind::CallBegins {
                call,
                operation: Call::Send(record),
            },
        );
        add(
            us,
            APP,
            EventKind::RecordOffered {
                record,
                producer: 0,
                topic: "orders".to_owned(),
                partition: None,
                key: None,
                timestamp: None,
                contents: 0,
                size: 100,
                has_callback: true,
                inside: false,
            },
        );
        add(us, APP, EventKind::RecordAccepted { record });
        add(
            us,
            APP,
            EventKind::CallEnds {
                call,
                returned: Returned::Ok,
            },
        );
        add(
            us,
            Who::Sender(0),
            EventKind::SenderStep {
                waits: true,
                until: None,
            },
        );
    }
    add(
        13_204,
        Who::Broker(2),
        EventKind::Request {
            api: "Produce",
            version: 9,
            bytes: 4_312,
            fate: "NONE".to_owned(),
        },
    );
    add(
        13_204,
        Who::Broker(2),
        EventKind::Appended {
            topic: "orders".to_owned(),
            incarnation: 1,
            partition: 3,
            base_offset: 100,
            records: (12..58).map(RecordId).collect(),
            contents: Vec::new(),
            timestamps: Vec::new(),
            producer_id: 1000,
            epoch: 0,
            sequence: 0,
            transactional: false,
            digest: 1,
        },
    );
    for id in 12..58 {
        add(
            14_000,
            Who::Sender(0),
            EventKind::CallbackRan {
                record: RecordId(id),
                outcome: Outcome::Acknowledged {
                    topic: "orders".to_owned(),
                    partition: 3,
                    offset: 88 + id as i64,
                    timestamp: -1,
                },
            },
        );
    }
    add(20_000, Who::World, EventKind::FaultBegins { fault: 0 });
    let flush = CallId(100);
    add(
        20_100,
        APP,
        EventKind::CallBegins {
            call: flush,
            operation: Call::Flush {
                timeout: Some(Duration::from_millis(500)),
            },
        },
    );
    add(
        20_100,
        APP,
        EventKind::CallWaits {
            call: flush,
            until: Some(Duration::from_micros(520_100)),
        },
    );
    add(25_000, Who::World, EventKind::FaultBegins { fault: 1 });
    add(26_000, Who::World, EventKind::FaultBegins { fault: 2 });
    for id in [60, 62, 64, 66, 68, 70] {
        add(
            30_000,
            Who::Sender(0),
            EventKind::FutureReported {
                record: RecordId(id),
                outcome: Outcome::Failed(Failure {
                    kind: "Broker(CorruptMessage)".to_owned(),
                    may_be_written: false,
                    text: "it is\ndamaged".to_owned(),
                }),
            },
        );
    }
    add(320_000, Who::World, EventKind::FaultEnds { fault: 0 });
    add(400_000, Who::World, EventKind::Healed);
    add(
        520_100,
        APP,
        EventKind::CallEnds {
            call: flush,
            returned: Returned::Error {
                kind: "Timeout".to_owned(),
                text: "the time is over".to_owned(),
            },
        },
    );
    add(
        520_101,
        APP,
        EventKind::CallBegins {
            call: CallId(101),
            operation: Call::Close { timeout: None },
        },
    );
    add(
        520_101,
        APP,
        EventKind::CallWaits {
            call: CallId(101),
            until: None,
        },
    );
    add(
        600_000,
        Who::Sender(0),
        EventKind::Stuck {
            why: "nothing is left to happen".to_owned(),
        },
    );
    events
}

fn lines(verbosity: Verbosity, colour: bool) -> Vec<String> {
    let scenario = scenario();
    let mut trace = Trace::new(&scenario, verbosity, colour);
    let mut lines = Vec::new();
    for event in events() {
        trace.see(&event);
        lines.extend(trace.take_lines());
    }
    lines.extend(trace.finish());
    lines
}

#[test]
fn a_trace_shows_time_source_and_event_in_few_lines() {
    let expected = "
    12.012  app 0.1   send #12..#57 to orders
    13.204  broker 2  Produce v9, 4,312 bytes: NONE
                      + #12..#57 in orders-3 at 100..145, sequence 0, epoch 0, producer 1000
    14.000  sender 0  callback: #12..#57 in orders-3 at 100..145
    20.000  world     ▼ node 1 hangs, for 300 ms
    20.100  app 0.1   flush within 500 ms waits until 520.100 at the latest …
    25.000  world     ◆ connections to node 2 are reset
    26.000  world     ▼ Produce for orders-3 is answered with NOT_LEADER_OR_FOLLOWER, 2×, until the healing
    30.000  sender 0  ✗ future: #60, #62, #64, #66, #68, … (6 records): Broker(CorruptMessage) (not written): it is ⏎ damaged
   320.000  world     ▲ over: node 1 hangs
   400.000  world     ▲ healing: all faults end ────────────────────────────────────────
   520.100  app 0.1     └ flush within 500 ms failed after 500.000 ms: the time is over
   520.101  app 0.1   close waits …
   600.000  sender 0  stuck: nothing is left to happen
                      close since 520.101: has not ended";
    let lines = lines(Verbosity::Condensed, false).join("\n");
    assert_eq!(format!("\n{lines}"), expected);
}

#[test]
fn the_result_of_a_call_is_printed_once() {
    let scenario = scenario();
    let mut trace = Trace::new(&scenario, Verbosity::Condensed, false);
    let mut see = |us: u64, kind: EventKind| {
        let at = Duration::from_micros(us);
        trace.see(&Event { at, who: APP, kind });
    };
    let begins = |call: u64, operation: Call| EventKind::CallBegins {
        call: CallId(call),
        operation,
    };
    let ends = |call: u64, returned: Returned| EventKind::CallEnds {
        call: CallId(call),
        returned,
    };
    let (first, second) = (RecordId(1), RecordId(2));
    // Two calls that wait: one record is accepted, one is refused.
    for (us, record) in [(1_000, first), (9_000, second)] {
        see(
            us,
            EventKind::RecordOffered {
                record,
                producer: 0,
                topic: "orders".to_owned(),
                partition: Some(2),
                key: None,
                timestamp: None,
                contents: 0,
                size: 12,
                has_callback: false,
                inside: true,
            },
        );
        see(us, begins(record.0, Call::Send(record)));
        see(
            us,
            EventKind::CallWaits {
                call: CallId(record.0),
                until: None,
            },
        );
    }
    let error = Returned::Error {
        kind: "BufferExhausted".to_owned(),
        text: "no memory came free".to_owned(),
    };
    see(10_000, ends(1, Returned::Ok));
    see(10_000, EventKind::RecordAccepted { record: first });
    see(11_000, ends(2, error));
    see(
        11_000,
        EventKind::RecordRefused {
            record: second,
            kind: "BufferExhausted".to_owned(),
            text: "no memory came free".to_owned(),
        },
    );
    // The application reads the outcome, which is there already.
    let outcome = Outcome::Acknowledged {
        topic: "orders".to_owned(),
        partition: 2,
        offset: 7,
        timestamp: -1,
    };
    see(12_000, begins(3, Call::Await { record: first }));
    see(
        12_000,
        EventKind::FutureReported {
            record: first,
            outcome,
        },
    );
    see(12_000, ends(3, Returned::Ok));
    let expected = "
     1.000  app 0.1   send #1 to orders-2, within user code waits …
     9.000  app 0.1   send #2 to orders-2, within user code waits …
    10.000  app 0.1     └ send #1 took 9.000 ms
    11.000  app 0.1     └ send #2 failed after 2.000 ms: no memory came free
    12.000  app 0.1   future: #1 in orders-2 at 7";
    assert_eq!(format!("\n{}", trace.finish().join("\n")), expected);
}

#[test]
fn the_full_trace_has_a_line_for_each_event() {
    let lines = lines(Verbosity::All, false);
    assert_eq!(lines.len(), events().len());
    assert!(lines[2].contains("RecordAccepted"), "{}", lines[2]);
}

#[test]
fn the_trace_is_coloured_on_a_terminal_only() {
    let coloured = lines(Verbosity::Condensed, true);
    let plain = lines(Verbosity::Condensed, false);
    assert!(plain.iter().all(|line| !line.contains('\x1b')));
    assert!(
        coloured
            .iter()
            .any(|line| line.contains("\x1b[31m✗ future"))
    );
    let without = |line: &String| {
        let mut text = line.clone();
        for code in ["\x1b[0m", "\x1b[2m", "\x1b[31m", "\x1b[33m"] {
            text = text.replace(code, "");
        }
        text
    };
    let without: Vec<_> = coloured.iter().map(without).collect();
    assert_eq!(without, plain);
}

#[test]
fn the_header_shows_the_scenario_in_a_few_lines() {
    let expected = "\
seed 17     1 producer, 0 threads, 0 records, 3 faults
network     connect 300 µs, latency 1200 µs, buffers of 65536 bytes, splits, 3 % spurious
brokers     3 of V3_0, 3 replicas, by name
topics      orders (4) up to 500 bytes, later (missing)
producer 0  acks=all linger.ms=5
faults             20 ms  node 1 hangs, for 300 ms
                   25 ms  connections to node 2 are reset
                   26 ms  Produce for orders-3 is answered with NOT_LEADER_OR_FOLLOWER, 2×, until the healing
                  400 ms  healing
";
    assert_eq!(header(&scenario()), expected);
}

#[test]
fn a_long_header_shows_threads_and_user_code() {
    let storm = (0..)
        .map(crate::draw::scenario)
        .find(|one| !one.logger.acts.is_empty() && one.producers.len() == 3)
        .unwrap();
    let text = header(&storm);
    for word in ["producer 2", "  app 2.0", "burst", "logger", "healing"] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }
}

#[test]
fn the_hash_depends_on_each_event_and_on_their_order() {
    let hash = |events: &[Event]| {
        let mut hash = TraceHash::new();
        for event in events {
            hash.see(event);
        }
        hash.value()
    };
    let all = events();
    assert_eq!(hash(&all), hash(&events()));
    assert_ne!(hash(&all), hash(&all[1..]));
    let mut swapped = events();
    swapped.swap(3, 4);
    assert_ne!(hash(&all), hash(&swapped));
    let mut later = events();
    later[5].at += Duration::from_nanos(1);
    assert_ne!(hash(&all), hash(&later));
    // The hash is the same in every build and process, so runs can be compared.
    assert_eq!(hash(&all[..3]), 17_582_249_940_856_727_035);
}
