//! Credentials of a container: those of an ECS task, and of an EKS pod (pod identity).

use std::net::IpAddr;

use super::aws_context::{AwsContext, read_text};
use super::aws_credentials::{AwsCredentials, NoCredentials};
use super::metadata_answer;
use crate::config::Password;
use crate::security::http::{HttpMethod, HttpRequest, Url};

const RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";

/// The endpoint of ECS, to which a relative URI belongs.
const ECS: &str = "http://169.254.170.2";
/// The addresses that credentials are requested from without TLS, besides those of the loopback interface: the
/// endpoints of ECS and EKS.
const PLAIN_ADDRESSES: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
/// Longest authorization token, in bytes. That of EKS is the token of a service account.
const MAX_TOKEN_BYTES: u64 = 32 * 1024;

pub(super) fn credentials(context: &AwsContext) -> Result<AwsCredentials, NoCredentials> {
    let Some(url) = url(context)? else {
        return Err(NoCredentials::NotConfigured(format!(
            "neither {RELATIVE_URI} nor {FULL_URI} is set"
        )));
    };
    let token = authorization(context)?;
    let header = token
        .as_ref()
        .map(|token| ("Authorization", token.expose()));
    let answer = context.send(&HttpRequest {
        method: HttpMethod::Get,
        url: &url,
        headers: header.as_slice(),
        body: b"",
    })?;
    Ok(metadata_answer::credentials(answer)?)
}

/// The URL of the service; `None` if no variable names it.
fn url(context: &AwsContext) -> Result<Option<String>, String> {
    if let Some(path) = context.variable(RELATIVE_URI) {
        if !path.starts_with('/') {
            return Err(format!("{RELATIVE_URI} does not begin with '/'"));
        }
        return Ok(Some(format!("{ECS}{path}")));
    }
    let Some(text) = context.variable(FULL_URI) else {
        return Ok(None);
    };
    let url = Url::parse(&text).map_err(|why| format!("{FULL_URI}: {why}"))?;
    if url.is_https || may_be_plain(&url.host) {
        return Ok(Some(text));
    }
    Err(format!(
        "{FULL_URI} begins with http:// and is neither at a loopback address nor at one of {}",
        PLAIN_ADDRESSES.join(", ")
    ))
}

/// Whether credentials may be requested from a host without TLS.
fn may_be_plain(host: &str) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let Ok(address) = host.parse::<IpAddr>() else {
        return false;
    };
    let mut known = PLAIN_ADDRESSES.iter();
    address.is_loopback() || known.any(|known| known.parse::<IpAddr>() == Ok(address))
}

/// The header that the service requires, if any. The file is read each time, because its token is replaced.
fn authorization(context: &AwsContext) -> Result<Option<Password>, String> {
    let token = match context.variable(TOKEN_FILE) {
        Some(file) => {
            let text = read_text(&file, MAX_TOKEN_BYTES)?;
            let text = text.ok_or_else(|| format!("{TOKEN_FILE}: there is no file {file}"))?;
            Some(Password::new(text.expose().trim()))
        }
        None => context.variable(TOKEN).map(Password::new),
    };
    match token {
        Some(token) if !token.expose().bytes().all(|b| matches!(b, b' '..=b'~')) => {
            Err("the authorization token has characters that HTTP cannot transmit".to_owned())
        }
        token => Ok(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tls_only_addresses_of_the_machine_are_asked() {
        for host in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.1.2.3",
            "::1",
            "169.254.170.2",
            "169.254.170.23",
            "fd00:ec2::23",
            "fd00:ec2:0:0::23",
        ] {
            assert!(may_be_plain(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "169.254.169.254",
            "169.254.170.3",
            "10.0.0.1",
            "0.0.0.0",
            "::",
            "127.0.0.1.example.com",
        ] {
            assert!(!may_be_plain(host), "{host}");
        }
    }
}
