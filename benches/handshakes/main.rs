//! TLS handshake benchmark: the time of a handshake in the sender loop, and how long one step of the loop delays other
//! connections.
//!
//! ```text
//! cargo bench --bench handshakes
//! ```
//!
//! Brokers are on a simulated network, so that each step of the loop is measured separately, and the time of the
//! brokers is not included. First one broker closes its connection again and again, then a producer connects to a
//! hundred brokers at once. The program fails if a handshake or a single step of the loop takes longer than [`AT_MOST`]
//! even in the best round. Times are wall-clock times, so other work on the machine increases them. With `-- --test`
//! each case has one round, and no limit applies.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    missing_docs,
    reason = "a measuring program: it prints, and reads real time"
)]

mod certificates;

use std::future::Future;
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use kafka_producer::internals::simulation::{
    BrokerEvent, BrokersOptions, NetworkOptions, Parking, SimSender, TlsOptions, TlsTrouble, World,
    build, close, flush, send,
};
use kafka_producer::testing::KafkaRelease;
use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord, RecordMetadata};

use certificates::{Identity, Keys};

/// Maximum duration of one handshake, and of one step of the loop.
const AT_MOST: Duration = Duration::from_millis(5);
const TOPIC: &str = "bench";
const ROUNDS: usize = 200;
const ROUNDS_OF_MANY: usize = 20;
const MANY: i32 = 100;

#[derive(Debug, Clone, Copy)]
struct Case {
    /// TLS version and kind of keys; `None` for plain text.
    tls: Option<(&'static str, Keys)>,
    /// Whether the client sends a certificate.
    is_mutual: bool,
    is_resumed: bool,
}

impl Case {
    /// Whether the limit applies. It does not apply to client certificates with an RSA key of 4,096 bits, because a
    /// single signature with such a key takes 5 ms.
    fn is_judged(&self) -> bool {
        !(self.is_mutual && matches!(self.tls, Some((_, Keys::Rsa4096))))
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some((version, keys)) = self.tls else {
            return f.write_str("plain text");
        };
        let who = if self.is_mutual { ", both" } else { "" };
        let how = if self.is_resumed { ", resumed" } else { "" };
        write!(f, "{version}, {keys:?}{who}{how}")
    }
}

fn main() -> ExitCode {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let (rounds, rounds_of_many) = if is_test {
        (1, 1)
    } else {
        (ROUNDS, ROUNDS_OF_MANY)
    };
    let mut missed = Vec::new();
    println!("One broker: µs of the loop for a connection and a record, {rounds} rounds");
    println!(
        "{:<34} {:>9} {:>9} {:>9}",
        "", "median", "p95", "longest step"
    );
    for case in cases() {
        let mut took = Vec::new();
        let mut longest = Vec::new();
        let mut client = Client::new(case, 1);
        for _ in 0..rounds {
            let stepped = client.connect_anew(case);
            took.push(stepped.total);
            longest.push(stepped.longest);
        }
        client.end();
        row(&case, &mut took, &mut longest);
        if case.is_judged() && least(&took) > AT_MOST {
            missed.push(case.to_string());
        }
    }
    println!("\n{MANY} brokers at once: µs of the loop for all, {rounds_of_many} rounds");
    println!(
        "{:<34} {:>9} {:>9} {:>9}",
        "", "median", "p95", "longest step"
    );
    for case in cases().into_iter().filter(is_for_many) {
        let mut took = Vec::new();
        let mut longest = Vec::new();
        let mut client = Client::new(case, MANY);
        for _ in 0..rounds_of_many {
            let stepped = client.connect_anew(case);
            took.push(stepped.total);
            longest.push(stepped.longest);
        }
        client.end();
        row(&case, &mut took, &mut longest);
        if case.is_judged() && least(&longest) > AT_MOST {
            missed.push(format!("{MANY} brokers, {case}"));
        }
    }
    if is_test || missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\nlonger than {AT_MOST:?}: {}", missed.join("; "));
    ExitCode::FAILURE
}

fn cases() -> Vec<Case> {
    let mut cases = vec![Case {
        tls: None,
        is_mutual: false,
        is_resumed: false,
    }];
    for keys in [Keys::P256, Keys::Rsa2048, Keys::Rsa4096] {
        for version in ["TLSv1.2", "TLSv1.3"] {
            for (is_mutual, is_resumed) in [(false, false), (true, false), (false, true)] {
                cases.push(Case {
                    tls: Some((version, keys)),
                    is_mutual,
                    is_resumed,
                });
            }
        }
    }
    cases
}

fn is_for_many(case: &Case) -> bool {
    !matches!(case.tls, Some((_, Keys::Rsa2048)))
}

fn row(case: &Case, took: &mut [Duration], longest: &mut [Duration]) {
    let longest = median(longest);
    let middle = median(took);
    let late = took[(took.len() * 95 / 100).min(took.len() - 1)];
    println!(
        "{:<34} {:>9} {:>9} {:>9}",
        case.to_string(),
        middle.as_micros(),
        late.as_micros(),
        longest.as_micros()
    );
}

/// The best round: in the other rounds, other programs may have used the processor.
fn least(of: &[Duration]) -> Duration {
    of.iter().min().copied().unwrap_or_default()
}

fn median(of: &mut [Duration]) -> Duration {
    of.sort_unstable();
    of[of.len() / 2]
}

/// The duration of steps of the loop.
#[derive(Debug, Default)]
struct Stepped {
    total: Duration,
    longest: Duration,
}

/// A producer and its brokers.
struct Client {
    world: World,
    producer: KafkaProducer<[u8], [u8]>,
    sender: SimSender,
    nodes: i32,
}

impl Client {
    fn new(case: Case, nodes: i32) -> Self {
        let identity = case
            .tls
            .map(|(_, keys)| certificates::identity(keys, nodes));
        let world = world(nodes, case, identity.as_ref());
        world.create_topic(TOPIC, nodes.try_into().unwrap(), false, None);
        let mut config = ProducerConfig::builder()
            .bootstrap_servers([world.bootstrap_servers()])
            // Avoids metadata requests during the measurement.
            .set("metadata.max.age.ms", "100000000")
            .set("metadata.max.idle.ms", "100000000");
        if let (Some((version, _)), Some(identity)) = (case.tls, &identity) {
            config = config
                .set("security.protocol", "SSL")
                .set("ssl.enabled.protocols", version)
                .set("ssl.truststore.type", "PEM")
                .set("ssl.truststore.certificates", &identity.authority);
            if case.is_mutual {
                config = config
                    .set("ssl.keystore.type", "PEM")
                    .set("ssl.keystore.certificate.chain", &identity.chain)
                    .set("ssl.keystore.key", identity.key);
            }
        }
        let builder = KafkaProducer::<[u8], [u8]>::builder(config.build().unwrap());
        let (producer, sender) = build(builder.stock_serializers(), &world, 1).unwrap();
        let mut client = Self {
            world,
            producer,
            sender,
            nodes,
        };
        // Warm-up.
        client.send_everywhere();
        client
    }

    /// Closes all connections, and reconnects to every broker by sending a record to it. Returns the time of the loop.
    fn connect_anew(&mut self, case: Case) -> Stepped {
        for node in 0..self.nodes {
            if case.tls.is_some() && !case.is_resumed {
                // A change of the TLS state also clears the sessions, so the handshake cannot resume one.
                self.world.trouble_tls(node, TlsTrouble::IsPlain);
                self.world.mend_tls(node, TlsTrouble::IsPlain);
            } else {
                self.world.cut(node);
            }
        }
        let Self { world, sender, .. } = self;
        drop(world.take_news());
        // The first connection is opened without a record, for metadata.
        let until = world.elapsed() + Duration::from_secs(1);
        let mut is_over = |world: &World| (world.elapsed() >= until).then_some(());
        let first = run(world, sender, &mut is_over, until);
        let others = self.send_everywhere();
        let stepped = Stepped {
            total: first.total + others.total,
            longest: first.longest.max(others.longest),
        };
        let handshakes: Vec<_> = self
            .world
            .take_news()
            .into_iter()
            .filter_map(|news| match news.what {
                BrokerEvent::Handshake(handshake) => Some(handshake.is_resumed),
                _ => None,
            })
            .collect();
        let expected = if case.tls.is_some() { self.nodes } else { 0 };
        let resumed = handshakes.iter().filter(|it| **it).count();
        let expected_resumed = if case.is_resumed { expected } else { 0 };
        assert_eq!(
            (handshakes.len() as i32, resumed as i32),
            (expected, expected_resumed),
            "{case}"
        );
        stepped
    }

    /// Sends a record to each broker, and waits until all are acknowledged.
    fn send_everywhere(&mut self) -> Stepped {
        let Self {
            world,
            producer,
            sender,
            nodes,
        } = self;
        let parking = Parking::new(world);
        let mut sent = Vec::new();
        let all = async {
            for partition in 0..*nodes {
                let record =
                    ProducerRecord::<[u8], [u8]>::new(TOPIC, b"x").with_partition(partition);
                let callback = None::<fn(Result<&RecordMetadata, &_>)>;
                sent.push(send(&parking, producer, record, callback).await.unwrap());
            }
            flush(&parking, producer, None).await.unwrap();
            for record in sent {
                assert!(record.get().is_ok());
            }
        };
        carry_out(world, sender, all)
    }

    fn end(self) {
        let Self {
            world,
            producer,
            mut sender,
            ..
        } = self;
        let parking = Parking::new(&world);
        carry_out(&world, &mut sender, async {
            close(&parking, &producer, None).await.unwrap();
        });
    }
}

/// Runs the simulation until the future is ready.
fn carry_out(world: &World, sender: &mut SimSender, what: impl Future<Output = ()>) -> Stepped {
    let mut what = pin!(what);
    let mut context = Context::from_waker(Waker::noop());
    let until = world.elapsed() + Duration::from_secs(100);
    let mut ask = |_: &World| match what.as_mut().poll(&mut context) {
        Poll::Ready(()) => Some(()),
        Poll::Pending => None,
    };
    run(world, sender, &mut ask, until)
}

/// Runs the simulation until `is_done` returns `Some`; panics if it does not before `until`.
fn run(
    world: &World,
    sender: &mut SimSender,
    is_done: &mut dyn FnMut(&World) -> Option<()>,
    until: Duration,
) -> Stepped {
    let mut stepped = Stepped::default();
    loop {
        world.do_what_is_due();
        if sender.is_due() {
            let began = Instant::now();
            sender.step();
            let took = began.elapsed();
            stepped.total += took;
            stepped.longest = stepped.longest.max(took);
            continue;
        }
        if is_done(world).is_some() {
            return stepped;
        }
        if sender.is_due() {
            continue;
        }
        let next = [world.next_event(), sender.waits_until(), Some(until)];
        let next = next.into_iter().flatten().min().unwrap_or(until);
        assert!(world.elapsed() < until, "it takes too long");
        world.advance_to(next);
    }
}

fn world(nodes: i32, case: Case, identity: Option<&Identity>) -> World {
    let network = NetworkOptions {
        connect_us: 500,
        latency_us: 500,
        capacity: 1 << 20,
        splits: false,
        short_read_drains: true,
        spurious_percent: 0,
        at_once_percent: 0,
    };
    let tls = identity.map(|identity| {
        let listener = identity.listener(case.is_mutual);
        TlsOptions {
            right: listener.clone(),
            expired: listener.clone(),
            other_name: listener.clone(),
            other_authority: listener,
        }
    });
    let brokers = BrokersOptions {
        verify_transactions: false,
        nodes,
        release: KafkaRelease::V3_0,
        replication: 1,
        auto_create_topics: false,
        by_name: false,
        first_epoch: 0,
        sasl: None,
        tls,
    };
    World::new(&network, &brokers, 1)
}
