//! Connections: the only code that touches sockets.

pub(crate) mod receive;
pub(crate) mod resolver;
pub(crate) mod selectable;
pub(crate) mod selector;

mod channel;
mod send;
mod transport;
