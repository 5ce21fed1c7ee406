//! The configuration of OIDC: keys of the producer, and options of the login module in `sasl.jaas.config`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;

use super::claims::{ClaimNames, MAX_RESPONSE_BYTES};
use super::endpoint::{self, Retries, TokenEndpoint};
use super::file::TokenFile;
use super::{ENDPOINT, TokenSource};
use crate::config::{Password, ProducerConfig};
use crate::error::ConfigError;
use crate::security::http::{HttpClient, HttpLimits, HttpTls, Url};
use crate::security::sasl::base64;
use crate::security::sasl::dependencies::SaslDependencies;
use crate::security::sasl::jaas::KEY as LOGIN;
use crate::security::sasl::login_module::OIDC_RECIPE;
use crate::security::sasl::token::OAuthBearerToken;
use crate::util::log;

const CLIENT_ID: &str = "sasl.oauthbearer.client.credentials.client.id";
const CLIENT_SECRET: &str = "sasl.oauthbearer.client.credentials.client.secret";
const SCOPE: &str = "sasl.oauthbearer.scope";
const HEADER_URLENCODE: &str = "sasl.oauthbearer.header.urlencode";
const CONNECT_TIMEOUT: &str = "sasl.login.connect.timeout.ms";
const READ_TIMEOUT: &str = "sasl.login.read.timeout.ms";
const RETRY_BACKOFF: &str = "sasl.login.retry.backoff.ms";
const RETRY_BACKOFF_MAX: &str = "sasl.login.retry.backoff.max.ms";

const EXTENSION: &str = "extension_";
const TLS: &str = "ssl.";

/// Time-out without `sasl.login.connect.timeout.ms`, and without `sasl.login.read.timeout.ms`. Kafka's producer then has
/// none, and an endpoint that does not respond would block its login for ever.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

type ModuleOptions = BTreeMap<String, Password>;

/// The source of tokens.
pub(super) fn source(
    config: &ProducerConfig,
    options: &ModuleOptions,
    provider: Option<Arc<CryptoProvider>>,
    dependencies: &SaslDependencies,
) -> Result<TokenSource, ConfigError> {
    // The value is not quoted: the query of the URL may contain a secret.
    let invalid = |problem: String| {
        ConfigError::invalid(
            ENDPOINT,
            None,
            problem,
            "Set it to the token endpoint of the identity provider, as https://HOST/PATH",
        )
    };
    let Some(text) = config.text(ENDPOINT).filter(|url| !url.is_empty()) else {
        return Err(invalid(
            "the key is not set, and the class of sasl.login.callback.handler.class needs it"
                .to_owned(),
        ));
    };
    warn_of_unknown(options, dependencies);
    if let Some(file) = TokenFile::of_url(text) {
        return file.map(TokenSource::File).map_err(invalid);
    }
    let url = Url::parse(text).map_err(invalid)?;
    let client = client(config, options, &url, provider, dependencies)?;
    let (id, secret) = (client_id(config, options)?, client_secret(config, options)?);
    let retries = retries(config)?;
    let is_encoded = config.boolean(HEADER_URLENCODE);
    let form_of = |text: &str| {
        if is_encoded {
            endpoint::form_encoded(text)
        } else {
            text.to_owned()
        }
    };
    let sent_secret = Password::new(form_of(secret.expose()));
    let pair = Password::new(format!("{}:{}", form_of(&id), sent_secret.expose()));
    let encoded = Password::new(base64::encode(pair.expose().as_bytes()));
    let authorization = Password::new(format!("Basic {}", encoded.expose()));
    Ok(TokenSource::Endpoint(Box::new(TokenEndpoint {
        client,
        url: text.to_owned(),
        shown: url.to_string(),
        authorization,
        form: endpoint::form(scope(config, options)),
        secrets: vec![secret, sent_secret, encoded],
        retries,
        clock: Arc::clone(&dependencies.clock),
        wake: Arc::clone(&dependencies.wake),
    })))
}

/// The HTTP client, with TLS as the `ssl.*` options of the login module say. The producer's own `ssl.*` keys are for
/// brokers only, as in Kafka.
fn client(
    config: &ProducerConfig,
    options: &ModuleOptions,
    url: &Url,
    provider: Option<Arc<CryptoProvider>>,
    dependencies: &SaslDependencies,
) -> Result<HttpClient, ConfigError> {
    let SaslDependencies { clock, log, .. } = dependencies;
    let tls = if url.is_https {
        let of_tls = options.iter().filter(|(name, _)| name.starts_with(TLS));
        let of_tls = of_tls.map(|(name, value)| (name.as_str(), value.expose()));
        HttpTls::with_options(of_tls, provider, clock, log).map_err(|error| of_option(&error))?
    } else {
        if !url.is_local() {
            log::warn!(
                log,
                "{ENDPOINT}={url} is not encrypted: the client secret and each token are sent in clear text"
            );
        }
        HttpTls::Plain
    };
    let connect = config.time(CONNECT_TIMEOUT).unwrap_or(DEFAULT_TIMEOUT);
    let read = config.time(READ_TIMEOUT).unwrap_or(DEFAULT_TIMEOUT);
    let limits = HttpLimits {
        connect,
        response: read,
        body_bytes: MAX_RESPONSE_BYTES,
    };
    Ok(HttpClient::new(limits, tls, clock))
}

/// An error of an `ssl.*` option: the key in it is an option of the login module.
fn of_option(error: &ConfigError) -> ConfigError {
    let option = error.key().unwrap_or("ssl.*");
    ConfigError::invalid(
        LOGIN,
        None,
        format!(
            "its option {option}, for the connection to {ENDPOINT}: {}",
            error.problem()
        ),
        error.remedy(),
    )
}

fn client_id(config: &ProducerConfig, options: &ModuleOptions) -> Result<String, ConfigError> {
    let key = config.text(CLIENT_ID).map(str::trim);
    let key = key.filter(|id| !id.is_empty());
    let id = key.or_else(|| option(options, "clientId"));
    id.map(str::to_owned)
        .ok_or_else(|| missing("clientId", CLIENT_ID))
}

fn client_secret(
    config: &ProducerConfig,
    options: &ModuleOptions,
) -> Result<Password, ConfigError> {
    let key = config
        .password(CLIENT_SECRET)
        .map(|key| key.expose().trim());
    let key = key.filter(|secret| !secret.is_empty());
    let secret = key.or_else(|| option(options, "clientSecret"));
    secret
        .map(Password::new)
        .ok_or_else(|| missing("clientSecret", CLIENT_SECRET))
}

fn scope<'c>(config: &'c ProducerConfig, options: &'c ModuleOptions) -> Option<&'c str> {
    let key = config.text(SCOPE).map(str::trim);
    let key = key.filter(|scope| !scope.is_empty());
    key.or_else(|| option(options, "scope"))
}

/// The value of an option of the login module, trimmed as in Kafka; `None` if it is empty.
fn option<'o>(options: &'o ModuleOptions, name: &str) -> Option<&'o str> {
    let value = options.get(name)?.expose().trim();
    Some(value).filter(|value| !value.is_empty())
}

fn missing(option: &str, key: &str) -> ConfigError {
    ConfigError::invalid(
        LOGIN,
        None,
        format!("its option {option} is missing, or empty, and the key {key} is not set either"),
        format!("Write {OIDC_RECIPE}, or use ProducerConfigBuilder::sasl_oidc"),
    )
}

fn retries(config: &ProducerConfig) -> Result<Retries, ConfigError> {
    let time = |key| config.time(key).unwrap_or_default();
    let (first, within) = (time(RETRY_BACKOFF), time(RETRY_BACKOFF_MAX));
    if within < first {
        return Err(ConfigError::conflict(
            &[RETRY_BACKOFF_MAX, RETRY_BACKOFF],
            format!(
                "{RETRY_BACKOFF_MAX}={} is below {RETRY_BACKOFF}={}",
                within.as_millis(),
                first.as_millis()
            ),
            "Raise the one, or lower the other",
        ));
    }
    Ok(Retries { first, within })
}

pub(super) fn claim_names(config: &ProducerConfig) -> ClaimNames {
    let name = |key, default: &str| {
        let name = config.text(key).map(str::trim);
        let name = name.filter(|name| !name.is_empty());
        name.unwrap_or(default).to_owned()
    };
    ClaimNames {
        scope: name("sasl.oauthbearer.scope.claim.name", "scope"),
        subject: name("sasl.oauthbearer.sub.claim.name", "sub"),
    }
}

/// The SASL extensions (KIP-342), from the options `extension_NAME`.
pub(super) fn extensions(options: &ModuleOptions) -> Result<BTreeMap<String, String>, ConfigError> {
    let named = options
        .iter()
        .filter_map(|(option, value)| Some((option.strip_prefix(EXTENSION)?, value.expose())));
    let extensions: BTreeMap<String, String> = named
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // Validated once: the tokens that they are sent with differ only in their value.
    let token = OAuthBearerToken::new("x", Duration::MAX);
    let with = extensions
        .iter()
        .fold(token, |token, (name, value)| token.extension(name, value));
    with.check().map_err(|why| {
        let remedy = "Correct or leave out the options that begin with extension_";
        ConfigError::invalid(LOGIN, None, why, remedy)
    })?;
    Ok(extensions)
}

/// Warns of options that have no effect, as they have none in Kafka. Their names are not quoted: if quotation marks are
/// missing, a name may be part of a secret.
fn warn_of_unknown(options: &ModuleOptions, dependencies: &SaslDependencies) {
    let is_known = |name: &str| {
        matches!(name, "clientId" | "clientSecret" | "scope")
            || name.starts_with(EXTENSION)
            || name.starts_with(TLS)
    };
    let unknown = options.keys().filter(|name| !is_known(name)).count();
    if unknown > 0 {
        log::warn!(
            dependencies.log,
            "{LOGIN}: {unknown} of its options have no effect here: those that have are clientId, clientSecret, scope, \
             {EXTENSION}NAME and {TLS}*"
        );
    }
}
