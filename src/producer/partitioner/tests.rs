use super::*;
use crate::types::{Node, PartitionInfo, TopicPartition};

type Stock = Box<dyn Partitioner<str, str>>;

fn stock(partitioner: impl Partitioner<str, str> + 'static) -> Stock {
    Box::new(partitioner)
}

/// A cluster with these partitions: topic, number, and whether the partition has a leader.
fn cluster(partitions: &[(&str, PartitionId, bool)]) -> Cluster {
    let node = Node::new(0, "localhost", 99);
    let info = |&(topic, number, led): &(&str, PartitionId, bool)| {
        PartitionInfo::new(
            TopicPartition::new(topic, number),
            led.then(|| node.clone()),
        )
    };
    Cluster::new(vec![node.clone()], partitions.iter().map(info).collect())
}

/// Topic `a` has three partitions, topic `b` one.
fn two_topics() -> Cluster {
    cluster(&[
        ("a", 0, true),
        ("a", 1, true),
        ("a", 2, true),
        ("b", 0, true),
    ])
}

/// Partition 1 of three has no leader.
fn one_unavailable() -> Cluster {
    cluster(&[("test", 1, false), ("test", 2, true), ("test", 0, true)])
}

fn keyed<'a>(
    topic: &'a str,
    key: Option<&'a str>,
    cluster: &'a Cluster,
) -> PartitionInput<'a, str, str> {
    PartitionInput::new(topic, cluster).with_key(key, key.map(str::as_bytes))
}

fn choose(partitioner: &Stock, topic: &str, key: Option<&str>, cluster: &Cluster) -> PartitionId {
    partitioner.partition(&keyed(topic, key, cluster)).unwrap()
}

/// Java: DefaultPartitionerTest#testKeyPartitionIsStable (PT-1)
#[test]
fn a_key_goes_to_the_same_partition_always() {
    let (one, other): (Stock, Stock) = (
        stock(DefaultPartitioner::new()),
        stock(DefaultPartitioner::new()),
    );
    let cluster = one_unavailable();
    let partition = choose(&one, "test", Some("key"), &cluster);
    one.on_new_batch("test", &cluster, partition);
    assert_eq!(choose(&one, "test", Some("key"), &cluster), partition);
    assert_eq!(choose(&other, "test", Some("key"), &cluster), partition);
}

/// A key's partition is the murmur2 hash of its bytes, made positive, modulo the number of all partitions (PT-1).
#[test]
fn a_keys_partition_is_that_of_its_hash_even_if_it_has_no_leader() {
    // murmur2("21") = -973932308, whose low 31 bits are 1173551340.
    assert_eq!(partition_for_key(b"21", 7), 1_173_551_340 % 7);
    assert_eq!(partition_for_key(b"abc", 1000), 107);
    assert_eq!(partition_for_key(b"abc", 1), 0);
    let cluster = cluster(&[("t", 0, false), ("t", 1, false), ("t", 2, true)]);
    let partitioner: Stock = stock(DefaultPartitioner::new());
    for key in ["a", "b", "c", "d", "e"] {
        let expected = partition_for_key(key.as_bytes(), 3);
        assert_eq!(choose(&partitioner, "t", Some(key), &cluster), expected);
    }
}

/// An empty key is hashed like any other (PT-3).
#[test]
fn an_empty_key_is_a_key() {
    let numbers: Vec<_> = (0..64).map(|number| ("t", number, true)).collect();
    let cluster = cluster(&numbers);
    // murmur2("") = 275646681.
    let partitioner: Stock = stock(DefaultPartitioner::with_seed(1));
    assert_eq!(
        choose(&partitioner, "t", Some(""), &cluster),
        275_646_681 % 64
    );
    assert_ne!(choose(&partitioner, "t", None, &cluster), 275_646_681 % 64);
}

/// Java: RoundRobinPartitionerTest#testRoundRobinWithUnavailablePartitions (PT-8)
#[test]
fn round_robin_takes_available_partitions_in_turn() {
    let partitioner: Stock = stock(RoundRobinPartitioner::new());
    let cluster = one_unavailable();
    let chosen: Vec<_> = (0..6)
        .map(|_| choose(&partitioner, "test", None, &cluster))
        .collect();
    assert_eq!(chosen, [0, 2, 0, 2, 0, 2]);
}

/// Round robin counts through all partitions if none is available (PT-8).
#[test]
fn round_robin_takes_all_partitions_in_turn_when_none_is_available() {
    let partitioner: Stock = stock(RoundRobinPartitioner::new());
    let cluster = cluster(&[("t", 0, false), ("t", 1, false)]);
    let chosen: Vec<_> = (0..4)
        .map(|_| choose(&partitioner, "t", None, &cluster))
        .collect();
    assert_eq!(chosen, [0, 1, 0, 1]);
}

/// Java: RoundRobinPartitionerTest#testRoundRobinWithKeyBytes, #testRoundRobinWithNullKeyBytes
#[test]
fn round_robin_counts_each_topic_by_itself_and_ignores_keys() {
    for key in [Some("key"), None] {
        let partitioner: Stock = stock(RoundRobinPartitioner::new());
        let cluster = two_topics();
        let mut counts = [0; 3];
        for i in 0..30 {
            let partition = choose(&partitioner, "a", key, &cluster);
            counts[usize::try_from(partition).unwrap()] += 1;
            if i % 5 == 0 {
                assert_eq!(choose(&partitioner, "b", key, &cluster), 0);
            }
        }
        assert_eq!(counts, [10, 10, 10]);
    }
}

/// KAFKA-9965, KAFKA-17632 (PT-8)
#[test]
fn round_robin_skips_no_partition_when_a_record_opens_a_new_batch() {
    let partitioner: Stock = stock(RoundRobinPartitioner::new());
    let cluster = cluster(&[
        ("t", 0, true),
        ("t", 1, true),
        ("u", 0, true),
        ("u", 1, true),
    ]);
    for i in 0..10 {
        for topic in ["t", "u"] {
            let record = keyed(topic, None, &cluster);
            let first = partitioner.partition(&record).unwrap();
            // Every record opens a new batch, so each record's partition is chosen twice.
            partitioner.on_new_batch(topic, &cluster, first);
            let second = partitioner.partition(&record.again(first)).unwrap();
            assert_eq!((first, second), (i % 2, i % 2));
        }
    }
}

/// Java: UniformStickyPartitionerTest#testRoundRobinWithUnavailablePartitions (PT-9)
#[test]
fn sticky_partitioners_move_between_available_partitions_when_a_batch_is_opened() {
    let (default, uniform): (Stock, Stock) = (
        stock(DefaultPartitioner::new()),
        stock(UniformStickyPartitioner::new()),
    );
    for partitioner in [default, uniform] {
        let cluster = one_unavailable();
        let first = choose(&partitioner, "test", None, &cluster);
        assert!([0, 2].contains(&first));
        for _ in 0..50 {
            assert_eq!(choose(&partitioner, "test", None, &cluster), first);
        }
        partitioner.on_new_batch("test", &cluster, first);
        for _ in 0..50 {
            assert_eq!(choose(&partitioner, "test", None, &cluster), 2 - first);
        }
    }
}

/// Java: UniformStickyPartitionerTest#testRoundRobinWithKeyBytes, #testRoundRobinWithNullKeyBytes
#[test]
fn the_uniform_sticky_partitioner_ignores_keys_and_batches_of_other_partitions() {
    for key in [Some("key"), None] {
        let partitioner: Stock = stock(UniformStickyPartitioner::new());
        let cluster = two_topics();
        let old = choose(&partitioner, "a", key, &cluster);
        assert_eq!(choose(&partitioner, "a", Some("another"), &cluster), old);
        assert_eq!(choose(&partitioner, "b", key, &cluster), 0);
        partitioner.on_new_batch("a", &cluster, old);
        partitioner.on_new_batch("b", &cluster, 0);
        let new = choose(&partitioner, "a", key, &cluster);
        assert_ne!(new, old);
        assert_eq!(choose(&partitioner, "b", key, &cluster), 0);
        // A new batch in a partition that is no longer the sticky one changes nothing.
        partitioner.on_new_batch("a", &cluster, old);
        assert_eq!(choose(&partitioner, "a", key, &cluster), new);
    }
}

/// `on_new_batch` is also called for records with keys, and may change the sticky partition (PT-7).
#[test]
fn a_new_batch_of_a_keyed_record_changes_the_sticky_partition_only_if_it_is_in_that_partition() {
    let partitioner: Stock = stock(DefaultPartitioner::new());
    let cluster = two_topics();
    let sticky = choose(&partitioner, "a", None, &cluster);
    partitioner.on_new_batch("a", &cluster, (sticky + 1) % 3);
    assert_eq!(choose(&partitioner, "a", None, &cluster), sticky);
    partitioner.on_new_batch("a", &cluster, sticky);
    assert_ne!(choose(&partitioner, "a", None, &cluster), sticky);
}

/// Java: StickyPartitionCacheTest#testStickyPartitionCache (PT-4, PT-5)
#[test]
fn the_sticky_partition_changes_only_for_a_new_batch_of_its_own() {
    let cache = StickyPartitionCache::new();
    let cluster = two_topics();
    let first = cache.partition("a", &cluster).unwrap();
    assert_eq!(cache.partition("a", &cluster), Some(first));
    let second = cache.next_partition("a", &cluster, first).unwrap();
    assert_ne!(second, first);
    assert_eq!(cache.partition("a", &cluster), Some(second));
    assert_eq!(cache.next_partition("a", &cluster, first), Some(second));
    // The only partition of a topic stays the sticky one.
    assert_eq!(cache.partition("b", &cluster), Some(0));
    assert_eq!(cache.next_partition("b", &cluster, 0), Some(0));
    assert_eq!(cache.partition("b", &cluster), Some(0));
}

/// Java: StickyPartitionCacheTest#unavailablePartitionsTest (PT-4)
#[test]
fn the_sticky_partition_is_an_available_one_if_there_is_any() {
    let cluster = cluster(&[
        ("a", 0, true),
        ("a", 1, false),
        ("a", 2, true),
        ("b", 0, false),
        ("b", 1, true),
        ("c", 0, false),
    ]);
    let cache = StickyPartitionCache::new();
    let mut a = cache.partition("a", &cluster).unwrap();
    for _ in 0..100 {
        assert_ne!(a, 1);
        let moved = cache.next_partition("a", &cluster, a).unwrap();
        assert_ne!(moved, a);
        a = moved;
    }
    assert_eq!(cache.partition("b", &cluster), Some(1));
    assert_eq!(cache.next_partition("b", &cluster, 1), Some(1));
    assert_eq!(cache.partition("c", &cluster), Some(0));
    assert_eq!(cache.next_partition("c", &cluster, 0), Some(0));
}

/// The next sticky partition is drawn at random from the available partitions (PT-4). The same seed leads to the same
/// choices.
#[test]
fn sticky_choices_reach_every_partition_and_follow_from_the_seed() {
    let cluster = two_topics();
    let walk = |seed| {
        let cache = StickyPartitionCache::with_seed(seed);
        let mut at = cache.partition("a", &cluster).unwrap();
        let mut path = Vec::new();
        for _ in 0..100 {
            at = cache.next_partition("a", &cluster, at).unwrap();
            path.push(at);
        }
        path
    };
    let path = walk(7);
    assert_eq!(walk(7), path);
    assert_ne!(walk(8), path);
    assert!((0..3).all(|partition| path.contains(&partition)));
}

#[test]
fn a_sticky_partition_that_the_topic_no_longer_has_is_replaced() {
    let cache = StickyPartitionCache::new();
    let old = cluster(&[("t", 0, false), ("t", 1, true)]);
    assert_eq!(cache.partition("t", &old), Some(1));
    // A snapshot without the topic does not change the sticky partition.
    assert_eq!(cache.partition("t", &cluster(&[])), Some(1));
    assert_eq!(cache.partition("t", &cluster(&[("t", 0, true)])), Some(0));
}

/// The producer never calls a partitioner for a topic without partitions (PT-11); if called, the stock partitioners
/// return an error.
#[test]
fn a_topic_without_partitions_is_an_error_that_names_it() {
    let empty = cluster(&[]);
    for class in [
        DefaultPartitioner::JAVA_CLASS,
        RoundRobinPartitioner::JAVA_CLASS,
        UniformStickyPartitioner::JAVA_CLASS,
    ] {
        let partitioner: Stock = stock_partitioner(class).unwrap();
        for key in [None, Some("key")] {
            let error = partitioner
                .partition(&keyed("nowhere", key, &empty))
                .unwrap_err();
            assert!(error.to_string().contains("nowhere"), "{error}");
        }
    }
    assert!(stock_partitioner::<str, str>("com.example.Mine").is_none());
}

/// A partitioner is called on many threads at the same time (PT-10). If several threads replace the same sticky
/// partition, they all get the same new one.
#[test]
fn concurrent_threads_change_the_sticky_partition_once() {
    let numbers: Vec<_> = (0..100).map(|number| ("t", number, true)).collect();
    let cluster = cluster(&numbers);
    let cache = StickyPartitionCache::with_seed(3);
    for _ in 0..50 {
        let old = cache.partition("t", &cluster).unwrap();
        let moved: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| cache.next_partition("t", &cluster, old).unwrap()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let new = cache.partition("t", &cluster).unwrap();
        assert_ne!(new, old);
        assert_eq!(moved, [new; 4]);
    }
}

#[test]
fn an_instance_of_a_stock_sticky_partitioner_uses_the_built_in_strategy_unless_it_has_a_seed() {
    fn name_of(partitioner: impl Partitioner<str, str> + 'static) -> &'static str {
        match Strategy::of(partitioner) {
            Strategy::Default => "default",
            Strategy::UniformSticky => "uniform sticky",
            Strategy::Custom(_) => "custom",
        }
    }
    assert_eq!(name_of(DefaultPartitioner::new()), "default");
    assert_eq!(name_of(UniformStickyPartitioner::new()), "uniform sticky");
    assert_eq!(name_of(DefaultPartitioner::with_seed(1)), "custom");
    assert_eq!(name_of(UniformStickyPartitioner::with_seed(1)), "custom");
    assert_eq!(name_of(RoundRobinPartitioner::new()), "custom");
    assert_eq!(name_of(stock(DefaultPartitioner::new())), "custom");
}
