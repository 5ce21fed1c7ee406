//! One broker for each version of Kafka, with a listener for each cell of the matrix and for each bad certificate.
//!
//! A listener accepts one version of TLS and one mechanism only; nevertheless the tests read the negotiated parameters
//! from the broker's log.

use std::sync::{Arc, Mutex, PoisonError};

use kafka_producer::ProducerConfigBuilder;

use super::certificates::{Authority, Identity};
#[cfg(feature = "oidc")]
use super::identity_provider::{
    AUDIENCE, CLIENT_ID, CLIENT_SECRET, ISSUER, IdentityProvider, SCOPE,
};
use crate::harness::{Cluster, ClusterOptions, Result};
use crate::producer;

pub(super) const USER: &str = "alice";
pub(super) const PASSWORD: &str = "alice-s3cret";
/// Event Hubs uses a connection string as the password.
pub(super) const EVENT_HUBS_USER: &str = "$ConnectionString";
pub(super) const EVENT_HUBS_PASSWORD: &str =
    "Endpoint=sb://orders.test/;SharedAccessKeyName=send;SharedAccessKey=c2VjcmV0+/==";

/// How a client authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// The client does not authenticate.
    Ssl,
    /// The client has a certificate.
    Mtls,
    Plain,
    Scram256,
    Scram512,
    /// Unsecured tokens of the client's own.
    OAuthBearer,
    /// OAUTHBEARER with tokens of an identity provider.
    #[cfg(feature = "oidc")]
    Oidc,
    /// Not in `ALL`: a broker needs a KDC, and every client an environment, see `gssapi`.
    #[cfg(feature = "gssapi")]
    Gssapi,
}

/// The transport below the mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    PlainText,
    Tls12,
    Tls13,
}

impl Wire {
    pub(super) const ALL: [Self; 3] = [Self::PlainText, Self::Tls12, Self::Tls13];

    /// The value of `ssl.enabled.protocols`; `None` for plain text.
    pub(super) fn protocol(self) -> Option<&'static str> {
        match self {
            Self::PlainText => None,
            Self::Tls12 => Some("TLSv1.2"),
            Self::Tls13 => Some("TLSv1.3"),
        }
    }

    fn listener(self) -> &'static str {
        match self {
            Self::PlainText => "OPEN",
            Self::Tls12 => "TLS12",
            Self::Tls13 => "TLS13",
        }
    }
}

impl Mechanism {
    const ALL: &[Self] = &[
        Self::Ssl,
        Self::Mtls,
        Self::Plain,
        Self::Scram256,
        Self::Scram512,
        Self::OAuthBearer,
        #[cfg(feature = "oidc")]
        Self::Oidc,
    ];

    /// The mechanisms of the matrix with this version of Kafka. Brokers verify tokens of identity providers since 3.1.
    pub(super) fn all_with(version: &str) -> impl Iterator<Item = Self> {
        let has_oidc = version != "3.0.0";
        let all = Self::ALL.iter().copied();
        all.filter(move |mechanism| has_oidc || !mechanism.is_oidc())
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ssl => "SSL",
            Self::Mtls => "mTLS",
            #[cfg(feature = "oidc")]
            Self::Oidc => "OIDC",
            sasl => sasl.sasl().unwrap_or_default(),
        }
    }

    /// The value of `sasl.mechanism`; `None` without SASL.
    pub(super) fn sasl(self) -> Option<&'static str> {
        match self {
            Self::Ssl | Self::Mtls => None,
            Self::Plain => Some("PLAIN"),
            Self::Scram256 => Some("SCRAM-SHA-256"),
            Self::Scram512 => Some("SCRAM-SHA-512"),
            #[cfg(feature = "gssapi")]
            Self::Gssapi => Some("GSSAPI"),
            // With the feature `oidc` there are two.
            _ => Some("OAUTHBEARER"),
        }
    }

    pub(super) fn is_oidc(self) -> bool {
        self.name() == "OIDC"
    }

    /// Whether the matrix has the combination: in plain text only with SASL.
    pub(super) fn runs_on(self, wire: Wire) -> bool {
        wire != Wire::PlainText || self.sasl().is_some()
    }

    /// The name of the listener for this combination only.
    pub(super) fn listener(self, wire: Wire) -> String {
        let name = self.name().to_uppercase().replace('-', "_");
        format!("{name}_{}", wire.listener())
    }

    fn protocol(self, wire: Wire) -> &'static str {
        match (self.sasl(), wire) {
            (None, _) => "SSL",
            (Some(_), Wire::PlainText) => "SASL_PLAINTEXT",
            (Some(_), _) => "SASL_SSL",
        }
    }

    /// The broker's `sasl.jaas.config`.
    fn jaas_of_broker(self) -> String {
        match self.sasl() {
            Some("PLAIN") => format!(
                "org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\" \
                 user_{EVENT_HUBS_USER}=\"{EVENT_HUBS_PASSWORD}\";"
            ),
            Some("OAUTHBEARER") => {
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                                  unsecuredLoginStringClaim_sub=\"broker\";"
                    .to_owned()
            }
            #[cfg(feature = "gssapi")]
            Some("GSSAPI") => super::gssapi::jaas_of_broker(),
            _ => "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned(),
        }
    }

    /// The client's `sasl.jaas.config`.
    fn jaas_of_client(self) -> String {
        let module = match self {
            Self::OAuthBearer => {
                return format!(
                    "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                     unsecuredLoginStringClaim_sub=\"{USER}\";"
                );
            }
            #[cfg(feature = "gssapi")]
            Self::Gssapi => return super::gssapi::jaas_of_client("alice"),
            Self::Plain => "plain.PlainLoginModule",
            _ => "scram.ScramLoginModule",
        };
        format!(
            "org.apache.kafka.common.security.{module} required username=\"{USER}\" password=\"{PASSWORD}\";"
        )
    }
}

/// Lines of a client's properties.
pub(super) type Properties = Vec<(&'static str, String)>;

/// A broker, and its certificate authority.
pub(super) struct Rig {
    pub(super) cluster: Cluster,
    pub(super) authority: Authority,
    #[cfg(feature = "oidc")]
    provider: IdentityProvider,
}

/// Listeners with bad certificates: expired, and for another host.
pub(super) const EXPIRED: &str = "EXPIRED";
pub(super) const ELSEWHERE: &str = "ELSEWHERE";

/// Listeners that require a client certificate: of the rig's authority or the new one, and of the new one alone.
pub(super) const OLD_AND_NEW_CLIENTS: &str = "OLD_AND_NEW_CLIENTS";
pub(super) const NEW_CLIENTS: &str = "NEW_CLIENTS";
/// The number of the new authority.
pub(super) const NEW_AUTHORITY: usize = 2;

static RIGS: Mutex<Vec<Arc<Rig>>> = Mutex::new(Vec::new());

/// The rig of a version, started on first use. No test disturbs it.
pub(super) fn rig(version: &str) -> Result<Arc<Rig>> {
    let mut rigs = RIGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(rig) = rigs.iter().find(|rig| rig.cluster.version() == version) {
        return Ok(Arc::clone(rig));
    }
    let rig = Arc::new(Rig::start(
        version,
        &Mechanism::all_with(version).collect::<Vec<_>>(),
    )?);
    rigs.push(Arc::clone(&rig));
    Ok(rig)
}

/// Stops the rigs that were started.
pub(crate) fn stop() {
    RIGS.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

impl Rig {
    /// Starts a broker with listeners for these mechanisms.
    pub(super) fn start(version: &str, mechanisms: &[Mechanism]) -> Result<Self> {
        let authority = Authority::new(0);
        let identity = authority.issue(&["127.0.0.1", "localhost"]);
        let mut options = ClusterOptions::default()
            .version(version)
            .logs_handshakes()
            .config("inter.broker.listener.name", "PLAINTEXT")
            // The number applies to each listener.
            .config("num.network.threads", "1");
        let mut map = vec![
            ("CONTROLLER".to_owned(), "PLAINTEXT"),
            ("PLAINTEXT".to_owned(), "PLAINTEXT"),
        ];
        #[cfg(feature = "oidc")]
        let provider = IdentityProvider::start(&authority);
        #[cfg(feature = "oidc")]
        {
            options = with_provider(options, &provider);
        }
        for mechanism in mechanisms.iter().copied() {
            for wire in Wire::ALL {
                if !mechanism.runs_on(wire) {
                    continue;
                }
                let listener = mechanism.listener(wire);
                map.push((listener.clone(), mechanism.protocol(wire)));
                options = with_listener(options, &listener, mechanism, wire);
                if wire != Wire::PlainText {
                    let prefix = prefix(&listener);
                    options = with_identity(options, &prefix, &identity, &authority);
                }
            }
        }
        for (listener, identity) in [
            (EXPIRED, authority.issue_for(&["127.0.0.1"], (2020, 2021))),
            (ELSEWHERE, authority.issue(&["elsewhere.test"])),
        ] {
            map.push((listener.to_owned(), "SSL"));
            options = options.listener(listener);
            options = with_identity(options, &prefix(listener), &identity, &authority);
        }
        let new = Authority::new(NEW_AUTHORITY).pem();
        for (listener, trusted) in [
            (OLD_AND_NEW_CLIENTS, format!("{}\n{new}", authority.pem())),
            (NEW_CLIENTS, new),
        ] {
            let prefix = prefix(listener);
            map.push((listener.to_owned(), "SSL"));
            options = options
                .listener(listener)
                .config(&format!("{prefix}ssl.client.auth"), "required")
                .identity(&prefix, &identity.chain, identity.key, &trusted);
        }
        let map: Vec<String> = map
            .iter()
            .map(|(listener, protocol)| format!("{listener}:{protocol}"))
            .collect();
        let options = options.config("listener.security.protocol.map", &map.join(","));
        let cluster = Cluster::start(options)?;
        if mechanisms.contains(&Mechanism::Scram512) {
            cluster.create_scram_user(USER, PASSWORD)?;
        }
        Ok(Self {
            cluster,
            authority,
            #[cfg(feature = "oidc")]
            provider,
        })
    }

    /// The address of a listener.
    pub(super) fn servers(&self, listener: &str) -> String {
        let servers = self.cluster.bootstrap_servers_of(listener);
        servers.expect("the listener is configured")
    }

    /// The properties of a client for this combination, exactly as for a Java client. They do not set the TLS version.
    pub(super) fn properties(&self, mechanism: Mechanism, wire: Wire) -> Properties {
        let servers = self.servers(&mechanism.listener(wire));
        let mut all = vec![
            ("bootstrap.servers", servers),
            ("security.protocol", mechanism.protocol(wire).to_owned()),
        ];
        if wire != Wire::PlainText {
            all.push(("ssl.truststore.type", "PEM".to_owned()));
            all.push(("ssl.truststore.certificates", self.authority.pem()));
        }
        if mechanism == Mechanism::Mtls {
            let identity = self.authority.issue(&["client"]);
            all.push(("ssl.keystore.type", "PEM".to_owned()));
            all.push(("ssl.keystore.key", identity.key.to_owned()));
            all.push(("ssl.keystore.certificate.chain", identity.chain));
        }
        if let Some(name) = mechanism.sasl() {
            all.push(("sasl.mechanism", name.to_owned()));
            all.push(("sasl.jaas.config", mechanism.jaas_of_client()));
        }
        #[cfg(feature = "oidc")]
        if mechanism == Mechanism::Oidc {
            all.pop();
            all.extend(self.oidc(wire != Wire::PlainText));
        }
        #[cfg(feature = "gssapi")]
        if mechanism == Mechanism::Gssapi {
            all.push(("sasl.kerberos.service.name", "kafka".to_owned()));
        }
        all
    }

    /// The login of a client with the identity provider, to which it connects with TLS if `is_secure` is true.
    #[cfg(feature = "oidc")]
    fn oidc(&self, is_secure: bool) -> Properties {
        let trust = if is_secure {
            let trusted = self.authority.pem().replace('\n', "\\n");
            format!("ssl.truststore.type=\"PEM\" ssl.truststore.certificates=\"{trusted}\"")
        } else {
            String::new()
        };
        let login = format!(
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId=\"{CLIENT_ID}\" \
             clientSecret=\"{CLIENT_SECRET}\" scope=\"{SCOPE}\" {trust};"
        );
        vec![
            ("sasl.jaas.config", login),
            (
                "sasl.login.callback.handler.class",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler"
                    .to_owned(),
            ),
            (
                "sasl.oauthbearer.token.endpoint.url",
                self.provider.token_url(is_secure),
            ),
        ]
    }

    /// The configuration of a client that trusts the broker's authority, without authentication.
    pub(super) fn config(&self, listener: &str) -> ProducerConfigBuilder {
        trusting(&self.servers(listener), &self.authority)
    }
}

/// Lets brokers verify the tokens of an identity provider, at listeners with its handler. Brokers from 4.0 on request
/// only URLs that their JVM allows.
#[cfg(feature = "oidc")]
fn with_provider(options: ClusterOptions, provider: &IdentityProvider) -> ClusterOptions {
    if options.version == "3.0.0" {
        return options;
    }
    let keys = provider.keys_url();
    options
        .config("sasl.oauthbearer.jwks.endpoint.url", &keys)
        .config("sasl.oauthbearer.expected.issuer", ISSUER)
        .config("sasl.oauthbearer.expected.audience", AUDIENCE)
        .system_property("org.apache.kafka.sasl.oauthbearer.allowed.urls", &keys)
}

/// The properties with an unsecured token, as a client of Kafka 3.0 makes it, in place of one from an identity provider.
pub(super) fn with_unsecured_token(properties: &Properties) -> Properties {
    let mut properties = with_mechanism(properties.clone(), Mechanism::OAuthBearer);
    properties.retain(|(key, _)| {
        !key.starts_with("sasl.login.") && !key.starts_with("sasl.oauthbearer.")
    });
    properties
}

/// Replaces the mechanism and the login in a client's properties.
pub(super) fn with_mechanism(mut properties: Properties, mechanism: Mechanism) -> Properties {
    for (key, value) in &mut properties {
        match *key {
            "sasl.mechanism" => mechanism.name().clone_into(value),
            "sasl.jaas.config" => *value = mechanism.jaas_of_client(),
            _ => {}
        }
    }
    properties
}

fn prefix(listener: &str) -> String {
    format!("listener.name.{}.", listener.to_lowercase())
}

fn with_listener(
    options: ClusterOptions,
    listener: &str,
    mechanism: Mechanism,
    wire: Wire,
) -> ClusterOptions {
    let prefix = prefix(listener);
    let mut options = options.listener(listener);
    if let Some(protocol) = wire.protocol() {
        options = options.config(&format!("{prefix}ssl.enabled.protocols"), protocol);
    }
    if mechanism == Mechanism::Mtls {
        options = options.config(&format!("{prefix}ssl.client.auth"), "required");
    }
    if let Some(name) = mechanism.sasl() {
        let login = format!("{prefix}{}.sasl.jaas.config", name.to_lowercase());
        options = options
            .config(&format!("{prefix}sasl.enabled.mechanisms"), name)
            .config(&login, &mechanism.jaas_of_broker());
    }
    if mechanism.is_oidc() {
        options = options.config(
            &format!("{prefix}oauthbearer.sasl.server.callback.handler.class"),
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler",
        );
    }
    options
}

/// Sets certificate and trust store of the brokers at a listener.
pub(crate) fn with_identity(
    options: ClusterOptions,
    prefix: &str,
    identity: &Identity,
    trusted: &Authority,
) -> ClusterOptions {
    options.identity(prefix, &identity.chain, identity.key, &trusted.pem())
}

/// The configuration of a client that trusts an authority.
pub(crate) fn trusting(servers: &str, authority: &Authority) -> ProducerConfigBuilder {
    producer::config(servers)
        .set("security.protocol", "SSL")
        .set("ssl.truststore.type", "PEM")
        .set("ssl.truststore.certificates", authority.pem())
}

/// Adds a client certificate to a configuration.
pub(super) fn with_certificate(
    config: ProducerConfigBuilder,
    identity: &Identity,
) -> ProducerConfigBuilder {
    config
        .set("ssl.keystore.type", "PEM")
        .set("ssl.keystore.key", identity.key)
        .set("ssl.keystore.certificate.chain", identity.chain.clone())
}
