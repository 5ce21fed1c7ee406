package kafkaproducer.testing;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads topics with Kafka's own consumer. Runs with the clients of every version: classes and methods
 * that some versions lack are used only after a check that they exist.
 */
final class Reading {
    /** A read without progress for this long fails. */
    private static final long STALL_MS = 45_000;
    private static final long POLL_MS = 500;
    /** Whether poll has a Duration parameter: since 2.0. The older overload was removed in 4.0. */
    private static final boolean POLLS_WITH_DURATION = pollsWithDuration();
    private static final HeaderFields HEADERS = HeaderFields.ofThisVersion();

    private Reading() {
    }

    private static boolean pollsWithDuration() {
        try {
            KafkaConsumer.class.getMethod("poll", Duration.class);
            return true;
        } catch (NoSuchMethodException old) {
            return false;
        }
    }

    /** Sends every record between the first and the last offset of each partition at the start of the call. */
    static void read(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        String bootstrap = arguments.text();
        String topic = arguments.text();
        String isolation = arguments.text();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap, isolation)) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (PartitionInfo each : consumer.partitionsFor(topic)) {
                partitions.add(new TopicPartition(topic, each.partition()));
            }
            if (partitions.isEmpty()) {
                throw new IOException("there is no topic " + topic);
            }
            readAll(consumer, partitions, answer);
        }
    }

    private static void readAll(KafkaConsumer<byte[], byte[]> consumer,
            List<TopicPartition> partitions, Helper.Answer answer) throws IOException {
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        Map<TopicPartition, Long> ends = new HashMap<>(consumer.endOffsets(partitions));
        long stalled = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(STALL_MS);
        while (true) {
            List<TopicPartition> done = new ArrayList<>();
            for (Map.Entry<TopicPartition, Long> each : ends.entrySet()) {
                if (consumer.position(each.getKey()) >= each.getValue()) {
                    done.add(each.getKey());
                }
            }
            consumer.pause(done);
            ends.keySet().removeAll(done);
            if (ends.isEmpty()) {
                return;
            }
            ConsumerRecords<byte[], byte[]> records = poll(consumer);
            for (TopicPartition partition : records.partitions()) {
                long end = ends.get(partition);
                for (ConsumerRecord<byte[], byte[]> record : records.records(partition)) {
                    if (record.offset() < end) {
                        write(record, answer);
                    }
                }
            }
            if (!records.isEmpty() || !done.isEmpty()) {
                stalled = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(STALL_MS);
            } else if (System.nanoTime() > stalled) {
                throw new IOException("no progress for " + STALL_MS + " ms, unread up to " + ends);
            }
        }
    }

    @SuppressWarnings("deprecation")
    private static ConsumerRecords<byte[], byte[]> poll(KafkaConsumer<byte[], byte[]> consumer) {
        return POLLS_WITH_DURATION ? consumer.poll(Duration.ofMillis(POLL_MS)) : consumer.poll(POLL_MS);
    }

    private static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String isolation) {
        Map<String, Object> configs = new HashMap<>();
        configs.put("bootstrap.servers", bootstrap);
        configs.put("isolation.level", isolation);
        configs.put("enable.auto.commit", "false");
        configs.put("auto.offset.reset", "none");
        configs.put("max.poll.records", "5000");
        configs.put("max.partition.fetch.bytes", Integer.toString(4 * 1024 * 1024));
        configs.put("fetch.max.bytes", Integer.toString(16 * 1024 * 1024));
        configs.put("reconnect.backoff.ms", "20");
        configs.put("reconnect.backoff.max.ms", "200");
        return new KafkaConsumer<>(configs, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static void write(ConsumerRecord<byte[], byte[]> record, Helper.Answer answer)
            throws IOException {
        byte[][] headers = HEADERS.of(record);
        int size = 4 + 8 + 8 + 1 + 4 + length(record.key()) + 4 + length(record.value()) + 4;
        for (byte[] each : headers) {
            size += 4 + length(each);
        }
        ByteBuffer out = answer.room('R', size);
        out.putInt(record.partition());
        out.putLong(record.offset());
        out.putLong(record.timestamp());
        out.put((byte) record.timestampType().id);
        put(out, record.key());
        put(out, record.value());
        out.putInt(headers.length / 2);
        for (byte[] each : headers) {
            put(out, each);
        }
    }

    private static int length(byte[] bytes) {
        return bytes == null ? 0 : bytes.length;
    }

    private static void put(ByteBuffer out, byte[] bytes) {
        if (bytes == null) {
            out.putInt(-1);
        } else {
            out.putInt(bytes.length).put(bytes);
        }
    }
}
