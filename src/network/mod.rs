//! Connections: non-blocking I/O, framing, TLS and SASL on a connection, DNS. The only code that touches sockets.
//!
//! | file | subject |
//! |---|---|
//! | `selectable` | trait towards the network client: connections, frames in, frames out |
//! | `selector` | event loop over many channels, on one thread |
//! | `channel` | one connection: connect, handshake, authenticate, read and write frames |
//! | `activity`, `metrics` | a channel's unrecorded activity, and the metrics of selector and connections |
//! | `receive`, `send` | receive buffer and frame decoding; partial, vectored writes |
//! | `channel_builder` | the transport and authenticator of a channel, by `security.protocol` |
//! | `transport` | trait of the transport layer, and plain text |
//! | `tls_transport` | the TLS transport layer |
//! | `tls_facts` | what tools show of a TLS session |
//! | `authenticator`, `sasl_authenticator` | trait of authentication, and SASL |
//! | `endpoint` | host name and address of a connection |
//! | `poller` | trait towards the system: streams, readiness events |
//! | `mio_poller`, `socket` | TCP sockets and epoll/kqueue, by mio |
//! | `resolver` | DNS look-ups on helper threads |

pub(crate) mod authenticator;
pub(crate) mod channel_builder;
pub(crate) mod endpoint;
pub(crate) mod metrics;
pub(crate) mod mio_poller;
pub(crate) mod poller;
pub(crate) mod receive;
pub(crate) mod resolver;
pub(crate) mod sasl_authenticator;
pub(crate) mod selectable;
pub(crate) mod selector;
#[cfg(feature = "cli")]
pub(crate) mod tls_facts;
pub(crate) mod transport;

mod activity;
mod channel;
mod send;
mod socket;
#[cfg(feature = "tls-no-provider")]
mod tls_transport;

#[cfg(test)]
mod tests;
