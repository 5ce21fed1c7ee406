package kafkaproducer.testing;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** Sends records of all kinds with Kafka's own producer. */
final class Records {
    private Records() {
    }

    /**
     * Sends records with Kafka's producer. Arguments: configuration, topic, use of a transaction ("none",
     * "commit" or "abort"), records. The response has a line for each record: partition, offset, timestamp.
     */
    static void produce(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        Map<String, String> configs = arguments.map();
        String topic = arguments.text();
        String transaction = arguments.text();
        try (KafkaProducer<byte[], byte[]> producer = Filling.producer(configs)) {
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
}
