//! Who the brokers are and who the client is: bytes in, bytes out, no socket. The network carries the bytes.

pub(crate) mod sasl;
