package peer;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The setup, and the corresponding settings of the client. */
final class Setup {
    final String topic;
    final int partitions;
    /** The partition of all records; null if the client chooses partitions. */
    final Integer partition;
    final int threads;
    final boolean callback;
    /** Whether each group of records is a transaction. */
    final boolean isTransactional;
    final byte[][] payloads;
    /** The keys; null for records without a key. */
    final byte[][] keys;
    final Properties settings = new Properties();

    /** With {@code flushes}, groups are flushed instead of committed. */
    Setup(JsonObject setup, boolean flushes) throws IOException {
        topic = setup.get("topic").getAsString();
        partitions = setup.get("partitions").getAsInt();
        partition = isGiven(setup, "partition") ? Integer.valueOf(setup.get("partition").getAsInt()) : null;
        threads = setup.get("threads").getAsInt();
        callback = setup.get("callback").getAsBoolean();
        isTransactional = !flushes && isGiven(setup, "transactional") && setup.get("transactional").getAsBoolean();
        payloads = pieces(setup, "payloads", "payload_bytes");
        keys = isGiven(setup, "keys") ? pieces(setup, "keys", "key_bytes") : null;

        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, setup.get("bootstrap").getAsString());
        settings.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
        settings.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
        if (isTransactional) {
            settings.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, "driver-" + ProcessHandle.current().pid());
        }
        if (isGiven(setup, "authority")) {
            settings.put("security.protocol", "SSL");
            settings.put("ssl.truststore.type", "PEM");
            take(setup, "authority", "ssl.truststore.location");
        }
        if (!isGiven(setup, "defaults") || !setup.get("defaults").getAsBoolean()) {
            take(setup, "acks", ProducerConfig.ACKS_CONFIG);
            take(setup, "idempotent", ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG);
            take(setup, "linger_ms", ProducerConfig.LINGER_MS_CONFIG);
            take(setup, "batch_bytes", ProducerConfig.BATCH_SIZE_CONFIG);
            take(setup, "buffer_bytes", ProducerConfig.BUFFER_MEMORY_CONFIG);
            take(setup, "max_in_flight", ProducerConfig.MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION);
            take(setup, "request_timeout_ms", ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG);
            take(setup, "delivery_timeout_ms", ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG);
            take(setup, "compression", ProducerConfig.COMPRESSION_TYPE_CONFIG);
        }
    }

    static boolean isGiven(JsonObject from, String name) {
        JsonElement value = from.get(name);
        return value != null && !value.isJsonNull();
    }

    private void take(JsonObject from, String name, String key) {
        if (isGiven(from, name)) {
            settings.put(key, from.get(name).getAsString());
        }
    }

    /** Splits a file into blocks of equal length. */
    private static byte[][] pieces(JsonObject setup, String file, String length) throws IOException {
        byte[] all = Files.readAllBytes(Path.of(setup.get(file).getAsString()));
        int size = setup.get(length).getAsInt();
        if (size <= 0 || all.length == 0 || all.length % size != 0) {
            throw new IOException(String.format(
                    "%s has %d bytes, which is no multiple of %s, %d",
                    setup.get(file).getAsString(), all.length, length, size));
        }
        byte[][] pieces = new byte[all.length / size][size];
        for (int i = 0; i < pieces.length; i++) {
            System.arraycopy(all, i * size, pieces[i], 0, size);
        }
        return pieces;
    }
}
