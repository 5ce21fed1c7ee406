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

/** How transactions stand, and what becomes of them, as Kafka's own clients tell. */
final class Transactions {
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private Transactions() {
    }

    /**
     * How the coordinator says that a transaction stands. Answers with one line: the coordinator's broker, the state,
     * the producer's id and epoch, and the partitions that it has.
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
     * Waits until a transaction stands as wanted, asking again and again. Arguments: the id, the states, for how many
     * milliseconds it must stay so.
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
     * The offsets that a group has committed for a topic, once no transaction is open on them. Answers with a line a
     * partition that has one: partition, offset, metadata.
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

    /** Gives a topic other configuration. */
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

    /** The level of a feature that the brokers have agreed on, or 0. */
    static void feature(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        try (Admin admin = Topics.admin(arguments.text())) {
            FinalizedVersionRange range = admin.describeFeatures().featureMetadata().get()
                    .finalizedFeatures().get(arguments.text());
            answer.line(String.valueOf(range == null ? 0 : range.maxVersionLevel()));
        }
    }

    /**
     * Has Kafka's producer make calls one after another and tells of each: "ok", or the classes of what it threw.
     * Arguments: configuration, topic, calls: init, begin, send (waits for the outcome), commit, abort, or the name
     * of a state of the transaction that is waited for.
     */
    static void script(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        Map<String, String> configs = arguments.map();
        String topic = arguments.text();
        try (KafkaProducer<byte[], byte[]> producer = Filling.producer(configs);
                Admin admin = Topics.admin(configs.get("bootstrap.servers"))) {
            while (arguments.hasMore()) {
                answer.line(told(producer, admin, configs.get("transactional.id"), topic, arguments.text()));
            }
        }
    }

    private static String told(KafkaProducer<byte[], byte[]> producer, Admin admin, String id,
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
        StringBuilder told = new StringBuilder();
        for (Throwable why = failure; why != null; why = why.getCause()) {
            told.append(told.length() == 0 ? "" : " of ").append(why.getClass().getSimpleName());
        }
        return told.toString();
    }
}
