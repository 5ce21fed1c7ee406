//! Clusters that imitate older releases of Kafka.

use kafka_producer::testing::{KafkaRelease, TestCluster};
use kafka_producer::{CompressionType, Delivery, ProduceErrorKind, RecordError, SendError};

use crate::support::{LONG, config, producer, record, values};

fn cluster(release: KafkaRelease) -> TestCluster {
    TestCluster::builder()
        .release(release)
        .topic("t", 3)
        .start()
        .unwrap()
}

#[test]
fn batches_in_format_2_reach_each_release_since_0_11() {
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

/// The format of a new batch is the newest that all brokers support. Idempotence is disabled, since it needs format 2
/// (RA-7, PB-11).
#[test]
fn releases_before_0_11_get_message_sets_with_every_codec_they_support() {
    for (release, magic) in [(KafkaRelease::V0_10_0, 1), (KafkaRelease::V0_10_2, 1)] {
        for codec in [
            CompressionType::None,
            CompressionType::Gzip,
            CompressionType::Snappy,
            CompressionType::Lz4,
        ] {
            let cluster = cluster(release);
            let config = config(&cluster)
                .enable_idempotence(false)
                .compression_type(codec);
            let producer = producer(config);
            let sent = producer.send(record("v").with_partition(1)).unwrap();
            assert_eq!(sent.get_timeout(LONG).unwrap().offset(), 0, "{release:?}");
            assert_eq!(values(&cluster, 1), ["v"], "{release:?} {codec}");
            let batches = cluster.batches("t", 1);
            assert_eq!(batches[0].magic(), magic);
            assert_eq!(batches[0].compression_type(), codec);
        }
    }
}

#[test]
fn features_unsupported_by_old_releases_fail_at_once_with_the_remedy() {
    let cluster = cluster(KafkaRelease::V0_10_2);
    let idempotent = producer(config(&cluster));
    let future = idempotent.send(record("v")).unwrap();
    let error = future.get_timeout(LONG).unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::UnsupportedVersion);
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert!(
        error.to_string().contains("enable.idempotence=false"),
        "{error}"
    );

    let plain = || config(&cluster).enable_idempotence(false);
    let zstd = producer(plain().compression_type(CompressionType::Zstd));
    let error = zstd
        .send(record("v"))
        .unwrap()
        .get_timeout(LONG)
        .unwrap_err();
    assert_eq!(*error.kind(), ProduceErrorKind::UnsupportedCompressionType);
    assert!(
        error.to_string().contains("compression.type=zstd"),
        "{error}"
    );

    let producer = producer(plain());
    let mut with_headers = record("v");
    with_headers.headers_mut().add("h", "1").unwrap();
    let error = producer.send(with_headers).unwrap_err();
    let expected = RecordError::HeadersUnsupported { magic: 1 };
    assert!(
        matches!(error, SendError::Record(found) if found == expected),
        "{error}"
    );
}

/// The record with headers would join an open batch. The test above covers a record that would create one.
#[test]
fn headers_are_refused_by_old_releases_and_never_dropped() {
    let cluster = cluster(KafkaRelease::V0_10_2);
    let config = config(&cluster).enable_idempotence(false).linger(LONG / 4);
    let producer = producer(config);
    let first = producer.send(record("plain").with_partition(1)).unwrap();
    let mut with_headers = record("with headers").with_partition(1);
    with_headers.headers_mut().add("h", "1").unwrap();
    let error = producer.send(with_headers).unwrap_err();
    let expected = RecordError::HeadersUnsupported { magic: 1 };
    assert!(
        matches!(error, SendError::Record(found) if found == expected),
        "{error}"
    );
    producer.flush().unwrap();
    first.get_timeout(LONG).unwrap();
    assert_eq!(values(&cluster, 1), ["plain"]);
}

/// Produce requests before version 7 must not contain zstd.
#[test]
fn zstd_fails_at_once_with_brokers_before_2_1() {
    for (release, is_supported) in [
        (KafkaRelease::V0_11, false),
        (KafkaRelease::V2_0, false),
        (KafkaRelease::V2_1, true),
    ] {
        let cluster = cluster(release);
        let producer = producer(config(&cluster).compression_type(CompressionType::Zstd));
        let result = producer.send(record("v")).unwrap().get_timeout(LONG);
        match result {
            Ok(_) => assert!(is_supported, "{release:?}"),
            Err(error) => {
                assert!(!is_supported, "{release:?}: {error}");
                assert_eq!(*error.kind(), ProduceErrorKind::UnsupportedCompressionType);
                assert_eq!(error.delivery(), Delivery::NotWritten);
                assert_eq!(error.attempts(), 0, "{error}");
            }
        }
    }
}

/// These releases support only old versions of `ApiVersions` and Metadata requests.
#[test]
fn partitions_for_works_with_releases_before_0_11() {
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

/// Records are staged in the newest format, in which they take more memory than in the broker's format. A record that
/// fits into `buffer.memory` only in the old format would wait for ever for memory, and block all waiters behind it.
#[test]
fn a_record_that_only_fits_into_memory_in_an_old_format_fails_at_once_as_too_large() {
    const MEMORY: usize = 20_000;
    let cluster = cluster(KafkaRelease::V0_10_2);
    let config = config(&cluster)
        .enable_idempotence(false)
        .batch_size(1000)
        .buffer_memory(MEMORY);
    let producer = producer(config);
    let results = [200, 50].map(|less| {
        let value = "v".repeat(MEMORY - less);
        let future = producer.send(record(&value)).unwrap();
        future
            .get_timeout(LONG)
            .map_err(|error| error.kind().clone())
    });
    let [
        Ok(_),
        Err(ProduceErrorKind::RecordTooLarge { size, limit, key }),
    ] = &results
    else {
        panic!("{results:?}");
    };
    assert!(size > limit, "{size}");
    assert_eq!((*limit, *key), (MEMORY, "buffer.memory"));
}
