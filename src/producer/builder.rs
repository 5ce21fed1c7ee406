//! Building a producer: the steps of Kafka's constructor, in its order, each of which may fail and then
//! leaves nothing behind.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use log::{debug, info, warn};

use super::accumulator::{AccumulatorOptions, RandomSource, RecordAccumulator};
use super::buffer_pool::BufferPool;
use super::callback_scope::ProducerId;
use super::core::{Core, Plugins, Strategy};
use super::counters::Counters;
use super::interceptor::{AcknowledgementListener, ProducerInterceptor, ProducerInterceptors};
use super::kafka_producer::KafkaProducer;
use super::lifecycle::{SenderThread, Spawn, system_spawn};
use super::metadata::{ProducerMetadata, ProducerMetadataOptions};
use super::partitioner::{
    DefaultPartitioner, Partitioner, UniformStickyPartitioner, stock_partitioner,
};
use super::sender::{Completion, Sender, SenderControl, SenderOptions, SenderShared};
use super::serializer::{PreparedSerializer, Serializer, StockSerialize};
use super::transaction::TransactionManager;
use super::wake::SenderWaker;
use crate::client::kafka_client::KafkaClient;
use crate::client::network_client::{NetworkClient, NetworkClientOptions};
use crate::clock::{Clock, SystemClock};
use crate::config::{ClientDnsLookup, PluginConfig, ProducerConfig, parse_bootstrap};
use crate::error::{BoxError, ConfigError, ConstructError};
use crate::network::resolver::{DnsLookup, SystemResolver, resolve_bootstrap};
use crate::network::selectable::Selectable;
use crate::network::selector::{Selector, SelectorOptions};
use crate::types::{ClusterResourceListener, Node, NodeId, UsableMagic};
use crate::util::panic;

/// Builds a [`KafkaProducer`] with plug-ins of one's own.
///
/// Plug-ins come in two ways: as instances, which are used as they are; or by name from the
/// configuration (`key.serializer`, `value.serializer`, `partitioner.class`, `interceptor.classes`),
/// which are configured with all its keys. Names are those of Kafka's own Java classes, and those that
/// were registered here. An instance wins over a name.
///
/// # Kafka
/// The constructors of `KafkaProducer`.
pub struct ProducerBuilder<K: ?Sized + ToOwned, V: ?Sized + ToOwned> {
    config: ProducerConfig,
    key_serializer: Option<Box<dyn Serializer<K>>>,
    value_serializer: Option<Box<dyn Serializer<V>>>,
    stock_key: Stock<K>,
    stock_value: Stock<V>,
    partitioner: Option<Box<dyn Partitioner<K, V>>>,
    interceptors: Chain<K, V>,
    registered_keys: BTreeMap<String, Factory<dyn Serializer<K>>>,
    registered_values: BTreeMap<String, Factory<dyn Serializer<V>>>,
    registered_partitioners: BTreeMap<String, Factory<dyn Partitioner<K, V>>>,
    registered_interceptors: BTreeMap<String, Factory<dyn ProducerInterceptor<K, V>>>,
}

type Chain<K, V> = Vec<Box<dyn ProducerInterceptor<K, V>>>;

type Factory<T> = Box<dyn Fn() -> Box<T> + Send>;

/// The stock serializers of a type: how to make one by its Java name, and the name that fits best.
struct Stock<T: ?Sized> {
    make: fn(&str) -> Option<Box<dyn Serializer<T>>>,
    default_class: Option<&'static str>,
}

impl<T: ?Sized> Stock<T> {
    fn none() -> Self {
        Self {
            make: |_| None,
            default_class: None,
        }
    }
}

impl<K, V> KafkaProducer<K, V>
where
    K: ?Sized + ToOwned + StockSerialize + 'static,
    V: ?Sized + ToOwned + StockSerialize + 'static,
{
    /// A producer for types that Kafka's own serializers know, such as `str`, `[u8]` or `i64`: with
    /// the serializers that the configuration names, or those that fit the types.
    ///
    /// # Errors
    /// As [`ProducerBuilder::build`].
    ///
    /// # Blocking
    /// As [`ProducerBuilder::build`].
    pub fn new(config: ProducerConfig) -> Result<Self, ConstructError> {
        Self::builder(config).stock_serializers().build()
    }
}

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> KafkaProducer<K, V> {
    /// Begins to build a producer with serializers, a partitioner or interceptors of one's own.
    pub fn builder(config: ProducerConfig) -> ProducerBuilder<K, V>
    where
        K: 'static,
        V: 'static,
    {
        ProducerBuilder::new(config)
    }
}

/// What the outside world gives to a producer: the system's, or a test's.
pub(crate) struct Seams<C> {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: u64,
    pub(crate) make_client: MakeClient<C>,
    pub(crate) spawn: Spawn,
}

type MakeClient<C> = Box<dyn FnOnce(&ClientParts) -> io::Result<C>>;

/// What a client is made of.
pub(crate) struct ClientParts {
    pub(crate) config: ProducerConfig,
    pub(crate) metadata: Arc<ProducerMetadata>,
    pub(crate) usable_magic: Arc<UsableMagic>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: u64,
}

/// How long the look-up of `bootstrap.servers` may take, if `max.block.ms` does not say less. Java has
/// no limit.
const BOOTSTRAP_LOOKUP_LIMIT: Duration = Duration::from_secs(30);

impl<K: ?Sized + ToOwned + 'static, V: ?Sized + ToOwned + 'static> ProducerBuilder<K, V> {
    pub(super) fn new(config: ProducerConfig) -> Self {
        Self {
            config,
            key_serializer: None,
            value_serializer: None,
            stock_key: Stock::none(),
            stock_value: Stock::none(),
            partitioner: None,
            interceptors: Vec::new(),
            registered_keys: BTreeMap::new(),
            registered_values: BTreeMap::new(),
            registered_partitioners: BTreeMap::new(),
            registered_interceptors: BTreeMap::new(),
        }
    }

    /// Serializes keys with this; it is not configured.
    #[must_use]
    pub fn key_serializer(mut self, serializer: impl Serializer<K> + 'static) -> Self {
        self.key_serializer = Some(Box::new(serializer));
        self
    }

    /// Serializes values with this; it is not configured.
    #[must_use]
    pub fn value_serializer(mut self, serializer: impl Serializer<V> + 'static) -> Self {
        self.value_serializer = Some(Box::new(serializer));
        self
    }

    /// Chooses partitions with this; it is not configured.
    #[must_use]
    pub fn partitioner(mut self, partitioner: impl Partitioner<K, V> + 'static) -> Self {
        self.partitioner = Some(Box::new(partitioner));
        self
    }

    /// Adds an interceptor after those that were added before; it is not configured. Interceptors that
    /// the configuration names come first.
    #[must_use]
    pub fn interceptor(mut self, interceptor: impl ProducerInterceptor<K, V> + 'static) -> Self {
        self.interceptors.push(Box::new(interceptor));
        self
    }

    /// Understands `class` in `key.serializer`.
    #[must_use]
    pub fn register_key_serializer(
        mut self,
        class: impl Into<String>,
        make: impl Fn() -> Box<dyn Serializer<K>> + Send + 'static,
    ) -> Self {
        self.registered_keys.insert(class.into(), Box::new(make));
        self
    }

    /// Understands `class` in `value.serializer`.
    #[must_use]
    pub fn register_value_serializer(
        mut self,
        class: impl Into<String>,
        make: impl Fn() -> Box<dyn Serializer<V>> + Send + 'static,
    ) -> Self {
        self.registered_values.insert(class.into(), Box::new(make));
        self
    }

    /// Understands `class` in `partitioner.class`.
    #[must_use]
    pub fn register_partitioner(
        mut self,
        class: impl Into<String>,
        make: impl Fn() -> Box<dyn Partitioner<K, V>> + Send + 'static,
    ) -> Self {
        self.registered_partitioners
            .insert(class.into(), Box::new(make));
        self
    }

    /// Understands `class` in `interceptor.classes`.
    #[must_use]
    pub fn register_interceptor(
        mut self,
        class: impl Into<String>,
        make: impl Fn() -> Box<dyn ProducerInterceptor<K, V>> + Send + 'static,
    ) -> Self {
        self.registered_interceptors
            .insert(class.into(), Box::new(make));
        self
    }

    /// Uses Kafka's own serializers: those that the configuration names, or those that fit the types.
    #[must_use]
    pub fn stock_serializers(mut self) -> Self
    where
        K: StockSerialize,
        V: StockSerialize,
    {
        self.stock_key = Stock {
            make: K::stock_serializer,
            default_class: K::JAVA_CLASSES.first().copied(),
        };
        self.stock_value = Stock {
            make: V::stock_serializer,
            default_class: V::JAVA_CLASSES.first().copied(),
        };
        self
    }

    /// Builds the producer and starts its thread.
    ///
    /// # Errors
    /// What is wrong with the configuration, or which step failed and why. Whatever had been started is
    /// stopped, and plug-ins are closed.
    ///
    /// # Blocking
    /// For the look-up of host names in `bootstrap.servers`: up to `max.block.ms`, 30 s at most. No
    /// broker is connected to yet.
    pub fn build(self) -> Result<KafkaProducer<K, V>, ConstructError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        self.build_with(Seams {
            clock,
            seed: RandomState::new().build_hasher().finish(),
            make_client: Box::new(network_client),
            spawn: system_spawn(),
        })
    }

    /// The steps themselves (KP-1).
    pub(crate) fn build_with<C>(
        self,
        seams: Seams<C>,
    ) -> Result<KafkaProducer<K, V>, ConstructError>
    where
        C: KafkaClient<Completion> + 'static,
    {
        let config = self.config.clone();
        log_effective(&config);
        let plugins = self.resolve_plugins()?;
        match start(&config, &plugins, seams) {
            Ok((core, thread)) => {
                let unused = config.unused_keys();
                if !unused.is_empty() {
                    warn!(
                        "[Producer clientId={}] these keys were given and not used: {}",
                        config.client_id(),
                        unused.join(", ")
                    );
                }
                Ok(KafkaProducer::assemble(core, plugins, thread))
            }
            Err(error) => {
                // The cause is what the caller wants to know; what closing says goes to the log (KP-2).
                let _ = plugins.close();
                Err(error)
            }
        }
    }

    /// Makes and configures the plug-ins. If one fails, those before it are closed.
    fn resolve_plugins(self) -> Result<Plugins<K, V>, ConstructError> {
        let config = self.config;
        let view = config.plugin_config();
        let strategy = match self.partitioner {
            Some(partitioner) => Strategy::Custom(partitioner),
            None => make_strategy(&config, &view, &self.registered_partitioners)?,
        };
        let key_serializer = make_serializer(SerializerSource {
            instance: self.key_serializer,
            class: config.key_serializer_class(),
            stock: &self.stock_key,
            registered: &self.registered_keys,
            is_key: true,
            view: &view,
        });
        let key_serializer = match key_serializer {
            Ok(serializer) => serializer,
            Err(error) => {
                close_strategy(&strategy);
                return Err(error);
            }
        };
        let value_serializer = make_serializer(SerializerSource {
            instance: self.value_serializer,
            class: config.value_serializer_class(),
            stock: &self.stock_value,
            registered: &self.registered_values,
            is_key: false,
            view: &view,
        });
        let value_serializer = match value_serializer {
            Ok(serializer) => serializer,
            Err(error) => {
                let _ = panic::contain(|| key_serializer.close());
                close_strategy(&strategy);
                return Err(error);
            }
        };
        let mut plugins = Plugins {
            key_serializer: PreparedSerializer::new(key_serializer),
            value_serializer: PreparedSerializer::new(value_serializer),
            strategy,
            interceptors: Arc::new(ProducerInterceptors::new(Vec::new())),
        };
        let (chain, failure) = make_interceptors(
            &config,
            &view,
            &self.registered_interceptors,
            self.interceptors,
        );
        plugins.interceptors = Arc::new(ProducerInterceptors::new(chain));
        match failure {
            None => Ok(plugins),
            Some(error) => {
                let _ = plugins.close();
                Err(error)
            }
        }
    }
}

struct SerializerSource<'a, T: ?Sized> {
    instance: Option<Box<dyn Serializer<T>>>,
    class: Option<&'a str>,
    stock: &'a Stock<T>,
    registered: &'a BTreeMap<String, Factory<dyn Serializer<T>>>,
    is_key: bool,
    view: &'a PluginConfig,
}

fn make_serializer<T: ?Sized>(
    source: SerializerSource<'_, T>,
) -> Result<Box<dyn Serializer<T>>, ConstructError> {
    if let Some(instance) = source.instance {
        return Ok(instance);
    }
    let (key, step, method) = if source.is_key {
        ("key.serializer", "key serializer", "key_serializer")
    } else {
        ("value.serializer", "value serializer", "value_serializer")
    };
    let Some(class) = source.class.or(source.stock.default_class) else {
        return Err(ConfigError::invalid(
            key,
            None,
            "is not set",
            format!("Give the builder a serializer with {method}(), or name one in {key}"),
        )
        .into());
    };
    let registered = source
        .registered
        .get(class)
        .map(|make| make_one(step, make))
        .transpose()?;
    let made = registered.or_else(|| (source.stock.make)(class));
    let Some(mut serializer) = made else {
        return Err(unknown_class(key, class, method).into());
    };
    configured(
        step,
        panic::contain(|| serializer.configure(source.view, source.is_key)),
    )
    .inspect_err(|_| {
        let _ = panic::contain(|| serializer.close());
    })?;
    Ok(serializer)
}

fn make_strategy<K: ?Sized, V: ?Sized>(
    config: &ProducerConfig,
    view: &PluginConfig,
    registered: &BTreeMap<String, Factory<dyn Partitioner<K, V>>>,
) -> Result<Strategy<K, V>, ConstructError> {
    let class = match config.partitioner_class() {
        None | Some(DefaultPartitioner::JAVA_CLASS) => return Ok(Strategy::Default),
        Some(UniformStickyPartitioner::JAVA_CLASS) => return Ok(Strategy::UniformSticky),
        Some(class) => class,
    };
    let made = registered
        .get(class)
        .map(|make| make_one("partitioner", make))
        .transpose()?
        .or_else(|| stock_partitioner(class));
    let Some(mut partitioner) = made else {
        return Err(unknown_class("partitioner.class", class, "partitioner").into());
    };
    configured(
        "partitioner",
        panic::contain(|| partitioner.configure(view)),
    )
    .inspect_err(|_| {
        let _ = panic::contain(|| partitioner.close());
    })?;
    Ok(Strategy::Custom(partitioner))
}

/// The chain as far as it could be made, and what went wrong then.
fn make_interceptors<K: ?Sized + ToOwned, V: ?Sized + ToOwned>(
    config: &ProducerConfig,
    view: &PluginConfig,
    registered: &BTreeMap<String, Factory<dyn ProducerInterceptor<K, V>>>,
    instances: Chain<K, V>,
) -> (Chain<K, V>, Option<ConstructError>) {
    let mut chain = Vec::new();
    let mut failure = None;
    for class in config.interceptor_classes() {
        let Some(make) = registered.get(class) else {
            failure = Some(unknown_class("interceptor.classes", class, "interceptor").into());
            break;
        };
        let mut interceptor = match make_one("interceptor", make) {
            Ok(interceptor) => interceptor,
            Err(error) => {
                failure = Some(error);
                break;
            }
        };
        let result = configured(
            "interceptor",
            panic::contain(|| interceptor.configure(view)),
        );
        chain.push(interceptor);
        if let Err(error) = result {
            failure = Some(error);
            break;
        }
    }
    chain.extend(instances);
    (chain, failure)
}

fn close_strategy<K: ?Sized, V: ?Sized>(strategy: &Strategy<K, V>) {
    if let Strategy::Custom(partitioner) = strategy {
        let _ = panic::contain(|| partitioner.close());
    }
}

/// Calls a registered factory; a panic in it fails the construction.
fn make_one<T: ?Sized>(step: &'static str, make: &Factory<T>) -> Result<Box<T>, ConstructError> {
    panic::contain(make).map_err(|message| ConstructError::Failed {
        step,
        source: Arc::from(BoxError::from(format!(
            "it panicked while being made: {message}"
        ))),
    })
}

fn configured(
    step: &'static str,
    result: Result<Result<(), BoxError>, String>,
) -> Result<(), ConstructError> {
    let source: BoxError = match result {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(message) => format!("it panicked while being configured: {message}").into(),
    };
    Err(ConstructError::Failed {
        step,
        source: Arc::from(source),
    })
}

fn unknown_class(key: &'static str, class: &str, method: &str) -> ConfigError {
    ConfigError::invalid(
        key,
        Some(class),
        "is not the name of a class that this library knows",
        format!(
            "Name one of Kafka's own classes that fits the type, register the name with \
             register_{method}(), or give the builder an instance with {method}()"
        ),
    )
}

/// Everything after the plug-ins, up to the running thread.
fn start<K, V, C>(
    config: &ProducerConfig,
    plugins: &Plugins<K, V>,
    seams: Seams<C>,
) -> Result<(Core, SenderThread), ConstructError>
where
    K: ?Sized + ToOwned + 'static,
    V: ?Sized + ToOwned + 'static,
    C: KafkaClient<Completion> + 'static,
{
    let Seams {
        clock,
        seed,
        make_client,
        spawn,
    } = seams;
    let producer = ProducerId::next();
    let counters = Arc::new(Counters::default());
    let waker = Arc::new(SenderWaker::new());
    let has_interceptors = !plugins.interceptors.is_empty();
    let accumulator = Arc::new(RecordAccumulator::new(
        AccumulatorOptions {
            batch_size_bytes: config.batch_size(),
            linger: config.linger(),
            track_all: has_interceptors,
        },
        producer,
        BufferPool::new(config.buffer_memory(), config.batch_size()),
        Arc::clone(&waker),
        Arc::clone(&counters),
        Arc::clone(&clock),
    ));
    let nodes = bootstrap_nodes(config, &*clock)?;
    let metadata = Arc::new(ProducerMetadata::new(
        ProducerMetadataOptions {
            refresh_backoff: config.retry_backoff(),
            max_age: config.metadata_max_age(),
            max_idle: config.metadata_max_idle(),
        },
        cluster_listeners(plugins),
        Arc::clone(&accumulator) as _,
    ));
    metadata.bootstrap(nodes);
    let parts = ClientParts {
        config: config.clone(),
        metadata: Arc::clone(&metadata),
        usable_magic: Arc::new(UsableMagic::new()),
        clock: Arc::clone(&clock),
        seed,
    };
    let usable_magic = Arc::clone(&parts.usable_magic);
    let client = make_client(&parts).map_err(|error| failed("network client", error))?;
    waker.attach(client.wake_up());
    let control = Arc::new(SenderControl::default());
    let shared = SenderShared {
        accumulator: Arc::clone(&accumulator),
        metadata: Arc::clone(&metadata),
        waker: Arc::clone(&waker),
        control: Arc::clone(&control),
        counters: Arc::clone(&counters),
        clock: Arc::clone(&clock),
    };
    let transactions = config
        .enable_idempotence()
        .then(|| TransactionManager::new(config.retry_backoff()));
    let listener = has_interceptors
        .then(|| Arc::clone(&plugins.interceptors) as Arc<dyn AcknowledgementListener>);
    let sender = Sender::new(
        sender_options(config, seed),
        shared,
        client,
        transactions,
        listener,
    );
    let thread = SenderThread::start(
        format!("kafka-producer-network-thread | {}", config.client_id()),
        move || sender.run(),
        Arc::clone(&control),
        Arc::clone(&waker),
        spawn,
    )
    .map_err(|error| failed("sender thread", error))?;
    debug!("[Producer clientId={}] started", config.client_id());
    let core = Core {
        accumulator,
        metadata,
        waker,
        control,
        counters,
        clock,
        usable_magic,
        random: RandomSource::new(seed),
        producer,
        config: config.clone(),
    };
    Ok((core, thread))
}

fn failed(step: &'static str, error: io::Error) -> ConstructError {
    ConstructError::Failed {
        step,
        source: Arc::new(error),
    }
}

fn sender_options(config: &ProducerConfig, seed: u64) -> SenderOptions {
    SenderOptions {
        acks: config.acks().code(),
        max_request_bytes: config.max_request_size(),
        retries: config.retries(),
        request_timeout: config.request_timeout(),
        retry_backoff: config.retry_backoff(),
        retry_backoff_max: config
            .retry_backoff_max()
            .unwrap_or_else(|| config.retry_backoff()),
        linger: config.linger(),
        delivery_timeout: config.delivery_timeout(),
        guarantee_order: config.max_in_flight_requests_per_connection() == 1,
        log_prefix: format!("[Producer clientId={}]", config.client_id()).into(),
        seed,
    }
}

/// The bootstrap servers as nodes, numbered down from -1 (MD-23).
fn bootstrap_nodes(
    config: &ProducerConfig,
    clock: &dyn Clock,
) -> Result<Vec<Node>, ConstructError> {
    const KEY: &str = "bootstrap.servers";
    let hosts: Vec<(String, u16)> = parse_bootstrap(config.bootstrap_servers())?
        .into_iter()
        .map(|entry| (entry.host, entry.port))
        .collect();
    if hosts.is_empty() {
        let remedy = "Name one broker or more as host:port, separated by commas".to_owned();
        return Err(ConfigError::invalid(KEY, None, "names no broker", remedy).into());
    }
    let lookup = match config.client_dns_lookup() {
        ClientDnsLookup::ResolveCanonicalBootstrapServersOnly => {
            DnsLookup::ResolveCanonicalBootstrapServersOnly
        }
        _ => DnsLookup::UseAllDnsIps,
    };
    let limit = BOOTSTRAP_LOOKUP_LIMIT.min(config.max_block());
    let found = resolve_bootstrap(&hosts, lookup, limit, clock);
    for ((host, port), why) in &found.failed {
        warn!(
            "[Producer clientId={}] {KEY}: {host}:{port}: {why}",
            config.client_id()
        );
    }
    if found.usable.is_empty() {
        let tried: Vec<String> = found
            .failed
            .iter()
            .map(|((host, port), why)| format!("{host}:{port}: {why}"))
            .collect();
        return Err(ConfigError::invalid(
            KEY,
            Some(&config.bootstrap_servers().join(",")),
            format!("names no host that can be resolved ({})", tried.join("; ")),
            "Check the names, and that the name service answers",
        )
        .into());
    }
    let ids = (NodeId::MIN..=-1).rev();
    Ok(ids
        .zip(found.usable)
        .map(|(id, (host, port))| Node::new(id, host, port))
        .collect())
}

/// KP-5: also those of serializers made from the configuration (KAFKA-14853).
fn cluster_listeners<K: ?Sized + ToOwned, V: ?Sized + ToOwned>(
    plugins: &Plugins<K, V>,
) -> Vec<Arc<dyn ClusterResourceListener>> {
    let mut listeners = plugins.interceptors.cluster_listeners();
    listeners.extend(plugins.key_serializer.as_serializer().cluster_listener());
    listeners.extend(plugins.value_serializer.as_serializer().cluster_listener());
    listeners
}

/// The client that talks to real brokers.
fn network_client(
    parts: &ClientParts,
) -> io::Result<NetworkClient<Selector, SystemResolver, Completion>> {
    let config = &parts.config;
    let selector = Selector::new(
        SelectorOptions {
            send_buffer: config.send_buffer_bytes(),
            receive_buffer: config.receive_buffer_bytes(),
            connections_max_idle: config.connections_max_idle(),
            ..SelectorOptions::default()
        },
        Arc::clone(&parts.clock),
    )?;
    let resolver = SystemResolver::new(selector.wake_up());
    let options = NetworkClientOptions {
        client_id: config.client_id().into(),
        max_in_flight: config.max_in_flight_requests_per_connection(),
        reconnect_backoff: config.reconnect_backoff(),
        reconnect_backoff_max: config.reconnect_backoff_max(),
        setup_timeout: config.socket_connection_setup_timeout(),
        setup_timeout_max: config.socket_connection_setup_timeout_max(),
        request_timeout: config.request_timeout(),
        seed: parts.seed,
    };
    Ok(NetworkClient::new(
        options,
        selector,
        resolver,
        Arc::clone(&parts.metadata) as _,
        Arc::clone(&parts.usable_magic),
        Arc::clone(&parts.clock),
    ))
}

fn log_effective(config: &ProducerConfig) {
    if log::log_enabled!(log::Level::Info) {
        let values: Vec<String> = config
            .effective()
            .into_iter()
            .map(|(key, value, from)| format!("{key} = {value} ({from:?})"))
            .collect();
        info!(
            "[Producer clientId={}] configuration in effect:\n\t{}",
            config.client_id(),
            values.join("\n\t")
        );
    }
}

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> fmt::Debug for ProducerBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
