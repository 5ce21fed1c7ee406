//! Credentials of a role for a web identity: a token in a file that the platform keeps up to date, such as that of a
//! Kubernetes service account (IAM roles for service accounts).

use super::aws_context::{AwsContext, read_text};
use super::aws_credentials::{AwsCredentials, NoCredentials};
use super::sts::{RoleRequest, SESSION_NAME, assume_role_with_web_identity};
use crate::config::Password;

const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";
const SESSION: &str = "AWS_ROLE_SESSION_NAME";
/// Longest token, in bytes; STS accepts 20,000.
const MAX_TOKEN_BYTES: u64 = 20_000;

/// The credentials of the role that the environment names.
pub(super) fn credentials(
    context: &AwsContext,
    region: &str,
) -> Result<AwsCredentials, NoCredentials> {
    let Some(file) = context.variable(TOKEN_FILE) else {
        return Err(NoCredentials::NotConfigured(format!(
            "{TOKEN_FILE} is not set"
        )));
    };
    let Some(arn) = context.variable(ROLE) else {
        return Err(NoCredentials::Failed(format!(
            "{TOKEN_FILE} is set, and {ROLE} is not"
        )));
    };
    let session = context.variable(SESSION);
    Ok(of_file(context, region, &file, arn, session)?)
}

/// The credentials of a role, for the token in a file.
pub(super) fn of_file(
    context: &AwsContext,
    region: &str,
    file: &str,
    arn: String,
    session_name: Option<String>,
) -> Result<AwsCredentials, String> {
    let text = read_text(file, MAX_TOKEN_BYTES)?;
    let text = text.ok_or_else(|| format!("there is no file {file}"))?;
    let token = text.expose().trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{file} does not contain a token"));
    }
    let role = RoleRequest {
        arn,
        session_name: session_name.unwrap_or_else(|| SESSION_NAME.to_owned()),
        external_id: None,
        duration_seconds: None,
    };
    assume_role_with_web_identity(context, region, &Password::new(token), &role)
}
