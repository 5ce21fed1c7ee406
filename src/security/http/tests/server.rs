//! An HTTP server for tests, which responds with any bytes. Tests of the API use this file too.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    dead_code,
    reason = "tests: they fail by panicking, each uses a part, and the server has threads of its own"
)]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A request, as the server has read it.
pub(crate) struct ReceivedRequest {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A server on a port of its own, which serves until the process ends.
pub(crate) struct HttpServer {
    pub(crate) port: u16,
    requests: Arc<AtomicUsize>,
}

impl HttpServer {
    /// A server in plain text. `respond` gets the number of the request, counted from 0, and writes the response. The
    /// connection is closed when it returns.
    pub(crate) fn start(
        respond: impl Fn(usize, &ReceivedRequest, &mut dyn Write) + Send + Sync + 'static,
    ) -> Self {
        Self::serve(respond, |stream| Box::new(stream))
    }

    /// A server with TLS.
    #[cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-graviola"))]
    pub(crate) fn start_tls(
        config: Arc<rustls::ServerConfig>,
        respond: impl Fn(usize, &ReceivedRequest, &mut dyn Write) + Send + Sync + 'static,
    ) -> Self {
        Self::serve(respond, move |stream| {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            Box::new(rustls::StreamOwned::new(connection, stream))
        })
    }

    fn serve(
        respond: impl Fn(usize, &ReceivedRequest, &mut dyn Write) + Send + Sync + 'static,
        wrap: impl Fn(std::net::TcpStream) -> Box<dyn ByteStream> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        let (respond, wrap) = (Arc::new(respond), Arc::new(wrap));
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (respond, wrap, count) = (respond.clone(), wrap.clone(), count.clone());
                thread::spawn(move || {
                    let mut stream = wrap(stream);
                    if let Some(request) = read_request(&mut stream) {
                        let number = count.fetch_add(1, Ordering::SeqCst);
                        respond(number, &request, &mut stream);
                        let _ = stream.flush();
                    }
                });
            }
        });
        Self { port, requests }
    }

    /// The number of requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// A connection of the server.
pub(crate) trait ByteStream: Read + Write {}

impl<T: Read + Write> ByteStream for T {}

/// A response with a length.
pub(crate) fn response(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// Reads a request; `None` if the connection ends before it is complete.
fn read_request(stream: &mut dyn Read) -> Option<ReceivedRequest> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let field = lower
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = field.map_or(0, |field| field.parse().unwrap());
            if body.len() >= length {
                return Some(ReceivedRequest {
                    head: head.to_owned(),
                    body: body.to_owned(),
                });
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

/// Starts a server for one connection, which writes these bytes before it has read anything. Returns its port.
pub(crate) fn respond_at_once(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(bytes).unwrap();
        // The connection stays open until the client closes it.
        let _ = io::copy(&mut stream, &mut io::sink());
    });
    port
}

/// Blocks the calling thread until the process ends.
pub(crate) fn hang() {
    loop {
        thread::park();
    }
}
