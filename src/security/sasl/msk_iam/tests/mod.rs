//! Tests of tokens for MSK: vectors of Amazon's signers, and each source of credentials with a double of its service.

mod failures;
mod profiles;
mod renewals;
mod service_double;
mod sources;
mod vectors;

use std::collections::BTreeMap;
use std::env::VarError;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::aws_context::{AwsContext, Variables};
use super::aws_credentials::{AwsCredentials, NoCredentials};
use super::{MskIamTokens, chain};
use crate::clock::{Clock, SystemClock};
use crate::config::Password;
use crate::security::http::HttpLimits;
use crate::security::sasl::dependencies::{SaslDependencies, Wake, random_of_seed};
use crate::util::log::LogContext;

/// Longer than any request to a double takes that answers.
const LIMITS: HttpLimits = HttpLimits {
    connect: Duration::from_secs(10),
    response: Duration::from_secs(10),
    body_bytes: 64 * 1024,
};

const NO_INSTANCE: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");
const ROLE: &str = "arn:aws:iam::123456789012:role/msk";

/// Credentials as the container service and the instance's metadata service return them.
const DOCUMENT: &str = r#"{"Code": "Success", "AccessKeyId": "ASIAFOUND", "SecretAccessKey": "hunter2",
    "Token": "hunter3", "Expiration": "2099-01-01T00:00:00Z"}"#;

/// Credentials as STS returns them.
const ASSUMED: &str = "<R><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>hunter4</SecretAccessKey>\
    <SessionToken>hunter5</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></R>";

/// A context with these environment variables, and no others.
fn context(variables: &[(&str, &str)]) -> AwsContext {
    context_with(variables, LIMITS)
}

fn context_with(variables: &[(&str, &str)], limits: HttpLimits) -> AwsContext {
    let variables: BTreeMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let read = move |name: &str| variables.get(name).cloned().ok_or(VarError::NotPresent);
    context_of(Arc::new(read), limits, Arc::new(SystemClock::new()))
}

fn context_of(variables: Variables, limits: HttpLimits, clock: Arc<dyn Clock>) -> AwsContext {
    let dependencies = SaslDependencies {
        run: Arc::new(|work| {
            work();
            Ok(())
        }),
        wake: Arc::new(Wake::default()),
        random: random_of_seed(1),
        clock,
        log: LogContext::for_tests(),
        seed: 0,
    };
    AwsContext::new(variables, limits, None, &dependencies)
}

fn tokens(options: &[(&str, &str)], context: AwsContext) -> MskIamTokens {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), Password::new(*value));
    MskIamTokens::new(&options.iter().map(owned).collect(), context).unwrap()
}

/// The credentials that the whole chain finds, with the name of their source.
fn found(
    options: &[(&str, &str)],
    variables: &[(&str, &str)],
) -> Result<(AwsCredentials, &'static str), String> {
    let tokens = tokens(options, context(variables));
    let found = chain::find(&tokens.context, &tokens.login, "eu-central-1")?;
    Ok((found.credentials, found.source))
}

/// The error of a source that is configured.
fn failure(found: Result<AwsCredentials, NoCredentials>) -> String {
    match found {
        Err(NoCredentials::Failed(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// A file in the folder for temporary files, removed when it is dropped.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let name = format!("kafka-producer-msk-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
