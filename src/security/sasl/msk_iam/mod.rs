//! Tokens for Amazon MSK with IAM: signed with AWS credentials on this machine, and sent by OAUTHBEARER.
//!
//! | file | what is in it |
//! |---|---|
//! | `options` | the options of the login module |
//! | `token`, `signature` | the token, and AWS Signature Version 4 |
//! | `chain` | the sources of credentials in their order |
//! | `environment`, `profile`, `profile_file`, `web_identity`, `container`, `instance` | the sources |
//! | `region` | the region of the cluster |
//! | `sts`, `sts_answer` | requests to AWS STS for the credentials of a role, and the reader of its XML |
//! | `metadata_answer` | the JSON document of the container and the instance service |
//! | `aws_context`, `aws_credentials`, `aws_time` | surroundings, credentials, times |
//!
//! [`fetch_token`] makes the function that a [`Login`](super::login::Login) calls on a helper thread, in advance and
//! again before each token expires. Each call searches all sources anew, so rotated credentials are used within fifteen
//! minutes.

mod aws_context;
mod aws_credentials;
mod aws_time;
mod chain;
mod container;
mod environment;
mod instance;
mod metadata_answer;
mod options;
mod profile;
mod profile_file;
mod region;
mod region_name;
mod signature;
mod sts;
mod sts_answer;
mod token;
mod web_identity;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;

use self::aws_context::{AwsContext, NEAR, variables_of_process};
use self::aws_credentials::AwsCredentials;
use self::chain::FoundCredentials;
use self::options::MskIamLogin;
use self::token::{USER_AGENT, sign_token};
use super::dependencies::SaslDependencies;
use super::jaas::KEY;
use super::login::FetchToken;
use super::token::OAuthBearerToken;
use crate::clock::Timestamp;
use crate::config::Password;
use crate::error::ConfigError;
use crate::sync::{Mutex, OnceLock, Rank};
use crate::util::log;

/// How long credentials without an expiry are used after the last search that found them.
const WITHOUT_EXPIRY: Duration = Duration::from_secs(3600);

/// The source of tokens, from the options of the login module. Nothing is read or requested yet.
///
/// # Errors
/// The invalid option, and how to correct it.
pub(super) fn fetch_token(
    options: &BTreeMap<String, Password>,
    crypto_provider: Option<Arc<CryptoProvider>>,
    dependencies: &SaslDependencies,
) -> Result<FetchToken, ConfigError> {
    let variables = variables_of_process();
    let context = AwsContext::new(variables, NEAR, crypto_provider, dependencies);
    let tokens = MskIamTokens::new(options, context)?;
    Ok(Arc::new(move || tokens.token()))
}

/// Signs tokens with the credentials that the chain finds.
struct MskIamTokens {
    login: MskIamLogin,
    context: AwsContext,
    /// The region, once one was found; that of a cluster does not change.
    found_region: OnceLock<String>,
    /// The credentials of the last search that succeeded.
    last: Mutex<Option<LastCredentials>>,
}

/// Credentials that are used again if a search fails.
#[derive(Clone)]
struct LastCredentials {
    credentials: AwsCredentials,
    source: &'static str,
    /// Their expiry, or the end of [`WITHOUT_EXPIRY`].
    until: Timestamp,
}

impl MskIamTokens {
    fn new(options: &BTreeMap<String, Password>, context: AwsContext) -> Result<Self, ConfigError> {
        let login = MskIamLogin::of(options).map_err(|why| {
            ConfigError::invalid(
                KEY,
                None,
                why,
                "Correct the option. Without any, region and credentials come from the environment, from ~/.aws, or \
                 from the metadata of the container or the instance",
            )
        })?;
        Ok(Self {
            login,
            context,
            found_region: OnceLock::new(),
            last: Mutex::new(Rank::LEAF, None),
        })
    }

    /// # Blocking
    /// Reads files, and requests credentials.
    fn token(&self) -> Result<OAuthBearerToken, String> {
        let token = self.signed_token();
        match self.context.take_malformed() {
            Some(name) => Err(format!("the environment variable {name} is not UTF-8")),
            None => token,
        }
    }

    fn signed_token(&self) -> Result<OAuthBearerToken, String> {
        let region = self.region()?;
        let credentials = self.credentials(&region)?;
        let now = self.context.now();
        Ok(sign_token(&credentials, &region, USER_AGENT, now))
    }

    fn region(&self) -> Result<String, String> {
        if let Some(region) = self
            .login
            .region
            .as_ref()
            .or_else(|| self.found_region.get())
        {
            return Ok(region.clone());
        }
        let region = region::find(&self.context, self.login.profile.as_deref())?;
        Ok(self.found_region.get_or_init(|| region).clone())
    }

    /// New credentials. If there are none, those of the last search are used until they expire, so that a source may be
    /// unavailable for longer than a token lives. The same applies if another source has some: it could be of another
    /// identity, and brokers refuse a client that changes its principal when it authenticates again.
    fn credentials(&self, region: &str) -> Result<AwsCredentials, String> {
        let found = chain::find(&self.context, &self.login, region);
        let now = self.context.now();
        let last = self.last.lock().clone();
        let usable = last.as_ref().filter(|last| last.until > now);
        let why = match found {
            Ok(found) if self.is_expired(&found.credentials) => {
                let source = found.source;
                format!("{source}: its credentials have expired, by the clock of this machine")
            }
            Ok(found) => match usable {
                Some(last) if last.source != found.source => {
                    format!(
                        "{} has credentials, and before, {} had some, maybe of another identity{}",
                        found.source,
                        last.source,
                        listed(&found.passed)
                    )
                }
                _ => return Ok(self.accepted(found, last.as_ref(), now)),
            },
            Err(why) => why,
        };
        let Some(last) = usable else {
            return Err(format!("there are no AWS credentials. {why}"));
        };
        if !self.context.is_closed() {
            log::warn!(
                self.context.log(),
                "no new AWS credentials, those before are used until they expire, or for an hour if they have no \
                 expiry: {why}"
            );
        }
        Ok(last.credentials.clone())
    }

    /// Keeps the credentials that were found for later failures.
    fn accepted(
        &self,
        found: FoundCredentials,
        last: Option<&LastCredentials>,
        now: Timestamp,
    ) -> AwsCredentials {
        let FoundCredentials {
            credentials,
            source,
            passed,
        } = found;
        let log = self.context.log();
        if let Some(last) = last.filter(|last| last.source != source) {
            log::warn!(
                log,
                "tokens for MSK are now signed with credentials of {source}, before of {}, whose credentials have \
                 ended{}",
                last.source,
                listed(&passed)
            );
        } else {
            log::debug!(
                log,
                "tokens for MSK are signed with credentials of {source}"
            );
        }
        let until = credentials
            .expires
            .unwrap_or_else(|| now.plus(WITHOUT_EXPIRY));
        *self.last.lock() = Some(LastCredentials {
            credentials: credentials.clone(),
            source,
            until,
        });
        credentials
    }

    fn is_expired(&self, credentials: &AwsCredentials) -> bool {
        let now = self.context.now();
        credentials.expires.is_some_and(|end| end <= now)
    }
}

/// The sources that were passed over, at the end of a text.
fn listed(passed: &str) -> String {
    if passed.is_empty() {
        String::new()
    } else {
        format!(" ({passed})")
    }
}

/// Parses a text as the source that `kind` chooses: a profile file, or the answer of a service. Returns the number of
/// bytes that were kept. For the fuzz target.
///
/// # Errors
/// As the source has it.
#[cfg(all(feature = "testing", feature = "_internals"))]
pub(crate) fn read_any(kind: u8, text: &str) -> Result<usize, String> {
    let kind = match kind % 4 {
        0 => profile_file::ProfileFileKind::Config,
        1 => profile_file::ProfileFileKind::Credentials,
        2 => {
            return sts_answer::StsAnswer::parse(text)?
                .credentials()
                .map(size_of);
        }
        _ => return metadata_answer::parse(text).map(size_of),
    };
    let mut profiles = profile_file::Profiles::new();
    profile_file::parse_into(&mut profiles, text, kind)?;
    let values = profiles.values().flat_map(BTreeMap::values);
    Ok(values.map(|value| value.expose().len()).sum())
}

#[cfg(all(feature = "testing", feature = "_internals"))]
fn size_of(credentials: AwsCredentials) -> usize {
    let session = credentials
        .session_token
        .map_or(0, |token| token.expose().len());
    credentials.access_key_id.len() + credentials.secret_access_key.expose().len() + session
}

#[cfg(test)]
mod tests;
