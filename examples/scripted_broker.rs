//! A service's error handling, tested against brokers on which things go wrong.
//!
//! ```text
//! cargo run --example scripted_broker
//! ```
//!
//! The service takes orders and hands each to Kafka. What must hold whatever happens: an order is
//! accepted, rejected with a reason, or set aside for a person to look at; no order that was accepted is
//! missing, and none is there twice.
#![allow(clippy::print_stdout, reason = "it says what it shows")]

use std::error::Error;
use std::time::Duration;

use kafka_producer::testing::{Api, Refusal, Rule, TestCluster};
use kafka_producer::{ErrorCode, KafkaProducer, ProducerConfig, ProducerRecord};

/// The bound of every wait; nothing here comes near it.
const LONG: Duration = Duration::from_secs(20);

/// What the service tells whoever placed an order.
#[derive(Debug, PartialEq)]
enum Receipt {
    Accepted,
    Rejected(String),
    /// It may be in the log or not: somebody has to look.
    SetAside,
}

/// The service under test: all it knows of Kafka is its producer.
struct OrderDesk {
    producer: KafkaProducer<str, str>,
}

impl OrderDesk {
    fn new(bootstrap_servers: String) -> Result<Self, Box<dyn Error>> {
        let config = ProducerConfig::builder()
            .bootstrap_servers([bootstrap_servers])
            .retry_backoff(Duration::from_millis(20))
            .build()?;
        let producer = KafkaProducer::new(config)?;
        Ok(Self { producer })
    }

    fn place(&self, order: &str) -> Result<Receipt, Box<dyn Error>> {
        let future = self.producer.send(ProducerRecord::new("orders", order))?;
        Ok(match future.get() {
            Ok(_) => Receipt::Accepted,
            Err(error) if error.may_be_written() => Receipt::SetAside,
            Err(error) => {
                let words = error.broker_error().and_then(|said| said.message.clone());
                Receipt::Rejected(
                    words.map_or_else(|| error.to_string(), |words| words.to_string()),
                )
            }
        })
    }
}

fn cluster() -> std::io::Result<TestCluster> {
    TestCluster::builder().nodes(2).topic("orders", 1).start()
}

fn orders(cluster: &TestCluster) -> Vec<String> {
    let records = cluster.records("orders", 0);
    let values = records.into_iter().filter_map(|record| record.value);
    values
        .map(|value| String::from_utf8_lossy(&value).into_owned())
        .collect()
}

fn a_leader_that_moves_is_followed() -> Result<(), Box<dyn Error>> {
    let cluster = cluster()?;
    let desk = OrderDesk::new(cluster.bootstrap_servers())?;
    assert_eq!(desk.place("first")?, Receipt::Accepted);

    let old = cluster.leader("orders", 0).ok_or("no leader")?;
    let new = 1 - old;
    let at_the_old = cluster.script(Rule::on(Api::Produce).node(old))?;
    let at_the_new = cluster.script(Rule::on(Api::Produce).node(new))?;
    cluster.move_leader("orders", 0, new)?;

    assert_eq!(desk.place("second")?, Receipt::Accepted);
    assert_eq!((at_the_old.fired(), at_the_new.fired()), (1, 1));
    assert_eq!(orders(&cluster), ["first", "second"]);
    println!("leader moved from {old} to {new}: refused by {old} once, then accepted by {new}");
    Ok(())
}

fn an_order_whose_answer_is_lost_is_written_once() -> Result<(), Box<dyn Error>> {
    let cluster = cluster()?;
    let desk = OrderDesk::new(cluster.bootstrap_servers())?;
    let lost = Rule::on(Api::Produce).times(2).close().after_applying();
    let lost = cluster.script(lost)?;

    assert_eq!(desk.place("only one")?, Receipt::Accepted);
    lost.wait_fired(2, LONG)?;
    assert_eq!(orders(&cluster), ["only one"]);
    let duplicates = cluster.summary("orders", 0).map(|log| log.duplicates);
    assert_eq!(duplicates, Some(2));
    println!("connection closed twice after the write: sent three times, in the log once");
    Ok(())
}

fn an_order_that_is_refused_is_rejected_in_the_brokers_words() -> Result<(), Box<dyn Error>> {
    let cluster = cluster()?;
    let desk = OrderDesk::new(cluster.bootstrap_servers())?;
    let refusal = Refusal::new(ErrorCode::InvalidRecord).record(0, "no such customer");
    cluster.script(Rule::on(Api::Produce).times(1).fail(refusal))?;
    let unsure = Rule::on(Api::Produce)
        .times(1)
        .fail(ErrorCode::UnknownServerError);
    cluster.script(unsure.after_applying())?;

    let rejected = Receipt::Rejected("no such customer".to_owned());
    assert_eq!(desk.place("for nobody")?, rejected);
    assert_eq!(desk.place("who knows")?, Receipt::SetAside);
    assert_eq!(desk.place("a good one")?, Receipt::Accepted);
    assert_eq!(orders(&cluster), ["who knows", "a good one"]);
    println!("refused: rejected in the broker's words; failed without saying how: set aside");
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    a_leader_that_moves_is_followed()?;
    an_order_whose_answer_is_lost_is_written_once()?;
    an_order_that_is_refused_is_rejected_in_the_brokers_words()?;
    println!("all held");
    Ok(())
}
