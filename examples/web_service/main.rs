//! An HTTP service with a thread pool: it sends each posted body to the topic that the path names, and responds with
//! the result.
//!
//! ```text
//! cargo run --example web_service --features testing
//! ```
//!
//! All threads share one producer. The program is its own client here; the topic of the second record does not exist,
//! and the broker rejects the last.
#![allow(clippy::print_stdout, reason = "the output of the example")]

mod http;

use std::error::Error;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use kafka_producer::testing::{Api, Rule, TestCluster};
use kafka_producer::{ErrorCode, KafkaProducer, ProducerConfig, ProducerRecord};

type Producer = KafkaProducer<str, [u8]>;

const THREADS: usize = 4;
/// An HTTP client does not wait for two minutes.
const ANSWER: Duration = Duration::from_secs(5);

/// Serves one connection after another, until one sends no request.
fn serve(listener: &TcpListener, producer: &Producer) -> io::Result<()> {
    loop {
        let (mut connection, _) = listener.accept()?;
        let Some((topic, body)) = http::read_post(&connection)? else {
            return Ok(());
        };
        let (status, text) = produce(producer, &topic, &body);
        let length = text.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n");
        write!(connection, "{head}\r\n{text}")?;
    }
}

/// The response status: 503 means that the client can retry without making a duplicate.
fn produce(producer: &Producer, topic: &str, body: &[u8]) -> (&'static str, String) {
    match producer.send_sync(ProducerRecord::new(topic, body), ANSWER) {
        Ok(metadata) => ("200 OK", metadata.to_string()),
        Err(error) if error.may_be_written() => ("500 Not Known", error.to_string()),
        Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
            ("404 No Such Topic", error.to_string())
        }
        Err(error) => ("503 Not Written", error.to_string()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = TestCluster::builder().topic("posts", 3).start()?;
    let config = ProducerConfig::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        // How long a topic is looked for; the time that a handler waits in all is `ANSWER`.
        .max_block(Duration::from_secs(1))
        .build()?;
    let producer = Producer::new(config)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = listener.local_addr()?;
    let refused = Rule::on(Api::Produce).topic("posts").skip(1).times(1);
    cluster.script(refused.fail(ErrorCode::InvalidRecord))?;
    let answers = std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| serve(&listener, &producer));
        }
        let posts = [
            ("posts", "two of them"),
            ("missing", "one"),
            ("posts", "nothing good"),
        ];
        let answers = posts.map(|(topic, body)| http::post(to, topic, body));
        for _ in 0..THREADS {
            drop(TcpStream::connect(to));
        }
        answers
    });
    for (answer, status) in answers.into_iter().zip(["200", "404", "503"]) {
        let answer = answer?;
        println!("{answer}");
        assert_eq!(answer.split(' ').nth(1), Some(status));
    }
    Ok(producer.close()?)
}
