package kafkaproducer.testing;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.apache.kafka.clients.producer.internals.DefaultPartitioner;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.utils.Utils;

/** The Murmur2 hash and the partition of keys in Java's client, one line for each key. */
final class Partitions {
    private static final String TOPIC = "topic";

    private Partitions() {
    }

    /** Arguments: the number of partitions, then keys. */
    static void run(Helper.Arguments arguments, Helper.Answer answer) throws IOException {
        Cluster cluster = cluster(arguments.number());
        try (DefaultPartitioner partitioner = new DefaultPartitioner()) {
            partitioner.configure(Collections.emptyMap());
            while (arguments.hasMore()) {
                byte[] key = arguments.bytes();
                int partition = partitioner.partition(TOPIC, key, key, null, null, cluster);
                answer.line(Utils.murmur2(key) + " " + partition);
            }
        }
    }

    private static Cluster cluster(int partitions) {
        Node node = new Node(0, "127.0.0.1", 9092);
        Node[] nodes = {node};
        List<PartitionInfo> infos = new ArrayList<>();
        for (int i = 0; i < partitions; i++) {
            infos.add(new PartitionInfo(TOPIC, i, node, nodes, nodes));
        }
        return new Cluster("cluster", Collections.singletonList(node), infos,
                Collections.emptySet(), Collections.emptySet());
    }
}
