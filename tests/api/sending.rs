//! Delivery without faults.

use kafka_producer::testing::TestCluster;
use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};

#[test]
fn a_sent_record_is_in_the_log_at_the_position_that_its_future_returns() {
    let cluster = TestCluster::builder().topic("t", 3).start().unwrap();
    let config = ProducerConfig::builder()
        .bootstrap_servers([cluster.bootstrap_servers()])
        .build()
        .unwrap();
    let producer = KafkaProducer::<str, str>::new(config).unwrap();
    let future = producer
        .send(ProducerRecord::keyed("t", "key", "value"))
        .unwrap();
    let metadata = future.get().unwrap();
    let records = cluster.records("t", metadata.partition());
    assert_eq!(records.len(), 1);
    assert_eq!(metadata.offset(), 0);
    producer.close().unwrap();
}

#[test]
fn many_records_from_four_threads_arrive_once_and_in_order() {
    let cluster = TestCluster::builder()
        .nodes(3)
        .topic("t", 12)
        .start()
        .unwrap();
    let config = ProducerConfig::builder()
        .bootstrap_servers([cluster.bootstrap_servers()])
        .build()
        .unwrap();
    let producer = KafkaProducer::<str, str>::new(config).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let producer = &producer;
            scope.spawn(move || {
                for i in 0..50_000 {
                    let value = format!("{thread}-{i}");
                    drop(producer.send(ProducerRecord::new("t", &*value)).unwrap());
                }
            });
        }
    });
    producer.flush().unwrap();
    let snapshot = producer.snapshot();
    assert_eq!(snapshot.records_acknowledged, 200_000);
    assert_eq!(snapshot.memory_free_bytes, snapshot.memory_total_bytes);
    producer.close().unwrap();
    let mut total = 0;
    for partition in 0..12 {
        let mut last = [-1i64; 4];
        for record in cluster.records("t", partition) {
            let text = String::from_utf8(record.value.unwrap()).unwrap();
            let (thread, i) = text.split_once('-').unwrap();
            let (thread, i): (usize, i64) = (thread.parse().unwrap(), i.parse().unwrap());
            assert!(
                i > last[thread],
                "partition {partition}: {i} after {}",
                last[thread]
            );
            last[thread] = i;
            total += 1;
        }
    }
    assert_eq!(total, 200_000);
}
