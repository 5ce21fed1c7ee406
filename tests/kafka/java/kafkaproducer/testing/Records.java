package kafkaproducer.testing;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Records in and out, through Kafka's own consumer and producer. */
final class Records {
    /** A read that gets no further for so long has failed. */
    private static final long STALL_MS = 45_000;

    private Records() {
    }

    /** Sends every record between the first and the last offset that the partitions had at the start. */
    static void read(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        String bootstrap = arguments.text();
        String topic = arguments.text();
        String isolation = arguments.text();
        List<TopicPartition> partitions;
        try (Admin admin = Topics.admin(bootstrap)) {
            partitions = Topics.describe(admin, topic).partitions().stream()
                    .map(each -> new TopicPartition(topic, each.partition()))
                    .collect(Collectors.toList());
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap, isolation)) {
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
            ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(500));
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

    private static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String isolation) {
        Map<String, Object> configs = new HashMap<>();
        configs.put("bootstrap.servers", bootstrap);
        configs.put("isolation.level", isolation);
        configs.put("enable.auto.commit", "false");
        configs.put("auto.offset.reset", "none");
        configs.put("allow.auto.create.topics", "false");
        configs.put("max.poll.records", "5000");
        configs.put("max.partition.fetch.bytes", Integer.toString(4 * 1024 * 1024));
        configs.put("fetch.max.bytes", Integer.toString(16 * 1024 * 1024));
        configs.put("reconnect.backoff.ms", "20");
        configs.put("reconnect.backoff.max.ms", "200");
        return new KafkaConsumer<>(configs, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static void write(ConsumerRecord<byte[], byte[]> record, Helper.Answer answer)
            throws IOException {
        Header[] headers = record.headers().toArray();
        byte[][] names = new byte[headers.length][];
        int size = 4 + 8 + 8 + 1 + 4 + length(record.key()) + 4 + length(record.value()) + 4;
        for (int i = 0; i < headers.length; i++) {
            names[i] = headers[i].key().getBytes(StandardCharsets.UTF_8);
            size += 4 + names[i].length + 4 + length(headers[i].value());
        }
        ByteBuffer out = answer.room('R', size);
        out.putInt(record.partition());
        out.putLong(record.offset());
        out.putLong(record.timestamp());
        out.put((byte) record.timestampType().id);
        put(out, record.key());
        put(out, record.value());
        out.putInt(headers.length);
        for (int i = 0; i < headers.length; i++) {
            put(out, names[i]);
            put(out, headers[i].value());
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

    /**
     * Sends records with Kafka's producer. Arguments: configuration, topic, what to do with the
     * transaction ("none", "commit" or "abort"), records. Answers with a line a record: partition,
     * offset, timestamp.
     */
    static void produce(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        Map<String, String> configs = arguments.map();
        String topic = arguments.text();
        String transaction = arguments.text();
        try (KafkaProducer<byte[], byte[]> producer = producer(configs)) {
            if (!transaction.equals("none")) {
                producer.initTransactions();
                producer.beginTransaction();
            }
            List<Future<RecordMetadata>> futures = new ArrayList<>();
            while (arguments.hasMore()) {
                futures.add(producer.send(record(arguments, topic)));
            }
            producer.flush();
            for (Future<RecordMetadata> future : futures) {
                RecordMetadata written = future.get();
                answer.line(written.partition() + " " + written.offset() + " " + written.timestamp());
            }
            if (transaction.equals("commit")) {
                producer.commitTransaction();
            } else if (transaction.equals("abort")) {
                producer.abortTransaction();
            }
        }
    }

    private static ProducerRecord<byte[], byte[]> record(Helper.Arguments arguments, String topic) {
        byte[] partition = arguments.bytes();
        byte[] timestamp = arguments.bytes();
        byte[] key = arguments.bytes();
        byte[] value = arguments.bytes();
        int count = arguments.number();
        List<Header> headers = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            String name = arguments.text();
            headers.add(new RecordHeader(name, arguments.bytes()));
        }
        return new ProducerRecord<>(topic,
                partition == null ? null : Integer.valueOf(new String(partition, StandardCharsets.UTF_8)),
                timestamp == null ? null : Long.valueOf(new String(timestamp, StandardCharsets.UTF_8)),
                key, value, headers);
    }

    /** Sends many like records quickly: value N is N in eight bytes, then zeroes up to the size. */
    static void fill(Helper.Arguments arguments) throws Exception {
        Map<String, String> configs = arguments.map();
        String topic = arguments.text();
        long count = arguments.longNumber();
        int size = arguments.number();
        List<Exception> failures = Collections.synchronizedList(new ArrayList<>());
        try (KafkaProducer<byte[], byte[]> producer = producer(configs)) {
            byte[] zeroes = new byte[size];
            for (long i = 0; i < count && failures.isEmpty(); i++) {
                byte[] value = Arrays.copyOf(zeroes, size);
                ByteBuffer.wrap(value).putLong(i);
                producer.send(new ProducerRecord<>(topic, value), (metadata, failure) -> {
                    if (failure != null) {
                        failures.add(failure);
                    }
                });
            }
            producer.flush();
        }
        if (!failures.isEmpty()) {
            throw failures.get(0);
        }
    }

    private static KafkaProducer<byte[], byte[]> producer(Map<String, String> configs) {
        return new KafkaProducer<>(new HashMap<>(configs), new ByteArraySerializer(),
                new ByteArraySerializer());
    }
}
