package kafkaproducer.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.zip.CRC32;
import org.apache.kafka.common.utils.ByteUtils;
import org.apache.kafka.common.utils.Crc32C;
import org.apache.kafka.common.utils.Utils;

/** The primitives of batches and messages: varints, checksums, hashes. */
final class Primitives {
    private static final int[] PARTITION_COUNTS = {1, 2, 3, 12, 100, 1009};

    private Primitives() {
    }

    /** Numbers around each length boundary of varints, with both signs, and the minimum and maximum of each type. */
    static List<JsonNode> varints() {
        List<JsonNode> vectors = new ArrayList<>();
        TreeSet<Long> values = new TreeSet<>();
        for (int bits = 6; bits < Long.SIZE; bits += 7) {
            for (long near = -1; near <= 1; near++) {
                values.add((1L << bits) + near);
                values.add(-(1L << bits) + near);
                values.add((2L << bits) + near);
            }
        }
        for (long value : new long[] {
            0, 1, -1, 300, Integer.MIN_VALUE, Integer.MAX_VALUE, Long.MIN_VALUE, Long.MAX_VALUE
        }) {
            values.add(value);
        }
        ByteBuffer buffer = ByteBuffer.allocate(16);
        for (long value : values) {
            ByteUtils.writeVarlong(value, buffer);
            vectors.add(varint("varlong", value, buffer, ByteUtils.sizeOfVarlong(value)));
            if (value >= Integer.MIN_VALUE && value <= Integer.MAX_VALUE) {
                ByteUtils.writeVarint((int) value, buffer);
                vectors.add(varint("varint", value, buffer, ByteUtils.sizeOfVarint((int) value)));
            }
            if (value >= 0 && value <= 0xffff_ffffL) {
                ByteUtils.writeUnsignedVarint((int) value, buffer);
                vectors.add(varint("unsigned", value, buffer, ByteUtils.sizeOfUnsignedVarint((int) value)));
            }
        }
        return vectors;
    }

    private static ObjectNode varint(String kind, long value, ByteBuffer buffer, int size) {
        buffer.flip();
        if (buffer.remaining() != size) {
            throw new AssertionError(kind + " of " + value + " has not the size that Kafka says");
        }
        ObjectNode vector = Vectors.JSON.createObjectNode().put("kind", kind).put("value", value);
        vector.put("hex", Output.hex(Output.bytes(buffer)));
        buffer.clear();
        return vector;
    }

    static List<JsonNode> checksums() {
        List<JsonNode> vectors = new ArrayList<>();
        for (Input input : inputs()) {
            CRC32 crc32 = new CRC32();
            crc32.update(input.bytes);
            ObjectNode vector = Vectors.JSON.createObjectNode();
            vector.set("input", input.described);
            vector.put("crc32", crc32.getValue());
            vector.put("crc32c", Crc32C.compute(input.bytes, 0, input.bytes.length));
            vectors.add(vector);
        }
        return vectors;
    }

    static List<JsonNode> partitions() {
        List<JsonNode> vectors = new ArrayList<>();
        for (Input input : inputs()) {
            int hash = Utils.murmur2(input.bytes);
            ObjectNode vector = Vectors.JSON.createObjectNode();
            vector.set("key", input.described);
            vector.put("murmur2", hash);
            ObjectNode partitions = vector.putObject("partitions");
            for (int count : PARTITION_COUNTS) {
                partitions.put(Integer.toString(count), Utils.toPositive(hash) % count);
            }
            vectors.add(vector);
        }
        return vectors;
    }

    /** Bytes of many lengths, because checksums and hashes read four or eight bytes at once, and then the rest. */
    private static List<Input> inputs() {
        List<Input> inputs = new ArrayList<>();
        for (String text : new String[] {"", "a", "21", "abc", "foobar", "123456789", "zürich", "東京", "🦀"}) {
            inputs.add(Input.text(text));
        }
        for (int length = 1; length <= 33; length++) {
            inputs.add(Input.random(length, length));
        }
        for (int length : new int[] {63, 64, 65, 255, 256, 1023, 1024, 1025, 4096, 65535, 65536}) {
            inputs.add(Input.random(7, length));
            inputs.add(Input.phrases(7, length));
            inputs.add(Input.zeros(length));
        }
        byte[] ones = new byte[37];
        java.util.Arrays.fill(ones, (byte) -1);
        inputs.add(Input.hex(ones));
        return inputs;
    }
}
