package kafkaproducer.testing;

import java.time.Duration;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.FinalizedVersionRange;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Transactions: their state and committed offsets, and scripted calls, with Kafka's own clients. */
final class Transactions {
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private Transactions() {
    }

    /**
     * Describes a transaction by its coordinator. The response is one line: the coordinator's broker id, the state,
     * the producer id and epoch, and the partitions.
     */
    static void describe(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        try (Admin admin = Topics.admin(arguments.text())) {
            String id = arguments.text();
            TransactionDescription it = admin.describeTransactions(Collections.singleton(id))
                    .description(id).get();
            answer.line(it.coordinatorId() + " " + it.state() + " " + it.producerId() + " "
                    + it.producerEpoch() + " " + it.topicPartitions().size());
        }
    }

    /**
     * Polls until a transaction is in an expected state. Arguments: the id, the states, and for how many milliseconds
     * the state must last.
     */
    static void await(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        try (Admin admin = Topics.admin(arguments.text())) {
            String id = arguments.text();
            long steadyNanos = arguments.number() * 1_000_000L;
            Set<String> wanted = new HashSet<>();
            while (arguments.hasMore()) {
                wanted.add(arguments.text());
            }
            long[] since = {System.nanoTime()};
            String[] last = {""};
            try {
                Topics.until(id + " to be " + wanted, PATIENCE.toMillis(), () -> {
                    TransactionDescription it = admin.describeTransactions(Collections.singleton(id))
                            .description(id).get();
                    last[0] = it.state().toString();
                    if (!wanted.contains(last[0])) {
                        since[0] = System.nanoTime();
                        return false;
                    }
                    return System.nanoTime() - since[0] >= steadyNanos;
                });
            } catch (java.io.IOException late) {
                throw new java.io.IOException(late.getMessage() + "; it is " + last[0], late);
            }
            answer.line(last[0]);
        }
    }

    /**
     * The offsets that a group has committed for a topic; waits while an open transaction may replace them. The
     * response has a line for each partition with an offset: partition, offset, metadata.
     */
    static void committed(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        Map<String, Object> configs = new HashMap<>();
        configs.put("bootstrap.servers", arguments.text());
        configs.put("group.id", arguments.text());
        configs.put("isolation.level", "read_committed");
        configs.put("enable.auto.commit", "false");
        String topic = arguments.text();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(configs,
                new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            Set<TopicPartition> partitions = new HashSet<>();
            for (PartitionInfo each : consumer.partitionsFor(topic)) {
                partitions.add(new TopicPartition(topic, each.partition()));
            }
            Map<Integer, OffsetAndMetadata> found = new TreeMap<>();
            consumer.committed(partitions, PATIENCE).forEach((partition, offset) -> {
                if (offset != null) {
                    found.put(partition.partition(), offset);
                }
            });
            for (Map.Entry<Integer, OffsetAndMetadata> each : found.entrySet()) {
                answer.line(each.getKey() + " " + each.getValue().offset() + " "
                        + each.getValue().metadata());
            }
        }
    }

    /** Changes the configuration of a topic. */
    static void configure(Helper.Arguments arguments) throws Exception {
        try (Admin admin = Topics.admin(arguments.text())) {
            ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, arguments.text());
            Map<ConfigResource, Collection<AlterConfigOp>> changes = new HashMap<>();
            Set<AlterConfigOp> all = new HashSet<>();
            for (Map.Entry<String, String> each : arguments.map().entrySet()) {
                all.add(new AlterConfigOp(new ConfigEntry(each.getKey(), each.getValue()),
                        AlterConfigOp.OpType.SET));
            }
            changes.put(topic, all);
            admin.incrementalAlterConfigs(changes).all().get();
        }
    }

    /** The finalized level of a feature, or 0. */
    static void feature(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        try (Admin admin = Topics.admin(arguments.text())) {
            FinalizedVersionRange range = admin.describeFeatures().featureMetadata().get()
                    .finalizedFeatures().get(arguments.text());
            answer.line(String.valueOf(range == null ? 0 : range.maxVersionLevel()));
        }
    }

    /**
     * Makes calls of Kafka's producer, one after another, and responds for each with "ok", or with the classes of its
     * exceptions. Arguments: configuration, topic, calls. A call is init, begin, send (waits for the outcome), commit,
     * abort, or the name of a transaction state to wait for.
     */
    static void script(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        Map<String, String> configs = arguments.map();
        String topic = arguments.text();
        try (KafkaProducer<byte[], byte[]> producer = Filling.producer(configs);
                Admin admin = Topics.admin(configs.get("bootstrap.servers"))) {
            while (arguments.hasMore()) {
                answer.line(result(producer, admin, configs.get("transactional.id"), topic, arguments.text()));
            }
        }
    }

    private static String result(KafkaProducer<byte[], byte[]> producer, Admin admin, String id,
            String topic, String call) throws Exception {
        try {
            switch (call) {
                case "init": producer.initTransactions(); break;
                case "begin": producer.beginTransaction(); break;
                case "send": producer.send(new ProducerRecord<>(topic, 0, null, "late".getBytes())).get(); break;
                case "commit": producer.commitTransaction(); break;
                case "abort": producer.abortTransaction(); break;
                default:
                    Topics.until(id + " to be " + call, PATIENCE.toMillis(),
                            () -> admin.describeTransactions(Collections.singleton(id)).description(id).get()
                                    .state().toString().equals(call));
                    break;
            }
            return "ok";
        } catch (ExecutionException failure) {
            return classes(failure.getCause());
        } catch (RuntimeException failure) {
            return classes(failure);
        }
    }

    private static String classes(Throwable failure) {
        StringBuilder names = new StringBuilder();
        for (Throwable why = failure; why != null; why = why.getCause()) {
            names.append(names.length() == 0 ? "" : " of ").append(why.getClass().getSimpleName());
        }
        return names.toString();
    }
}
