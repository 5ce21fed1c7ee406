package kafkaproducer.testing;

import java.io.IOException;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicExistsException;

/** Brokers and topics, with Kafka's admin client. */
final class Topics {
    private static final long TIMEOUT_MS = 60_000;
    private static final long PAUSE_MS = 20;

    private Topics() {
    }

    /**
     * Waits until the broker at an address responds, and its metadata has a controller, every expected
     * broker and every expected topic. A started broker gets the topics after it has begun to respond.
     */
    static void awaitBroker(Helper.Arguments arguments) throws Exception {
        String address = arguments.text();
        long timeoutMs = arguments.longNumber();
        Set<Integer> wanted = new HashSet<>();
        for (int count = arguments.number(); count > 0; count--) {
            wanted.add(arguments.number());
        }
        Set<String> topics = new HashSet<>();
        while (arguments.hasMore()) {
            topics.add(arguments.text());
        }
        try (Admin admin = admin(address)) {
            until("brokers " + wanted + " and topics " + topics + " at " + address, timeoutMs, () -> {
                DescribeClusterResult cluster = admin.describeCluster(
                        new DescribeClusterOptions().timeoutMs((int) timeoutMs));
                Node controller = cluster.controller().get();
                Set<Integer> known = cluster.nodes().get().stream().map(Node::id)
                        .collect(Collectors.toSet());
                return controller != null && controller.id() >= 0 && known.containsAll(wanted)
                        && (topics.isEmpty() || admin.listTopics().names().get().containsAll(topics));
            });
        }
    }

    static void create(Helper.Arguments arguments) throws Exception {
        try (Admin admin = admin(arguments.text())) {
            String name = arguments.text();
            int partitions = arguments.number();
            short replicas = (short) arguments.number();
            NewTopic topic = new NewTopic(name, partitions, replicas).configs(arguments.map());
            createOnce(admin, topic);
            awaitLeaders(admin, name, partitions);
        }
    }

    /**
     * Creates a topic. If a topic of the same name is being deleted, retries: the controller keeps it for a
     * moment longer than brokers list it.
     */
    private static void createOnce(Admin admin, NewTopic topic) throws Exception {
        boolean existed = admin.listTopics().names().get().contains(topic.name());
        until("topic " + topic.name() + " to be created", TIMEOUT_MS, () -> {
            try {
                admin.createTopics(Collections.singleton(topic)).all().get();
                return true;
            } catch (ExecutionException failure) {
                if (!existed && failure.getCause() instanceof TopicExistsException) {
                    return false;
                }
                // A slow broker still completes the request; the caller waits for the leaders.
                if (failure.getCause() instanceof TimeoutException) {
                    return true;
                }
                throw new IllegalStateException("cannot create " + topic.name(), failure.getCause());
            }
        });
    }

    static void delete(Helper.Arguments arguments) throws Exception {
        try (Admin admin = admin(arguments.text())) {
            String name = arguments.text();
            admin.deleteTopics(Collections.singleton(name)).all().get();
            until("topic " + name + " to be gone", TIMEOUT_MS,
                    () -> !admin.listTopics().names().get().contains(name));
        }
    }

    static void addPartitions(Helper.Arguments arguments) throws Exception {
        try (Admin admin = admin(arguments.text())) {
            String name = arguments.text();
            int total = arguments.number();
            Map<String, NewPartitions> wanted = new HashMap<>();
            wanted.put(name, NewPartitions.increaseTo(total));
            admin.createPartitions(wanted).all().get();
            awaitLeaders(admin, name, total);
        }
    }

    /** One line for each partition: number, leader (-1 for none), replicas, in-sync replicas. */
    static void describe(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        try (Admin admin = admin(arguments.text())) {
            String name = arguments.text();
            for (TopicPartitionInfo each : describe(admin, name).partitions()) {
                answer.line(each.partition() + " " + leader(each).orElse(-1) + " "
                        + ids(each.replicas()) + " " + ids(each.isr()));
            }
        }
    }

    private static String ids(java.util.List<Node> nodes) {
        return nodes.isEmpty() ? "-"
                : nodes.stream().map(Node::idString).collect(Collectors.joining(","));
    }

    private static Optional<Integer> leader(TopicPartitionInfo info) {
        return Optional.ofNullable(info.leader()).map(Node::id).filter(id -> id >= 0);
    }

    static TopicDescription describe(Admin admin, String name) throws Exception {
        return admin.describeTopics(Collections.singleton(name)).all().get().get(name);
    }

    private static void awaitLeaders(Admin admin, String name, int partitions) throws Exception {
        until("leaders of " + name, TIMEOUT_MS, () -> {
            TopicDescription topic = describe(admin, name);
            return topic.partitions().size() == partitions
                    && topic.partitions().stream().allMatch(each -> leader(each).isPresent());
        });
    }

    static Admin admin(String bootstrap) {
        Map<String, Object> configs = new HashMap<>();
        configs.put("bootstrap.servers", bootstrap);
        configs.put("default.api.timeout.ms", "30000");
        configs.put("request.timeout.ms", "10000");
        configs.put("reconnect.backoff.ms", "20");
        configs.put("reconnect.backoff.max.ms", "200");
        configs.put("retry.backoff.ms", "20");
        return Admin.create(configs);
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    /** Polls until the condition is true. An exception counts as false; the last one is the cause of the timeout. */
    static void until(String what, long timeoutMs, Condition condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeoutMs);
        Throwable last = null;
        while (System.nanoTime() < deadline) {
            try {
                if (condition.holds()) {
                    return;
                }
            } catch (ExecutionException failure) {
                last = failure.getCause();
            }
            Thread.sleep(PAUSE_MS);
        }
        throw new IOException("waited " + timeoutMs + " ms in vain for " + what, last);
    }
}
