//! A double of a credential service, on a loopback port.
#![allow(
    clippy::disallowed_methods,
    reason = "a server of a test has a thread of its own"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, Rank};

/// A request, as the service receives it.
#[derive(Debug, Clone)]
pub(super) struct ReceivedRequest {
    pub(super) method: String,
    pub(super) target: String,
    /// The headers, by their names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// The service's answer.
pub(super) enum Reply {
    /// A status and a body.
    Text(u16, String),
    /// A redirect to this URL.
    Redirect(String),
    /// A body that does not end.
    Endless,
    /// The connection stays open, and nothing is sent.
    Silence,
}

pub(super) fn ok(body: &str) -> Reply {
    Reply::Text(200, body.to_owned())
}

pub(super) struct ServiceDouble {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
    is_stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ServiceDouble {
    pub(super) fn start(answer: impl Fn(&ReceivedRequest) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Rank::LEAF, Vec::new()));
        let is_stopped = Arc::new(AtomicBool::new(false));
        let (log, stopped) = (Arc::clone(&requests), Arc::clone(&is_stopped));
        let thread = thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                let Some(request) = read(&stream) else {
                    continue;
                };
                log.lock().push(request.clone());
                match answer(&request) {
                    Reply::Silence => silent.push(stream),
                    reply => write(stream, reply),
                }
            }
        });
        Self {
            address,
            requests,
            is_stopped,
            thread: Some(thread),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests.lock().clone()
    }
}

impl Drop for ServiceDouble {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
        // Wakes the thread, which waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(stream: &TcpStream) -> Option<ReceivedRequest> {
    let mut input = BufReader::new(stream);
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map(|length| length.parse());
    let mut body = vec![0; length.and_then(Result::ok).unwrap_or(0)];
    input.read_exact(&mut body).ok()?;
    Some(ReceivedRequest {
        method,
        target,
        headers,
        body: String::from_utf8(body).ok()?,
    })
}

/// Writes an answer; a client that has closed its connection is none of the service's concern.
fn write(mut stream: TcpStream, reply: Reply) {
    let _ = match reply {
        Reply::Text(status, body) => {
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all((head + &body).as_bytes())
        }
        Reply::Redirect(url) => {
            let head = format!("HTTP/1.1 302 X\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes())
        }
        Reply::Endless => {
            let mut written = stream.write_all(b"HTTP/1.1 200 X\r\n\r\n");
            while written.is_ok() {
                written = stream.write_all(&[b'x'; 16 * 1024]);
            }
            written
        }
        Reply::Silence => Ok(()),
    };
}
