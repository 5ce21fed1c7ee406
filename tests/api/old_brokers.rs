//! Clusters that imitate older releases of Kafka.

use kafka_producer::testing::{KafkaRelease, TestCluster};

use crate::support::{LONG, config, producer, record, values};

fn cluster(release: KafkaRelease) -> TestCluster {
    TestCluster::builder()
        .release(release)
        .topic("t", 3)
        .start()
        .unwrap()
}

#[test]
fn releases_since_0_11_get_batches_in_their_own_versions() {
    for release in [
        KafkaRelease::V0_11,
        KafkaRelease::V1_1,
        KafkaRelease::V2_0,
        KafkaRelease::V2_1,
        KafkaRelease::V2_4,
        KafkaRelease::V3_0,
    ] {
        let cluster = cluster(release);
        let producer = producer(config(&cluster));
        let sent = producer.send(record("v").with_partition(1)).unwrap();
        assert_eq!(sent.get_timeout(LONG).unwrap().offset(), 0, "{release:?}");
        assert_eq!(values(&cluster, 1), ["v"], "{release:?}");
        let batches = cluster.batches("t", 1);
        assert_eq!(batches[0].magic(), 2);
        assert!(batches[0].producer().is_some());
    }
}

/// They know one version of `ApiVersions`, and the first of Metadata.
#[test]
fn releases_before_0_11_tell_a_producer_of_their_topics() {
    for release in [KafkaRelease::V0_10_0, KafkaRelease::V0_10_2] {
        let cluster = cluster(release);
        let producer = producer(config(&cluster).set("enable.idempotence", "false"));
        assert_eq!(
            producer.partitions_for("t").unwrap().len(),
            3,
            "{release:?}"
        );
    }
}
