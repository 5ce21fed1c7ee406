//! What a channel is made of, as `security.protocol` says.

use std::io;
use std::sync::Arc;

use super::authenticator::{Authenticator, NullAuthenticator};
use super::endpoint::Endpoint;
use super::poller::Stream;
use super::sasl_authenticator::SaslAuthenticators;
use super::selectable::WakeUp;
use super::transport::{PlaintextTransport, Transport, TransportError};
use crate::clock::{Deadline, Instant};
use crate::config::SecurityProtocol;
use crate::security::sasl::SaslClient;

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

    /// Does what is due without any channel, such as the refresh of a token. Asked in each poll. Returns when to
    /// ask again at the latest.
    fn poll(&self, _now: Instant) -> Deadline {
        Deadline::Never
    }
}

/// What brokers and client show each other: made when a producer is built, since it may be wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChannelSecurity {
    /// With `SASL_PLAINTEXT` and `SASL_SSL`.
    pub(crate) sasl: Option<SaslClient>,
}

/// The builder for a protocol.
///
/// # Errors
/// It is not built yet. A configuration that asks for it is refused before.
/// # Kafka
/// `org.apache.kafka.common.network.ChannelBuilders#clientChannelBuilder`.
pub(crate) fn channel_builder<S: Stream + 'static>(
    protocol: SecurityProtocol,
    security: &ChannelSecurity,
    client_id: &str,
    wake: &Arc<dyn WakeUp>,
) -> io::Result<Box<dyn ChannelBuilder<S>>> {
    let not_built = || {
        let why = format!("security.protocol={protocol} is not built yet");
        io::Error::new(io::ErrorKind::Unsupported, why)
    };
    match (protocol, &security.sasl) {
        (SecurityProtocol::Plaintext, _) => Ok(Box::new(PlaintextChannelBuilder)),
        (SecurityProtocol::SaslPlaintext, Some(sasl)) => {
            // Weak: while a helper thread hangs, the poller it would wake may be closed.
            let wake = Arc::downgrade(wake);
            sasl.attach(move || {
                if let Some(wake) = wake.upgrade() {
                    wake.wake();
                }
            });
            let sasl = SaslAuthenticators::new(sasl.clone(), client_id.into());
            Ok(Box::new(SecureChannelBuilder { sasl: Some(sasl) }))
        }
        _ => Err(not_built()),
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

/// Channels on which the broker asks who the client is.
///
/// # Kafka
/// `org.apache.kafka.common.network.SaslChannelBuilder`.
pub(crate) struct SecureChannelBuilder {
    sasl: Option<SaslAuthenticators>,
}

impl<S: Stream + 'static> ChannelBuilder<S> for SecureChannelBuilder {
    fn build(&self, endpoint: &Endpoint, stream: S) -> Result<ChannelParts, TransportError> {
        Ok(ChannelParts {
            transport: Box::new(PlaintextTransport(stream)),
            authenticator: match &self.sasl {
                Some(sasl) => sasl.make(endpoint),
                None => Box::new(NullAuthenticator),
            },
        })
    }

    fn poll(&self, now: Instant) -> Deadline {
        self.sasl
            .as_ref()
            .map_or(Deadline::Never, |sasl| sasl.poll(now))
    }
}
