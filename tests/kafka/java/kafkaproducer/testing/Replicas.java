package kafkaproducer.testing;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.errors.ElectionNotNeededException;

/** Leaders and replicas of partitions, with Kafka's admin client. */
final class Replicas {
    private static final long TIMEOUT_MS = 60_000;

    private Replicas() {
    }

    /**
     * Makes brokers the leaders of a topic's partitions: each becomes the first, and so the preferred
     * replica of its partition, and is then elected. The other replicas keep their order.
     *
     * <p>Arguments: the topic, then pairs of partition and broker.
     */
    static void moveLeaders(Helper.Arguments arguments) throws Exception {
        try (Admin admin = Topics.admin(arguments.text())) {
            String topic = arguments.text();
            Map<Integer, Integer> wanted = new HashMap<>();
            while (arguments.hasMore()) {
                wanted.put(arguments.number(), arguments.number());
            }
            Set<TopicPartition> moved = reorder(admin, topic, wanted);
            Topics.until("replicas of " + topic + " to be reordered", TIMEOUT_MS,
                    () -> admin.listPartitionReassignments(moved).reassignments().get().isEmpty());
            elect(admin, moved);
            Topics.until("leaders " + wanted + " of " + topic, TIMEOUT_MS,
                    () -> Topics.describe(admin, topic).partitions().stream().allMatch(each -> {
                        Integer leader = wanted.get(each.partition());
                        return leader == null || (each.leader() != null
                                && each.leader().id() == leader);
                    }));
        }
    }

    private static Set<TopicPartition> reorder(Admin admin, String topic,
            Map<Integer, Integer> wanted) throws Exception {
        Map<TopicPartition, Optional<NewPartitionReassignment>> orders = new HashMap<>();
        for (TopicPartitionInfo each : Topics.describe(admin, topic).partitions()) {
            Integer leader = wanted.get(each.partition());
            if (leader == null) {
                continue;
            }
            List<Integer> order = each.replicas().stream().map(Node::id)
                    .collect(Collectors.toCollection(ArrayList::new));
            if (!order.remove(leader)) {
                throw new IllegalArgumentException("broker " + leader + " has no replica of "
                        + topic + "-" + each.partition());
            }
            order.add(0, leader);
            orders.put(new TopicPartition(topic, each.partition()),
                    Optional.of(new NewPartitionReassignment(order)));
        }
        admin.alterPartitionReassignments(orders).all().get();
        return orders.keySet();
    }

    /** Elects the preferred leaders. A preferred replica that is already the leader is not an error. */
    private static void elect(Admin admin, Set<TopicPartition> partitions) throws Exception {
        Map<TopicPartition, Optional<Throwable>> outcomes;
        try {
            outcomes = admin.electLeaders(ElectionType.PREFERRED, partitions).partitions().get();
        } catch (ExecutionException failure) {
            if (failure.getCause() instanceof ElectionNotNeededException) {
                return;
            }
            throw failure;
        }
        for (Map.Entry<TopicPartition, Optional<Throwable>> each : outcomes.entrySet()) {
            Throwable failure = each.getValue().orElse(null);
            if (failure != null && !(failure instanceof ElectionNotNeededException)) {
                throw new ExecutionException(each.getKey().toString(), failure);
            }
        }
    }

    /**
     * Waits until every partition of every topic, internal ones included, has a leader and all its replicas in sync,
     * for a minimum duration: a resumed broker returns stale metadata for a moment.
     *
     * <p>Argument: the duration in milliseconds.
     */
    static void awaitInSync(Helper.Arguments arguments) throws Exception {
        try (Admin admin = Topics.admin(arguments.text())) {
            Set<String> behind = new HashSet<>();
            long steadyNanos = arguments.number() * 1_000_000L;
            long[] since = {System.nanoTime()};
            try {
                Topics.until("all replicas to be in sync", TIMEOUT_MS, () -> {
                    behind.clear();
                    Set<String> names = admin.listTopics(new ListTopicsOptions().listInternal(true))
                            .names().get();
                    for (TopicDescription topic : admin.describeTopics(names).all().get().values()) {
                        topic.partitions().stream().filter(each -> !isWhole(each))
                                .forEach(each -> behind.add(topic.name() + " " + each));
                    }
                    if (!behind.isEmpty()) {
                        since[0] = System.nanoTime();
                        return false;
                    }
                    return System.nanoTime() - since[0] >= steadyNanos;
                });
            } catch (java.io.IOException late) {
                throw new java.io.IOException(late.getMessage() + "; behind are " + behind, late);
            }
        }
    }

    private static boolean isWhole(TopicPartitionInfo partition) {
        return partition.leader() != null && partition.leader().id() >= 0
                && partition.isr().size() == partition.replicas().size();
    }
}
