//! Updates of the topic map by new metadata.

use super::*;

/// Metadata of a topic that is being created may list some partitions before others. A partitioner must see exactly the
/// partitions against which its choice is checked.
#[test]
fn the_cluster_of_a_topic_map_has_only_usable_partitions() {
    let fixture = fixture(0, MS(0));
    let seen = |numbers: &[i32]| {
        let node = Node::new(0, "a", 1);
        let topic = |name, number| {
            PartitionInfo::new(TopicPartition::new(name, number), Some(node.clone()))
        };
        let mut partitions: Vec<_> = numbers.iter().map(|number| topic("t", *number)).collect();
        partitions.push(topic("whole", 0));
        let cluster = Arc::new(Cluster::new(vec![node.clone()], partitions));
        fixture
            .accumulator
            .on_cluster(&cluster, &ChangedTopics::All);
        let topics = fixture.accumulator.topics();
        let shown = topics.cluster();
        assert_eq!(shown.partition_count("whole"), Some(1));
        assert_eq!(shown.nodes(), cluster.nodes());
        let entry = topics.get("t").map(|topic| topic.partition_count());
        assert_eq!(shown.partition_count("t"), entry, "{numbers:?}");
        entry
    };
    assert_eq!(seen(&[0, 1, 2]), Some(3));
    assert_eq!(seen(&[0, 1, 3]), Some(2));
    assert_eq!(seen(&[1, 2]), None);
    assert_eq!(seen(&[0, 1, 2, 3]), Some(4));
}

/// A new snapshot id would invalidate every thread's cache of recent topics.
#[test]
fn adding_topics_keeps_cached_entries_of_other_topics() {
    let fixture = fixture(0, MS(0));
    let node = Node::new(0, "a", 1);
    let mut partitions: Vec<PartitionInfo> = Vec::new();
    let mut see =
        |names: &[&str], is_all: bool, change: &mut dyn FnMut(&mut Vec<PartitionInfo>)| {
            change(&mut partitions);
            let cluster = Arc::new(Cluster::new(vec![node.clone()], partitions.clone()));
            let changed = if is_all {
                ChangedTopics::All
            } else {
                ChangedTopics::These(names.iter().map(|name| (*name).into()).collect())
            };
            fixture.accumulator.on_cluster(&cluster, &changed);
            fixture.accumulator.topics().id()
        };
    let info = |name: &str, number| {
        PartitionInfo::new(TopicPartition::new(name, number), Some(node.clone()))
    };
    let first = see(&["a"], false, &mut |all| all.push(info("a", 0)));
    assert_ne!(first, NO_SNAPSHOT);
    assert_eq!(see(&["b"], false, &mut |all| all.push(info("b", 0))), first);
    assert_eq!(see(&[], true, &mut |all| all.push(info("c", 0))), first);
    assert_eq!(see(&["missing"], false, &mut |_| {}), first);
    let entry = |name: &str| fixture.accumulator.topics().get(name).map(Arc::clone);
    let before = entry("a").unwrap();
    // A topic with more partitions, and a removed topic, change the id.
    let second = see(&["b"], false, &mut |all| all.push(info("b", 1)));
    assert_ne!(second, first);
    assert_eq!(entry("b").unwrap().partition_count(), 2);
    let third = see(&["c"], false, &mut |all| {
        all.retain(|info| info.topic() != "c");
    });
    assert_ne!(third, second);
    assert!(entry("c").is_none());
    let fourth = see(&[], true, &mut |all| all.retain(|info| info.topic() != "b"));
    assert_ne!(fourth, third);
    assert!(entry("b").is_none());
    assert!(Arc::ptr_eq(&before, &entry("a").unwrap()));
    fixture.accumulator.close();
    assert_eq!(
        see(&["d"], false, &mut |all| all.push(info("d", 0))),
        NO_SNAPSHOT
    );
}
