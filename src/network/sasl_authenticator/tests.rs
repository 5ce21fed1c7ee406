use super::*;
use crate::clock::mock::MockClock;
use crate::config::ProducerConfig;
use crate::protocol::{ApiVersionRange, RequestHeader};
use crate::security::SecurityParts;
use crate::security::sasl::dependencies::{SaslDependencies, Wake, random_of_seed};
use crate::security::sasl::{FetchToken, OAuthBearerToken};
use crate::util::log::LogContext;
use crate::util::wipe::SecretBytes;

/// Start of the clients' clock.
const NOW: Instant = Instant::from_nanos(3_600_000_000_000);

fn dependencies() -> SaslDependencies {
    SaslDependencies {
        run: Arc::new(|work| {
            work();
            Ok(())
        }),
        wake: Arc::new(Wake::default()),
        random: random_of_seed(1),
        clock: Arc::new(MockClock::new()),
        log: LogContext::for_tests(),
        seed: 3,
    }
}

fn authenticator_of(config: &ProducerConfig, tokens: Option<FetchToken>) -> Box<dyn Authenticator> {
    let parts = SecurityParts::with_tokens(tokens);
    let client = SaslClient::from_config(config, parts, dependencies()).unwrap();
    SaslAuthenticators::new(client, "me".into()).make(&"broker".into())
}

fn authenticator() -> Box<dyn Authenticator> {
    let config = ProducerConfig::builder().sasl_plain("alice", "hunter2");
    authenticator_of(&config.build().unwrap(), None)
}

/// The request in a step.
#[track_caller]
fn request(step: Result<AuthStep, AuthFailure>) -> (RequestHeader, Request) {
    match step {
        Ok(AuthStep::Send(frame)) => Request::decode(&frame.to_payload()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(step: Result<AuthStep, AuthFailure>) -> String {
    refusal(step).to_string()
}

#[track_caller]
fn refusal(step: Result<AuthStep, AuthFailure>) -> AuthRefusal {
    match step {
        Err(AuthFailure::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn interrupted(step: Result<AuthStep, AuthFailure>) -> String {
    match step {
        Err(AuthFailure::Interrupted(why)) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

fn answer(response: &Response, version: i16, id: i32) -> Bytes {
    response.encode(version, id).to_payload()
}

fn versions(ranges: &[(ApiKey, i16, i16)]) -> Response {
    let range = |(api, min, max): &(ApiKey, i16, i16)| ApiVersionRange {
        api_key: api.code(),
        min: *min,
        max: *max,
    };
    Response::ApiVersions(ApiVersionsResponse {
        error: ErrorCode::NoError,
        api_keys: ranges.iter().map(range).collect(),
        throttle_time_ms: 0,
    })
}

fn newest() -> Response {
    versions(&[
        (ApiKey::SaslHandshake, 0, 1),
        (ApiKey::SaslAuthenticate, 0, 2),
    ])
}

fn handshake(error: ErrorCode, mechanisms: &[&str]) -> Response {
    Response::SaslHandshake(SaslHandshakeResponse {
        error,
        mechanisms: mechanisms.iter().map(|name| (*name).into()).collect(),
    })
}

fn authenticated(error: ErrorCode, words: Option<&str>, session: i64) -> Response {
    Response::SaslAuthenticate(SaslAuthenticateResponse {
        error,
        error_message: words.map(Into::into),
        auth_bytes: AuthBytes(Bytes::new()),
        session_lifetime_ms: session,
    })
}

/// Runs the exchange up to the SaslHandshake response, and returns the step that follows it.
fn after_handshake_response(
    exchange: &mut dyn Authenticator,
    answer_with: &Response,
) -> Result<AuthStep, AuthFailure> {
    let (header, asked) = request(exchange.proceed(NOW));
    assert!(matches!(asked, Request::ApiVersions(_)), "{asked:?}");
    assert_eq!(
        (header.api_version, header.client_id.as_deref()),
        (0, Some("me"))
    );
    assert_eq!(header.correlation_id, MIN_CORRELATION_ID);
    assert!(matches!(exchange.proceed(NOW), Ok(AuthStep::Receive)));
    let step = exchange.receive(&answer(&newest(), 0, header.correlation_id), NOW);
    let (header, asked) = request(step);
    let Request::SaslHandshake(asked) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!((&*asked.mechanism, header.api_version), ("PLAIN", 1));
    exchange.receive(&answer(answer_with, 1, header.correlation_id), NOW)
}

/// Runs the exchange up to the response to the token, and returns the step that follows it.
fn after_token_response(
    exchange: &mut dyn Authenticator,
    answer_with: &Response,
) -> Result<AuthStep, AuthFailure> {
    let step = after_handshake_response(exchange, &handshake(ErrorCode::NoError, &["PLAIN"]));
    let (header, asked) = request(step);
    let Request::SaslAuthenticate(asked) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!(
        (&asked.auth_bytes.0[..], header.api_version),
        (&b"\0alice\0hunter2"[..], 2)
    );
    assert!(matches!(exchange.proceed(NOW), Ok(AuthStep::Receive)));
    exchange.receive(&answer(answer_with, 2, header.correlation_id), NOW)
}

/// SL-27; Java: SaslAuthenticatorTest#testValidSaslPlainOverPlaintext
#[test]
fn the_order_is_api_versions_then_handshake_then_token() {
    let mut exchange = authenticator();
    let step = after_token_response(&mut *exchange, &authenticated(ErrorCode::NoError, None, 0));
    assert!(
        matches!(
            step,
            Ok(AuthStep::Complete {
                again: Deadline::Never
            })
        ),
        "{step:?}"
    );
}

/// SL-29; Java: SaslClientAuthenticator.ReauthInfo
#[test]
fn reauthentication_starts_before_the_session_expires_without_api_versions() {
    let mut exchange = authenticator();
    let content = authenticated(ErrorCode::NoError, None, 10_000);
    let Ok(AuthStep::Complete { again }) = after_token_response(&mut *exchange, &content) else {
        panic!("not complete");
    };
    let after = again.remaining(NOW).unwrap();
    assert!((8_500..9_500).contains(&after.as_millis()), "{after:?}");
    let mut ids = Vec::new();
    for _ in 0..6 {
        let (header, asked) = request(exchange.proceed(NOW));
        assert!(matches!(asked, Request::SaslHandshake(_)), "{asked:?}");
        ids.push(header.correlation_id);
        let agreed = answer(
            &handshake(ErrorCode::NoError, &[]),
            1,
            header.correlation_id,
        );
        assert!(exchange.is_answer(&agreed));
        assert!(!exchange.is_answer(&answer(&handshake(ErrorCode::NoError, &[]), 1, 17)));
        assert!(!exchange.is_answer(&Bytes::from_static(b"\x7f\xff")));
        let (header, _) = request(exchange.receive(&agreed, NOW));
        ids.push(header.correlation_id);
        let content = authenticated(ErrorCode::NoError, None, 0);
        let step = exchange.receive(&answer(&content, 2, header.correlation_id), NOW);
        assert!(
            matches!(
                step,
                Ok(AuthStep::Complete {
                    again: Deadline::Never
                })
            ),
            "{step:?}"
        );
    }
    let expected: Vec<i32> = (3..15).map(|n| MIN_CORRELATION_ID + n % 8).collect();
    assert_eq!(ids, expected, "the ids stay within those of SASL");
}

/// SL-28; Java: SaslAuthenticatorTest#testInvalidPasswordSaslPlain
#[test]
fn a_refusal_names_the_mechanism_the_brokers_message_and_the_key() {
    let error = ErrorCode::SaslAuthenticationFailed;
    let words = Some("Authentication failed: Invalid username or password");
    let why = refused(after_token_response(
        &mut *authenticator(),
        &authenticated(error, words, 0),
    ));
    assert_eq!(
        why,
        "PLAIN authentication: the broker reported: Authentication failed: Invalid username \
         or password; check username and password in sasl.jaas.config"
    );
    let without = refused(after_token_response(
        &mut *authenticator(),
        &authenticated(error, None, 0),
    ));
    assert!(without.contains("SASL_AUTHENTICATION_FAILED"), "{without}");
    let other = authenticated(ErrorCode::UnknownServerError, Some("oops"), 0);
    let why = interrupted(after_token_response(&mut *authenticator(), &other));
    assert!(why.contains("oops"), "{why}");
}

#[test]
fn text_of_the_broker_is_escaped_and_limited_and_the_password_in_it_hidden() {
    let error = ErrorCode::SaslAuthenticationFailed;
    let refusal = |words: &str| {
        let response = authenticated(error, Some(words), 0);
        refused(after_token_response(&mut *authenticator(), &response))
    };
    let why = refusal("bad\n2026-01-01 ERROR fake\r\u{1b}[31mred\u{202e}abc\0");
    assert!(
        why.contains("bad\\n2026-01-01 ERROR fake\\r\\u{1b}[31mred\\u{202e}abc\\u{0};"),
        "{why}"
    );
    let why = refusal("no user alice with hunter2");
    assert!(why.contains("no user alice with [hidden];"), "{why}");
    let why = refusal(&"x".repeat(30_000));
    assert!(
        why.len() < 1200 && why.ends_with("in sasl.jaas.config"),
        "{why}"
    );
    let why = refusal("");
    assert!(
        why.contains("the broker reported SASL_AUTHENTICATION_FAILED"),
        "{why}"
    );
    let response = handshake(ErrorCode::UnsupportedSaslMechanism, &["A\nB"]);
    let why = refused(after_handshake_response(&mut *authenticator(), &response));
    assert!(why.contains("it offers: A\\nB; set"), "{why}");
}

/// Java: SaslAuthenticatorTest#testUnsupportedMechanism, testCannotReauthenticateWithDifferentMechanism
#[test]
fn an_error_for_an_unsupported_mechanism_lists_the_supported_ones() {
    let response = handshake(
        ErrorCode::UnsupportedSaslMechanism,
        &["GSSAPI", "SCRAM-SHA-512"],
    );
    let why = refused(after_handshake_response(&mut *authenticator(), &response));
    assert!(
        why.contains("it offers: GSSAPI, SCRAM-SHA-512; set sasl.mechanism"),
        "{why}"
    );
    let response = handshake(ErrorCode::IllegalSaslState, &[]);
    let why = refused(after_handshake_response(&mut *authenticator(), &response));
    assert!(why.contains("security.protocol"), "{why}");
    let response = handshake(ErrorCode::UnknownServerError, &[]);
    interrupted(after_handshake_response(&mut *authenticator(), &response));
}

/// The text of a refusal is for users and may change; code looks at its kind.
#[test]
fn a_refusal_has_a_kind() {
    let error = ErrorCode::SaslAuthenticationFailed;
    for words in [None, Some("set sasl.mechanism to another")] {
        let response = authenticated(error, words, 0);
        let refused = refusal(after_token_response(&mut *authenticator(), &response));
        assert_eq!(refused.kind, AuthRefusalKind::Credentials, "{refused:?}");
    }
    for (error, kind) in [
        (
            ErrorCode::UnsupportedSaslMechanism,
            AuthRefusalKind::Mechanism,
        ),
        (ErrorCode::IllegalSaslState, AuthRefusalKind::Other),
    ] {
        let response = handshake(error, &["sasl.jaas.config"]);
        let refused = refusal(after_handshake_response(&mut *authenticator(), &response));
        assert_eq!(refused.kind, kind, "{refused:?}");
    }
}

/// Java: SaslAuthenticatorTest#oldSaslPlainPlaintextServerWithoutSaslAuthenticateHeader
#[test]
fn with_brokers_before_1_0_tokens_are_sent_as_bare_frames() {
    for ranges in [
        &[(ApiKey::SaslHandshake, 0, 0)][..],
        &[],
        &[(ApiKey::SaslHandshake, 0, 1)],
    ] {
        let mut exchange = authenticator();
        let (header, _) = request(exchange.proceed(NOW));
        let step = exchange.receive(&answer(&versions(ranges), 0, header.correlation_id), NOW);
        let (header, asked) = request(step);
        assert!(matches!(asked, Request::SaslHandshake(_)), "{asked:?}");
        assert_eq!(header.api_version, 0);
        let agreed = answer(
            &handshake(ErrorCode::NoError, &["PLAIN"]),
            0,
            header.correlation_id,
        );
        let Ok(AuthStep::Send(token)) = exchange.receive(&agreed, NOW) else {
            panic!("no token");
        };
        assert_eq!(&token.to_payload()[..], b"\0alice\0hunter2");
        assert!(matches!(exchange.proceed(NOW), Ok(AuthStep::Receive)));
        let step = exchange.receive(&Bytes::new(), NOW);
        assert!(
            matches!(
                step,
                Ok(AuthStep::Complete {
                    again: Deadline::Never
                })
            ),
            "{step:?}"
        );
    }
}

/// A mechanism whose first token is its last, like GSSAPI in its last step.
struct OneToken;

impl SaslMechanism for OneToken {
    fn proceed(&mut self, _now: Instant) -> Result<MechanismStep, MechanismFailure> {
        let token = SecretBytes::new(b"last".to_vec());
        Ok(MechanismStep::SendLast(token))
    }

    fn evaluate(
        &mut self,
        _token: &[u8],
        _now: Instant,
    ) -> Result<MechanismStep, MechanismFailure> {
        Ok(MechanismStep::Complete)
    }
}

/// An exchange after the handshake, with [`OneToken`].
fn with_one_token(versions: TokenFraming) -> SaslClientAuthenticator {
    let config = ProducerConfig::builder().sasl_plain("alice", "hunter2");
    let client = SaslClient::from_config(
        &config.build().unwrap(),
        SecurityParts::default(),
        dependencies(),
    );
    SaslClientAuthenticator {
        client: client.unwrap(),
        client_id: "me".into(),
        host: "broker".into(),
        random: fastrand::Rng::with_seed(1),
        versions: Some(versions),
        correlation_id: MIN_CORRELATION_ID,
        state: SaslState::Handshake,
        mechanism: Box::new(OneToken),
        session: None,
    }
}

#[test]
fn a_pause_ends_at_the_mechanisms_deadline() {
    let mut exchange = with_one_token(TokenFraming::Requests(2));
    let until = Deadline::after(NOW, Duration::from_secs(7));
    let step = exchange.take(Ok(MechanismStep::Wait("keys", until)), NOW);
    assert!(
        matches!(step, Ok(AuthStep::Pause(at)) if at == until),
        "{step:?}"
    );
    assert_eq!(exchange.waits_for(), "keys");
}

/// Other credentials would not help against a broker that violates the protocol.
#[test]
fn the_remedy_for_credentials_is_only_in_refusals_of_credentials() {
    for (kind, expected) in [
        (MechanismRefusal::Credentials, AuthRefusalKind::Credentials),
        (MechanismRefusal::Protocol, AuthRefusalKind::Other),
    ] {
        let mut exchange = with_one_token(TokenFraming::Bare);
        let failure = MechanismFailure::Refused(kind, "no".to_owned());
        let refused = refusal(exchange.take(Err(failure), NOW));
        assert_eq!(refused.kind, expected);
        let has_remedy = refused.contains("sasl.jaas.config");
        assert_eq!(
            has_remedy,
            kind == MechanismRefusal::Credentials,
            "{refused:?}"
        );
    }
}

#[test]
fn a_last_token_needs_no_response_if_it_is_bare() {
    for versions in [TokenFraming::Bare, TokenFraming::Requests(2)] {
        let mut exchange = with_one_token(versions);
        let step = exchange.mechanism.proceed(NOW);
        let step = exchange.take(step, NOW);
        assert!(matches!(step, Ok(AuthStep::Send(_))), "{step:?}");
        let is_bare = versions == TokenFraming::Bare;
        assert_eq!(exchange.waits_for().contains("SaslAuthenticate"), !is_bare);
        let written = exchange.proceed(NOW);
        let end = if is_bare {
            written
        } else {
            assert!(matches!(written, Ok(AuthStep::Receive)), "{written:?}");
            let response = authenticated(ErrorCode::NoError, None, 0);
            exchange.receive(&answer(&response, 2, exchange.correlation_id), NOW)
        };
        assert!(matches!(end, Ok(AuthStep::Complete { .. })), "{end:?}");
    }
}

#[test]
fn truncated_mismatched_and_unexpected_responses_end_the_exchange() {
    let mut exchange = authenticator();
    let (header, _) = request(exchange.proceed(NOW));
    let id = header.correlation_id;
    let whole = answer(&newest(), 0, id);
    for len in 0..whole.len() {
        let mut exchange = authenticator();
        request(exchange.proceed(NOW));
        interrupted(exchange.receive(&whole.slice(..len), NOW));
    }
    let why = interrupted(exchange.receive(&answer(&newest(), 0, id + 1), NOW));
    assert!(why.contains("responded to request"), "{why}");
    let mut exchange = authenticator();
    after_token_response(&mut *exchange, &authenticated(ErrorCode::NoError, None, 0)).unwrap();
    let why = interrupted(exchange.receive(&answer(&newest(), 0, id), NOW));
    assert!(why.contains("unexpected frame"), "{why}");
    let mut exchange = authenticator();
    let why = interrupted(exchange.receive(&Bytes::new(), NOW));
    assert!(why.contains("unexpected frame"), "{why}");
}

#[test]
fn a_brokers_token_above_the_limit_ends_the_exchange() {
    let mut exchange = authenticator();
    let Response::SaslAuthenticate(mut long) = authenticated(ErrorCode::NoError, None, 0) else {
        unreachable!()
    };
    long.auth_bytes = AuthBytes(vec![7; MAX_TOKEN_BYTES + 1].into());
    let why = interrupted(after_token_response(
        &mut *exchange,
        &Response::SaslAuthenticate(long),
    ));
    assert!(why.contains("bytes"), "{why}");
}

/// Java: `OAuthBearerSaslClientTest`, RFC 7628 section 3.2.3
#[test]
fn a_rejected_token_is_reported_with_the_brokers_message() {
    let config = ProducerConfig::builder().set("sasl.mechanism", "OAUTHBEARER");
    let fetch: FetchToken =
        Arc::new(|| Ok(OAuthBearerToken::new("hunter2", Duration::from_secs(60))));
    let mut exchange = authenticator_of(&config.build().unwrap(), Some(fetch));
    let (header, _) = request(exchange.proceed(NOW));
    let (header, _) = request(exchange.receive(&answer(&newest(), 0, header.correlation_id), NOW));
    let agreed = answer(
        &handshake(ErrorCode::NoError, &[]),
        1,
        header.correlation_id,
    );
    let (header, _) = request(exchange.receive(&agreed, NOW));
    let Response::SaslAuthenticate(mut no) = authenticated(ErrorCode::NoError, None, 0) else {
        unreachable!()
    };
    no.auth_bytes = AuthBytes(Bytes::from_static(
        b"{\"status\":\"invalid_token\",\"of\":\"hunter2\"}\n",
    ));
    let no = answer(&Response::SaslAuthenticate(no), 2, header.correlation_id);
    let (header, asked) = request(exchange.receive(&no, NOW));
    let Request::SaslAuthenticate(asked) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!(&asked.auth_bytes.0[..], b"\x01");
    let end = authenticated(ErrorCode::NoError, None, 0);
    let why = refused(exchange.receive(&answer(&end, 2, header.correlation_id), NOW));
    assert!(
        why.contains("invalid_token") && why.contains("TokenProvider"),
        "{why}"
    );
    assert!(why.contains("\"of\":\"[hidden]\"}\\n"), "{why}");
}

#[test]
fn a_missing_token_pauses_the_exchange_and_a_failed_token_interrupts_it() {
    let config = ProducerConfig::builder().set("sasl.mechanism", "OAUTHBEARER");
    let config = config.build().unwrap();
    let fetch: FetchToken = Arc::new(|| Err("the endpoint is down".to_owned()));
    for is_run in [false, true] {
        let mut dependencies = dependencies();
        if !is_run {
            dependencies.run = Arc::new(|_| Ok(()));
        }
        let parts = SecurityParts::with_tokens(Some(Arc::clone(&fetch)));
        let client = SaslClient::from_config(&config, parts, dependencies).unwrap();
        let mut exchange = SaslAuthenticators::new(client, "me".into()).make(&"broker".into());
        let (header, _) = request(exchange.proceed(NOW));
        let (header, _) =
            request(exchange.receive(&answer(&newest(), 0, header.correlation_id), NOW));
        let agreed = answer(
            &handshake(ErrorCode::NoError, &[]),
            1,
            header.correlation_id,
        );
        let step = exchange.receive(&agreed, NOW);
        if is_run {
            let why = interrupted(step);
            assert!(
                why.ends_with("there is no token: the endpoint is down"),
                "{why}"
            );
        } else {
            assert!(matches!(step, Ok(AuthStep::Pause(_))), "{step:?}");
            assert!(matches!(exchange.proceed(NOW), Ok(AuthStep::Pause(_))));
            interrupted(exchange.receive(&Bytes::new(), NOW));
        }
    }
}
