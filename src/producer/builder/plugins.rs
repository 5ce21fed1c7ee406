//! Construction of plug-ins (serializers, partitioner, interceptors): given as instances, registered by name, or stock.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{PluginConfig, ProducerConfig};
use crate::error::{BoxError, ConfigError, ConstructError, ConstructStep, PluginKind};
use crate::producer::interceptor::ProducerInterceptor;
use crate::producer::partitioner::{
    DefaultPartitioner, Partitioner, Strategy, UniformStickyPartitioner, stock_partitioner,
};
use crate::producer::record::RecordData;
use crate::producer::serializer::Serializer;
use crate::producer::user_code::{Fence, UserCode, UserCodeFailure};
use crate::util::log::warn;

pub(super) type Chain<K, V> = Vec<Box<dyn ProducerInterceptor<K, V>>>;

pub(super) type Factory<T> = Box<dyn Fn() -> Box<T> + Send>;

/// The stock serializers of a type: a factory by Java class name, and the default class.
pub(super) struct Stock<T: ?Sized> {
    pub(super) make: fn(&str) -> Option<Box<dyn Serializer<T>>>,
    pub(super) default_class: Option<&'static str>,
}

impl<T: ?Sized> Stock<T> {
    pub(super) fn none() -> Self {
        Self {
            make: |_| None,
            default_class: None,
        }
    }
}

pub(super) struct SerializerSource<'a, T: ?Sized> {
    pub(super) instance: Option<Box<dyn Serializer<T>>>,
    pub(super) class: Option<&'a str>,
    pub(super) stock: &'a Stock<T>,
    pub(super) registered: &'a BTreeMap<String, Factory<dyn Serializer<T>>>,
    pub(super) is_key: bool,
    pub(super) view: &'a PluginConfig,
    pub(super) fence: Fence<'a>,
}

pub(super) fn make_serializer<T: ?Sized>(
    source: SerializerSource<'_, T>,
) -> Result<Box<dyn Serializer<T>>, ConstructError> {
    // As in Java: an instance is not configured by the producer.
    if let Some(instance) = source.instance {
        return Ok(instance);
    }
    let (key, kind, method) = if source.is_key {
        (
            "key.serializer",
            PluginKind::KeySerializer,
            "key_serializer",
        )
    } else {
        (
            "value.serializer",
            PluginKind::ValueSerializer,
            "value_serializer",
        )
    };
    let fence = source.fence;
    let Some(class) = source.class.or(source.stock.default_class) else {
        return Err(ConfigError::invalid(
            key,
            None,
            "is not set",
            format!("Give the builder a serializer with {method}(), or name one in {key}"),
        )
        .into());
    };
    // Registered names take precedence over stock names: a program can replace a Java class by its own type.
    let registered = source
        .registered
        .get(class)
        .map(|make| make_one(fence, kind, make))
        .transpose()?;
    let made = registered.or_else(|| (source.stock.make)(class));
    let Some(mut serializer) = made else {
        return Err(unknown_class(key, class, method).into());
    };
    configure(fence, kind, || {
        serializer.configure(source.view, source.is_key)
    })
    // Closed, since it may have opened resources before `configure` failed (KP-2).
    .inspect_err(|_| close_and_log(fence, kind, || serializer.close()))?;
    Ok(serializer)
}

pub(super) fn make_strategy<K: ?Sized, V: ?Sized>(
    config: &ProducerConfig,
    view: &PluginConfig,
    registered: &BTreeMap<String, Factory<dyn Partitioner<K, V>>>,
    fence: Fence<'_>,
) -> Result<Strategy<K, V>, ConstructError> {
    // These two stock partitioners become strategies, which need no virtual call for each record.
    let class = match config.partitioner_class() {
        None | Some(DefaultPartitioner::JAVA_CLASS) => return Ok(Strategy::Default),
        Some(UniformStickyPartitioner::JAVA_CLASS) => return Ok(Strategy::UniformSticky),
        Some(class) => class,
    };
    let made = registered
        .get(class)
        .map(|make| make_one(fence, PluginKind::Partitioner, make))
        .transpose()?
        .or_else(|| stock_partitioner(class));
    let Some(mut partitioner) = made else {
        return Err(unknown_class("partitioner.class", class, "partitioner").into());
    };
    configure(fence, PluginKind::Partitioner, || {
        partitioner.configure(view)
    })
    .inspect_err(|_| {
        close_and_log(fence, PluginKind::Partitioner, || partitioner.close());
    })?;
    Ok(Strategy::Custom(partitioner))
}

/// Constructs the interceptors, and appends the given instances. On failure returns the chain built so far, to be
/// closed, with the error.
pub(super) fn make_interceptors<K: ?Sized + RecordData, V: ?Sized + RecordData>(
    config: &ProducerConfig,
    view: &PluginConfig,
    registered: &BTreeMap<String, Factory<dyn ProducerInterceptor<K, V>>>,
    instances: Chain<K, V>,
    fence: Fence<'_>,
) -> (Chain<K, V>, Option<ConstructError>) {
    let (mut chain, failure) = make_listed(
        PluginKind::Interceptor,
        config.interceptor_classes().iter().map(String::as_str),
        registered,
        |class| unknown_class("interceptor.classes", class, "interceptor"),
        |interceptor| interceptor.configure(view),
        fence,
    );
    // Instances are appended also after a failure: the caller closes the whole chain.
    chain.extend(instances);
    (chain, failure)
}

const EMPTY_ITEM: &str = "has a comma without a name on one side";

/// Constructs the plug-ins of a list of class names. On failure returns those constructed so far, with the error.
pub(super) fn make_listed<'c, T: ?Sized>(
    kind: PluginKind,
    classes: impl Iterator<Item = &'c str>,
    registered: &BTreeMap<String, Factory<T>>,
    unknown: impl Fn(&str) -> ConfigError,
    configure_one: impl Fn(&mut T) -> Result<(), BoxError>,
    fence: Fence<'_>,
) -> (Vec<Box<T>>, Option<ConstructError>) {
    let mut made = Vec::new();
    for class in classes {
        let Some(make) = registered.get(class) else {
            let mut error = unknown(class);
            // An empty name usually comes from a trailing comma: a message about an unknown class would not help.
            if class.is_empty() {
                let key = error.key().unwrap_or_default().to_owned();
                error = ConfigError::invalid(key, None, EMPTY_ITEM, "Remove that comma");
            }
            return (made, Some(error.into()));
        };
        let mut plugin = match make_one(fence, kind, make) {
            Ok(plugin) => plugin,
            Err(error) => return (made, Some(error)),
        };
        let configured = configure(fence, kind, || configure_one(&mut plugin));
        // Added even if `configure` failed: the plug-in was constructed, so the caller closes it.
        made.push(plugin);
        if let Err(error) = configured {
            return (made, Some(error));
        }
    }
    (made, None)
}

pub(super) fn close_strategy<K: ?Sized, V: ?Sized>(strategy: &Strategy<K, V>, fence: Fence<'_>) {
    if let Strategy::Custom(partitioner) = strategy {
        close_and_log(fence, PluginKind::Partitioner, || partitioner.close());
    }
}

/// Closes a plug-in after a failed construction. An error of `close` is only logged: the caller gets the cause of the
/// failed construction.
pub(super) fn close_and_log(
    fence: Fence<'_>,
    kind: PluginKind,
    close: impl FnOnce() -> Result<(), BoxError>,
) {
    if let Err(failure) = fence.try_call(UserCode::Plugin(kind, "close"), close) {
        warn!(fence.log(), "{failure}");
    }
}

/// Calls a registered factory; a panic in it fails the construction.
fn make_one<T: ?Sized>(
    fence: Fence<'_>,
    kind: PluginKind,
    make: &Factory<T>,
) -> Result<Box<T>, ConstructError> {
    fence
        .call(UserCode::Plugin(kind, "new"), make)
        .map_err(|failure| not_made(kind, panicked("made", failure)))
}

fn configure(
    fence: Fence<'_>,
    kind: PluginKind,
    call: impl FnOnce() -> Result<(), BoxError>,
) -> Result<(), ConstructError> {
    fence
        .call(UserCode::Plugin(kind, "configure"), call)
        .map_err(|failure| panicked("configured", failure))
        .and_then(|returned| returned)
        .map_err(|error| not_made(kind, error))
}

fn panicked(while_being: &str, failure: UserCodeFailure) -> BoxError {
    let words = failure.into_words();
    format!("it panicked while being {while_being}: {words}").into()
}

pub(super) fn not_made(kind: PluginKind, source: BoxError) -> ConstructError {
    ConstructError::Failed {
        step: ConstructStep::Plugin(kind),
        source: Arc::from(source),
    }
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
