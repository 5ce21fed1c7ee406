//! Connections: the only code that touches sockets.
//!
//! | file | what is in it |
//! |---|---|
//! | `selectable` | the seam above: connections, frames in, frames out |
//! | `selector` | many channels, polled by one thread |
//! | `channel` | one connection: get ready, read, write |
//! | `receive`, `send` | frames out of bytes, frames into bytes |
//! | `channel_builder` | which transport and which authenticator a channel gets |
//! | `transport` | what lies between a channel and its stream |
//! | `tls_transport` | TLS as that |
//! | `authenticator`, `sasl_authenticator` | who the client is |
//! | `endpoint` | where a connection leads |
//! | `poller` | the seam below: streams, and waiting for them |
//! | `mio_poller`, `socket` | the system's sockets |
//! | `resolver` | names to addresses |

pub(crate) mod authenticator;
pub(crate) mod channel_builder;
pub(crate) mod endpoint;
pub(crate) mod mio_poller;
pub(crate) mod poller;
pub(crate) mod receive;
pub(crate) mod resolver;
pub(crate) mod sasl_authenticator;
pub(crate) mod selectable;
pub(crate) mod selector;
pub(crate) mod transport;

mod channel;
mod send;
mod socket;
#[cfg(feature = "tls-no-provider")]
mod tls_transport;

#[cfg(test)]
mod tests;
