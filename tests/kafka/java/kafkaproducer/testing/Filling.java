package kafkaproducer.testing;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Sends many equal-sized records with Kafka's own producer of any version. */
final class Filling {
    private Filling() {
    }

    /** Value N is N in eight bytes, then zeroes up to the size. */
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

    static KafkaProducer<byte[], byte[]> producer(Map<String, String> configs) {
        return new KafkaProducer<>(new HashMap<>(configs), new ByteArraySerializer(),
                new ByteArraySerializer());
    }
}
