//! Each source of credentials, with the service that it asks.

use super::service_double::{Reply, ServiceDouble, ok};
use super::{ASSUMED, DOCUMENT, NO_INSTANCE, ROLE, TemporaryFile, context, found, tokens};
use crate::security::sasl::msk_iam::aws_credentials::NoCredentials;
use crate::security::sasl::msk_iam::{container, instance, region, sts};

#[test]
fn the_environment_comes_first() {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", " hunter2 "),
        ("AWS_SESSION_TOKEN", ""),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/file"),
    ];
    let (credentials, source) = found(&[], &variables).unwrap();
    assert_eq!(source, "environment");
    assert_eq!(credentials.access_key_id, "AKID");
    assert_eq!(credentials.secret_access_key.expose(), "hunter2");
    assert!(credentials.session_token.is_none());
}

#[test]
fn a_web_identity_is_exchanged_for_the_credentials_of_its_role() {
    let service = ServiceDouble::start(|_| ok(ASSUMED));
    let url = service.url();
    let file = TemporaryFile::new("identity", "ey.J.hunter1\n");
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path()),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_ENDPOINT_URL_STS", &*url),
    ];
    let (credentials, source) = found(&[], &variables).unwrap();
    assert_eq!(source, "web identity");
    assert_eq!(credentials.access_key_id, "ASIAROLE");
    let request = &service.requests()[0];
    assert_eq!((&*request.method, &*request.target), ("POST", "/"));
    assert_eq!(
        request.body,
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fmsk\
         &RoleSessionName=kafka-producer&WebIdentityToken=ey.J.hunter1"
    );
    assert!(!request.headers.contains_key("authorization"));
}

#[test]
fn a_container_is_asked_with_the_token_of_a_file() {
    let service = ServiceDouble::start(|_| ok(DOCUMENT));
    let file = TemporaryFile::new("container", " hunter1\n");
    let url = format!("{}/v1/credentials", service.url());
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.path()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "other"),
    ];
    let (credentials, source) = found(&[], &variables).unwrap();
    assert_eq!(source, "container");
    assert_eq!(credentials.session_token.unwrap().expose(), "hunter3");
    let request = &service.requests()[0];
    assert_eq!(
        (&*request.method, &*request.target),
        ("GET", "/v1/credentials")
    );
    assert_eq!(request.headers["authorization"], "hunter1");
    let without = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url)];
    container::credentials(&context(&without)).unwrap();
    assert!(!service.requests()[1].headers.contains_key("authorization"));
}

/// A metadata service with a role, which answers only with a session.
fn instance_service() -> ServiceDouble {
    ServiceDouble::start(|request| {
        let has_session = request
            .headers
            .get("x-aws-ec2-metadata-token")
            .map(String::as_str)
            == Some("hunter1");
        match (&*request.method, &*request.target) {
            ("PUT", "/latest/api/token") => {
                assert_eq!(
                    request.headers["x-aws-ec2-metadata-token-ttl-seconds"],
                    "60"
                );
                ok("hunter1")
            }
            _ if !has_session => Reply::Text(401, String::new()),
            ("GET", "/latest/meta-data/iam/security-credentials/") => ok("msk role\n"),
            ("GET", "/latest/meta-data/iam/security-credentials/msk%20role") => ok(DOCUMENT),
            ("GET", "/latest/meta-data/placement/region") => ok("eu-north-1"),
            _ => Reply::Text(404, String::new()),
        }
    })
}

#[test]
fn an_instance_returns_region_and_credentials_of_its_role_for_a_session() {
    let service = instance_service();
    let endpoint = format!("{}/", service.url());
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*endpoint)];
    let (credentials, source) = found(&[], &variables).unwrap();
    assert_eq!(source, "instance metadata");
    assert_eq!(credentials.access_key_id, "ASIAFOUND");
    let tokens = tokens(&[], context(&variables));
    for _ in 0..2 {
        assert_eq!(tokens.region().as_deref(), Ok("eu-north-1"));
    }
    let requests = service.requests();
    let of_region = requests.iter().filter(|r| r.target.ends_with("/region"));
    assert_eq!(of_region.count(), 1);
    let token = tokens.token().unwrap();
    assert!(token.valid_for().as_secs() >= 899);
}

#[test]
fn an_instance_without_a_role_is_not_configured() {
    let service = ServiceDouble::start(|request| match &*request.method {
        "PUT" => ok("hunter1"),
        _ => Reply::Text(404, "<html>hunter1".to_owned()),
    });
    let url = service.url();
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url)];
    let why = instance::credentials(&context(&variables)).unwrap_err();
    assert_eq!(
        why,
        NoCredentials::NotConfigured("the instance has no role".to_owned())
    );
}

#[test]
fn a_role_is_assumed_with_its_own_keys_or_those_of_the_default_sources() {
    let service = ServiceDouble::start(|_| ok(ASSUMED));
    let sts = service.url();
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("AWS_SESSION_TOKEN", "hunter3"),
        ("AWS_ENDPOINT_URL", &*sts),
    ];
    let options = [
        ("awsRoleArn", ROLE),
        ("awsRoleSessionName", "orders"),
        ("awsRoleExternalId", "a/b"),
        ("awsStsRegion", "us-west-2"),
    ];
    let (credentials, source) = found(&options, &variables).unwrap();
    assert_eq!(source, "awsRoleArn");
    assert_eq!(credentials.session_token.unwrap().expose(), "hunter5");
    let keys = [
        ("awsRoleArn", ROLE),
        ("awsRoleAccessKeyId", "AKOTHER"),
        ("awsRoleSecretAccessKey", "hunter2"),
    ];
    found(&keys, &variables).unwrap();
    let requests = service.requests();
    assert_eq!(
        requests[0].body,
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fmsk\
         &RoleSessionName=orders&ExternalId=a%2Fb"
    );
    let headers = &requests[0].headers;
    let signed = &headers["authorization"];
    assert!(
        signed.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"),
        "{signed}"
    );
    assert!(signed.contains("/us-west-2/sts/aws4_request, "), "{signed}");
    assert_eq!(headers["x-amz-security-token"], "hunter3");
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    let signed = &requests[1].headers["authorization"];
    assert!(signed.contains("Credential=AKOTHER/"), "{signed}");
    assert!(signed.contains("/eu-central-1/sts/"), "{signed}");
    assert!(!requests[1].headers.contains_key("x-amz-security-token"));
}

#[test]
fn the_region_is_that_of_the_environment_or_else_of_the_profile() {
    let file = TemporaryFile::new(
        "region",
        "[default]\nregion = eu-west-1\n[profile b]\nregion=us-east-2\n[profile c]\n",
    );
    let config = ("AWS_CONFIG_FILE", file.path());
    let of = |variables: &[(&str, &str)], profile| region::find(&context(variables), profile);
    let both = [("AWS_REGION", "a-1"), ("AWS_DEFAULT_REGION", "b-1"), config];
    assert_eq!(of(&both, None).as_deref(), Ok("a-1"));
    assert_eq!(of(&both[1..], None).as_deref(), Ok("b-1"));
    assert_eq!(of(&[config], None).as_deref(), Ok("eu-west-1"));
    assert_eq!(of(&[config], Some("b")).as_deref(), Ok("us-east-2"));
    let named = [config, ("AWS_PROFILE", "b")];
    assert_eq!(of(&named, None).as_deref(), Ok("us-east-2"));
    let why = of(&[config, NO_INSTANCE], Some("c")).unwrap_err();
    for part in [
        "AWS_REGION is not set",
        "it has none",
        "AWS_EC2_METADATA_DISABLED",
    ] {
        assert!(why.contains(part), "{why}");
    }
    let why = of(&[("AWS_REGION", "Frankfurt")], None).unwrap_err();
    assert!(why.starts_with("AWS_REGION is not the name"), "{why}");
}

#[test]
fn sts_is_asked_at_the_endpoint_of_its_region() {
    for (region, url, signed) in [
        (
            "eu-central-1",
            "https://sts.eu-central-1.amazonaws.com/",
            "eu-central-1",
        ),
        (
            "cn-north-1",
            "https://sts.cn-north-1.amazonaws.com.cn/",
            "cn-north-1",
        ),
        (
            "us-gov-west-1",
            "https://sts.us-gov-west-1.amazonaws.com/",
            "us-gov-west-1",
        ),
        (
            "us-isob-east-1",
            "https://sts.us-isob-east-1.sc2s.sgov.gov/",
            "us-isob-east-1",
        ),
        (
            "us-iso-east-1",
            "https://sts.us-iso-east-1.c2s.ic.gov/",
            "us-iso-east-1",
        ),
        (
            "eusc-de-east-1",
            "https://sts.eusc-de-east-1.amazonaws.eu/",
            "eusc-de-east-1",
        ),
        ("aws-global", "https://sts.amazonaws.com/", "us-east-1"),
    ] {
        let (found, signed_for) = sts::endpoint(&context(&[]), region).unwrap();
        assert_eq!((&*found.to_string(), signed_for), (url, signed));
    }
    let elsewhere = [("AWS_ENDPOINT_URL_STS", "https://vpce.example.com")];
    let (found, _) = sts::endpoint(&context(&elsewhere), "eu-west-1").unwrap();
    assert_eq!(found.to_string(), "https://vpce.example.com/");
    let plain = [("AWS_ENDPOINT_URL_STS", "http://vpce.example.com")];
    let why = sts::endpoint(&context(&plain), "eu-west-1").unwrap_err();
    assert!(
        why.contains("AWS_ENDPOINT_URL_STS") && why.contains("https://"),
        "{why}"
    );
    let with_path = [("AWS_ENDPOINT_URL_STS", "https://vpce.example.com/x")];
    let why = sts::endpoint(&context(&with_path), "eu-west-1").unwrap_err();
    assert!(why.contains("AWS_ENDPOINT_URL_STS"), "{why}");
}
