//! What a channel is made of, as `security.protocol` says.

use std::io;

use super::authenticator::{Authenticator, NullAuthenticator};
use super::endpoint::Endpoint;
use super::poller::Stream;
use super::transport::{PlaintextTransport, Transport, TransportError};
use crate::config::SecurityProtocol;

/// What lies between a channel and its stream.
pub(crate) struct ChannelParts {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) authenticator: Box<dyn Authenticator>,
}

/// Makes the parts of each channel of a selector.
///
/// # Kafka
/// `org.apache.kafka.common.network.ChannelBuilder`.
pub(crate) trait ChannelBuilder<S>: Send {
    /// The parts for a stream that leads, or will lead, to `endpoint`.
    ///
    /// # Errors
    /// No connection to this endpoint can be made: for now (`Io`), or for good (`Authentication`), as when
    /// its name is none that a certificate could be for. That counts as a refusal.
    fn build(&self, endpoint: &Endpoint, stream: S) -> Result<ChannelParts, TransportError>;
}

/// The builder for a protocol.
///
/// # Errors
/// It is not built yet. A configuration that asks for it is refused before.
/// # Kafka
/// `org.apache.kafka.common.network.ChannelBuilders#clientChannelBuilder`.
pub(crate) fn channel_builder<S: Stream + 'static>(
    protocol: SecurityProtocol,
) -> io::Result<Box<dyn ChannelBuilder<S>>> {
    match protocol {
        SecurityProtocol::Plaintext => Ok(Box::new(PlaintextChannelBuilder)),
        SecurityProtocol::Ssl | SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl => {
            Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("security.protocol={protocol} is not built yet"),
            ))
        }
    }
}

/// Bytes as they are, and nobody asks who sends them.
///
/// # Kafka
/// `org.apache.kafka.common.network.PlaintextChannelBuilder`.
#[derive(Debug)]
pub(crate) struct PlaintextChannelBuilder;

impl<S: Stream + 'static> ChannelBuilder<S> for PlaintextChannelBuilder {
    fn build(&self, _endpoint: &Endpoint, stream: S) -> Result<ChannelParts, TransportError> {
        Ok(ChannelParts {
            transport: Box::new(PlaintextTransport(stream)),
            authenticator: Box::new(NullAuthenticator),
        })
    }
}
