//! Credentials in environment variables.

use super::aws_context::AwsContext;
use super::aws_credentials::{AwsCredentials, NoCredentials};

const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION: &str = "AWS_SESSION_TOKEN";

pub(super) fn credentials(context: &AwsContext) -> Result<AwsCredentials, NoCredentials> {
    let session = context.variable(SESSION);
    match (context.variable(KEY_ID), context.variable(SECRET)) {
        (Some(key_id), Some(secret)) => Ok(AwsCredentials::new(
            &key_id,
            &secret,
            session.as_deref(),
            None,
        )?),
        (None, None) => Err(NoCredentials::NotConfigured(format!("{KEY_ID} is not set"))),
        (Some(_), None) => Err(NoCredentials::Failed(format!(
            "{KEY_ID} is set, and {SECRET} is not"
        ))),
        (None, Some(_)) => Err(NoCredentials::Failed(format!(
            "{SECRET} is set, and {KEY_ID} is not"
        ))),
    }
}
