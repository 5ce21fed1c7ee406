//! A small schema registry for tests: three routes of Confluent's API, and faults on demand.

mod request;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use request::{Request, read_request};

/// The longest request that is read, in bytes.
const LONGEST_REQUEST: u64 = 1024 * 1024;

/// How the registry responds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    #[default]
    Works,
    /// Status 500, with the code of an error in the registry's store.
    Fails,
    /// Status 200 with an HTML page, as a proxy in between sends it.
    SendsHtml,
    /// Reads requests and sends nothing.
    Hangs,
    /// Sends a response of which one byte arrives now and then.
    Trickles,
    /// Closes the connection after the request.
    Disconnects,
}

/// A registry on a port of this machine. It ends when it is dropped.
#[derive(Debug)]
pub struct TestRegistry {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    mode: Mode,
    requests: Vec<Request>,
    /// The schema with id 1 is the first.
    schemas: Vec<String>,
    /// The schema ids of each subject, in the order of their versions.
    subjects: BTreeMap<String, Vec<usize>>,
    /// The connections whose request is not answered yet, by their number.
    connections: BTreeMap<u64, Arc<TcpStream>>,
}

impl TestRegistry {
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let thread = {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("schema-registry".to_owned())
                .spawn(move || serve(&listener, &shared))?
        };
        Ok(Self {
            address,
            shared,
            thread: Some(thread),
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set_mode(&self, mode: Mode) {
        self.shared.content().mode = mode;
    }

    /// The method and path of each request so far.
    pub fn requests(&self) -> Vec<String> {
        let content = self.shared.content();
        let requests = content.requests.iter();
        requests
            .map(|it| format!("{} {}", it.method, it.path))
            .collect()
    }

    /// The header `Authorization` of each request so far.
    pub fn authorizations(&self) -> Vec<Option<String>> {
        let content = self.shared.content();
        let requests = content.requests.iter();
        requests.map(|it| it.authorization.clone()).collect()
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Ends `accept`.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for connection in self.shared.content().connections.values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts connections; each has a thread of its own, since one that hangs must not hold up the others. Ends when the
/// registry is dropped, or when no connection can be accepted.
fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for (number, connection) in (0..).zip(listener.incoming()) {
        let Ok(connection) = connection else { return };
        if shared.stopped.load(Ordering::Acquire) {
            return;
        }
        let connection = Arc::new(connection);
        let copy = Arc::clone(&connection);
        shared.content().connections.insert(number, copy);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // An error is a client that disconnected.
            let _ = answer(&connection, &shared);
            shared.content().connections.remove(&number);
            let _ = connection.shutdown(Shutdown::Both);
        });
    }
}

/// Reads one request and sends the response.
fn answer(mut connection: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(connection.take(LONGEST_REQUEST));
    let request = read_request(&mut reader)?;
    let (mode, (status, response)) = {
        let mut content = shared.content();
        content.requests.push(request.clone());
        (content.mode, content.respond(&request))
    };
    let (status, kind, text) = match mode {
        Mode::Works | Mode::Trickles => (status, "json", response.to_string()),
        Mode::Fails => (500, "json", error(50001, "the store failed").to_string()),
        Mode::SendsHtml => (200, "html", "<html>Welcome</html>".to_owned()),
        Mode::Hangs => {
            // Until the client closes the connection.
            io::copy(&mut reader, &mut io::sink())?;
            return Ok(());
        }
        Mode::Disconnects => return Ok(()),
    };
    let length = text.len();
    let response = format!(
        "HTTP/1.1 {status} -\r\nContent-Type: application/{kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{text}"
    );
    if mode == Mode::Trickles {
        for byte in response.bytes() {
            connection.write_all(&[byte])?;
            thread::sleep(Duration::from_millis(50));
        }
        return Ok(());
    }
    connection.write_all(response.as_bytes())
}

impl Content {
    /// The status and the body of the response.
    fn respond(&mut self, request: &Request) -> (u16, Value) {
        let path = request.path.trim_start_matches('/');
        let parts: Vec<&str> = path.split('/').collect();
        match (&*request.method, parts.as_slice()) {
            ("GET", ["schemas", "ids", id]) => self.schema(id),
            ("POST", ["subjects", subject]) => match schema_in(&request.body) {
                Some(schema) => self.look_up(subject, &schema),
                None => (422, error(42201, "Invalid schema")),
            },
            ("POST", ["subjects", subject, "versions"]) => match schema_in(&request.body) {
                Some(schema) => (200, json!({ "id": self.register(subject, schema) })),
                None => (422, error(42201, "Invalid schema")),
            },
            _ => (404, error(404, "HTTP 404 Not Found")),
        }
    }

    fn schema(&self, id: &str) -> (u16, Value) {
        let index = id.parse().ok().and_then(|id: usize| id.checked_sub(1));
        match index.and_then(|index| self.schemas.get(index)) {
            Some(schema) => (200, json!({ "schema": schema })),
            None => (404, error(40403, "Schema not found")),
        }
    }

    fn look_up(&self, subject: &str, schema: &str) -> (u16, Value) {
        let Some(ids) = self.subjects.get(subject) else {
            return (404, error(40401, &format!("Subject '{subject}' not found")));
        };
        match ids.iter().position(|id| self.schemas[*id - 1] == schema) {
            Some(index) => {
                let (id, version) = (ids[index], index + 1);
                let found =
                    json!({ "subject": subject, "version": version, "id": id, "schema": schema });
                (200, found)
            }
            None => (404, error(40403, "Schema not found")),
        }
    }

    /// The same schema has the same id under all subjects.
    fn register(&mut self, subject: &str, schema: String) -> usize {
        let known = self.schemas.iter().position(|it| *it == schema);
        let id = known.unwrap_or(self.schemas.len()) + 1;
        if known.is_none() {
            self.schemas.push(schema);
        }
        let ids = self.subjects.entry(subject.to_owned()).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
        id
    }
}

/// The schema in the body of a request, in one form for all ways to write it; `None` if it is not JSON.
fn schema_in(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let schema: Value = serde_json::from_str(body["schema"].as_str()?).ok()?;
    Some(schema.to_string())
}

fn error(code: u64, message: &str) -> Value {
    json!({ "error_code": code, "message": message })
}
