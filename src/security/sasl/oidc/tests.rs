//! Tokens from endpoints that behave in each way that one may, and in others.

use std::time::Duration;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::security::http::tests::server::{HttpServer, ReceivedRequest, hang, response};
use crate::security::sasl::dependencies::{Wake, random_of_seed};
use crate::util::log::LogContext;

const SECRET: &str = "hunter2+/ä";
const MODULE: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";

fn dependencies() -> SaslDependencies {
    SaslDependencies {
        run: Arc::new(|work| {
            work();
            Ok(())
        }),
        wake: Arc::new(Wake::default()),
        random: random_of_seed(1),
        clock: Arc::new(SystemClock::new()),
        log: LogContext::for_tests(),
        seed: 0,
    }
}

/// The configuration of an endpoint: one attempt, with times that are short enough for a test.
fn entries(url: &str) -> BTreeMap<String, String> {
    let entries = [
        (ENDPOINT, url),
        ("sasl.login.connect.timeout.ms", "5000"),
        ("sasl.login.read.timeout.ms", "5000"),
        ("sasl.login.retry.backoff.ms", "0"),
        ("sasl.login.retry.backoff.max.ms", "0"),
    ];
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    entries.map(owned).into()
}

fn login(options: &[(&str, &str)]) -> BTreeMap<String, Password> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), Password::new(*value));
    options.iter().map(owned).collect()
}

fn credentials() -> BTreeMap<String, Password> {
    login(&[("clientId", "billing"), ("clientSecret", SECRET)])
}

fn build(
    entries: BTreeMap<String, String>,
    options: &BTreeMap<String, Password>,
) -> Result<FetchToken, ConfigError> {
    let config = ProducerConfig::from_map(entries).unwrap();
    fetch_token(&config, options, None, &dependencies())
}

/// As `entries`, with retries for longer than a test takes.
fn with_retries(url: &str) -> BTreeMap<String, String> {
    let mut entries = entries(url);
    for (key, value) in [
        ("sasl.login.retry.backoff.ms", "1"),
        ("sasl.login.retry.backoff.max.ms", "20000"),
    ] {
        entries.insert(key.to_owned(), value.to_owned());
    }
    entries
}

/// A function that fetches tokens from this server.
fn fetcher(server: &HttpServer) -> FetchToken {
    build(entries(&server.url("/token?key=query")), &credentials()).unwrap()
}

fn serve(status: &'static str, body: impl Into<String>) -> HttpServer {
    let body = body.into();
    HttpServer::start(move |_, _, stream| {
        let _ = stream.write_all(&response(status, &body));
    })
}

fn token_body(token: &str) -> String {
    format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":300}}")
}

/// The error of a fetch. No error contains a secret.
fn failure(server: &HttpServer) -> String {
    let why = fetcher(server)().expect_err("there is no usable token");
    for secret in [SECRET, "hunter2", "query", "aHVudGVy"] {
        assert!(!why.contains(secret), "{why}");
    }
    let name = format!(
        "the token endpoint http://127.0.0.1:{}/token ({ENDPOINT})",
        server.port
    );
    assert!(why.starts_with(&name), "{why}");
    why
}

/// Java: HttpAccessTokenRetrieverTest#testFormatAuthorizationHeader, #testFormatAuthorizationHeaderEncoding
#[test]
fn a_token_is_requested_with_client_id_and_secret() {
    let (seen, request) = crossbeam_channel::unbounded();
    let server = HttpServer::start(move |_, request: &ReceivedRequest, stream| {
        seen.send(format!("{}|{}", request.head, request.body))
            .unwrap();
        let _ = stream.write_all(&response("200 OK", &token_body("t0ken")));
    });
    let token = fetcher(&server)().unwrap();
    assert_eq!(token.value().expose(), "t0ken");
    assert_eq!(token.valid_for(), Duration::from_secs(300));
    let text = request.recv().unwrap();
    // Base64 of the id, a colon and the secret.
    let header = format!(
        "\r\nAuthorization: Basic {}\r\n",
        base64(&format!("billing:{SECRET}"))
    );
    for part in [
        "POST /token?key=query HTTP/1.1\r\n",
        &header,
        "\r\nAccept: application/json\r\n",
        "\r\nContent-Type: application/x-www-form-urlencoded|grant_type=client_credentials",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert!(text.ends_with("grant_type=client_credentials"), "{text}");
}

fn base64(text: &str) -> String {
    crate::security::sasl::base64::encode(text.as_bytes())
}

/// Java: AccessTokenRetrieverFactoryTest#testUrlencodeHeader
#[test]
fn keys_take_precedence_over_the_options_of_the_login() {
    let (seen, request) = crossbeam_channel::unbounded();
    let server = HttpServer::start(move |_, request: &ReceivedRequest, stream| {
        seen.send(format!("{}|{}", request.head, request.body))
            .unwrap();
        let _ = stream.write_all(&response("201 Created", &token_body("t")));
    });
    let mut entries = entries(&server.url("/"));
    for (key, value) in [
        ("sasl.oauthbearer.client.credentials.client.id", " id "),
        ("sasl.oauthbearer.client.credentials.client.secret", "a b+ä"),
        ("sasl.oauthbearer.scope", "of key"),
        ("sasl.oauthbearer.header.urlencode", "true"),
    ] {
        entries.insert(key.to_owned(), value.to_owned());
    }
    let mut options = credentials();
    options.extend(login(&[
        ("scope", "of option"),
        ("extension_logicalCluster", "lkc-1"),
        ("unknown", "x"),
    ]));
    let token = build(entries.clone(), &options).unwrap()().unwrap();
    let message = String::from_utf8(token.initial_response()).unwrap();
    assert!(
        message.ends_with("\u{1}logicalCluster=lkc-1\u{1}\u{1}"),
        "{message}"
    );
    let text = request.recv().unwrap();
    let header = format!("Basic {}\r\n", base64("id:a+b%2B%C3%A4"));
    assert!(text.contains(&header), "{text}");
    assert!(text.ends_with("client_credentials&scope=of+key"), "{text}");
    // Without any login module, and with the scope of the option.
    build(entries.clone(), &BTreeMap::new()).unwrap()().unwrap();
    entries.remove("sasl.oauthbearer.scope");
    build(entries, &options).unwrap()().unwrap();
    let texts: Vec<_> = request.try_iter().collect();
    assert!(texts[1].ends_with("&scope=of+option"), "{texts:?}");
}

/// Java: HttpAccessTokenRetrieverTest#testErrorResponseUnretryableCode, #testErrorResponseRetryableCode,
/// #testErrorResponseIsInvalidJson
#[test]
fn an_error_of_the_endpoint_is_described_and_only_a_transient_one_is_retried() {
    let refused = r#"{"error":"invalid_client","error_description":"no hunter2+/ä, Basic YmlsbGluZzpodW50ZXIyKy/DpA=="}"#;
    for (status, body, words, is_retried) in [
        (
            "401 Unauthorized",
            refused,
            "401: invalid_client (no [hidden]",
            false,
        ),
        ("400 Bad Request", "", "400", false),
        (
            "404 Not Found",
            "<html>hunter2</html>",
            "404. Check the URL",
            false,
        ),
        (
            "302 Found",
            "",
            "set the key to the URL that it leads to",
            false,
        ),
        ("500 Oops", "<html>hunter2</html>", "500", true),
        ("503 Busy", "{}", "503", true),
        ("429 Slow down", "[", "429", true),
        ("204 No Content", "", "204", true),
        ("200 OK", "", "not a JSON object", false),
        ("200 OK", "<html>hunter2</html>", "not a JSON object", false),
        (
            "200 OK",
            "{\"token\":\"hunter2\"}",
            "no access_token",
            false,
        ),
        (
            "200 OK",
            "{\"access_token\":\"hunter2\"}",
            "not a JWT",
            false,
        ),
    ] {
        let server = serve(status, body);
        let why = failure(&server);
        assert!(why.contains(words), "{status} {body}: {why}");
        assert_eq!(server.requests(), 1, "{status}");
        // The third request would be refused in any case.
        let server = HttpServer::start(move |number, _, stream| {
            let status = if number < 2 {
                status
            } else {
                "401 Unauthorized"
            };
            let _ = stream.write_all(&response(status, body));
        });
        let fetch = build(with_retries(&server.url("/")), &credentials()).unwrap();
        let _ = fetch().unwrap_err();
        assert_eq!(
            server.requests(),
            if is_retried { 3 } else { 1 },
            "{status}"
        );
    }
}

#[test]
fn a_transient_error_is_followed_by_a_token() {
    let server = HttpServer::start(|number, _, stream| {
        let _ = match number {
            0 => stream.write_all(&response("500 Oops", "")),
            // The connection is closed.
            1 => Ok(()),
            _ => stream.write_all(&response("200 OK", &token_body("t"))),
        };
    });
    let fetch = build(with_retries(&server.url("/")), &credentials()).unwrap();
    assert_eq!(fetch().unwrap().value().expose(), "t");
    assert_eq!(server.requests(), 3);
}

#[test]
fn a_closed_producer_ends_the_retries() {
    let dependencies = dependencies();
    let wake = Arc::clone(&dependencies.wake);
    let server = HttpServer::start(move |_, _, stream| {
        wake.close();
        let _ = stream.write_all(&response("503 Busy", ""));
    });
    let mut entries = with_retries(&server.url("/"));
    entries.insert("sasl.login.retry.backoff.ms".to_owned(), "10000".to_owned());
    let config = ProducerConfig::from_map(entries).unwrap();
    let fetch = fetch_token(&config, &credentials(), None, &dependencies).unwrap();
    let began = dependencies.clock.now();
    let why = fetch().unwrap_err();
    assert!(why.contains("closed"), "{why}");
    assert_eq!(server.requests(), 1);
    let took = dependencies.clock.now() - began;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// Java: OAuthBearerLoginCallbackHandlerTest#testInvalidAccessToken
#[test]
fn an_expired_token_is_not_used() {
    let claims = r#"{"sub":"a","iat":1600000000,"exp":1600000300}"#;
    let payload = crate::security::sasl::base64::encode_url(claims.as_bytes());
    let why = failure(&serve("200 OK", token_body(&format!("e30.{payload}.c2ln"))));
    assert!(why.contains("it expired"), "{why}");
}

#[test]
fn a_response_without_end_is_refused_after_its_limit() {
    let server = HttpServer::start(|_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
        while stream.write_all(&[b'['; 4096]).is_ok() {}
    });
    assert!(failure(&server).contains("more than 262144 bytes"));
    assert_eq!(server.requests(), 1);
}

#[test]
fn an_endpoint_that_hangs_is_given_up_on() {
    let server = HttpServer::start(|_, _, _| hang());
    let mut entries = entries(&server.url("/"));
    // The time to connect is not a part of the time to read.
    for (key, time) in [
        ("sasl.login.connect.timeout.ms", "20000"),
        ("sasl.login.read.timeout.ms", "100"),
    ] {
        entries.insert(key.to_owned(), time.to_owned());
    }
    let clock = SystemClock::new();
    let began = clock.now();
    let why = build(entries, &credentials()).unwrap()().unwrap_err();
    assert!(why.contains("timed out"), "{why}");
    let took = clock.now() - began;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// Java: OAuthBearerLoginCallbackHandlerTest#testHandleSaslExtensionsCallbackWithInvalidExtension,
/// HttpAccessTokenRetrieverTest#testFormatAuthorizationHeaderMissingValues
#[test]
fn an_invalid_configuration_names_its_key_and_no_secret() {
    let good = "http://127.0.0.1:1/";
    let endpoint = |url: &str| build(entries(url), &credentials());
    let with = |key: &str, value: &str| {
        let mut entries = entries(good);
        entries.insert(key.to_owned(), value.to_owned());
        build(entries, &credentials())
    };
    let options = |options: &[(&str, &str)]| build(entries(good), &login(options));
    for (built, key) in [
        (endpoint(""), ENDPOINT),
        (endpoint("ftp://a/hunter2"), ENDPOINT),
        (endpoint("hunter2"), ENDPOINT),
        (endpoint("https://a:hunter2@b/"), ENDPOINT),
        (endpoint("file:hunter2"), ENDPOINT),
        (
            with("sasl.login.retry.backoff.ms", "1"),
            "sasl.login.retry.backoff.max.ms",
        ),
        (options(&[]), "sasl.jaas.config"),
        (options(&[("clientId", "a")]), "sasl.jaas.config"),
        (
            options(&[("clientId", " "), ("clientSecret", "hunter2")]),
            "sasl.jaas.config",
        ),
        (
            options(&[
                ("clientId", "a"),
                ("clientSecret", "hunter2"),
                ("extension_auth", "b"),
            ]),
            "sasl.jaas.config",
        ),
    ] {
        let error = built.map(drop).expect_err(key);
        assert_eq!(error.key(), Some(key), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
#[test]
fn the_login_module_has_a_trust_of_its_own() {
    use crate::security::tls::tests::certificates::Authority;
    use crate::security::tls::tests::server::Server;

    let authority = Authority::new(0);
    let identity = authority.issue(&["127.0.0.1"]);
    let server = HttpServer::start_tls(Server::new(&identity).config(), |_, _, stream| {
        let _ = stream.write_all(&response("200 OK", &token_body("t")));
    });
    let fetch = |pem: &str| {
        let mut options = credentials();
        options.extend(login(&[
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.certificates", pem),
        ]));
        build(
            entries(&format!("https://127.0.0.1:{}/", server.port)),
            &options,
        )
    };
    let token = fetch(&authority.pem()).unwrap()().unwrap();
    assert_eq!(token.value().expose(), "t");
    let why = fetch(&Authority::new(2).pem()).unwrap()().unwrap_err();
    assert!(
        why.contains("UnknownIssuer") && why.contains("ssl.*"),
        "{why}"
    );
    let error = fetch("hunter2").map(drop).unwrap_err();
    assert_eq!(error.key(), Some("sasl.jaas.config"));
    let words = error.to_string();
    assert!(
        words.contains("its option ssl.truststore.certificates"),
        "{words}"
    );
    assert!(!words.contains("hunter2"), "{words}");
}

/// Java: OAuthBearerLoginCallbackHandlerTest#testFileTokenRetrieverHandlesNewline
#[test]
fn a_token_file_is_read_for_each_token() {
    let folder = std::env::temp_dir().join(format!("kafka-producer-oidc-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("token");
    let url = format!("file://{}", path.display());
    let fetch = build(entries(&url), &BTreeMap::new()).unwrap();
    let why = fetch().unwrap_err();
    assert!(
        why.contains(&*path.display().to_string()) && why.contains(ENDPOINT),
        "{why}"
    );
    for subject in ["a", "b"] {
        let claims = format!("{{\"sub\":\"{subject}\",\"exp\":9e9}}");
        let payload = crate::security::sasl::base64::encode_url(claims.as_bytes());
        let token = format!("e30.{payload}.c2ln");
        std::fs::write(&path, format!(" {token}\n")).unwrap();
        assert_eq!(fetch().unwrap().value().expose(), token);
    }
    for content in [
        "",
        " \n",
        "hunter2",
        &"x".repeat(claims::MAX_RESPONSE_BYTES + 1),
    ] {
        std::fs::write(&path, content).unwrap();
        let why = fetch().unwrap_err();
        assert!(why.contains("token") && !why.contains("hunter2"), "{why}");
    }
    let directory = build(
        entries(&format!("file://{}", folder.display())),
        &BTreeMap::new(),
    );
    assert!(directory.unwrap()().unwrap_err().contains("regular file"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_class_of_kafka_selects_the_token_endpoint() {
    use crate::security::SecurityParts;
    use crate::security::sasl::SaslClient;

    let server = serve("200 OK", token_body("t"));
    for (class, mechanism, expected) in [
        ("OAuthBearerLoginCallbackHandler", "OAUTHBEARER", None),
        (
            "secured.OAuthBearerLoginCallbackHandler",
            "OAUTHBEARER",
            None,
        ),
        (
            "OAuthBearerLoginCallbackHandler",
            "PLAIN",
            Some("sasl.login.callback.handler.class"),
        ),
    ] {
        let class = format!("org.apache.kafka.common.security.oauthbearer.{class}");
        let jaas = format!("{MODULE} required clientId=\"billing\" clientSecret=\"{SECRET}\";");
        let mut entries = entries(&server.url("/"));
        for (key, value) in [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", mechanism),
            ("sasl.login.callback.handler.class", &class),
            ("sasl.jaas.config", &jaas),
        ] {
            entries.insert(key.to_owned(), value.to_owned());
        }
        let config = ProducerConfig::from_map(entries).unwrap();
        assert_eq!(config.unused_keys(), [""; 0]);
        let client = SaslClient::from_config(&config, SecurityParts::default(), dependencies());
        assert_eq!(client.err().as_ref().and_then(ConfigError::key), expected);
    }
}
