//! Rebootstrap: all brokers of a cluster were replaced, and only the bootstrap address is still valid.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use kafka_producer::testing::{Api, Rule, TestCluster};

use crate::support::{LONG, config_for, producer, record, values};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A proxy with a fixed address and a broker that can be changed, like a load balancer.
struct Balancer {
    port: u16,
    target: Arc<AtomicU16>,
}

impl Balancer {
    fn to(cluster: &TestCluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Arc::new(AtomicU16::new(first_port(cluster)));
        let leads_to = Arc::clone(&target);
        // The thread ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let target = leads_to.load(Ordering::SeqCst);
                if let Ok(broker) = TcpStream::connect(("127.0.0.1", target)) {
                    couple(&client, &broker).unwrap();
                }
            }
        });
        Self { port, target }
    }

    fn lead_to(&self, cluster: &TestCluster) {
        self.target.store(first_port(cluster), Ordering::SeqCst);
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn first_port(cluster: &TestCluster) -> u16 {
    cluster.port(cluster.node_ids().next().unwrap()).unwrap()
}

fn couple(client: &TcpStream, broker: &TcpStream) -> io::Result<()> {
    for (from, to) in [(client, broker), (broker, client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(count) = from.read(&mut buffer) {
                if count == 0 || to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

fn cluster() -> TestCluster {
    TestCluster::builder()
        .nodes(2)
        .topic("t", 1)
        .start()
        .unwrap()
}

#[test]
fn a_cluster_that_was_replaced_is_found_behind_the_bootstrap_address() {
    let old = cluster();
    let balancer = Balancer::to(&old);
    let producer = producer(
        config_for(&balancer.address())
            .delivery_timeout(LONG)
            .request_timeout(MS(2_000)),
    );
    producer.send(record("a")).unwrap().get().unwrap();
    drop(old);
    let new = cluster();
    balancer.lead_to(&new);
    // The topic is known, so `send` does not block; only the bootstrap address leads to the new brokers.
    producer.send(record("b")).unwrap().get().unwrap();
    assert_eq!(values(&new, 0), ["b"]);
}

/// The old brokers hang, so that no connection is refused.
#[test]
fn a_cluster_that_was_replaced_is_found_when_the_old_brokers_only_time_out() {
    let old = cluster();
    let balancer = Balancer::to(&old);
    let producer = producer(
        config_for(&balancer.address())
            .delivery_timeout(LONG)
            .request_timeout(MS(500))
            .socket_connection_setup_timeout(MS(200))
            .socket_connection_setup_timeout_max(MS(200)),
    );
    producer.send(record("a")).unwrap().get().unwrap();
    for node in old.node_ids() {
        old.hang_node(node);
    }
    let new = cluster();
    balancer.lead_to(&new);
    producer.send(record("b")).unwrap().get().unwrap();
    assert_eq!(values(&new, 0), ["b"]);
}

/// The old brokers accept connections and do not respond (KIP-1102).
#[test]
fn brokers_that_never_respond_to_metadata_requests_are_given_up_after_the_trigger() {
    let old = cluster();
    let balancer = Balancer::to(&old);
    let producer = producer(
        config_for(&balancer.address())
            .delivery_timeout(LONG)
            .request_timeout(MS(300))
            .set("metadata.recovery.rebootstrap.trigger.ms", "1000"),
    );
    producer.send(record("a")).unwrap().get().unwrap();
    let mute = [
        old.script(Rule::on(Api::Metadata).always().never_answer())
            .unwrap(),
        old.script(Rule::on(Api::Produce).always().never_answer())
            .unwrap(),
    ];
    let new = cluster();
    balancer.lead_to(&new);
    producer.send(record("b")).unwrap().get().unwrap();
    assert_eq!(values(&new, 0), ["b"]);
    assert!(mute.iter().all(|rule| rule.fired() > 0));
}

#[test]
fn without_recovery_the_bootstrap_address_is_not_used_again() {
    let old = cluster();
    let balancer = Balancer::to(&old);
    let producer = producer(
        config_for(&balancer.address())
            .delivery_timeout(MS(1_500))
            .request_timeout(MS(1_000))
            .set("metadata.recovery.strategy", "none"),
    );
    producer.send(record("a")).unwrap().get().unwrap();
    drop(old);
    let new = cluster();
    balancer.lead_to(&new);
    producer.send(record("b")).unwrap().get().unwrap_err();
    assert_eq!(new.record_count("t"), 0);
}
