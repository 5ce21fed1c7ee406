//! Measures the CPU cost of a record, in the thread that calls `send` and in the producer's own thread.
//!
//! ```text
//! cargo run --release --example costs                          all cases
//! cargo run --release --example costs -- stream size=1000 batch=1048576
//! cargo run --release --example costs -- floor size=1000 batch=16384
//! ```
//!
//! Kinds of cases: `stream` sends as fast as possible, `one` waits for each record, `rate` sends a fixed number of
//! records per second, `idle` sends nothing, and `floor` sends the bytes of batches through a plain socket and reads a
//! response to each request. The broker is this program in another process, or `servers=HOST:PORT`. Its topic `bench`
//! has 12 partitions unless `partitions` is set; with `active=N` a stream goes to N of them in turn.
//!
//! `tls=TLSv1.3` or `tls=TLSv1.2` enables TLS.
//!
//! Times are CPU times of the threads, which depend less on other work of the machine than wall-clock times.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program: it prints, and reads real time"
)]

#[path = "../../../src/security/tls/tests/certificates.rs"]
mod certificates;
mod peer;
mod usage;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};

use peer::Peer;
use usage::Usage;

type Producer = KafkaProducer<[u8], [u8]>;
type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TOPIC: &str = "bench";
const PARTITIONS: u64 = 12;

/// The default cases, each written as its arguments.
const CASES: &[&str] = &[
    "stream size=100 batch=16384",
    "stream size=100 batch=16384 acks=all idempotence=true linger=0",
    "stream size=100 batch=16384 callback=true",
    "stream size=100 batch=131072",
    "stream size=100 batch=1048576",
    "stream size=1000 batch=16384",
    "stream size=1000 batch=131072",
    "stream size=1000 batch=1048576",
    "stream size=100 batch=16384 tls=TLSv1.3",
    "stream size=1000 batch=16384 tls=TLSv1.3",
    "stream size=1000 batch=131072 tls=TLSv1.3",
    "stream size=100 partitions=10000 active=1",
    "stream size=100 partitions=1 active=1",
    "stream size=100 partitions=1000 active=1000",
    "stream size=100 partitions=10000 active=10000 count=2000000",
    "one size=100 linger=0",
    "one size=100 linger=0 acks=all idempotence=true",
    "rate size=100 rate=10000",
    "rate size=100 rate=10000 linger=0",
    "idle",
    "floor size=100 batch=16384",
    "floor size=1000 batch=16384",
    "floor size=1000 batch=1048576",
    "floor size=100 batch=170 per=1 count=50000",
];

fn main() -> Result<()> {
    if let Some(role) = peer::role() {
        return peer::be(&role);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        for case in CASES {
            Case::parse(case.split(' '))?.run()?;
        }
        return Ok(());
    }
    Case::parse(arguments.iter().map(String::as_str))?.run()
}

/// One case: its kind and its settings.
struct Case {
    kind: String,
    settings: BTreeMap<String, String>,
}

impl Case {
    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Self> {
        let kind = words.next().unwrap_or_default().to_owned();
        let pair = |word: &str| {
            let (key, value) = word.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        };
        let settings = words
            .map(|word| pair(word).ok_or_else(|| format!("not KEY=VALUE: {word}")))
            .collect::<std::result::Result<_, _>>()?;
        Ok(Self { kind, settings })
    }

    fn number(&self, key: &str, default: u64) -> Result<u64> {
        match self.settings.get(key) {
            Some(text) => text.parse().map_err(|_| format!("{key}: {text}").into()),
            None => Ok(default),
        }
    }

    fn text<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        self.settings.get(key).map_or(default, String::as_str)
    }

    fn run(&self) -> Result<()> {
        let words = self.settings.iter().map(|(k, v)| format!(" {k}={v}"));
        let name = self.kind.clone() + &words.collect::<String>();
        match self.kind.as_str() {
            "stream" => self.stream(&name),
            "one" => self.one_by_one(&name),
            "rate" => self.at_a_rate(&name),
            "idle" => self.idle(&name),
            "floor" => self.floor(&name),
            kind => Err(format!("no such kind of case: {kind}").into()),
        }
    }

    fn producer(&self) -> Result<(Option<Peer>, Producer)> {
        let peer = match self.settings.get("servers") {
            Some(_) => None,
            None => Some(Peer::start(
                "broker",
                self.number("partitions", PARTITIONS)?,
                self.settings.contains_key("tls"),
            )?),
        };
        let servers = peer.as_ref().map(|peer| peer.says.as_str());
        let servers = servers.unwrap_or_else(|| self.text("servers", ""));
        let authority = certificates::Authority::new(0).pem();
        let mut entries = vec![
            ("bootstrap.servers", servers),
            ("acks", self.text("acks", "1")),
            ("linger.ms", self.text("linger", "5")),
            ("batch.size", self.text("batch", "16384")),
            ("enable.idempotence", self.text("idempotence", "false")),
            ("max.request.size", self.text("request", "1048576")),
        ];
        if let Some(version) = self.settings.get("tls") {
            entries.extend([
                ("security.protocol", "SSL"),
                ("ssl.enabled.protocols", version),
                ("ssl.cipher.suites", self.text("suites", "")),
                ("ssl.truststore.type", "PEM"),
                ("ssl.truststore.certificates", &authority),
            ]);
        }
        let producer = Producer::new(ProducerConfig::from_map(entries)?)?;
        producer.partitions_for(TOPIC)?;
        Ok((peer, producer))
    }

    fn payload(&self) -> Result<Vec<u8>> {
        Ok(vec![b'x'; self.number("size", 100)? as usize])
    }

    fn stream(&self, name: &str) -> Result<()> {
        let (_peer, producer) = self.producer()?;
        let payload = self.payload()?;
        let bytes = self.number("bytes", 600_000_000)?;
        let count = self.number("count", bytes / (payload.len() as u64 + 20))?;
        let callback = self.text("callback", "false") == "true";
        let active = self.number("active", 0)?;
        let send = |count: u64| -> Result<()> {
            for number in 0..count {
                let mut record = ProducerRecord::<[u8], [u8]>::new(TOPIC, &payload[..]);
                if let Some(partition) = number.checked_rem(active) {
                    record = record.with_partition(partition as i32);
                }
                if callback {
                    drop(producer.send_with_callback(record, |_| {})?);
                } else {
                    drop(producer.send(record)?);
                }
            }
            Ok(producer.flush()?)
        };
        send(count / 10)?; // connections, metadata, warm memory
        let (start, before) = (Instant::now(), Usage::now());
        let requests = producer.snapshot().produce_requests;
        let loops = producer.snapshot().sender_loops;
        send(count)?;
        let (took, used) = (start.elapsed(), Usage::now().since(&before));
        println!("{name}");
        println!(
            "    {:.2} million records/s, {:.1} requests and {:.1} turns per 1,000 records",
            count as f64 / took.as_secs_f64() / 1e6,
            (producer.snapshot().produce_requests - requests) as f64 * 1e3 / count as f64,
            (producer.snapshot().sender_loops - loops) as f64 * 1e3 / count as f64,
        );
        used.print(count);
        Ok(producer.close()?)
    }

    fn one_by_one(&self, name: &str) -> Result<()> {
        let (_peer, producer) = self.producer()?;
        let payload = self.payload()?;
        let count = self.number("count", 30_000)?;
        let send = |count: u64, times: &mut Vec<Duration>| -> Result<()> {
            for _ in 0..count {
                let start = Instant::now();
                producer
                    .send(ProducerRecord::<[u8], [u8]>::new(TOPIC, &payload[..]))?
                    .get()?;
                times.push(start.elapsed());
            }
            Ok(())
        };
        let mut times = Vec::with_capacity(count as usize);
        send(count / 10, &mut times)?;
        times.clear();
        let before = Usage::now();
        let loops = producer.snapshot().sender_loops;
        send(count, &mut times)?;
        let used = Usage::now().since(&before);
        println!("{name}");
        println!(
            "    {}, {:.2} turns a record",
            quantiles(&mut times),
            (producer.snapshot().sender_loops - loops) as f64 / count as f64
        );
        used.print(count);
        Ok(producer.close()?)
    }

    fn at_a_rate(&self, name: &str) -> Result<()> {
        let (_peer, producer) = self.producer()?;
        let payload = self.payload()?;
        let rate = self.number("rate", 10_000)?;
        let count = self.number("count", 4 * rate)?;
        let (noted, times) = std::sync::mpsc::channel();
        // Records are sent in bursts, because the thread sleeps for a millisecond between them.
        let send = |count: u64| -> Result<()> {
            let start = Instant::now();
            let mut sent = 0;
            while sent < count {
                let due = (start.elapsed().as_secs_f64() * rate as f64) as u64;
                while sent < due.min(count) {
                    let (begun, noted) = (Instant::now(), noted.clone());
                    let record = ProducerRecord::<[u8], [u8]>::new(TOPIC, &payload[..]);
                    drop(producer.send_with_callback(record, move |_| {
                        let _ = noted.send(begun.elapsed());
                    })?);
                    sent += 1;
                }
                thread::sleep(Duration::from_millis(1));
            }
            Ok(producer.flush()?)
        };
        send(count / 10)?;
        let _ = times.try_iter().count();
        let before = Usage::now();
        let loops = producer.snapshot().sender_loops;
        let requests = producer.snapshot().produce_requests;
        send(count)?;
        let used = Usage::now().since(&before);
        println!("{name}");
        println!(
            "    {}, {:.3} requests and {:.3} turns a record",
            quantiles(&mut times.try_iter().collect::<Vec<_>>()),
            (producer.snapshot().produce_requests - requests) as f64 / count as f64,
            (producer.snapshot().sender_loops - loops) as f64 / count as f64
        );
        used.print(count);
        Ok(producer.close()?)
    }

    fn idle(&self, name: &str) -> Result<()> {
        let (_peer, producer) = self.producer()?;
        let seconds = self.number("seconds", 5)?;
        let payload = self.payload()?;
        producer
            .send(ProducerRecord::<[u8], [u8]>::new(TOPIC, &payload[..]))?
            .get()?;
        thread::sleep(Duration::from_millis(200));
        let before = Usage::now();
        let loops = producer.snapshot().sender_loops;
        thread::sleep(Duration::from_secs(seconds));
        let used = Usage::now().since(&before);
        println!(
            "{name}\n    {} turns in {seconds} seconds; CPU of the producer's thread {:.3} ms",
            producer.snapshot().sender_loops - loops,
            used.producer.nanos as f64 / 1e6
        );
        Ok(producer.close()?)
    }

    /// Measures the cost of writing requests of `per` batches and reading responses of 60 bytes.
    fn floor(&self, name: &str) -> Result<()> {
        let peer = Peer::start("drain", 0, false)?;
        let batch = self.number("batch", 16384)? as usize;
        let record = self.number("size", 100)? + 8;
        let per = self.number("per", (12).min(1_048_576 / batch as u64).max(1))? as usize;
        let records = (batch as u64 / record) * per as u64;
        let bytes = self.number("bytes", 600_000_000)?;
        let count = self.number("count", bytes / (batch * per) as u64)?;
        let mut socket = TcpStream::connect(&peer.says)?;
        socket.set_nodelay(true)?;
        let bodies = vec![vec![b'x'; batch]; per * 3];
        let mut answer = [0; 60];
        let mut exchange = |from: u64, count: u64| -> Result<()> {
            for number in from..from + count {
                let length = ((batch + 60) * per) as u32;
                let head = [0; 60];
                let mut slices = Vec::with_capacity(2 * per + 1);
                let length = length.to_be_bytes();
                slices.push(IoSlice::new(&length));
                let at = number as usize % 3 * per;
                for body in &bodies[at..at + per] {
                    slices.push(IoSlice::new(&head));
                    slices.push(IoSlice::new(body));
                }
                let mut slices = &mut slices[..];
                while !slices.is_empty() {
                    let written = socket.write_vectored(slices)?;
                    IoSlice::advance_slices(&mut slices, written);
                }
                socket.read_exact(&mut answer)?;
            }
            Ok(())
        };
        exchange(0, count / 10)?;
        let before = Usage::now();
        exchange(0, count)?;
        let used = Usage::now().since(&before);
        println!("{name} ({per} batches a request)");
        used.print(count * records);
        Ok(())
    }
}

fn quantiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times
            .get(place)
            .map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    format!(
        "p50 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs",
        at(0.5),
        at(0.99),
        at(0.999)
    )
}
