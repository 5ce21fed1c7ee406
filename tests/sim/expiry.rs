//! Tests with a certificate of the client or of the broker that expires while the producer is connected. Established
//! connections are not affected. New connections fail with an error that names the date and the configuration key. With
//! a renewed certificate records are delivered again.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use kafka_producer::internals::simulation::{
    BrokersOptions, NetworkOptions, Parking, SimSender, TlsOptions, TlsTrouble, World, build, close,
};
use kafka_producer::testing::{KafkaRelease, TestTls};
use kafka_producer::{
    Delivery, FutureRecordMetadata, KafkaProducer, ProduceError, ProducerConfig, ProducerRecord,
};

use crate::certificates::{Party, Years, issued, trusted};

/// Validity of the certificate that expires: the simulated clock begins in September 2021.
const SHORT: Years = (2021, 2022);
const LONG: Years = (2021, 2030);
const HALF_A_YEAR_MS: i64 = 180 * 24 * 3600 * 1000;

const QUIET: NetworkOptions = NetworkOptions {
    connect_us: 0,
    latency_us: 1000,
    capacity: 64 * 1024,
    splits: false,
    short_read_drains: true,
    spurious_percent: 0,
    at_once_percent: 0,
};

/// A producer with one broker, stepped on this thread.
struct Stage {
    world: World,
    producer: KafkaProducer<str, str>,
    sender: SimSender,
}

impl Stage {
    /// `broker` and `client` are the years in which the certificates are valid. If `client` is given, the broker
    /// requires a client certificate; `None` stands for a client without one.
    fn new(protocol: &str, broker: Years, client: Option<Years>) -> Self {
        let hosts = World::hosts(1, false, 0);
        let listener = |years| {
            let (chain, key) = issued(Party::Broker, &hosts, years);
            let listener = TestTls::new(chain, key);
            match client {
                Some(_) => listener.require_client_certificate(trusted()),
                None => listener,
            }
        };
        let tls = TlsOptions {
            right: listener(broker),
            // Not expired in this test: this slot holds the renewed certificate.
            expired: listener(LONG),
            other_name: listener(broker),
            other_authority: listener(broker),
        };
        let brokers = BrokersOptions {
            verify_transactions: false,
            nodes: 1,
            release: KafkaRelease::V3_0,
            replication: 1,
            auto_create_topics: true,
            by_name: false,
            first_epoch: 0,
            sasl: None,
            tls: Some(tls),
        };
        let world = World::new(&QUIET, &brokers, 7);
        // From now on a call that would block this thread panics. No task waits in this test.
        drop(Parking::new(&world));
        let (producer, sender) = producer(&world, protocol, client);
        Self {
            world,
            producer,
            sender,
        }
    }

    /// Sends a record, and returns its result.
    fn send(&mut self) -> Result<i64, ProduceError> {
        let mut future: Option<FutureRecordMetadata> = None;
        let producer = &self.producer;
        until(&self.world, &mut self.sender, || {
            if future.is_none() {
                // `send` waits until the topic's metadata is known.
                future = producer
                    .try_send(ProducerRecord::new("t", "v").with_partition(0))
                    .ok();
            }
            future.as_ref().is_some_and(FutureRecordMetadata::is_done)
        });
        let result = future.expect("the record was accepted").get();
        result.map(|metadata| metadata.offset())
    }

    /// Sends a record, and expects that it fails with these words in the error. If the broker rejects a certificate
    /// after the handshake (TLS 1.3), the reset of the connection may discard its alert, so up to five records are
    /// sent.
    #[track_caller]
    fn refused(&mut self, words: &[&str]) {
        let mut texts = Vec::new();
        for _ in 0..5 {
            let error = self.send().unwrap_err();
            let text = error.to_string();
            assert_eq!(error.delivery(), Delivery::NotWritten, "{text}");
            if words.iter().all(|word| text.contains(word)) {
                return;
            }
            texts.push(text);
        }
        panic!("{words:?} are not in any of: {texts:#?}");
    }

    fn half_a_year_passes(&self) {
        self.world.jump_wall_clock(HALF_A_YEAR_MS);
    }

    /// Ends the connection, and lets the producer notice it before its next record.
    fn cut(&mut self) {
        self.world.cut(0);
        let later = self.world.elapsed() + Duration::from_millis(10);
        self.world.advance_to(later);
        self.world.do_what_is_due();
        while self.sender.is_due() {
            self.sender.step();
        }
    }

    /// Closes the producer step by step, since dropping it would block the thread.
    fn end(self) {
        let Self {
            world,
            producer,
            mut sender,
        } = self;
        let parking = Parking::new(&world);
        let mut closing = pin!(close(&parking, &producer, None));
        let mut context = Context::from_waker(Waker::noop());
        until(&world, &mut sender, || {
            closing.as_mut().poll(&mut context).is_ready()
        });
    }
}

/// Runs the world until the condition holds, at most for 60 simulated seconds.
fn until(world: &World, sender: &mut SimSender, mut is_so: impl FnMut() -> bool) {
    let end = world.elapsed() + Duration::from_secs(60);
    let step = |sender: &mut SimSender| {
        while sender.is_due() {
            sender.step();
        }
    };
    loop {
        world.do_what_is_due();
        step(sender);
        if is_so() {
            return;
        }
        // The sender may have work again.
        step(sender);
        let next = sender.waits_until().into_iter().chain(world.next_event());
        let Some(next) = next.min() else {
            assert!(is_so(), "the condition never holds");
            return;
        };
        assert!(next < end, "the condition never holds");
        world.advance_to(next.max(world.elapsed()));
    }
}

fn producer(
    world: &World,
    protocol: &str,
    client: Option<Years>,
) -> (KafkaProducer<str, str>, SimSender) {
    let config = ProducerConfig::builder()
        .set("bootstrap.servers", world.bootstrap_servers())
        .set("security.protocol", "SSL")
        .set("ssl.enabled.protocols", protocol)
        .set("ssl.truststore.type", "PEM")
        .set("ssl.truststore.certificates", trusted())
        .set("request.timeout.ms", "1000")
        .set("delivery.timeout.ms", "3000");
    let config = match client {
        None => config,
        Some(years) => {
            let (chain, key) = issued(Party::Client, &["client.sim".to_owned()], years);
            config
                .set("ssl.keystore.type", "PEM")
                .set("ssl.keystore.key", key)
                .set("ssl.keystore.certificate.chain", chain)
        }
    };
    let builder = KafkaProducer::<str, str>::builder(config.build().unwrap()).stock_serializers();
    build(builder, world, 7).unwrap()
}

const PROTOCOLS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];

#[test]
fn an_expired_broker_certificate_fails_new_connections_until_it_is_renewed() {
    for protocol in PROTOCOLS {
        let mut stage = Stage::new(protocol, SHORT, None);
        assert_eq!(stage.send().unwrap(), 0);
        stage.half_a_year_passes();
        assert_eq!(stage.send().unwrap(), 1, "the connection stands");
        stage.cut();
        // Neither attempt may resume a TLS session, in which the broker would show no certificate.
        for _ in 0..2 {
            stage.refused(&[
                "authentication failed",
                "the certificate of the broker has expired",
                "which says 2022-",
                "the limit is 2022-01-01 00:00:00 UTC",
                "ssl.truststore.location",
            ]);
        }
        stage.world.trouble_tls(0, TlsTrouble::Expired);
        assert_eq!(stage.send().unwrap(), 2, "the same producer goes on");
        stage.end();
    }
}

#[test]
fn an_expired_client_certificate_fails_new_connections_until_it_is_renewed() {
    for protocol in PROTOCOLS {
        let mut stage = Stage::new(protocol, LONG, Some(SHORT));
        assert_eq!(stage.send().unwrap(), 0);
        stage.half_a_year_passes();
        assert_eq!(stage.send().unwrap(), 1, "the connection stands");
        stage.cut();
        // The restart of the broker discards its TLS sessions.
        stage.world.trouble_tls(0, TlsTrouble::Expired);
        stage.refused(&[
            "authentication failed",
            "rejects the client certificate: CertificateExpired",
            "2022-01-01 00:00:00 UTC",
            "ssl.keystore.location",
        ]);
        // A producer reads its certificate once, so only a new producer has the renewed one.
        let (producer, sender) = producer(&stage.world, protocol, Some(LONG));
        let mut next = Stage {
            world: stage.world.clone(),
            producer,
            sender,
        };
        stage.end();
        assert_eq!(next.send().unwrap(), 2);
        next.end();
    }
}
