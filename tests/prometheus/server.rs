//! A Prometheus that scrapes every second.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value as Json;

/// Timeout of the start of the server.
const LONG: Duration = Duration::from_secs(60);

/// Shell command that runs its arguments as a process, and kills that process when its own input ends. The input ends
/// when the test's process ends for any reason.
const UNTIL_INPUT_ENDS: &str = r#""$@" & cat >/dev/null; kill $!; wait $!"#;

pub(crate) struct Prometheus {
    shell: Child,
    address: SocketAddr,
    folder: PathBuf,
}

/// The values of one combination of labels, each with its time in seconds since 1970.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) labels: serde_json::Map<String, Json>,
    pub(crate) values: Vec<(f64, f64)>,
}

impl Series {
    /// The values that are numbers.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        let values = self.values.iter().map(|(_, value)| *value);
        values.filter(|value| value.is_finite())
    }
}

impl Prometheus {
    /// Starts a Prometheus that scrapes this server; `None` if it is not installed.
    ///
    /// # Panics
    /// If it is not installed, and the variable `PROMETHEUS_TESTS` is set.
    pub(crate) fn start(name: &str, scraped: SocketAddr) -> Option<Self> {
        if Command::new("prometheus")
            .arg("--version")
            .output()
            .is_err()
        {
            assert!(
                std::env::var_os("PROMETHEUS_TESTS").is_none(),
                "PROMETHEUS_TESTS is set, and prometheus is not installed"
            );
            eprintln!("not checked: prometheus is not installed");
            return None;
        }
        let folder = format!("prometheus-{}-{name}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder);
        fs::create_dir_all(&folder).unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: test, static_configs: [{{targets: ['{scraped}']}}]}}]\n"
        );
        fs::write(folder.join("prometheus.yml"), config).unwrap();
        let mut shell = Command::new("sh")
            .args(["-c", UNTIL_INPUT_ENDS, "sh", "prometheus"])
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let listening = listening(shell.stderr.take().unwrap());
        let address = listening.recv_timeout(LONG).expect("prometheus listens");
        Some(Self {
            shell,
            address,
            folder,
        })
    }

    /// Evaluates an expression now.
    pub(crate) fn query(&self, expression: &str) -> Vec<Series> {
        self.ask(&format!("query?query={}", encoded(expression)))
    }

    /// Evaluates an expression for each second of a period.
    pub(crate) fn query_range(&self, expression: &str, start: f64, end: f64) -> Vec<Series> {
        let query = encoded(expression);
        self.ask(&format!(
            "query_range?query={query}&start={start}&end={end}&step=1"
        ))
    }

    fn ask(&self, what: &str) -> Vec<Series> {
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.set_read_timeout(Some(LONG)).unwrap();
        // HTTP 1.0: the response ends with the connection.
        write!(connection, "GET /api/v1/{what} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: Json = serde_json::from_str(body).unwrap();
        assert_eq!(body["status"], "success", "{what}: {body}");
        let result = body["data"]["result"].as_array().unwrap();
        result.iter().map(series).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Receives the address that a Prometheus writes to its log.
fn listening(log: impl Read + Send + 'static) -> Receiver<SocketAddr> {
    let (sender, address) = channel();
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if line.contains("level=error") {
                eprintln!("{line}");
            }
            let is_it = line.contains("\"Listening on\"");
            let found = line.rsplit_once("address=").filter(|_| is_it);
            if let Some(Ok(found)) = found.map(|(_, found)| found.trim().parse()) {
                // The receiver is gone if the wait has timed out.
                let _ = sender.send(found);
            }
        }
    });
    address
}

fn series(json: &Json) -> Series {
    let value = |pair: &Json| {
        let text = pair[1].as_str().unwrap();
        (pair[0].as_f64().unwrap(), text.parse().unwrap())
    };
    let one = json.get("value").map(|pair| vec![value(pair)]);
    let many = json["values"].as_array();
    Series {
        labels: json["metric"].as_object().unwrap().clone(),
        values: one.unwrap_or_else(|| many.unwrap().iter().map(value).collect()),
    }
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
    }
    encoded
}
