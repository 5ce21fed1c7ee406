//! Channel builders: make the transport and authenticator of a channel, according to `security.protocol`.

use std::io;
use std::sync::Arc;

use super::authenticator::{Authenticator, NullAuthenticator};
use super::endpoint::Endpoint;
use super::poller::Stream;
use super::sasl_authenticator::SaslAuthenticators;
use super::selectable::WakeUp;
#[cfg(feature = "tls-no-provider")]
use super::tls_transport::TlsTransport;
use super::transport::{PlaintextTransport, Transport, TransportError};
use crate::clock::{Deadline, Instant};
use crate::config::SecurityProtocol;
use crate::security::Security;
#[cfg(feature = "tls-no-provider")]
use crate::security::tls::TlsClient;

/// Transport and authenticator of one channel.
pub(crate) struct ChannelParts {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) authenticator: Box<dyn Authenticator>,
}

/// Makes the transport and authenticator of each channel of a selector.
///
/// # Kafka
/// `org.apache.kafka.common.network.ChannelBuilder`.
pub(crate) trait ChannelBuilder<S>: Send {
    /// The parts for a stream that is connected, or connecting, to `endpoint`.
    ///
    /// # Errors
    /// `Io` is retriable. `Authentication` is not: no certificate can be valid for the endpoint's host name, for
    /// instance.
    fn build(&self, endpoint: &Endpoint, stream: S) -> Result<ChannelParts, TransportError>;

    /// Whether either side authenticates the other. If not, connections are not counted as authenticated.
    fn authenticates(&self) -> bool {
        true
    }

    /// Starts periodic work that belongs to no channel: refreshing a token, looking for changed certificates. Called in
    /// each poll; returns when to call again at the latest.
    fn poll(&self, _now: Instant) -> Deadline {
        Deadline::Never
    }
}

/// The channel builder for a security protocol.
///
/// # Errors
/// The protocol's feature is not compiled in. A configuration with that protocol is rejected earlier.
/// # Kafka
/// `org.apache.kafka.common.network.ChannelBuilders#clientChannelBuilder`.
pub(crate) fn channel_builder<S: Stream + 'static>(
    security: &Security,
    client_id: &str,
    wake: &Arc<dyn WakeUp>,
) -> io::Result<Box<dyn ChannelBuilder<S>>> {
    let protocol = security.protocol;
    if protocol == SecurityProtocol::Plaintext {
        return Ok(Box::new(PlaintextChannelBuilder));
    }
    // Weak: a helper thread that hangs must not keep the poller of a closed producer open.
    let wake = Arc::downgrade(wake);
    security.attach(move || {
        if let Some(wake) = wake.upgrade() {
            wake.wake();
        }
    });
    let sasl = security.sasl.clone();
    let builder = SecureChannelBuilder {
        #[cfg(feature = "tls-no-provider")]
        tls: security.tls.clone(),
        sasl: sasl.map(|sasl| SaslAuthenticators::new(sasl, client_id.into())),
    };
    if builder.has_tls() == protocol.uses_tls() && builder.sasl.is_some() == protocol.uses_sasl() {
        return Ok(Box::new(builder));
    }
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("security.protocol={protocol} is not in this build"),
    ))
}

/// `PLAINTEXT`: no encryption, no authentication.
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

    fn authenticates(&self) -> bool {
        false
    }
}

/// `SSL`, `SASL_PLAINTEXT` and `SASL_SSL`: TLS, SASL, or both.
///
/// # Kafka
/// `org.apache.kafka.common.network.SslChannelBuilder`, `SaslChannelBuilder`.
struct SecureChannelBuilder {
    #[cfg(feature = "tls-no-provider")]
    tls: Option<TlsClient>,
    sasl: Option<SaslAuthenticators>,
}

impl SecureChannelBuilder {
    #[cfg(feature = "tls-no-provider")]
    fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    #[cfg(not(feature = "tls-no-provider"))]
    #[allow(clippy::unused_self, reason = "with TLS it is used")]
    fn has_tls(&self) -> bool {
        false
    }

    #[cfg(feature = "tls-no-provider")]
    fn poll_tls(&self, now: Instant) -> Deadline {
        let tls = self.tls.as_ref();
        tls.map_or(Deadline::Never, |tls| tls.poll(now))
    }

    #[cfg(not(feature = "tls-no-provider"))]
    #[allow(clippy::unused_self, reason = "with TLS it is used")]
    fn poll_tls(&self, _now: Instant) -> Deadline {
        Deadline::Never
    }

    #[cfg(feature = "tls-no-provider")]
    fn transport<S: Stream + 'static>(
        &self,
        endpoint: &Endpoint,
        stream: S,
    ) -> Result<Box<dyn Transport>, TransportError> {
        let Some(tls) = &self.tls else {
            return Ok(Box::new(PlaintextTransport(stream)));
        };
        let session = tls.session(&endpoint.host, endpoint.address);
        let session = session.map_err(TransportError::Authentication)?;
        Ok(Box::new(TlsTransport::new(stream, session)))
    }

    #[cfg(not(feature = "tls-no-provider"))]
    #[allow(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "with TLS it may fail, and uses `self`"
    )]
    fn transport<S: Stream + 'static>(
        &self,
        _endpoint: &Endpoint,
        stream: S,
    ) -> Result<Box<dyn Transport>, TransportError> {
        Ok(Box::new(PlaintextTransport(stream)))
    }
}

impl<S: Stream + 'static> ChannelBuilder<S> for SecureChannelBuilder {
    fn build(&self, endpoint: &Endpoint, stream: S) -> Result<ChannelParts, TransportError> {
        Ok(ChannelParts {
            transport: self.transport(endpoint, stream)?,
            authenticator: match &self.sasl {
                Some(sasl) => sasl.make(&endpoint.host),
                None => Box::new(NullAuthenticator),
            },
        })
    }

    fn poll(&self, now: Instant) -> Deadline {
        let sasl = self.sasl.as_ref();
        let token = sasl.map_or(Deadline::Never, |sasl| sasl.poll(now));
        token.min(self.poll_tls(now))
    }
}
