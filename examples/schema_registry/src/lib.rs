//! Avro values with the schema ids of a schema registry, which is called over blocking HTTP.
//!
//! A program needs [`RegistrySerializer`] and [`RegistryClient`], with its own values instead of [`Order`].
//! [`TestRegistry`] stands in for a registry in tests.

mod client;
mod order;
mod serializer;
mod test_registry;

pub use client::{RegistryClient, RegistryError};
pub use order::{ORDER_SCHEMA, Order, avro_encoder, decode};
pub use serializer::{RegistrySerializer, SchemaIdError};
pub use test_registry::{Mode, TestRegistry};
