package kafkaproducer.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import kafkaproducer.wire.RecordSets.Entry;
import kafkaproducer.wire.RecordSets.RecordSet;
import org.apache.kafka.common.errors.UnsupportedCompressionTypeException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.Time;

/** Batches as Kafka's producer builds them, in all formats, and as it converts them for old brokers. */
final class Batches {
    private static final byte NEWEST = RecordBatch.MAGIC_VALUE_V2;

    private static final class Producer {
        static final Producer NONE = new Producer(RecordBatch.NO_PRODUCER_ID, RecordBatch.NO_PRODUCER_EPOCH,
                RecordBatch.NO_SEQUENCE, false);

        final long id;
        final short epoch;
        final int sequence;
        final boolean transactional;

        Producer(long id, int epoch, int sequence, boolean transactional) {
            this.id = id;
            this.epoch = (short) epoch;
            this.sequence = sequence;
            this.transactional = transactional;
        }
    }

    private static final Producer[] PRODUCERS = {
        new Producer(0, 0, 0, false),
        new Producer(4711, 3, 120, false),
        new Producer(Long.MAX_VALUE, Short.MAX_VALUE, Integer.MAX_VALUE, false),
        new Producer(0, 0, 0, true),
        new Producer(4711, 3, 120, true),
        new Producer(Long.MAX_VALUE, Short.MAX_VALUE, Integer.MAX_VALUE, true),
    };

    /** The record sets that are down-converted: some of each kind. */
    private static final String[] CONVERTED = {
        "one short", "nulls and empties", "many", "large noise", "lengths around 64 and 8192",
        "timestamps zero", "timestamps none", "timestamps decreasing", "timestamps from none to large",
        "headers twice", "headers on some", "headers many", "tiny"
    };

    private Batches() {
    }

    static MemoryRecords build(RecordSet set, byte magic, CompressionType codec) {
        return build(set, magic, codec, Producer.NONE);
    }

    private static MemoryRecords build(RecordSet set, byte magic, CompressionType codec, Producer producer) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1024), magic, codec,
                TimestampType.CREATE_TIME, 0L);
        for (Entry entry : set.entries) {
            Header[] headers = entry.headers.stream()
                    .map(header -> new RecordHeader(header.name, header.value.bytes)).toArray(Header[]::new);
            builder.append(entry.timestamp, entry.key.bytes, entry.value.bytes, headers);
        }
        if (producer.id != RecordBatch.NO_PRODUCER_ID) {
            builder.setProducerState(producer.id, producer.epoch, producer.sequence, producer.transactional);
        }
        return builder.build();
    }

    private static CompressionType[] codecs(byte magic) {
        List<CompressionType> codecs = new ArrayList<>(List.of(CompressionType.values()));
        if (magic < NEWEST) {
            codecs.remove(CompressionType.ZSTD);
        }
        return codecs.toArray(new CompressionType[0]);
    }

    static List<JsonNode> built() {
        List<JsonNode> vectors = new ArrayList<>();
        List<String> pairings = RecordSets.pairings();
        for (byte magic = 0; magic <= NEWEST; magic++) {
            for (CompressionType codec : codecs(magic)) {
                for (RecordSet set : RecordSets.all()) {
                    boolean onePairing = pairings.contains(set.name);
                    if (magic < NEWEST && set.hasHeaders() || onePairing && codec != CompressionType.NONE) {
                        continue;
                    }
                    vectors.add(vector(set, magic, codec, Producer.NONE));
                }
                for (Producer producer : magic == NEWEST ? PRODUCERS : new Producer[0]) {
                    vectors.add(vector(RecordSets.get("nulls and empties"), magic, codec, producer));
                }
            }
        }
        return vectors;
    }

    private static ObjectNode vector(RecordSet set, byte magic, CompressionType codec, Producer producer) {
        ObjectNode vector = Vectors.JSON.createObjectNode().put("set", set.name).put("magic", magic);
        vector.put("codec", codec.name);
        vector.put("producerId", producer.id).put("producerEpoch", producer.epoch);
        vector.put("baseSequence", producer.sequence).put("transactional", producer.transactional);
        vector.set("bytes", described(build(set, magic, codec, producer), set));
        return vector;
    }

    static List<JsonNode> converted() {
        List<JsonNode> vectors = new ArrayList<>();
        for (byte from = NEWEST; from > 0; from--) {
            for (byte to = (byte) (from - 1); to >= 0; to--) {
                for (CompressionType codec : codecs(from)) {
                    for (String name : CONVERTED) {
                        RecordSet set = RecordSets.get(name);
                        if (from == NEWEST || !set.hasHeaders()) {
                            vectors.add(conversion(set, codec, from, to));
                        }
                    }
                }
            }
        }
        return vectors;
    }

    private static ObjectNode conversion(RecordSet set, CompressionType codec, byte from, byte to) {
        ObjectNode vector = Vectors.JSON.createObjectNode().put("set", set.name).put("codec", codec.name);
        vector.put("from", from).put("to", to);
        try {
            MemoryRecords records = build(set, from, codec).downConvert(to, 0, Time.SYSTEM).records();
            vector.set("bytes", described(records, set));
        } catch (UnsupportedCompressionTypeException refused) {
            vector.put("error", refused.getMessage());
        }
        return vector;
    }

    private static JsonNode described(MemoryRecords records, RecordSet set) {
        return Output.described(Output.bytes(records.buffer()), set.inputs());
    }
}
