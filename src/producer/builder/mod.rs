//! Builder of a producer: runs the steps of Java's constructor in its order. If a step fails, the earlier steps are
//! undone.

#[cfg(feature = "testing")]
mod by_hand;
#[cfg(feature = "cli")]
mod check;
mod plugins;
mod reporters;
mod start;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use crate::producer::record::RecordData;
use crate::util::log::warn;

#[cfg(feature = "testing")]
pub(crate) use self::by_hand::{HandSeams, SteppedProducer};
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) use self::by_hand::{HandSender, SenderOn, SteppedSeams};
use self::plugins::{
    Chain, Factory, SerializerSource, Stock, close_and_log, close_strategy, make_interceptors,
    make_serializer, make_strategy,
};
use self::reporters::GivenReporters;
#[cfg(feature = "testing")]
pub(crate) use self::start::ClientParts;
use self::start::{
    CheckedParts, Seams, Surroundings, checked_parts, instance, log_effective, network_client,
    registry, start,
};
use super::core::Plugins;
use super::instance::Instance;
use super::interceptor::{CopyRecord, ProducerInterceptor, ProducerInterceptors, copy_record};
use super::kafka_producer::KafkaProducer;
use super::lifecycle::system_spawn;
use super::partitioner::{Partitioner, Strategy};
use super::sender::Completion;
use super::serializer::{PreparedSerializer, Serializer, StockSerialize};
use super::user_code::{Fence, UserCode};
use crate::client::kafka_client::KafkaClient;
use crate::clock::{Clock, SystemClock};
use crate::config::{ProducerConfig, nearest_key};
use crate::error::{BoxError, ConstructError, PluginKind};
use crate::network::resolver::NameLookUps;
use crate::security::SecurityParts;
use crate::security::sasl::dependencies::random_of_system;
use crate::security::sasl::{FetchToken, TokenProvider};

/// Builder of a [`KafkaProducer`], for plug-ins of your own.
///
/// A plug-in is either given as an instance, which is used as it is, or named in the configuration (`key.serializer`,
/// `value.serializer`, `partitioner.class`, `interceptor.classes`, `metric.reporters`). A named plug-in is created by
/// the builder, and configured with all keys of the configuration. Valid names are those of Kafka's own Java classes,
/// and those that were registered with this builder. An instance of a serializer or a partitioner takes precedence over
/// a name. Interceptors and reporters are all used, whether named or given as instances.
///
/// ```
/// use kafka_producer::{
///     IntegerSerializer, KafkaProducer, ProducerConfig, RoundRobinPartitioner, StringSerializer,
/// };
///
/// # fn main() -> Result<(), kafka_producer::ConstructError> {
/// let config = ProducerConfig::builder().bootstrap_servers(["127.0.0.1:9092"]).build()?;
/// let producer = KafkaProducer::<i32, str>::builder(config)
///     .key_serializer(IntegerSerializer::new())
///     .value_serializer(StringSerializer::default())
///     .partitioner(RoundRobinPartitioner::new())
///     .build()?;
/// # drop(producer);
/// # Ok(())
/// # }
/// ```
///
/// # Kafka
/// The constructors of `KafkaProducer`.
pub struct ProducerBuilder<K: ?Sized + RecordData, V: ?Sized + RecordData> {
    config: ProducerConfig,
    key_serializer: Option<Box<dyn Serializer<K>>>,
    value_serializer: Option<Box<dyn Serializer<V>>>,
    stock_key: Stock<K>,
    stock_value: Stock<V>,
    partitioner: Option<Strategy<K, V>>,
    interceptors: Chain<K, V>,
    registered_keys: BTreeMap<String, Factory<dyn Serializer<K>>>,
    registered_values: BTreeMap<String, Factory<dyn Serializer<V>>>,
    registered_partitioners: BTreeMap<String, Factory<dyn Partitioner<K, V>>>,
    registered_interceptors: BTreeMap<String, Factory<dyn ProducerInterceptor<K, V>>>,
    /// `None` if no interceptor was given or registered.
    copy_record: Option<CopyRecord<K, V>>,
    #[cfg(feature = "tls-no-provider")]
    crypto_provider: Option<Arc<rustls::crypto::CryptoProvider>>,
    token_provider: Option<Arc<dyn TokenProvider>>,
    reporters: GivenReporters,
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> KafkaProducer<K, V> {
    /// Builds a producer for types that Kafka's own serializers support, such as `str`, `[u8]` or `i64`. The
    /// serializers are those that the configuration names, else those that fit the types.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::{KafkaProducer, ProducerConfig};
    ///
    /// let config = ProducerConfig::builder().bootstrap_servers("127.0.0.1:9092").build()?;
    /// // Does not connect: the first record does.
    /// let producer = KafkaProducer::<str, [u8]>::new(config)?;
    /// # drop(producer);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`ProducerBuilder::build`].
    ///
    /// # Blocking
    /// As [`ProducerBuilder::build`].
    // The bounds are the method's own: an error about a bound of the `impl` would lack the text of `StockSerialize`.
    pub fn new(config: ProducerConfig) -> Result<Self, ConstructError>
    where
        K: StockSerialize + 'static,
        V: StockSerialize + 'static,
    {
        Self::builder(config).stock_serializers().build()
    }

    /// Returns a builder, for serializers, a partitioner or interceptors of your own.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = kafka_producer::testing::TestCluster::builder().topic("points", 1).start()?;
    /// # let servers = cluster.bootstrap_servers();
    /// use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord, serialize_with};
    ///
    /// struct Point(i32, i32);
    ///
    /// let config = ProducerConfig::builder().bootstrap_servers(servers).build()?;
    /// let producer = KafkaProducer::<str, Point>::builder(config)
    ///     .stock_key_serializer()
    ///     .value_serializer(serialize_with(|point: &Point| {
    ///         Ok::<_, std::convert::Infallible>(format!("{},{}", point.0, point.1).into_bytes())
    ///     }))
    ///     .build()?;
    /// producer.send(ProducerRecord::keyed("points", "origin", Point(0, 0)))?.get()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(config: ProducerConfig) -> ProducerBuilder<K, V>
    where
        K: 'static,
        V: 'static,
    {
        ProducerBuilder::new(config)
    }
}

impl<K: ?Sized + RecordData + 'static, V: ?Sized + RecordData + 'static> ProducerBuilder<K, V> {
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
            copy_record: None,
            #[cfg(feature = "tls-no-provider")]
            crypto_provider: None,
            token_provider: None,
            reporters: GivenReporters::default(),
        }
    }

    /// Sets the key serializer, as an instance; its `configure` is not called.
    #[must_use]
    pub fn key_serializer(mut self, serializer: impl Serializer<K> + 'static) -> Self {
        self.key_serializer = Some(Box::new(serializer));
        self
    }

    /// Sets the value serializer, as an instance; its `configure` is not called.
    #[must_use]
    pub fn value_serializer(mut self, serializer: impl Serializer<V> + 'static) -> Self {
        self.value_serializer = Some(Box::new(serializer));
        self
    }

    /// Sets the partitioner, as an instance; its `configure` is not called. An instance of one of this crate's own
    /// partitioners is as fast as if it were named in `partitioner.class`, unless it was created with a seed.
    #[must_use]
    pub fn partitioner(mut self, partitioner: impl Partitioner<K, V> + 'static) -> Self {
        self.partitioner = Some(Strategy::of(partitioner));
        self
    }

    /// Adds an interceptor, as an instance, after those that were added before; its `configure` is not called.
    /// Interceptors that the configuration names come first.
    ///
    /// Keys and values must be `Clone`: an interceptor that fails may have changed a part of the record, which then goes
    /// on as it was before, and a record that [`try_send`](KafkaProducer::try_send) refuses is returned as it was given.
    //  The compiler prints the line of a bound that does not hold, with the comment on it.
    #[must_use]
    pub fn interceptor(mut self, interceptor: impl ProducerInterceptor<K, V> + 'static) -> Self
    where
        K::Owned: Clone, // keys must be `Clone` for interceptors: a copy replaces what a failing one has changed
        V::Owned: Clone, // values must be `Clone` for interceptors; a type that is not can be sent as `Arc<V>`
    {
        self.interceptors.push(Box::new(interceptor));
        self.copy_record = Some(copy_record);
        self
    }

    /// Registers a factory for the serializer class name `class` in `key.serializer`.
    #[must_use]
    pub fn register_key_serializer(
        mut self,
        class: impl Into<String>,
        make: impl Fn() -> Box<dyn Serializer<K>> + Send + 'static,
    ) -> Self {
        self.registered_keys.insert(class.into(), Box::new(make));
        self
    }

    /// Registers a factory for the serializer class name `class` in `value.serializer`.
    ///
    /// ```
    /// use kafka_producer::{KafkaProducer, ProducerConfig, StringSerializer};
    ///
    /// # fn main() -> Result<(), kafka_producer::ConstructError> {
    /// // For a properties file that names a class of your own.
    /// let text = "bootstrap.servers=127.0.0.1:9092\nvalue.serializer=com.example.OrderSerializer";
    /// let producer = KafkaProducer::<str, str>::builder(ProducerConfig::from_properties_str(text)?)
    ///     .key_serializer(StringSerializer::default())
    ///     .register_value_serializer("com.example.OrderSerializer", || Box::new(StringSerializer::default()))
    ///     .build()?;
    /// # drop(producer);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn register_value_serializer(
        mut self,
        class: impl Into<String>,
        make: impl Fn() -> Box<dyn Serializer<V>> + Send + 'static,
    ) -> Self {
        self.registered_values.insert(class.into(), Box::new(make));
        self
    }

    /// Registers a factory for the partitioner class name `class` in `partitioner.class`.
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

    /// Registers a factory for the interceptor class name `class` in `interceptor.classes`. Keys and values must be
    /// `Clone`, as for [`interceptor`](Self::interceptor).
    #[must_use]
    pub fn register_interceptor(
        mut self,
        class: impl Into<String>,
        make: impl Fn() -> Box<dyn ProducerInterceptor<K, V>> + Send + 'static,
    ) -> Self
    where
        K::Owned: Clone, // keys must be `Clone` for interceptors: a copy replaces what a failing one has changed
        V::Owned: Clone, // values must be `Clone` for interceptors; a type that is not can be sent as `Arc<V>`
    {
        self.registered_interceptors
            .insert(class.into(), Box::new(make));
        self.copy_record = Some(copy_record);
        self
    }

    /// Sets the token provider of `sasl.mechanism=OAUTHBEARER`. `sasl.jaas.config` and
    /// `sasl.login.callback.handler.class` are then ignored.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use kafka_producer::{KafkaProducer, OAuthBearerToken, ProducerConfig, SecurityProtocol};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = ProducerConfig::builder()
    ///     .bootstrap_servers(["kafka-1:9093"])
    ///     .security_protocol(SecurityProtocol::SaslPlaintext)
    ///     .set("sasl.mechanism", "OAUTHBEARER")
    ///     .build()?;
    /// let producer = KafkaProducer::<str, str>::builder(config)
    ///     .stock_serializers()
    ///     .token_provider(|| {
    ///         let token = std::fs::read_to_string("/var/run/secrets/kafka/token")?;
    ///         Ok(OAuthBearerToken::new(token.trim_end(), Duration::from_secs(600)))
    ///     })
    ///     .build()?;
    /// # drop(producer);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn token_provider(mut self, provider: impl TokenProvider + 'static) -> Self {
        self.token_provider = Some(Arc::new(provider));
        self
    }

    /// The given security dependencies. The token provider is user code, so it is called inside a fence, on any thread.
    fn security_parts(&self, instance: &Instance) -> SecurityParts {
        let instance = instance.clone();
        let tokens = self.token_provider.clone();
        SecurityParts {
            #[cfg(feature = "tls-no-provider")]
            crypto_provider: self.crypto_provider.clone(),
            tokens: tokens.map(|provider| {
                let fetch: FetchToken = Arc::new(move || {
                    let who = UserCode::Plugin(PluginKind::TokenProvider, "token");
                    let token = Fence::of(&instance).try_call(who, || provider.token());
                    token.map_err(|failure| failure.to_string())
                });
                fetch
            }),
        }
    }

    /// Uses Kafka's own serializers for keys and values: those that the configuration names, else those that fit the
    /// types.
    #[must_use]
    pub fn stock_serializers(self) -> Self
    where
        K: StockSerialize,
        V: StockSerialize,
    {
        self.stock_key_serializer().stock_value_serializer()
    }

    /// Uses Kafka's own serializer for the keys: the one that the configuration names, else the one that fits the type.
    #[must_use]
    pub fn stock_key_serializer(mut self) -> Self
    where
        K: StockSerialize,
    {
        self.stock_key = Stock {
            make: K::stock_serializer,
            default_class: K::JAVA_CLASSES.first().copied(),
        };
        self
    }

    /// Uses Kafka's own serializer for the values: the one that the configuration names, else the one that fits the
    /// type.
    #[must_use]
    pub fn stock_value_serializer(mut self) -> Self
    where
        V: StockSerialize,
    {
        self.stock_value = Stock {
            make: V::stock_serializer,
            default_class: V::JAVA_CLASSES.first().copied(),
        };
        self
    }

    /// Sets the cryptography provider of TLS, in place of the one that the crate's features select: for example one
    /// that is certified, or one that needs no C compiler. Has no effect if `security.protocol` does not use TLS.
    ///
    /// ```
    /// # #[cfg(feature = "tls")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kafka_producer::{KafkaProducer, ProducerConfig, rustls};
    ///
    /// let config = ProducerConfig::from_map([("bootstrap.servers", "127.0.0.1:9093"), ("security.protocol", "SSL")])?;
    /// let producer = KafkaProducer::<str, str>::builder(config)
    ///     .stock_serializers()
    ///     .tls_crypto_provider(rustls::crypto::ring::default_provider())
    ///     .build();
    /// # drop(producer);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "tls"))]
    /// # fn main() {}
    /// ```
    #[cfg(feature = "tls-no-provider")]
    #[must_use]
    pub fn tls_crypto_provider(
        mut self,
        provider: impl Into<Arc<rustls::crypto::CryptoProvider>>,
    ) -> Self {
        self.crypto_provider = Some(provider.into());
        self
    }

    /// Builds the producer and starts its thread.
    ///
    /// # Errors
    /// The configuration is invalid, or a step failed, for the reason given. Parts that were started are stopped, and
    /// plug-ins are closed.
    ///
    /// # Blocking
    /// While the host names in `bootstrap.servers` are looked up: as long as the system's name service takes, 30 s at
    /// most, independently of `max.block.ms`. The call does not wait for a connection to a broker. If all entries are
    /// IP addresses, it does not block.
    pub fn build(self) -> Result<KafkaProducer<K, V>, ConstructError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        self.build_with(Seams {
            clock,
            // Randomness of the standard library: good for jitter and sticky partitions, not for secrets.
            seed: RandomState::new().build_hasher().finish(),
            names: NameLookUps::of_system(),
            random: random_of_system(),
            make_client: Box::new(network_client),
            spawn: system_spawn(),
        })
    }

    /// Runs the construction steps (KP-1).
    pub(crate) fn build_with<C>(
        self,
        seams: Seams<C>,
    ) -> Result<KafkaProducer<K, V>, ConstructError>
    where
        C: KafkaClient<Completion> + 'static,
    {
        let config = self.config.clone();
        let Seams {
            clock,
            seed,
            names,
            random,
            make_client,
            spawn,
        } = seams;
        let instance = instance(&config, clock);
        // Logged before the first step that can fail, so that the log shows the configuration in any case.
        log_effective(&config, instance.log());
        let surroundings = Surroundings {
            seed,
            names,
            random,
        };
        let (plugins, parts) = self.prepare(&instance, surroundings)?;
        match start(&config, &plugins, parts, make_client, spawn) {
            Ok((core, thread)) => {
                // Checked only after the plug-ins have read their keys: each read marks a key as used.
                let unused = config.unused_keys();
                if !unused.is_empty() {
                    warn!(
                        instance.log(),
                        "these keys were given and not used: {}",
                        listed(&unused)
                    );
                }
                Ok(KafkaProducer::assemble(core, plugins, thread))
            }
            Err(error) => {
                // The caller gets the original cause; errors of closing are only logged (KP-2).
                let _ = plugins.close();
                Err(without_resolved_values(error, &config))
            }
        }
    }

    /// Runs the steps that need neither the network nor a thread: the plug-ins, the security settings, the codec, the
    /// list of bootstrap servers. If one fails, the plug-ins are closed.
    fn prepare(
        self,
        instance: &Instance,
        surroundings: Surroundings,
    ) -> Result<(Plugins<K, V>, CheckedParts), ConstructError> {
        let config = self.config.clone();
        let security = self.security_parts(instance);
        let hidden = |error| without_resolved_values(error, &config);
        let plugins = self.resolve_plugins(instance).map_err(hidden)?;
        match checked_parts(&config, instance, security, surroundings) {
            Ok(parts) => Ok((plugins, parts)),
            Err(error) => {
                // The caller gets the original cause; errors of closing are only logged (KP-2).
                let _ = plugins.close();
                Err(hidden(error))
            }
        }
    }

    /// Creates and configures the plug-ins. If one fails, those created before it are closed.
    fn resolve_plugins(self, instance: &Instance) -> Result<Plugins<K, V>, ConstructError> {
        let config = self.config;
        let view = config.plugin_config();
        let fence = Fence::of(instance);
        let metrics = registry(&config, instance);
        // The reporters are the first plug-ins, as in Java: all metrics that are registered later are reported to them.
        let reporters = self.reporters.start(&config, &view, instance, &metrics)?;
        // Errors of closing are only logged, here and below: `build` returns the original cause.
        let give_up = |_: &ConstructError| drop(reporters.close());
        let strategy = match self.partitioner {
            Some(strategy) => strategy,
            None => make_strategy(&config, &view, &self.registered_partitioners, fence)
                .inspect_err(give_up)?,
        };
        let key_serializer = make_serializer(SerializerSource {
            instance: self.key_serializer,
            class: config.key_serializer_class(),
            stock: &self.stock_key,
            registered: &self.registered_keys,
            is_key: true,
            view: &view,
            fence,
        });
        let key_serializer = match key_serializer.inspect_err(give_up) {
            Ok(serializer) => serializer,
            Err(error) => {
                close_strategy(&strategy, fence);
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
            fence,
        });
        let value_serializer = match value_serializer.inspect_err(give_up) {
            Ok(serializer) => serializer,
            Err(error) => {
                close_and_log(fence, PluginKind::KeySerializer, || key_serializer.close());
                close_strategy(&strategy, fence);
                return Err(error);
            }
        };
        // Assembled before the interceptors are created: if one of them fails, `plugins.close` below closes everything,
        // including the interceptors created before it, in the usual order.
        let mut plugins = Plugins {
            metrics,
            key_serializer: PreparedSerializer::new(key_serializer),
            value_serializer: PreparedSerializer::new(value_serializer),
            strategy,
            interceptors: Arc::new(ProducerInterceptors::none(instance.clone())),
            reporters: Arc::clone(&reporters),
            app_info: None,
            instance: instance.clone(),
        };
        let (chain, failure) = make_interceptors(
            &config,
            &view,
            &self.registered_interceptors,
            self.interceptors,
            fence,
        );
        plugins.interceptors = Arc::new(ProducerInterceptors::new(
            chain,
            self.copy_record,
            instance.clone(),
        ));
        match failure {
            None => Ok(plugins),
            Some(error) => {
                let _ = plugins.close();
                Err(error)
            }
        }
    }
}

impl<K: ?Sized + RecordData, V: ?Sized + RecordData> fmt::Debug for ProducerBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The error without the values of config providers. The cause of a failed step is kept as it is unless it shows one;
/// otherwise only its text is kept.
fn without_resolved_values(error: ConstructError, config: &ProducerConfig) -> ConstructError {
    match error {
        ConstructError::Config(error) => config.without_resolved_values(error).into(),
        ConstructError::Failed { step, source } => {
            let hidden = |text: &str| config.with_resolved_values_hidden(text);
            let mut texts = vec![format!("{source:?}")];
            let mut cause: Option<&dyn std::error::Error> = Some(&*source);
            while let Some(error) = cause {
                texts.push(error.to_string());
                cause = error.source();
            }
            let shows_value = texts.iter().any(|text| hidden(text) != *text);
            let source = if shows_value {
                let text: BoxError = hidden(&source.to_string()).into();
                Arc::from(text)
            } else {
                source
            };
            ConstructError::Failed { step, source }
        }
    }
}

/// The most unused keys that are named: with more of them another file was read by mistake.
const MAX_UNUSED: usize = 100;

/// The keys that were not used, and those that were probably meant.
fn listed(unused: &[&str]) -> String {
    let (named, further) = unused.split_at(unused.len().min(MAX_UNUSED));
    let named = named.iter().map(|key| with_suggestion(key));
    let further = (!further.is_empty()).then(|| format!("{} further keys", further.len()));
    named.chain(further).collect::<Vec<_>>().join(", ")
}

/// A key that was not used, with the key that was probably meant.
fn with_suggestion(unused: &str) -> String {
    match nearest_key(unused) {
        Some(meant) if meant != unused => format!("{unused} (did you mean {meant}?)"),
        _ => unused.to_owned(),
    }
}

#[cfg(test)]
mod tests;
