//! OAUTHBEARER tokens of an identity provider (OIDC, KIP-768): requested from its token endpoint by the client
//! credentials grant (RFC 6749, section 4.4), or read from a file.
//!
//! | file | what is in it |
//! |---|---|
//! | `options` | the keys, and the options of the login module |
//! | `endpoint` | the request of a token, and its retries |
//! | `file` | a token in a file |
//! | `claims` | the reader of responses and tokens |
//!
//! # Threads
//! A token is fetched on a helper thread (`Login`), which may block.

pub(crate) mod claims;
mod endpoint;
mod file;
mod options;

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use self::claims::TokenResponse;
use self::endpoint::TokenEndpoint;
use self::file::TokenFile;
use super::dependencies::SaslDependencies;
use super::login::FetchToken;
use super::token::OAuthBearerToken;
use crate::config::{Password, ProducerConfig};
use crate::error::ConfigError;

/// The key of the URL from which tokens come.
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";

/// The source of tokens, by the scheme of the URL.
enum TokenSource {
    Endpoint(Box<TokenEndpoint>),
    File(TokenFile),
}

impl TokenSource {
    fn fetch(&self) -> Result<TokenResponse, String> {
        match self {
            Self::Endpoint(endpoint) => endpoint.fetch(),
            Self::File(file) => file.read(),
        }
    }

    /// The source for error texts.
    fn name(&self) -> String {
        match self {
            Self::Endpoint(endpoint) => endpoint.name(),
            Self::File(file) => file.name(),
        }
    }
}

/// The function that fetches tokens as the keys and the login module's options say. Nothing is requested yet.
///
/// # Errors
/// The invalid key, and how to correct it.
/// # Blocking
/// Reads the files of the `ssl.*` options.
/// # Kafka
/// `OAuthBearerLoginCallbackHandler`. Differs: a token need not be a JWT if the response has `expires_in`; the lifetime
/// also follows from `expires_in` and `iat`, so that clocks need not be synchronized; a file is read anew for each
/// token; redirects are not followed.
pub(super) fn fetch_token(
    config: &ProducerConfig,
    login_options: &BTreeMap<String, Password>,
    provider: Option<Arc<CryptoProvider>>,
    dependencies: &SaslDependencies,
) -> Result<FetchToken, ConfigError> {
    let source = options::source(config, login_options, provider, dependencies)?;
    let names = options::claim_names(config);
    let extensions = options::extensions(login_options)?;
    let clock = Arc::clone(&dependencies.clock);
    let fetch: FetchToken = Arc::new(move || {
        let response = source.fetch()?;
        let value = response.token.expose();
        let valid_for = claims::lifetime(value, response.expires_in, &names, clock.timestamp())
            .map_err(|why| format!("{}: the token cannot be used: {why}", source.name()))?;
        let token = OAuthBearerToken::new(value, valid_for);
        let extensions = extensions.iter();
        Ok(extensions.fold(token, |token, (name, value)| token.extension(name, value)))
    });
    Ok(fetch)
}

#[cfg(test)]
mod tests;
