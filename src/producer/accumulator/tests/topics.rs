//! What new metadata makes of the topics.

use super::*;

/// A topic that is being made may show some partitions before others. What a partitioner is shown is what its
/// answer is checked against.
#[test]
fn the_cluster_beside_the_topics_has_the_partitions_that_can_be_used_and_no_others() {
    let fixture = fixture(0, MS(0));
    let seen = |numbers: &[i32]| {
        let node = Node::new(0, "a", 1);
        let topic = |name, number| {
            PartitionInfo::new(TopicPartition::new(name, number), Some(node.clone()))
        };
        let mut partitions: Vec<_> = numbers.iter().map(|number| topic("t", *number)).collect();
        partitions.push(topic("whole", 0));
        let cluster = Arc::new(Cluster::new(vec![node.clone()], partitions));
        fixture.accumulator.on_cluster(&cluster);
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
