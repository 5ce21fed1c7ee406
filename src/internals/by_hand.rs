//! A producer without threads and sockets of its own, for benchmarks: the caller steps the sender and the broker.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::mock::MockClock;
use crate::clock::{Clock, Instant, SystemClock, Timestamp};
use crate::config::ProducerConfigBuilder;
use crate::network::endpoint::Endpoint;
use crate::network::selectable::{
    CloseReason, ConnectionId, PollEvents, Selectable, SendRefused, WakeUp,
};
use crate::producer::builder::HandSender;
use crate::producer::kafka_producer::KafkaProducer;
use crate::producer::record::ProducerRecord;
use crate::protocol::Frame;
use crate::sync::{Mutex, Rank};
use crate::testing::KafkaRelease;
use crate::testing::sim::log::{Depth, TopicSettings};
use crate::testing::sim::{Answer, SimCluster, SimNode, SimOptions};
use crate::types::NodeId;

/// A producer with byte keys and values.
pub type Producer = KafkaProducer<[u8], [u8]>;

/// A producer whose sender and whose only broker are stepped by the caller. If one thread does it all, everything is
/// deterministic: the clock advances by a millisecond with each step, and random choices have a fixed seed.
///
/// Real parts: `send`, batches, the sender, the network client. Replaced parts: sockets, and the broker, which is the
/// model of the embedded cluster.
pub struct ByHand {
    producer: Producer,
    network: HandNetwork,
}

/// The sender of a producer that is stepped by hand, its connection, and the broker. While one thread steps them,
/// others may call the producer.
pub struct HandNetwork {
    sender: HandSender<HandTransport>,
    wire: Arc<Mutex<InFlightBytes>>,
    clock: Arc<SteadyClock>,
    broker: SimCluster,
}

const NODE: NodeId = 0;
const HOST: &str = "127.0.0.1";
const PORT: u16 = 9092;
const SEED: u64 = 1;
const STEP: Duration = Duration::from_millis(1);
/// Limit of steps, against an endless loop.
const STEPS_LIMIT: usize = 10_000;

impl ByHand {
    /// A producer with this configuration, connected to a broker with `topic`, whose metadata is cached. With a
    /// `transactional.id` a transaction is open.
    ///
    /// # Panics
    /// If the producer cannot be built, the topic's metadata does not arrive, or no transaction can be begun.
    pub fn start(config: ProducerConfigBuilder, topic: &str, partitions: usize) -> Self {
        let options = SimOptions {
            cluster_id: "by-hand".into(),
            release: KafkaRelease::default(),
            auto_create_topics: false,
            default_partitions: 1,
            replication_factor: 1,
            settings: TopicSettings::DEFAULT,
            depth: Depth {
                retain: false,
                validate_records: false,
            },
        };
        let mut broker = SimCluster::new(options, [(NODE, SimNode::new(HOST, PORT))].into());
        broker
            .create_topic(topic, partitions, TopicSettings::DEFAULT)
            .expect("a new broker takes a topic");
        let config = config
            .bootstrap_servers([format!("{HOST}:{PORT}")])
            .build()
            .expect("the configuration is good");
        let is_transactional = config.transactional_id().is_some();
        let clock = Arc::new(SteadyClock::default());
        let wire = Arc::new(Mutex::new(Rank::LEAF, InFlightBytes::default()));
        let (producer, sender) = Producer::builder(config)
            .stock_serializers()
            .build_by_hand(
                Arc::clone(&clock) as Arc<dyn Clock>,
                SEED,
                HandTransport(Arc::clone(&wire)),
            )
            .expect("nothing that could fail is real");
        let network = HandNetwork {
            sender,
            wire,
            clock,
            broker,
        };
        let mut started = Self { producer, network };
        if is_transactional {
            started.begin_transaction();
        }
        started.fetch_metadata(topic);
        started
    }

    fn begin_transaction(&mut self) {
        for _ in 0..STEPS_LIMIT {
            // The timeout of zero keeps the call from sleeping, because nothing would step the sender meanwhile. Each
            // retry resumes the call.
            if self
                .producer
                .init_transactions_timeout(Duration::ZERO)
                .is_ok()
            {
                let begun = self.producer.begin_transaction();
                return begun.expect("the producer is ready");
            }
            self.step();
            self.answer();
        }
        panic!("the producer does not become ready for transactions");
    }

    /// The producer. Its calls must not block: nothing would step the sender meanwhile.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    /// The producer, and the part that another thread may step meanwhile.
    pub fn split(&mut self) -> (&Producer, &mut HandNetwork) {
        (&self.producer, &mut self.network)
    }

    /// As [`HandNetwork::step`].
    pub fn step(&mut self) {
        self.network.step();
    }

    /// As [`HandNetwork::answer`].
    ///
    /// # Panics
    /// If the broker does anything but respond.
    pub fn answer(&mut self) {
        self.network.answer();
    }

    /// Steps the sender and the broker until no record is queued or in flight.
    ///
    /// # Panics
    /// If that takes more than 10,000 steps.
    pub fn settle(&mut self) {
        for _ in 0..STEPS_LIMIT {
            let snapshot = self.producer.snapshot();
            if snapshot.batches_queued == 0 && snapshot.batches_in_flight == 0 {
                return;
            }
            self.step();
            self.answer();
        }
        panic!("{:?} is left to do", self.producer.snapshot());
    }

    /// Creates another topic on the broker. Its metadata is not cached yet.
    ///
    /// # Panics
    /// If the topic cannot be created.
    pub fn create_topic(&mut self, topic: &str, partitions: usize) {
        let broker = &mut self.network.broker;
        broker
            .create_topic(topic, partitions, TopicSettings::DEFAULT)
            .expect("the name is new");
    }

    /// Sends a record as soon as the topic's metadata has arrived.
    ///
    /// # Panics
    /// If the metadata does not arrive.
    pub fn fetch_metadata(&mut self, topic: &str) {
        for _ in 0..STEPS_LIMIT {
            let record = ProducerRecord::new(topic, &b""[..]);
            if self.producer.try_send(record).is_ok() {
                return self.settle();
            }
            self.step();
            self.answer();
        }
        panic!("topic {topic} is still unknown");
    }
}

impl HandNetwork {
    /// Runs one step of the sender: it drains ready batches into requests, passes them to the connection, and processes
    /// the responses that have arrived.
    pub fn step(&mut self) {
        self.clock.moved.0.advance(STEP);
        self.sender.run_once();
    }

    /// The broker processes the requests in flight; the next step of the sender receives the responses.
    ///
    /// # Panics
    /// If the broker does anything but respond.
    pub fn answer(&mut self) {
        let written = std::mem::take(&mut self.wire.lock().written);
        for (id, frame) in written {
            let request = payload_of(&frame);
            // Drop the request's reference to the batches, as after a socket has written the request.
            drop(frame);
            let plan = self.broker.handle(NODE, &request, self.clock.timestamp());
            let Answer::Reply(reply) = plan.answer else {
                panic!("the broker did not answer, but: {:?}", plan.answer)
            };
            let arrived = &mut self.wire.lock().next.completed_receives;
            arrived.push((id, payload_of(&reply)));
        }
    }
}

/// The content of a frame, without its length field.
fn payload_of(frame: &Frame) -> Bytes {
    Bytes::from(frame.chunks().concat()).slice(4..)
}

/// A clock that reads the system's clocks, because that is part of a record's cost, but returns fixed values: the time
/// that it was advanced by, and a constant time of day.
#[derive(Debug, Default)]
struct SteadyClock {
    system: SystemClock,
    moved: Moved,
}

/// On a cache line of its own: each step of the sender writes it, and callers read its neighbour for each record.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Moved(MockClock);

impl Clock for SteadyClock {
    fn now(&self) -> Instant {
        black_box(self.system.now());
        self.moved.0.now()
    }

    fn timestamp(&self) -> Timestamp {
        black_box(self.system.timestamp());
        Timestamp::from_millis(1_632_182_400_000)
    }
}

/// The bytes in flight in both directions.
#[derive(Debug, Default)]
struct InFlightBytes {
    /// Open connections: a connection is established as soon as it is requested.
    connections: BTreeSet<ConnectionId>,
    /// The events of the next poll.
    next: PollEvents,
    /// Requests without a response.
    written: Vec<(ConnectionId, Frame)>,
}

/// The sender's end: a `Selectable`.
struct HandTransport(Arc<Mutex<InFlightBytes>>);

impl Selectable for HandTransport {
    fn connect(&mut self, id: ConnectionId, _endpoint: Endpoint) -> Result<(), CloseReason> {
        let mut wire = self.0.lock();
        wire.connections.insert(id);
        wire.next.connected.push(id);
        Ok(())
    }

    fn close(&mut self, id: ConnectionId) {
        self.0.lock().connections.remove(&id);
    }

    fn is_channel_ready(&self, id: ConnectionId) -> bool {
        self.0.lock().connections.contains(&id)
    }

    fn send(&mut self, id: ConnectionId, frame: Frame) -> Result<(), SendRefused> {
        let mut wire = self.0.lock();
        if wire.next.completed_sends.contains(&id) {
            return Err(SendRefused::Busy);
        }
        wire.next.completed_sends.push(id);
        wire.written.push((id, frame));
        Ok(())
    }

    fn take_completed_send(&mut self, id: ConnectionId) -> bool {
        let sends = &mut self.0.lock().next.completed_sends;
        let position = sends.iter().position(|sent| *sent == id);
        position.map(|at| sends.remove(at)).is_some()
    }

    fn is_send_untouched(&self, _id: ConnectionId) -> bool {
        false
    }

    fn withdraw_send(&mut self, _id: ConnectionId) -> bool {
        false
    }

    fn poll(&mut self, _timeout: Option<Duration>, events: &mut PollEvents) -> io::Result<()> {
        events.clear();
        std::mem::swap(events, &mut self.0.lock().next);
        Ok(())
    }

    fn wake_up(&self) -> Arc<dyn WakeUp> {
        Arc::new(NoSleep)
    }

    fn close_all(&mut self) {
        self.0.lock().connections.clear();
    }
}

/// The waker: polls never block, so there is nothing to wake.
#[derive(Debug)]
struct NoSleep;

impl WakeUp for NoSleep {
    fn wake(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_happens_except_by_steps_and_answers() {
        let mut rig = ByHand::start(ProducerConfigBuilder::new(), "t", 2);
        let record = || ProducerRecord::new("t", &b"value"[..]).with_partition(1);
        let future = rig.producer().send(record()).expect("it is open");
        assert_eq!(rig.producer().snapshot().batches_queued, 1);
        rig.step();
        assert_eq!(rig.producer().snapshot().batches_in_flight, 1);
        rig.step();
        assert!(!future.is_done());
        rig.answer();
        assert!(!future.is_done());
        rig.step();
        assert!(future.is_done());
        assert_eq!(future.get().expect("it was written").offset(), 0);
        let _future = rig.producer().send(record()).expect("it is open");
        rig.settle();
        assert_eq!(rig.producer().snapshot().records_acknowledged, 3);
        rig.producer()
            .close()
            .expect("there is nothing to wait for");
    }
}
