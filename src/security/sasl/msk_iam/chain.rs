//! The chain of sources of credentials, in the order of AWS' default provider chain.

use super::aws_context::{AwsContext, reason};
use super::aws_credentials::{AwsCredentials, NoCredentials};
use super::options::{LoginRole, MskIamLogin};
use super::sts::assume_role;
use super::{container, environment, instance, profile, web_identity};

type LoadCredentials = fn(&AwsContext, &str) -> Result<AwsCredentials, NoCredentials>;

/// The default sources with their names, in their order.
const DEFAULT_SOURCES: [(&str, LoadCredentials); 5] = [
    ("environment", |context, _| {
        environment::credentials(context)
    }),
    ("web identity", web_identity::credentials),
    ("profile", |context, region| {
        profile::credentials(context, None, region)
    }),
    ("container", |context, _| container::credentials(context)),
    ("instance metadata", |context, _| {
        instance::credentials(context)
    }),
];

/// The sources that were tried, each with the reason why it has no credentials.
#[derive(Default)]
struct TriedSources(String);

impl TriedSources {
    fn add(&mut self, source: &str, why: &str) {
        if !self.0.is_empty() {
            self.0.push_str("; ");
        }
        self.0.push_str(source);
        self.0.push_str(": ");
        self.0.push_str(&reason(why));
    }

    /// The credentials of a source that these sources were tried before.
    fn before(self, source: &'static str, credentials: AwsCredentials) -> FoundCredentials {
        FoundCredentials {
            credentials,
            source,
            passed: self.0,
        }
    }
}

/// Credentials, and the name of their source.
pub(super) struct FoundCredentials {
    pub(super) credentials: AwsCredentials,
    pub(super) source: &'static str,
    /// The sources before it, each with the reason why it has no credentials.
    pub(super) passed: String,
}

/// Finds credentials.
///
/// # Errors
/// The sources that were tried, and why each failed.
/// # Blocking
/// Reads files, and requests credentials: ten seconds for each request at most.
///
/// # Kafka
/// `MSKCredentialProvider` of Amazon's library, with AWS' `DefaultCredentialsProvider`. Differs: a source that is
/// configured and fails ends the search. With the next source the producer could become another principal, whom the
/// brokers refuse when it authenticates again, or who may not write to its topics.
pub(super) fn find(
    context: &AwsContext,
    login: &MskIamLogin,
    region: &str,
) -> Result<FoundCredentials, String> {
    let region = login.sts_region.as_deref().unwrap_or(region);
    let mut tried = TriedSources::default();
    if let Some(name) = &login.profile {
        let source = "awsProfileName";
        match profile::credentials(context, Some(name), region) {
            Ok(credentials) => return Ok(tried.before(source, credentials)),
            Err(NoCredentials::NotConfigured(why)) => tried.add(source, &why),
            Err(NoCredentials::Failed(why)) => {
                tried.add(source, &why);
                return Err(tried.0);
            }
        }
    }
    if let Some(role) = &login.role {
        let source = "awsRoleArn";
        return match of_role(context, role, region) {
            Ok(credentials) => Ok(tried.before(source, credentials)),
            Err(why) => {
                // Not truncated once more: the reason may be those of all default sources.
                let before = if tried.0.is_empty() { "" } else { "; " };
                Err(format!("{}{before}{source}: {why}", tried.0))
            }
        };
    }
    if login.profile.is_some() && !login.adds_default_sources {
        return Err(tried.0);
    }
    of_default_sources(context, region, tried)
}

/// Assumes a role with its own keys, or with the credentials of the default sources.
fn of_role(context: &AwsContext, role: &LoginRole, region: &str) -> Result<AwsCredentials, String> {
    let found;
    let credentials = if let Some(credentials) = &role.credentials {
        credentials
    } else {
        found = of_default_sources(context, region, TriedSources::default())?;
        &found.credentials
    };
    assume_role(context, region, credentials, &role.request)
}

fn of_default_sources(
    context: &AwsContext,
    region: &str,
    mut tried: TriedSources,
) -> Result<FoundCredentials, String> {
    for (source, load) in DEFAULT_SOURCES {
        match load(context, region) {
            Ok(credentials) => return Ok(tried.before(source, credentials)),
            Err(NoCredentials::NotConfigured(why)) => tried.add(source, &why),
            Err(NoCredentials::Failed(why)) => {
                tried.add(source, &why);
                break;
            }
        }
    }
    Err(tried.0)
}
