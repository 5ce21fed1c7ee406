//! Wiring of a producer: constructs accumulator, metadata, network client and sender from the configuration and the
//! plug-ins, then starts the sender thread.

use std::io;
use std::sync::Arc;

use crate::producer::record::RecordData;
use crate::util::log;
use crate::util::log::{LogContext, debug, list, warn};

use crate::client::kafka_client::KafkaClient;
use crate::client::network_client::{
    NetworkClient, NetworkClientOptions, RecoveryOptions, bootstrap_nodes,
};
use crate::clock::Clock;
use crate::compress::{CompressionType, Compressor};
use crate::config::{
    ClientDnsLookup, MetadataRecoveryStrategy, ProducerConfig, distinct_servers, listed_servers,
};
use crate::error::{ConfigError, ConstructError, ConstructStep, PluginKind};
use crate::metrics::{MOST_SAMPLES, MetricsOptions, MetricsRegistry, Windows};
use crate::network::channel_builder::channel_builder;
use crate::network::metrics::SelectorMetrics;
use crate::network::mio_poller::{MioPoller, SocketOptions};
use crate::network::poller::Poller;
use crate::network::resolver::{
    BOOTSTRAP_LIMIT, DnsLookup, NameLookUps, Resolver, resolve_bootstrap,
};
use crate::network::selectable::Selectable;
use crate::network::selector::{Selector, SelectorOptions};
use crate::producer::accumulator::{AccumulatorFormat, AccumulatorOptions, RecordAccumulator};
use crate::producer::batch::Packer;
use crate::producer::buffer_pool::BufferPool;
use crate::producer::cluster_listeners::ClusterListeners;
use crate::producer::core::{Core, Plugins};
use crate::producer::counters::Counters;
use crate::producer::instance::{Instance, InstanceId};
use crate::producer::interceptor::AcknowledgementListener;
use crate::producer::lifecycle::{SenderThread, Spawn};
use crate::producer::metadata::{ProducerMetadata, ProducerMetadataOptions};
use crate::producer::partitioner::RandomSource;
use crate::producer::sender::{Completion, Sender, SenderControl, SenderOptions, SenderShared};
use crate::producer::sensors::ProducerSensors;
use crate::producer::transaction::{TransactionManager, TransactionOptions};
use crate::producer::user_code::{Fence, UserCode, UserCodeFailure};
use crate::producer::wake::SenderWaker;
use crate::security::sasl::dependencies::{RandomBytes, SaslDependencies};
use crate::security::{Security, SecurityParts};
use crate::types::{Node, UsableMagic};
use crate::util::process::RecentlyAsked;

/// Injected dependencies of a producer: clock, randomness, DNS, network, threads. They are those of the system, or of a
/// test.
pub(crate) struct Seams<C> {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: u64,
    pub(crate) names: NameLookUps,
    /// Unpredictable random bytes; seeded in simulations.
    pub(crate) random: RandomBytes,
    pub(crate) make_client: MakeClient<C>,
    pub(crate) spawn: Spawn,
}

pub(super) type MakeClient<C> = Box<dyn FnOnce(&ClientParts) -> io::Result<C>>;

/// Arguments for the construction of a network client.
pub(crate) struct ClientParts {
    pub(crate) config: ProducerConfig,
    pub(crate) security: Security,
    pub(crate) metadata: Arc<ProducerMetadata>,
    pub(crate) metrics: Arc<MetricsRegistry>,
    pub(crate) sensors: Arc<ProducerSensors>,
    pub(crate) usable_magic: Arc<UsableMagic>,
    pub(crate) instance: Instance,
    pub(crate) names: NameLookUps,
    pub(crate) seed: u64,
}

/// Injected dependencies of everything but the plug-ins.
pub(super) struct Surroundings {
    pub(super) seed: u64,
    pub(super) names: NameLookUps,
    pub(super) random: RandomBytes,
}

/// The parts that need neither the network nor a thread, and the dependencies of the others.
pub(super) struct CheckedParts {
    seed: u64,
    names: NameLookUps,
    security: Security,
    /// `None` without compression.
    compressor: Option<Compressor>,
    /// The parsed `bootstrap.servers`: at least one, without duplicates.
    servers: Vec<(String, u16)>,
}

/// Constructs these parts, which fail if the configuration is wrong.
pub(super) fn checked_parts(
    config: &ProducerConfig,
    instance: &Instance,
    given: SecurityParts,
    surroundings: Surroundings,
) -> Result<CheckedParts, ConstructError> {
    let (seed, names) = (surroundings.seed, surroundings.names.clone());
    Ok(CheckedParts {
        seed,
        names,
        security: security(config, instance, given, surroundings)?,
        compressor: compressor(config)?,
        servers: listed_servers(config.bootstrap_servers())?,
    })
}

/// A new instance id, with the clock and the log prefix of the configuration.
pub(super) fn instance(config: &ProducerConfig, clock: Arc<dyn Clock>) -> Instance {
    let log = LogContext::of_producer(config.client_id(), config.transactional_id());
    Instance::new(InstanceId::next(), clock, log)
}

/// The producer's metrics registry.
pub(super) fn registry(config: &ProducerConfig, instance: &Instance) -> Arc<MetricsRegistry> {
    let samples = config.metrics_num_samples();
    if samples > MOST_SAMPLES {
        warn!(
            instance.log(),
            "metrics.num.samples={samples}: only {MOST_SAMPLES} are kept, and metrics.sample.window.ms is longer by \
             the same factor"
        );
    }
    Arc::new(MetricsRegistry::new(MetricsOptions {
        client_id: config.client_id().into(),
        windows: Windows::new(samples, config.metrics_sample_window()),
        level: config.metrics_recording_level(),
        clock: Arc::clone(instance.clock()),
    }))
}

/// Constructs the rest of the producer, and starts the sender thread.
pub(super) fn start<K, V, C>(
    config: &ProducerConfig,
    plugins: &Plugins<K, V>,
    parts: CheckedParts,
    make_client: MakeClient<C>,
    spawn: Spawn,
) -> Result<(Core, SenderThread), ConstructError>
where
    K: ?Sized + RecordData + 'static,
    V: ?Sized + RecordData + 'static,
    C: KafkaClient<Completion> + 'static,
{
    let (core, sender) = assemble(config, plugins, parts, make_client)?;
    let thread = SenderThread::start(
        &format!("kafka-producer-network-thread | {}", config.client_id()),
        core.instance.clone(),
        move || sender.run(),
        Arc::clone(&core.control),
        Arc::clone(&core.waker),
        spawn,
    )
    .map_err(|error| failed(ConstructStep::SenderThread, error))?;
    debug!(core.instance.log(), "started");
    Ok((core, thread))
}

/// Constructs the application side ([`Core`]) and the sender, which is not running yet.
pub(super) fn assemble<K, V, C>(
    config: &ProducerConfig,
    plugins: &Plugins<K, V>,
    parts: CheckedParts,
    make_client: MakeClient<C>,
) -> Result<(Core, Sender<C>), ConstructError>
where
    K: ?Sized + RecordData + 'static,
    V: ?Sized + RecordData + 'static,
    C: KafkaClient<Completion> + 'static,
{
    let instance = &plugins.instance;
    let CheckedParts {
        seed,
        names,
        security,
        compressor,
        servers,
    } = parts;
    #[cfg(feature = "tls-no-provider")]
    let tls = security.tls.clone();
    let clock = Arc::clone(instance.clock());
    let log = instance.log();
    let counters = Arc::new(Counters::default());
    let waker = Arc::new(SenderWaker::new());
    // With interceptors each record is tracked in its batch: `on_acknowledgement` needs its sizes and timestamp.
    let has_interceptors = !plugins.interceptors.is_empty();
    let usable_magic = Arc::new(UsableMagic::new());
    let accumulator = Arc::new(RecordAccumulator::new(
        AccumulatorOptions {
            batch_size_bytes: config.batch_size(),
            linger: config.linger(),
            track_all: has_interceptors,
            is_transactional: config.transactional_id().is_some(),
        },
        AccumulatorFormat {
            usable_magic: Arc::clone(&usable_magic),
            packer: Arc::new(Packer::new(compressor, log.clone())),
        },
        instance.clone(),
        BufferPool::new(config.buffer_memory(), config.batch_size()),
        Arc::clone(&waker),
        Arc::clone(&counters),
    ));
    let nodes = first_nodes(config, &servers, instance, &names)?;
    let metadata = Arc::new(ProducerMetadata::new(
        ProducerMetadataOptions {
            refresh_backoff: config.retry_backoff(),
            max_age: config.metadata_max_age(),
            max_idle: config.metadata_max_idle(),
        },
        cluster_listeners(plugins)?,
        Arc::clone(&accumulator) as _,
    ));
    // As in Java: the bootstrap servers are the cluster until the first metadata response.
    metadata.bootstrap(nodes);
    let metrics = Arc::clone(&plugins.metrics);
    let sensors = ProducerSensors::register(&metrics, accumulator.pool(), &metadata, &counters);
    let parts = ClientParts {
        config: config.clone(),
        security,
        metadata: Arc::clone(&metadata),
        metrics: Arc::clone(&metrics),
        sensors: Arc::clone(&sensors),
        usable_magic: Arc::clone(&usable_magic),
        instance: instance.clone(),
        names,
        seed,
    };
    let client =
        make_client(&parts).map_err(|error| failed(ConstructStep::NetworkClient, error))?;
    // Attached before the sender runs: it must not sleep in a poll that cannot be interrupted yet.
    waker.attach(client.wake_up());
    let control = Arc::new(SenderControl::default());
    let shared = SenderShared {
        accumulator: Arc::clone(&accumulator),
        metadata: Arc::clone(&metadata),
        waker: Arc::clone(&waker),
        control: Arc::clone(&control),
        counters: Arc::clone(&counters),
        metrics: Arc::clone(&metrics),
        sensors: Arc::clone(&sensors),
        usable_magic: Arc::clone(&usable_magic),
        clock: Arc::clone(&clock),
    };
    // The transaction manager keeps sequence numbers, too: idempotence needs it even without a `transactional.id`.
    let transactions = config
        .enable_idempotence()
        .then(|| TransactionManager::new(transaction_options(config, log.clone())));
    // Application threads share only the transactional part; sequence numbers belong to the sender alone.
    let shared_transactions = transactions.as_ref();
    let shared_transactions = shared_transactions.and_then(|it| it.transactions().cloned());
    let listener = has_interceptors
        .then(|| Arc::clone(&plugins.interceptors) as Arc<dyn AcknowledgementListener>);
    let sender = Sender::new(
        sender_options(config, log.clone(), seed),
        shared,
        client,
        transactions,
        listener,
    );
    let core = Core {
        accumulator,
        metadata,
        waker,
        control,
        counters,
        metrics,
        sensors,
        clock,
        usable_magic,
        random: RandomSource::new(seed),
        instance: instance.clone(),
        transactions: shared_transactions,
        #[cfg(feature = "tls-no-provider")]
        tls,
        #[cfg(feature = "testing")]
        call_errors: None,
        fork_asked: RecentlyAsked::new(),
        config: config.clone(),
    };
    Ok((core, sender))
}

/// The security settings of connections: TLS and SASL.
fn security(
    config: &ProducerConfig,
    instance: &Instance,
    given: SecurityParts,
    surroundings: Surroundings,
) -> Result<Security, ConfigError> {
    let dependencies = SaslDependencies {
        run: surroundings.names.run,
        wake: Arc::default(),
        random: surroundings.random,
        clock: Arc::clone(instance.clock()),
        log: instance.log().clone(),
        seed: surroundings.seed,
    };
    Security::from_config(config, given, dependencies)
}

/// The compressor of `compression.type`; `None` without compression.
fn compressor(config: &ProducerConfig) -> Result<Option<Compressor>, ConstructError> {
    match config.compression_type() {
        CompressionType::None => Ok(None),
        codec => Compressor::new(codec, config.compression_level())
            .map(Some)
            .map_err(|missing| failed(ConstructStep::Codec, io::Error::other(missing))),
    }
}

fn failed(step: ConstructStep, error: io::Error) -> ConstructError {
    ConstructError::Failed {
        step,
        source: Arc::new(error),
    }
}

/// Upper limit of a produce request with several batches, whatever `max.request.size` allows. A frame's length has 31
/// bits, and the request's other fields need some of it. A request that is too large to be encoded would fail all its
/// batches. A batch that is larger than this limit is sent in a request of its own.
const SHARED_REQUEST_BYTES: usize = 1 << 30;

fn transaction_options(config: &ProducerConfig, log: LogContext) -> TransactionOptions {
    TransactionOptions {
        log,
        retry_backoff: config.retry_backoff(),
        transactional_id: config.transactional_id().map(Arc::from),
        transaction_timeout: config.transaction_timeout(),
        max_block: config.max_block(),
    }
}

pub(super) fn sender_options(config: &ProducerConfig, log: LogContext, seed: u64) -> SenderOptions {
    SenderOptions {
        acks: config.acks().code(),
        max_request_bytes: config.max_request_size().min(SHARED_REQUEST_BYTES),
        retries: config.retries(),
        request_timeout: config.request_timeout(),
        retry_backoff: config.retry_backoff(),
        // Without `retry.backoff.max.ms` the back-off is constant, as in Kafka 3.0; exponential back-off is KIP-580.
        retry_backoff_max: config
            .retry_backoff_max()
            .unwrap_or_else(|| config.retry_backoff()),
        linger: config.linger(),
        delivery_timeout: config.delivery_timeout(),
        // `guaranteeMessageOrder` in Java: partitions are muted while a batch of theirs is in flight.
        guarantee_order: config.max_in_flight_requests_per_connection() == 1,
        log,
        seed,
    }
}

const BOOTSTRAP_SERVERS: &str = "bootstrap.servers";

fn dns_lookup(config: &ProducerConfig) -> DnsLookup {
    match config.client_dns_lookup() {
        ClientDnsLookup::ResolveCanonicalBootstrapServersOnly => {
            DnsLookup::ResolveCanonicalBootstrapServersOnly
        }
        _ => DnsLookup::UseAllDnsIps,
    }
}

/// The bootstrap nodes: the servers whose names can be resolved.
///
/// The look-up is not bounded by `max.block.ms`, which is for `send`: with `max.block.ms=0` no producer could be built
/// from a host name.
fn first_nodes(
    config: &ProducerConfig,
    servers: &[(String, u16)],
    instance: &Instance,
    names: &NameLookUps,
) -> Result<Vec<Node>, ConstructError> {
    const KEY: &str = BOOTSTRAP_SERVERS;
    let lookup = dns_lookup(config);
    let found = resolve_bootstrap(servers, lookup, BOOTSTRAP_LIMIT, &**instance.clock(), names);
    // One resolvable server is enough, as in `ClientUtils#parseAndValidateAddresses`.
    for ((host, port), why) in &found.failed {
        warn!(instance.log(), "{KEY}: {host}:{port}: {why}",);
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
    // Canonical names replace the configured ones, so these nodes cannot be matched with the list.
    if lookup == DnsLookup::ResolveCanonicalBootstrapServersOnly {
        return Ok(bootstrap_nodes(&found.usable));
    }
    // A server is numbered by its position in the list, as in a rebootstrap.
    let mut nodes = bootstrap_nodes(servers);
    nodes.retain(|node| {
        let mut usable = found.usable.iter();
        usable.any(|(host, port)| host == node.host() && *port == node.port())
    });
    Ok(nodes)
}

/// Options of rebootstrapping (KIP-899, KIP-1102).
fn recovery(config: &ProducerConfig) -> RecoveryOptions {
    let servers = match config.metadata_recovery_strategy() {
        // `checked_parts` has parsed the same list before, so this cannot fail.
        MetadataRecoveryStrategy::Rebootstrap => {
            distinct_servers(config.bootstrap_servers()).unwrap_or_default()
        }
        MetadataRecoveryStrategy::None => Vec::new(),
    };
    RecoveryOptions {
        servers,
        lookup: dns_lookup(config),
        trigger: config.metadata_recovery_rebootstrap_trigger(),
    }
}

/// Collects the cluster resource listeners of all plug-ins, also of serializers made from the configuration
/// (KP-5, KAFKA-14853).
pub(super) fn cluster_listeners<K: ?Sized + RecordData, V: ?Sized + RecordData>(
    plugins: &Plugins<K, V>,
) -> Result<ClusterListeners, ConstructError> {
    let ask = || -> Result<_, UserCodeFailure> {
        let fence = Fence::of(&plugins.instance);
        let (key, value) = (&plugins.key_serializer, &plugins.value_serializer);
        let mut listeners = plugins.interceptors.cluster_listeners()?;
        listeners.extend(plugins.reporters.cluster_listeners()?);
        // Unlike interceptors and reporters, serializers have no fence of their own.
        listeners.extend(fence.call(
            UserCode::Plugin(PluginKind::KeySerializer, "cluster_listener"),
            || key.as_serializer().cluster_listener(),
        )?);
        listeners.extend(fence.call(
            UserCode::Plugin(PluginKind::ValueSerializer, "cluster_listener"),
            || value.as_serializer().cluster_listener(),
        )?);
        Ok(ClusterListeners::new(listeners, plugins.instance.clone()))
    };
    ask().map_err(|failure| {
        let step = ConstructStep::Plugin(PluginKind::ClusterListener);
        failed(step, io::Error::other(failure))
    })
}

/// The network client on real sockets.
pub(super) fn network_client(
    parts: &ClientParts,
) -> io::Result<NetworkClient<Selector<MioPoller>, Resolver, Completion>> {
    let config = &parts.config;
    let sockets = SocketOptions {
        send_buffer: config.send_buffer_bytes(),
        receive_buffer: config.receive_buffer_bytes(),
    };
    let poller = MioPoller::new(sockets, parts.instance.log().clone())?;
    Ok(network_client_on(selector(poller, parts)?, parts))
}

/// The selector, on any poller.
pub(super) fn selector<P: Poller>(poller: P, parts: &ClientParts) -> io::Result<Selector<P>> {
    let config = &parts.config;
    let builder = channel_builder(&parts.security, config.client_id(), &poller.wake_up())?;
    let options = SelectorOptions {
        connections_max_idle: config.connections_max_idle(),
        ..SelectorOptions::default()
    };
    Ok(Selector::new(
        poller,
        builder,
        options,
        Arc::clone(parts.instance.clock()),
        SelectorMetrics::new(Arc::clone(&parts.metrics), Arc::clone(&parts.sensors.nodes)),
    ))
}

/// The network client, on any selector.
pub(super) fn network_client_on<S: Selectable>(
    selector: S,
    parts: &ClientParts,
) -> NetworkClient<S, Resolver, Completion> {
    let config = &parts.config;
    // A look-up of a host name runs on another thread; its result interrupts the poll.
    let resolver = Resolver::new(parts.names.clone(), selector.wake_up());
    let options = NetworkClientOptions {
        client_id: config.client_id().into(),
        log: parts.instance.log().clone(),
        uses_sasl: config.security_protocol().uses_sasl(),
        max_in_flight: config.max_in_flight_requests_per_connection(),
        reconnect_backoff: config.reconnect_backoff(),
        reconnect_backoff_max: config.reconnect_backoff_max(),
        setup_timeout: config.socket_connection_setup_timeout(),
        setup_timeout_max: config.socket_connection_setup_timeout_max(),
        request_timeout: config.request_timeout(),
        recovery: recovery(config),
        seed: parts.seed,
    };
    NetworkClient::new(
        options,
        selector,
        resolver,
        Arc::clone(&parts.metadata) as _,
        Arc::clone(&parts.usable_magic),
        Arc::clone(parts.instance.clock()),
        parts.sensors.sender.clone(),
    )
}

/// The log target of the configuration in effect. The list is long, so that users filter it out by this name, which the
/// README promises.
const CONFIG_TARGET: &str = "kafka_producer::config";

pub(super) fn log_effective(config: &ProducerConfig, log: &LogContext) {
    // `effective` formats every key, so it is not called when the line is filtered out.
    if log::Level::Info <= log::max_level() {
        let values: Vec<String> = config
            .effective()
            .into_iter()
            .map(|(key, value, from)| format!("{key} = {value} ({from:?})"))
            .collect();
        list!(
            CONFIG_TARGET,
            log,
            "configuration in effect",
            values.iter().map(String::as_str)
        );
    }
}
