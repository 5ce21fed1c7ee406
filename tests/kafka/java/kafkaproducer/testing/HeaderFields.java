package kafkaproducer.testing;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/** Names and values of a record's headers, alternating. Clients before 0.11 do not support headers. */
abstract class HeaderFields {
    private static final byte[][] NONE = new byte[0][];

    abstract byte[][] of(ConsumerRecord<?, ?> record);

    static HeaderFields ofThisVersion() {
        try {
            Class.forName("org.apache.kafka.common.header.Header");
        } catch (ClassNotFoundException old) {
            return new Absent();
        }
        return new Present();
    }

    private static final class Absent extends HeaderFields {
        @Override
        byte[][] of(ConsumerRecord<?, ?> record) {
            return NONE;
        }
    }

    /** Loaded only if the client has the header classes. */
    private static final class Present extends HeaderFields {
        @Override
        byte[][] of(ConsumerRecord<?, ?> record) {
            Header[] headers = record.headers().toArray();
            byte[][] fields = new byte[2 * headers.length][];
            for (int i = 0; i < headers.length; i++) {
                fields[2 * i] = headers[i].key().getBytes(StandardCharsets.UTF_8);
                fields[2 * i + 1] = headers[i].value();
            }
            return fields;
        }
    }
}
