//! Builder of a mock producer.

use std::sync::Arc;

use super::MockProducer;
use super::client::{Mocked, MockedClient};
use super::clock::MockedClock;
use super::cluster::MockedCluster;
use super::stage::{OwnSender, Stage};
use super::state::MockState;
use crate::clock::Clock;
use crate::config::ProducerConfig;
use crate::error::ConstructError;
use crate::network::resolver::NameLookUps;
use crate::network::selectable::WakeUp;
use crate::producer::builder::{ClientParts, HandSeams, ProducerBuilder, SteppedProducer};
use crate::producer::call_errors::CallErrors;
use crate::producer::kafka_producer::KafkaProducer;
use crate::producer::record::RecordData;
use crate::producer::serializer::StockSerialize;
use crate::sync::{Mutex, OnceLock, Rank};

/// Fixed seed: random choices are the same in every run.
const SEED: u64 = 1;

/// Builder of a [`MockProducer`], and of the producer that it controls.
///
/// ```
/// use kafka_producer::testing::MockProducer;
/// use kafka_producer::{ProduceErrorKind, ProducerRecord};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mock = MockProducer::builder().topic("orders", 12).only_named_topics();
/// let (producer, mock) = mock.build::<str, str>()?;
/// let error = producer.send(ProducerRecord::new("order", "tea"))?.get().unwrap_err();
/// assert!(error.is_timeout(), "{error}");
/// assert!(mock.history().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MockProducerBuilder {
    auto_complete: bool,
    cluster: MockedCluster,
    transactional_id: Option<String>,
}

impl MockProducerBuilder {
    pub(super) fn new() -> Self {
        Self {
            auto_complete: true,
            cluster: MockedCluster::new(),
            transactional_id: None,
        }
    }

    /// Whether each record completes successfully as soon as it is sent; true unless set. Otherwise records wait for
    /// [`complete_next`](MockProducer::complete_next) and [`error_next`](MockProducer::error_next).
    #[must_use]
    pub fn auto_complete(mut self, auto_complete: bool) -> Self {
        self.auto_complete = auto_complete;
        self
    }

    /// Adds a topic with this many partitions.
    ///
    /// # Panics
    /// If there is less than one partition.
    #[must_use]
    pub fn topic(mut self, name: impl Into<String>, partitions: i32) -> Self {
        assert!(partitions > 0, "a topic has one partition at least");
        self.cluster.topics.insert(name.into(), partitions);
        self
    }

    /// The number of partitions of all other topics; one unless set.
    ///
    /// # Panics
    /// If there is less than one partition.
    #[must_use]
    pub fn default_partitions(mut self, partitions: i32) -> Self {
        assert!(partitions > 0, "a topic has one partition at least");
        self.cluster.other_topics = Some(partitions);
        self
    }

    /// Removes all topics except those added with [`topic`](Self::topic). A call that would wait for another topic
    /// times out at once: the producer's clock skips the wait, and no thread sleeps.
    #[must_use]
    pub fn only_named_topics(mut self) -> Self {
        self.cluster.other_topics = None;
        self
    }

    /// Makes the producer transactional.
    #[must_use]
    pub fn transactional_id(mut self, id: impl Into<String>) -> Self {
        self.transactional_id = Some(id.into());
        self
    }

    /// Builds a producer with Kafka's own serializers for the types, and its controller.
    ///
    /// # Errors
    /// If the transactional id is invalid.
    pub fn build<K, V>(self) -> Result<(KafkaProducer<K, V>, MockProducer), ConstructError>
    where
        K: ?Sized + RecordData + StockSerialize + 'static,
        V: ?Sized + RecordData + StockSerialize + 'static,
    {
        let config = ProducerConfig::builder().build()?;
        self.build_with(KafkaProducer::builder(config).stock_serializers())
    }

    /// Builds a producer with this configuration and these plug-ins, and its controller.
    ///
    /// Keys of batching and sending are overridden: `bootstrap.servers`, `batch.size`, `linger.ms`, `buffer.memory`,
    /// `delivery.timeout.ms` and `max.in.flight.requests.per.connection`.
    ///
    /// # Errors
    /// As [`ProducerBuilder::build`].
    pub fn build_with<K, V>(
        self,
        builder: ProducerBuilder<K, V>,
    ) -> Result<(KafkaProducer<K, V>, MockProducer), ConstructError>
    where
        K: ?Sized + RecordData + 'static,
        V: ?Sized + RecordData + 'static,
    {
        let clock = Arc::new(MockedClock::default());
        let mocked = Arc::new(Mocked {
            state: Mutex::new(Rank::LEAF, MockState::new(self.auto_complete, self.cluster)),
            clock: Arc::clone(&clock),
            metadata: OnceLock::new(),
            transactions: OnceLock::new(),
        });
        let stage = Arc::new(Stage::new());
        let call_errors = Arc::new(CallErrors::none());
        let instance_id = Arc::new(OnceLock::new());
        let make_client = {
            let (mocked, wake_up) = (Arc::clone(&mocked), Arc::clone(&stage) as Arc<dyn WakeUp>);
            let instance_id = Arc::clone(&instance_id);
            Box::new(move |parts: &ClientParts| {
                let _ = mocked.metadata.set(Arc::clone(&parts.metadata));
                let _ = instance_id.set(parts.instance.id());
                Ok(MockedClient::new(mocked, wake_up))
            })
        };
        let ids = self.transactional_id.map(|id| ("transactional.id", id));
        let built = builder
            .with_settings(overruled().into_iter().chain(ids))?
            .build_moved_by_hand(HandSeams {
                clock: Arc::clone(&clock) as Arc<dyn Clock>,
                seed: SEED,
                names: NameLookUps::of_system(),
                make_client,
                call_errors: Some(Arc::clone(&call_errors)),
            })?;
        let SteppedProducer {
            producer,
            mut sender,
            running,
            control,
            transactions,
        } = built;
        sender.send_without_limit();
        let _ = mocked.transactions.set(transactions);
        if let Some(&instance) = instance_id.get() {
            stage.add_sender(OwnSender {
                sender,
                running: Some(running),
                mocked: Arc::clone(&mocked),
                instance,
            });
        }
        let controller = MockProducer {
            mocked,
            stage,
            control,
            call_errors,
        };
        Ok((producer, controller))
    }
}

/// The overridden keys: each record is a separate batch that is sent at once, never waits for memory, and never
/// expires.
fn overruled() -> [(&'static str, String); 6] {
    [
        ("bootstrap.servers", "127.0.0.1:9092".to_owned()),
        ("batch.size", "0".to_owned()),
        ("linger.ms", "0".to_owned()),
        ("buffer.memory", (1_u64 << 40).to_string()),
        ("delivery.timeout.ms", i32::MAX.to_string()),
        ("max.in.flight.requests.per.connection", "5".to_owned()),
    ]
}
