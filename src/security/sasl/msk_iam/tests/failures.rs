//! Services that hang, fail or answer with something else: bounded time and memory, and errors that say what was tried.
#![allow(clippy::disallowed_methods, reason = "a test measures real time")]

use std::time::{Duration, Instant};

use super::service_double::{Reply, ServiceDouble, ok};
use super::{
    ASSUMED, DOCUMENT, LIMITS, NO_INSTANCE, ROLE, TemporaryFile, context, context_with, failure,
    found, tokens,
};
use crate::security::http::HttpLimits;
use crate::security::sasl::msk_iam::{container, instance, web_identity};

const HTML: &str = "<!DOCTYPE html><html><body>hunter2</body></html>";

/// Answers that contain no credentials, each with a part of the error.
fn useless_replies() -> Vec<(Reply, &'static str)> {
    vec![
        (Reply::Text(500, HTML.to_owned()), "status 500"),
        (ok(HTML), "the answer"),
        (ok(""), "the answer"),
        (ok("{\"Code\": \"Failed\", \"hunter2\": []}"), "the answer"),
        (ok(&DOCUMENT[..DOCUMENT.len() / 2]), "the answer"),
        (ok(&ASSUMED[..ASSUMED.len() / 2]), "the answer"),
        (
            Reply::Text(200, "x".repeat(70_000)),
            "more than 65536 bytes",
        ),
        (Reply::Endless, "more than 65536 bytes"),
        (
            Reply::Redirect("http://127.0.0.1:1/hunter2".to_owned()),
            "status 302",
        ),
    ]
}

/// Runs a source with a service that always gives this answer.
fn failure_with(reply: Reply, source: &str) -> String {
    let reply = crate::sync::Mutex::new(crate::sync::Rank::LEAF, Some(reply));
    let source_name = source.to_owned();
    let service = ServiceDouble::start(move |request| {
        // The metadata service fails at the second step, after the session was opened.
        if source_name == "instance" && request.method == "PUT" {
            return ok("hunter1");
        }
        reply.lock().take().expect("there is one request")
    });
    let url = service.url();
    let file = TemporaryFile::new(&format!("{source}-{}", url.len()), "hunter1");
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url),
        ("AWS_ENDPOINT_URL_STS", &*url),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path()),
        ("AWS_ROLE_ARN", ROLE),
    ];
    let context = context(&variables);
    let why = failure(match source {
        "container" => container::credentials(&context),
        "instance" => instance::credentials(&context),
        _ => web_identity::credentials(&context, "eu-central-1"),
    });
    assert!(!why.contains("hunter") && why.len() < 500, "{why}");
    why
}

#[test]
fn an_answer_without_credentials_is_described_and_not_quoted() {
    for source in ["container", "instance", "web identity"] {
        for (reply, expected) in useless_replies() {
            // The list of roles may be any text, so some of these answers are a name there.
            if source == "instance" && expected == "the answer" {
                continue;
            }
            let why = failure_with(reply, source);
            assert!(why.contains(expected), "{source}: {why}");
        }
    }
}

#[test]
fn a_service_that_hangs_is_given_up() {
    let service = ServiceDouble::start(|_| Reply::Silence);
    let url = service.url();
    let limits = HttpLimits {
        response: Duration::from_millis(100),
        ..LIMITS
    };
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url),
    ];
    let began = Instant::now();
    let context = context_with(&variables, limits);
    for why in [
        failure(container::credentials(&context)),
        failure(instance::credentials(&context)),
    ] {
        assert!(why.contains(&url) && why.contains("timed out"), "{why}");
        let advises = why.contains("hop limit");
        assert_eq!(advises, why.contains("AWS_EC2_METADATA_SERVICE_ENDPOINT"));
    }
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_refusal_of_sts_has_its_code_and_message_without_the_token() {
    let refusal = "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>bad: hunter1 &lt;x&gt;\
        </Message></Error></ErrorResponse>";
    let service = ServiceDouble::start(move |_| Reply::Text(400, refusal.to_owned()));
    let file = TemporaryFile::new("refused", "hunter1");
    let url = service.url();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path()),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_ENDPOINT_URL_STS", &*url),
    ];
    let why = failure(web_identity::credentials(&context(&variables), "eu-west-1"));
    assert_eq!(
        why,
        "STS refuses with InvalidIdentityToken: bad: [hidden] <x>"
    );
}

/// STS may repeat what the request contained, also at the end of a text that is truncated.
#[test]
fn a_refusal_of_sts_hides_the_secrets_of_the_request() {
    let service = ServiceDouble::start(|_| {
        let text = format!("{} hunter3 hunter-external", "x".repeat(360));
        let refusal =
            format!("<E><Error><Code>AccessDenied</Code><Message>{text}</Message></Error></E>");
        Reply::Text(403, refusal)
    });
    let url = service.url();
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("AWS_SESSION_TOKEN", "hunter3"),
        ("AWS_ENDPOINT_URL_STS", &*url),
    ];
    let options = [
        ("awsRoleArn", ROLE),
        ("awsRoleExternalId", "hunter-external"),
    ];
    let why = found(&options, &variables).unwrap_err();
    assert!(
        why.contains("AccessDenied") && !why.contains("hunt"),
        "{why}"
    );
}

/// The path of the container's URL is a credential.
#[test]
fn a_service_without_an_answer_is_named_without_its_path() {
    let variables = [(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "http://127.0.0.1:1/v2/credentials/hunter2",
    )];
    let why = failure(container::credentials(&context(&variables)));
    let start = "no answer from http://127.0.0.1:1: no connection";
    assert!(why.starts_with(start) && !why.contains("hunter2"), "{why}");
}

/// The double has no TLS. A build without a cryptography provider has none either.
#[test]
fn a_service_whose_tls_handshake_fails_is_named() {
    let service = ServiceDouble::start(|_| ok(ASSUMED));
    let file = TemporaryFile::new("tls", "hunter1");
    let url = service.url().replace("http://", "https://");
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path()),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_ENDPOINT_URL_STS", &*url),
    ];
    let context = context(&variables);
    for _ in 0..2 {
        let why = failure(web_identity::credentials(&context, "eu-west-1"));
        let is_named = why.starts_with(&format!("no answer from {url}: the TLS handshake failed"))
            || why.starts_with("TLS cannot be used: ");
        assert!(is_named && !why.contains("hunter"), "{why}");
    }
    assert!(service.requests().is_empty());
}

#[test]
fn a_web_identity_without_a_usable_token_is_an_error() {
    let empty = TemporaryFile::new("empty", " \n");
    let two = TemporaryFile::new("two", "hunter1 hunter2");
    let huge = TemporaryFile::new("token-huge", vec![b'x'; 20_001]);
    for (path, expected) in [
        ("/no/such/file", "there is no file /no/such/file"),
        (empty.path(), "does not contain a token"),
        (two.path(), "does not contain a token"),
        (huge.path(), "more than 20000 bytes"),
    ] {
        let variables = [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", path),
            ("AWS_ROLE_ARN", ROLE),
        ];
        let why = failure(web_identity::credentials(&context(&variables), "eu-west-1"));
        assert!(why.contains(expected) && !why.contains("hunter"), "{why}");
    }
    let variables = [("AWS_WEB_IDENTITY_TOKEN_FILE", empty.path())];
    let why = failure(web_identity::credentials(&context(&variables), "eu-west-1"));
    assert!(why.contains("AWS_ROLE_ARN"), "{why}");
}

#[test]
fn a_container_url_of_another_host_is_refused_without_tls() {
    for (name, value) in [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "http://169.254.169.254/hunter2",
        ),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "http://localhost@example.com/hunter2",
        ),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "file:///hunter2"),
        (
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            ".example.com/hunter2",
        ),
    ] {
        let why = failure(container::credentials(&context(&[(name, value)])));
        assert!(why.contains(name) && !why.contains("hunter2"), "{why}");
    }
}

#[test]
fn the_error_lists_the_sources_that_were_tried() {
    let why = found(&[], &[NO_INSTANCE]).unwrap_err();
    assert_eq!(
        why,
        "environment: AWS_ACCESS_KEY_ID is not set; web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set; \
         profile: there is no profile default; container: neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor \
         AWS_CONTAINER_CREDENTIALS_FULL_URI is set; instance metadata: AWS_EC2_METADATA_DISABLED is true"
    );
    let variables = [NO_INSTANCE, ("AWS_REGION", "eu-central-1")];
    let error = tokens(&[], context(&variables)).token().unwrap_err();
    assert!(
        error.starts_with("there are no AWS credentials. environment: "),
        "{error}"
    );
    let why = found(&[("awsRoleArn", ROLE)], &[NO_INSTANCE]).unwrap_err();
    assert!(
        why.starts_with("awsRoleArn: environment: AWS_ACCESS_KEY_ID"),
        "{why}"
    );
}

/// With the next source the producer could become another principal.
#[test]
fn a_source_that_is_configured_and_fails_ends_the_search() {
    let service = ServiceDouble::start(|_| ok(DOCUMENT));
    let url = service.url();
    let others = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
        ("AWS_ACCESS_KEY_ID", "AKID"),
    ];
    let why = found(&[], &others).unwrap_err();
    assert_eq!(
        why,
        "environment: AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not"
    );
    let others = [others[0], ("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/file")];
    let why = found(&[], &others).unwrap_err();
    assert!(why.ends_with("is set, and AWS_ROLE_ARN is not"), "{why}");
    assert!(service.requests().is_empty());
}
