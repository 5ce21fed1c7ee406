//! DNS names in `bootstrap.servers`.

use std::time::Duration;

use kafka_producer::testing::TestCluster;

use crate::support::{config_for, producer, record};

/// `max.block.ms` limits `send`, but not the DNS lookup when the producer is built.
#[test]
fn a_producer_that_never_blocks_can_be_built_from_a_host_name() {
    let cluster = TestCluster::builder().topic("t", 1).start().unwrap();
    let node = cluster.node_ids().next().unwrap();
    let servers = format!("localhost:{}", cluster.port(node).unwrap());
    for _ in 0..20 {
        let producer = producer(config_for(&servers).max_block(Duration::ZERO));
        // The topic's metadata is not cached, and the call does not block.
        assert!(producer.try_send(record("a")).is_err() || producer.send(record("a")).is_err());
    }
}
