//! GSSAPI (RFC 4752): client and broker prove their identities with tickets of a Kerberos KDC. Of the security layers
//! that the mechanism can negotiate none is used, as in Kafka: TLS encrypts.
//!
//! | file | what is in it |
//! |---|---|
//! | `options` | the options of `Krb5LoginModule` in `sasl.jaas.config` |
//! | `environment` | the environment variables that choose the files of the Kerberos library |
//! | `context` | the trait of security contexts, which tests replace, and why a step of one fails |
//! | `kerberos` | the security context of the Kerberos library, with the producer's credentials |
//! | `calls` | calls of the library on helper threads, since it may wait for a KDC |
//! | `security_layer` | the negotiation of the security layer |
//! | `mechanism` | the state machine of one exchange |

mod calls;
mod context;
mod environment;
#[cfg(feature = "gssapi")]
mod kerberos;
mod mechanism;
mod options;
mod security_layer;

use std::sync::Arc;

use self::calls::{KdcCalls, KdcTurns};
use self::context::OpenContext;
#[cfg(feature = "gssapi")]
pub(crate) use self::environment::KerberosEnvironment;
use self::mechanism::GssapiMechanism;
#[cfg(feature = "gssapi")]
pub(crate) use self::options::Krb5Login;
use super::dependencies::SaslDependencies;

/// The Kerberos login of a producer; clones share the state.
///
/// # Kafka
/// `KerberosLogin` and the JDK's `GssKrb5Client`. Differs: no thread renews tickets. Each connection acquires
/// credentials anew, and then the library itself gets a ticket if the cached one is missing or old.
#[derive(Clone)]
pub(crate) struct GssapiClient {
    open: OpenContext,
    calls: Arc<KdcCalls>,
}

impl GssapiClient {
    /// A client of the service that the brokers' principals name. No ticket is requested yet.
    #[cfg(feature = "gssapi")]
    pub(crate) fn new(login: Krb5Login, service: String, dependencies: SaslDependencies) -> Self {
        let open = kerberos::opener(login, service);
        Self::with(open, dependencies, KdcTurns::of_process())
    }

    fn with(open: OpenContext, dependencies: SaslDependencies, turns: Arc<KdcTurns>) -> Self {
        Self {
            open,
            calls: KdcCalls::new(dependencies, turns),
        }
    }

    /// Starts one exchange, with the broker on this host.
    pub(crate) fn start(&self, host: &Arc<str>) -> GssapiMechanism {
        GssapiMechanism::new(
            Arc::clone(&self.open),
            Arc::clone(&self.calls),
            Arc::clone(host),
        )
    }
}
