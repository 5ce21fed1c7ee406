//! The client against servers that respond in each way that HTTP allows, and in others.

pub(crate) mod server;

use std::thread;

use super::*;
use crate::clock::SystemClock;
use server::{HttpServer, hang, response};

/// Long enough for each response that comes at all.
const PATIENCE: Duration = Duration::from_secs(20);
const BODY_BYTES: usize = 1000;

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// A client with this time to connect, and the same for the rest of a request.
fn client_of(tls: HttpTls, time: Duration) -> HttpClient {
    let limits = HttpLimits {
        connect: time,
        response: time,
        body_bytes: BODY_BYTES,
    };
    HttpClient::new(limits, tls, &clock())
}

fn request(url: &str) -> HttpRequest<'_> {
    HttpRequest {
        method: HttpMethod::Post,
        url,
        headers: &[("Accept", "text/plain")],
        body: b"a=b",
    }
}

/// Sends a request to a server that responds with these bytes.
fn exchange(bytes: impl Into<Vec<u8>>) -> Result<HttpResponse, HttpError> {
    let bytes = bytes.into();
    let server = HttpServer::start(move |_, _, stream| {
        // The client may have closed the connection before it has read everything.
        let _ = stream.write_all(&bytes);
    });
    client_of(HttpTls::Plain, PATIENCE).send(&request(&server.url("/")))
}

fn refusal(bytes: impl Into<Vec<u8>>) -> HttpError {
    match exchange(bytes) {
        Ok(response) => panic!("{} {:?}", response.status, response.body),
        Err(error) => error,
    }
}

#[test]
fn a_request_has_its_headers_and_its_body() {
    let server = HttpServer::start(|_, request, stream| {
        let text = format!("{}|{}", request.head, request.body);
        stream.write_all(&response("200 OK", &text)).unwrap();
    });
    let client = client_of(HttpTls::Plain, PATIENCE);
    let url = server.url("/token?x=y");
    let answer = client.send(&request(&url)).expect("a response");
    let expected = format!(
        "POST /token?x=y HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUser-Agent: {USER_AGENT}\r\nAccept-Encoding: identity\r\n\
         Connection: close\r\nContent-Length: 3\r\nAccept: text/plain|a=b",
        server.port
    );
    assert_eq!(String::from_utf8(answer.body).unwrap(), expected);
    let get = HttpRequest {
        method: HttpMethod::Get,
        body: &[],
        ..request(&url)
    };
    let answer = client.send(&get).expect("a response");
    let text = String::from_utf8(answer.body).unwrap();
    assert!(
        text.starts_with("GET ") && !text.contains("Content-Length"),
        "{text}"
    );
}

#[test]
fn a_body_ends_as_its_head_says() {
    for (bytes, status, body) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabc", 200, "ab"),
        ("HTTP/1.0 500\r\n\r\nabc", 500, "abc"),
        ("HTTP/1.1 200 OK\nX: y\n\nabc", 200, "abc"),
        ("HTTP/1.1 204 No Content\r\n\r\nabc", 204, ""),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n\r\n",
            201,
            "",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 9\r\n\r\n2;x=y\r\nab\r\n 1\r\nc\r\n0\r\n\r\n",
            200,
            "abc",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
            302,
            "",
        ),
    ] {
        let response = exchange(bytes).unwrap_or_else(|error| panic!("{bytes:?}: {error:?}"));
        let found = (response.status, String::from_utf8(response.body).unwrap());
        assert_eq!(found, (status, body.to_owned()), "{bytes:?}");
    }
}

#[test]
fn a_response_that_is_no_http_is_refused_for_good() {
    for bytes in [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 2000\r\n\r\n",
        "HTTP/1.1 099\r\n\r\n",
        "HTTP/1.1 600\r\n\r\n",
        "HTTP/1.1 +20\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ] {
        let error = refusal(bytes);
        assert!(!error.is_transient, "{bytes:?}: {error:?}");
    }
}

#[test]
fn a_response_that_is_cut_off_may_succeed_another_time() {
    for bytes in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na",
    ] {
        let error = refusal(bytes);
        assert!(error.is_transient, "{bytes:?}: {error:?}");
    }
}

/// Sends a request to a server that never ends its response. Its own failure to write shows that the client has closed
/// the connection.
fn endless(start: &'static str, piece: &'static str) -> HttpError {
    let (ended, end) = crossbeam_channel::bounded(1);
    let server = HttpServer::start(move |_, _, stream| {
        let _ = stream.write_all(start.as_bytes());
        let pieces = piece.repeat(1000);
        while stream.write_all(pieces.as_bytes()).is_ok() {}
        ended.send(()).unwrap();
    });
    let sent = client_of(HttpTls::Plain, PATIENCE).send(&request(&server.url("/")));
    end.recv_timeout(PATIENCE)
        .expect("the connection is closed");
    sent.err().expect("the response has no end")
}

#[test]
fn a_response_of_any_length_takes_bounded_memory() {
    for (start, piece, words) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "x", "more than 1000 bytes"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
            "x",
            "more than 1000 bytes",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "1\r\nx\r\n",
            "more than 1000 bytes",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n",
            "x",
            "more than 1000 bytes",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1",
            "0",
            "too long",
        ),
        ("HTTP/1.1 200 OK\r\n", "x: y\r\n", "too long"),
        ("HTTP/1.1 200 OK\r\nX: ", "y", "too long"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n", "too long"),
    ] {
        let error = endless(start, piece);
        assert!(error.text.contains(words), "{start:?} {piece:?}: {error:?}");
        assert!(!error.is_transient, "{error:?}");
    }
}

#[test]
fn a_server_that_hangs_or_drips_is_given_up_on_after_the_time_of_a_response() {
    const TIME: Duration = Duration::from_millis(300);
    let silent = HttpServer::start(|_, _, _| hang());
    let dripping = HttpServer::start(|_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(b"x").and_then(|()| stream.flush()).is_ok() {
            thread::park_timeout(Duration::from_millis(10));
        }
    });
    for server in [silent, dripping] {
        let clock = clock();
        let began = clock.now();
        let sent = client_of(HttpTls::Plain, TIME).send(&request(&server.url("/")));
        let error = sent.err().expect("there is no whole response");
        assert!(
            error.is_transient && error.text.contains("timed out"),
            "{error:?}"
        );
        let took = clock.now() - began;
        assert!(took >= TIME && took < PATIENCE, "{took:?}");
    }
}

#[test]
fn a_host_without_a_server_may_have_one_later() {
    // Port 1 is unused; names in this domain do not exist.
    for url in [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://nowhere.invalid/",
    ] {
        let sent = client_of(HttpTls::Plain, Duration::from_secs(2)).send(&request(url));
        let error = sent.err().expect("there is no server");
        assert!(error.is_transient, "{url}: {error:?}");
    }
}

#[test]
fn a_request_without_time_to_connect_says_so() {
    let client = client_of(HttpTls::Plain, Duration::ZERO);
    let sent = client.send(&request("http://127.0.0.1:1/"));
    let error = sent.err().expect("there is no time");
    assert!(error.text.contains("time to connect"), "{error:?}");
}

#[test]
fn look_ups_that_hang_are_limited() {
    let client = client_of(HttpTls::Plain, PATIENCE);
    let waiting: Vec<_> = (0..2).map(|_| client.look_ups.occupied()).collect();
    let sent = client.send(&request("http://localhost:1/"));
    let error = sent.err().expect("no further look-up is started");
    assert!(
        error.is_transient && error.text.contains("look-ups"),
        "{error:?}"
    );
    drop(waiting);
    let sent = client.send(&request("http://localhost:1/"));
    let error = sent.err().expect("there is no server");
    assert!(error.text.contains("no connection"), "{error:?}");
}

#[test]
fn a_line_break_in_a_header_or_url_does_not_reach_the_server() {
    let client = client_of(HttpTls::Plain, PATIENCE);
    let server = HttpServer::start(|_, _, _| {});
    let url = server.url("/");
    for header in [
        ("X", "a\r\nY: b"),
        ("X\r\nY", "a"),
        ("", "a"),
        ("X", "ä"),
        ("X:", "a"),
    ] {
        let headers = [header];
        let request = HttpRequest {
            headers: &headers,
            ..request(&url)
        };
        let error = client.send(&request).err().expect("it is refused");
        assert!(!error.is_transient, "{header:?}");
    }
    let url = server.url("/ HTTP/1.1\r\nX: y\r\n\r\n");
    assert!(client.send(&request(&url)).is_err());
    assert_eq!(server.requests(), 0);
}

#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
mod tls {
    use super::server::respond_at_once;
    use super::*;
    use crate::security::tls::tests::certificates::{Authority, crypto};
    use crate::security::tls::tests::server::Server;

    fn trusting(authority: &Authority) -> HttpTls {
        let pem = authority.pem();
        let options = [
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.certificates", pem.as_str()),
        ];
        let log = LogContext::for_tests();
        HttpTls::with_options(options, Some(crypto()), &clock(), &log).unwrap()
    }

    #[test]
    fn a_server_is_verified_before_it_gets_the_request() {
        let authority = Authority::new(0);
        for (names, trusted, words) in [
            (["127.0.0.1"], 0, None),
            (["elsewhere.test"], 0, Some("not valid for")),
            (["127.0.0.1"], 2, Some("UnknownIssuer")),
        ] {
            let identity = authority.issue(&names);
            let server = HttpServer::start_tls(Server::new(&identity).config(), |_, _, stream| {
                stream.write_all(&response("200 OK", "hello")).unwrap();
            });
            let client = client_of(trusting(&Authority::new(trusted)), PATIENCE);
            let url = format!("https://127.0.0.1:{}/", server.port);
            // The second handshake resumes the session of the first.
            for _ in 0..2 {
                match (client.send(&request(&url)), words) {
                    (Ok(response), None) => assert_eq!(response.body, b"hello"),
                    (Err(error), Some(words)) => {
                        assert!(error.text.contains(words), "{error:?}");
                        assert!(!error.is_transient, "{error:?}");
                        assert_eq!(server.requests(), 0);
                    }
                    (sent, _) => panic!("{names:?}: {:?}", sent.map(|sent| sent.body)),
                }
            }
        }
    }

    #[test]
    fn a_client_requests_urls_of_one_scheme() {
        let secure = client_of(trusting(&Authority::new(0)), PATIENCE);
        let plain = client_of(HttpTls::Plain, PATIENCE);
        for (client, url) in [
            (secure, "http://127.0.0.1:1/"),
            (plain, "https://127.0.0.1:1/"),
        ] {
            let error = client.send(&request(url)).err().expect("it is refused");
            assert!(!error.is_transient, "{error:?}");
        }
    }

    #[test]
    fn a_server_that_answers_without_tls_is_a_permanent_error() {
        let port = respond_at_once(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let client = client_of(trusting(&Authority::new(0)), PATIENCE);
        let url = format!("https://127.0.0.1:{port}/");
        let error = client.send(&request(&url)).err().expect("it has no TLS");
        assert_eq!(error.kind, HttpErrorKind::NotTls, "{error:?}");
        assert!(!error.is_transient, "{error:?}");
    }

    #[test]
    fn an_invalid_option_names_its_key() {
        // The second one is misspelled.
        for key in ["ssl.truststore.location", "ssl.trustore.location"] {
            let log = LogContext::for_tests();
            let options = [(key, "/no/such/file")];
            let built = HttpTls::with_options(options, Some(crypto()), &clock(), &log);
            let error = built.expect_err(key);
            assert_eq!(error.key(), Some(key), "{error}");
        }
    }
}
