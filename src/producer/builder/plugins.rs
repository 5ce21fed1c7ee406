//! Serializers, partitioner and interceptors: given as they are, registered by name, or Kafka's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{PluginConfig, ProducerConfig};
use crate::error::{BoxError, ConfigError, ConstructError, ConstructStep, PluginKind};
use crate::producer::core::Strategy;
use crate::producer::interceptor::ProducerInterceptor;
use crate::producer::partitioner::{
    DefaultPartitioner, Partitioner, UniformStickyPartitioner, stock_partitioner,
};
use crate::producer::serializer::Serializer;
use crate::producer::user_code::{Failure, Fence, UserCode};
use crate::util::log::warn;

pub(super) type Chain<K, V> = Vec<Box<dyn ProducerInterceptor<K, V>>>;

pub(super) type Factory<T> = Box<dyn Fn() -> Box<T> + Send>;

/// The stock serializers of a type: how to make one by its Java name, and the name that fits best.
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
    .inspect_err(|_| close_unheard(fence, kind, || serializer.close()))?;
    Ok(serializer)
}

pub(super) fn make_strategy<K: ?Sized, V: ?Sized>(
    config: &ProducerConfig,
    view: &PluginConfig,
    registered: &BTreeMap<String, Factory<dyn Partitioner<K, V>>>,
    fence: Fence<'_>,
) -> Result<Strategy<K, V>, ConstructError> {
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
        close_unheard(fence, PluginKind::Partitioner, || partitioner.close());
    })?;
    Ok(Strategy::Custom(partitioner))
}

/// The chain as far as it could be made, and what went wrong then.
pub(super) fn make_interceptors<K: ?Sized + ToOwned, V: ?Sized + ToOwned>(
    config: &ProducerConfig,
    view: &PluginConfig,
    registered: &BTreeMap<String, Factory<dyn ProducerInterceptor<K, V>>>,
    instances: Chain<K, V>,
    fence: Fence<'_>,
) -> (Chain<K, V>, Option<ConstructError>) {
    let mut chain = Vec::new();
    let mut failure = None;
    for class in config.interceptor_classes() {
        let Some(make) = registered.get(class) else {
            failure = Some(unknown_class("interceptor.classes", class, "interceptor").into());
            break;
        };
        let mut interceptor = match make_one(fence, PluginKind::Interceptor, make) {
            Ok(interceptor) => interceptor,
            Err(error) => {
                failure = Some(error);
                break;
            }
        };
        let result = configure(fence, PluginKind::Interceptor, || {
            interceptor.configure(view)
        });
        chain.push(interceptor);
        if let Err(error) = result {
            failure = Some(error);
            break;
        }
    }
    chain.extend(instances);
    (chain, failure)
}

pub(super) fn close_strategy<K: ?Sized, V: ?Sized>(strategy: &Strategy<K, V>, fence: Fence<'_>) {
    if let Strategy::Custom(partitioner) = strategy {
        close_unheard(fence, PluginKind::Partitioner, || partitioner.close());
    }
}

/// Closes a plug-in of a producer that cannot be built, for another reason: that is what its builder is told.
pub(super) fn close_unheard(
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

fn panicked(while_being: &str, failure: Failure) -> BoxError {
    let words = failure.into_words();
    format!("it panicked while being {while_being}: {words}").into()
}

fn not_made(kind: PluginKind, source: BoxError) -> ConstructError {
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
