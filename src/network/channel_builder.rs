//! What a channel is made of, as `security.protocol` says.

use std::io;

use super::authenticator::{Authenticator, NullAuthenticator};
use super::endpoint::Endpoint;
use super::poller::Stream;
#[cfg(feature = "tls-no-provider")]
use super::tls_transport::TlsTransport;
use super::transport::{PlaintextTransport, Transport, TransportError};
use crate::config::SecurityProtocol;
use crate::security::Security;
#[cfg(feature = "tls-no-provider")]
use crate::security::tls::TlsClient;

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
/// It is not built, here or at all. A configuration that asks for it is refused before.
/// # Kafka
/// `org.apache.kafka.common.network.ChannelBuilders#clientChannelBuilder`.
pub(crate) fn channel_builder<S: Stream + 'static>(
    security: &Security,
) -> io::Result<Box<dyn ChannelBuilder<S>>> {
    match security.protocol {
        SecurityProtocol::Plaintext => Ok(Box::new(PlaintextChannelBuilder)),
        #[cfg(feature = "tls-no-provider")]
        SecurityProtocol::Ssl if security.tls.is_some() => Ok(Box::new(SecureChannelBuilder {
            tls: security.tls.clone(),
        })),
        protocol => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("security.protocol={protocol} is not built"),
        )),
    }
}

/// Bytes that TLS seals, if there is TLS.
///
/// # Kafka
/// `org.apache.kafka.common.network.SslChannelBuilder`.
#[cfg(feature = "tls-no-provider")]
struct SecureChannelBuilder {
    tls: Option<TlsClient>,
}

#[cfg(feature = "tls-no-provider")]
impl<S: Stream + 'static> ChannelBuilder<S> for SecureChannelBuilder {
    fn build(&self, endpoint: &Endpoint, stream: S) -> Result<ChannelParts, TransportError> {
        let transport: Box<dyn Transport> = match &self.tls {
            None => Box::new(PlaintextTransport(stream)),
            Some(tls) => {
                let session = tls.session(&endpoint.host, endpoint.address);
                let session = session.map_err(TransportError::Authentication)?;
                Box::new(TlsTransport::new(stream, session))
            }
        };
        Ok(ChannelParts {
            transport,
            authenticator: Box::new(NullAuthenticator),
        })
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
