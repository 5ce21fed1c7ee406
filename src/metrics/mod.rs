//! Metrics: static definitions (tables of families), sensors that record, a registry, and the public view.
//!
//! A [`Family`](definition::Family) is a table of sensors and their metrics. A component registers a family and gets
//! its [`Sensors`]. It records once per batch, request or poll, never once per record of the application. Recording
//! does not take the registry's lock; reading locks one group at a time.
//!
//! # Kafka
//! `org.apache.kafka.common.metrics`.

mod context;
pub(crate) mod definition;
mod group;
#[cfg(test)]
mod markdown;
mod metric;
mod name;
mod nodes;
mod prometheus;
mod registry;
mod sensor;
pub(crate) mod tables;
mod value;
mod view;

pub use context::MetricsContext;
pub(crate) use group::{MetricGroup, MetricsOptions, ReadGauge, Recording, Sensors};
pub use metric::Metric;
pub use name::MetricName;
pub(crate) use nodes::NodeMetrics;
pub(crate) use registry::{MetricsObserver, MetricsRegistry};
pub(crate) use sensor::{MOST_SAMPLES, Windows};
pub use value::{MetricKind, MetricValue};
pub use view::Metrics;
