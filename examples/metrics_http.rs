//! Serves a producer's metrics to Prometheus, with the standard library only.
//!
//! ```text
//! cargo run --example metrics_http --features testing
//! cargo run --example metrics_http --features testing -- 9464 600
//! ```
//!
//! The first command sends for a moment, scrapes its own metrics and ends. The second one sends for ten minutes, and
//! `http://127.0.0.1:9464/metrics` can be scraped by a Prometheus with
//!
//! ```text
//! scrape_configs:
//!   - job_name: kafka-producer
//!     static_configs:
//!       - targets: ["127.0.0.1:9464"]
//! ```
//!
//! `docs/METRICS.md` explains the metrics, and `docs/grafana-dashboard.json` is a dashboard.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "the output of the example; sends in real time"
)]

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::testing::{Api, Rule, TestCluster};
use kafka_producer::{ErrorCode, KafkaProducer, ProducerConfig, ProducerRecord};

type Producer = KafkaProducer<str, str>;

const LONGEST_HEAD: u64 = 16 * 1024;
/// How long a client may take to send its request and to read the response. A client that is silent, or sends a byte
/// now and then, must not keep the next client waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection with a deadline for all that is read or written.
struct Limited<'c> {
    connection: &'c TcpStream,
    until: Instant,
}

impl<'c> Limited<'c> {
    fn new(connection: &'c TcpStream) -> Self {
        Self {
            connection,
            until: Instant::now() + PATIENCE,
        }
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        // A socket rejects a timeout of zero.
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(left)
    }
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.connection.set_read_timeout(Some(self.left()?))?;
        self.connection.read(buffer)
    }
}

impl Write for Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.connection.set_write_timeout(Some(self.left()?))?;
        self.connection.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.connection.flush()
    }
}

/// Serves one connection after another, until it is [stopped](stop).
pub(crate) fn serve(
    listener: &TcpListener,
    stopped: &AtomicBool,
    text: impl Fn() -> String,
) -> io::Result<()> {
    loop {
        let (connection, _) = listener.accept()?;
        if stopped.load(Ordering::Acquire) {
            return Ok(());
        }
        // A client that disconnects, sends nothing, or only checks the port must not stop the server.
        if let Err(error) = answer(&connection, &text) {
            eprintln!("a connection for metrics: {error}");
        }
    }
}

fn answer(connection: &TcpStream, text: impl Fn() -> String) -> io::Result<()> {
    let mut lines = BufReader::new(Limited::new(connection).take(LONGEST_HEAD)).lines();
    let Some(request) = lines.next() else {
        return Ok(());
    };
    let request = request?;
    // Read the whole head: closing a socket with unread data would reset the connection.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let (status, text) = if asks_for_metrics(&request) {
        ("200 OK", text())
    } else {
        ("404 Not Found", "the metrics are at /metrics\n".to_owned())
    };
    let length = text.len();
    write!(
        Limited::new(connection),
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{text}"
    )
}

/// Whether the request is for the metrics. A scraper may add a query, which is ignored.
fn asks_for_metrics(request: &str) -> bool {
    let mut words = request.split(' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    method == Some("GET") && target.split('?').next() == Some("/metrics")
}

/// Ends [`serve`]. It waits for a connection, so this function opens one.
pub(crate) fn stop(server: SocketAddr, stopped: &AtomicBool) {
    stopped.store(true, Ordering::Release);
    drop(TcpStream::connect(server));
}

/// The application: sends orders, and the clicks that precede them, at a changing rate.
fn work(producer: &Producer, cluster: &TestCluster, until: Instant) -> Result<u64, Box<dyn Error>> {
    let mut sent = 0;
    let mut round: u64 = 0;
    while Instant::now() < until {
        if round % 100 == 0 {
            trouble(cluster)?;
        }
        round += 1;
        let clicks = 20 + 15 * (round / 40 % 4);
        for click in 0..clicks {
            let page = format!(
                "{{\"page\": \"/books/{}\", \"visitor\": {click}}}",
                round % 7
            );
            drop(producer.send(ProducerRecord::new("clicks", page))?);
        }
        let order = format!(
            "{{\"order\": {round}, \"books\": [{}, {}]}}",
            round % 7,
            round % 3
        );
        drop(producer.send(ProducerRecord::new("orders", order))?);
        sent += clicks + 1;
        thread::sleep(Duration::from_millis(50));
    }
    Ok(sent)
}

/// Injects faults, so that the metrics show something: slow responses, partitions that move, records that are rejected.
fn trouble(cluster: &TestCluster) -> Result<(), Box<dyn Error>> {
    let produce = || Rule::on(Api::Produce);
    let retried = produce().topic("clicks").skip(10).times(1);
    cluster.script(retried.fail(ErrorCode::NotLeaderOrFollower))?;
    let refused = produce().topic("clicks").skip(5).times(1);
    cluster.script(refused.fail(ErrorCode::InvalidRecord))?;
    let slow = produce().topic("orders").always();
    cluster.script(slow.delay(Duration::from_millis(8)))?;
    Ok(())
}

/// Requests `target` as Prometheus does, and returns the whole response.
fn scrape(from: SocketAddr, target: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&from, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    write!(
        connection,
        "GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Sends for some seconds, and serves the metrics meanwhile.
pub(crate) fn run(listener: &TcpListener, seconds: u64) -> Result<(), Box<dyn Error>> {
    let cluster = TestCluster::builder()
        .nodes(2)
        .topic("clicks", 4)
        .topic("orders", 2)
        .start()?;
    let compression = if cfg!(feature = "lz4") { "lz4" } else { "none" };
    let config = ProducerConfig::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .client_id("shop")
        .set("compression.type", compression)
        .linger(Duration::from_millis(20))
        .build()?;
    let producer = Producer::new(config)?;
    let metrics = producer.metrics();
    let address = listener.local_addr()?;
    let stopped = AtomicBool::new(false);
    println!("http://{address}/metrics, for {seconds} seconds");

    let (sent, answer) = thread::scope(|scope| {
        let server = scope.spawn(|| serve(listener, &stopped, || metrics.prometheus_text()));
        // Like a client that only checks whether the port is open.
        drop(TcpStream::connect(address));
        let until = Instant::now() + Duration::from_secs(seconds);
        let sent = work(&producer, &cluster, until);
        let answer = scrape(address, "/metrics?query=none");
        let elsewhere = scrape(address, "/metricsandmore");
        stop(address, &stopped);
        (
            sent,
            server.join().map(|served| {
                served?;
                Ok::<_, io::Error>((answer?, elsewhere?))
            }),
        )
    });
    let sent = sent?;
    let (answer, elsewhere) = answer.map_err(|_| "the server panicked")??;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(elsewhere.starts_with("HTTP/1.1 404"), "{elsewhere}");
    println!("{sent} records sent; among the metrics:");
    for name in [
        "record_send_total",
        "record_error_total",
        "batch_size_avg",
        "request_latency_avg",
    ] {
        let start = format!("kafka_producer_producer_metrics_{name}{{client_id=\"shop\"}} ");
        let line = answer.lines().find(|line| line.starts_with(&start));
        println!("{}", line.ok_or(start)?);
    }
    Ok(producer.close()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let seconds = arguments.next().map_or(Ok(2), |seconds| seconds.parse())?;
    run(&TcpListener::bind(("127.0.0.1", port))?, seconds)
}
