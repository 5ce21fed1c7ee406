package kafkaproducer.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BinaryNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.LongNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.ShortNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.CompressionType;

/** Fills the fields of any message, in one of several ways. */
final class Filling {
    enum Manner {
        /** Zeros, empty texts and arrays, and nulls. */
        LEAST,
        /** One element in each array; numbers and texts that all differ, so that swapped fields are detected. */
        PLAIN,
        /** Two elements in each array; long texts, large numbers. */
        FULL,
        /** Minimum and maximum numbers, non-ASCII texts, nulls and empty values. */
        EDGE,
        /** Enough elements that a compact length takes two bytes. */
        MANY,
        /** Also fields that a producer never requests or does not use. */
        UNUSED
    }

    /** Fields that a producer does not set, or that brokers fill only for other clients. */
    private static final Set<String> UNUSED = Set.of("topic_id of MetadataRequest",
            "include_cluster_authorized_operations of MetadataRequest",
            "include_topic_authorized_operations of MetadataRequest",
            "topic_authorized_operations of MetadataResponse",
            "cluster_authorized_operations of MetadataResponse");
    private static final int[] LONG_TEXTS = {126, 127, 128, 150};
    private static final int MANY_ELEMENTS = 130;

    final Manner manner;
    private final ApiKeys api;
    private final boolean request;
    private final short version;
    private int number;

    Filling(ApiKeys api, boolean request, short version, Manner manner) {
        this.api = api;
        this.request = request;
        this.version = version;
        this.manner = manner;
    }

    boolean isWanted() {
        switch (manner) {
            case MANY: return version == api.latestVersion();
            case UNUSED: return api == ApiKeys.METADATA && version >= 8
                    || api == ApiKeys.API_VERSIONS && !request && version >= 3;
            default: return true;
        }
    }

    ObjectNode fill(Schema schema) {
        ObjectNode body = structure(schema, 0);
        if (manner == Manner.UNUSED && api == ApiKeys.API_VERSIONS) {
            // Tagged fields, which are not in the schema.
            body.putArray("supportedFeatures").addObject().put("name", "metadata.version").put("minVersion", 1)
                    .put("maxVersion", 20);
            body.put("finalizedFeaturesEpoch", 12);
            body.putArray("finalizedFeatures").addObject().put("name", "metadata.version")
                    .put("maxVersionLevel", 20).put("minVersionLevel", 1);
        }
        return body;
    }

    private ObjectNode structure(Schema schema, int depth) {
        ObjectNode node = Vectors.JSON.createObjectNode();
        for (BoundField field : schema.fields()) {
            if (!(field.def.type instanceof TaggedFields)) {
                node.set(camelCase(field.def.name), value(field.def.type, field.def.name, depth));
            }
        }
        return node;
    }

    private JsonNode value(Type type, String name, int depth) {
        number++;
        if (manner != Manner.UNUSED && UNUSED.contains(name + " of " + api.name + (request ? "Request" : "Response"))) {
            return unused(type);
        }
        if (isNull(type, depth)) {
            return NullNode.getInstance();
        }
        if (type.arrayElementType().isPresent()) {
            return array(type.arrayElementType().get(), name, depth);
        }
        if (type instanceof Schema) {
            return structure((Schema) type, depth);
        }
        if (name.equals("error_code")) {
            return ShortNode.valueOf(errorCode());
        }
        switch (type.toString()) {
            case "BOOLEAN": return BooleanNode.valueOf(manner != Manner.LEAST && number % 2 == 1);
            case "INT8": return ShortNode.valueOf((short) integer(Byte.MIN_VALUE, Byte.MAX_VALUE, 0x10));
            case "INT16": return ShortNode.valueOf((short) integer(Short.MIN_VALUE, Short.MAX_VALUE, 0x1100));
            case "INT32": return IntNode.valueOf((int) integer(Integer.MIN_VALUE, Integer.MAX_VALUE, 0x11002200));
            case "INT64": return LongNode.valueOf(integer(Long.MIN_VALUE, Long.MAX_VALUE, 0x1100220033004400L));
            case "UUID": return new TextNode(uuid().toString());
            case "STRING": case "COMPACT_STRING": case "NULLABLE_STRING": case "COMPACT_NULLABLE_STRING":
                return new TextNode(text(name));
            case "BYTES": case "COMPACT_BYTES":
                return BinaryNode.valueOf(text(name).getBytes(StandardCharsets.UTF_8));
            case "RECORDS": case "COMPACT_RECORDS": return BinaryNode.valueOf(records());
            default: throw new IllegalStateException("no value for a " + type + ", as is " + name);
        }
    }

    private JsonNode unused(Type type) {
        switch (type.toString()) {
            case "BOOLEAN": return BooleanNode.FALSE;
            case "UUID": return new TextNode(Uuid.ZERO_UUID.toString());
            default: return IntNode.valueOf(Integer.MIN_VALUE);
        }
    }

    private boolean isNull(Type type, int depth) {
        boolean structures = type.arrayElementType().isPresent();
        if (!type.isNullable() || api == ApiKeys.METADATA && request && !structures) {
            // Kafka's brokers reject null as a topic name, although the field is nullable.
            return false;
        }
        return manner == Manner.LEAST || manner == Manner.EDGE && depth > 0 && number % 2 == 0;
    }

    private ArrayNode array(Type element, String name, int depth) {
        int count;
        switch (manner) {
            case LEAST: count = 0; break;
            case FULL: count = 2; break;
            case EDGE: count = depth == 0 && !(element instanceof Schema) ? 0 : depth < 2 ? 2 : number % 2; break;
            case MANY: count = depth == 0 ? MANY_ELEMENTS : 1; break;
            default: count = 1;
        }
        ArrayNode array = Vectors.JSON.createArrayNode();
        for (int i = 0; i < count; i++) {
            array.add(value(element, name, depth + 1));
        }
        return array;
    }

    private long integer(long least, long most, long large) {
        switch (manner) {
            case LEAST: return 0;
            case FULL: return large + number;
            case EDGE:
                switch (number % 4) {
                    case 0: return most;
                    case 1: return least;
                    case 2: return -1;
                    default: return 0;
                }
            default: return most < 1000 ? number % 2 : number;
        }
    }

    /** An error code of Kafka 3.0; with UNUSED an unknown code. */
    private short errorCode() {
        switch (manner) {
            case LEAST: return 0;
            case EDGE: return (short) (number % 2 == 0 ? -1 : Errors.values().length - 2);
            case UNUSED: return (short) (1000 + number);
            default: return (short) (number % (Errors.values().length - 1));
        }
    }

    private String text(String name) {
        switch (manner) {
            case LEAST: return "";
            case FULL:
                if (number % 3 == 0) {
                    return name + "." + number;
                }
                String start = number + "-" + name.replace('_', '-') + "-";
                return start + "x".repeat(LONG_TEXTS[number % LONG_TEXTS.length] - start.length());
            case EDGE: return number % 2 == 0 ? "" : "größe-東京-🦀-" + number;
            default: return name.replace('_', '-') + "-" + number;
        }
    }

    private Uuid uuid() {
        return manner == Manner.LEAST ? Uuid.ZERO_UUID : new Uuid(0x0102030405060708L + number, -number);
    }

    /** A batch in the record format of this version. */
    private byte[] records() {
        byte magic = (byte) (version >= 3 ? 2 : version >= 2 ? 1 : 0);
        if (manner == Manner.EDGE && number % 4 == 1) {
            return new byte[0];
        }
        String set = manner == Manner.FULL ? "nulls and empties" : "one short";
        return Output.bytes(Batches.build(RecordSets.get(set), magic, CompressionType.NONE).buffer());
    }

    /** Replaces bytes and UUIDs in the JSON by hexadecimal digits. */
    static JsonNode described(JsonNode node) {
        if (node.isBinary()) {
            return new TextNode(Output.hex(((BinaryNode) node).binaryValue()));
        }
        if (node.isArray()) {
            ArrayNode array = Vectors.JSON.createArrayNode();
            node.forEach(element -> array.add(described(element)));
            return array;
        }
        if (!node.isObject()) {
            return node;
        }
        ObjectNode object = Vectors.JSON.createObjectNode();
        for (Iterator<Map.Entry<String, JsonNode>> fields = node.fields(); fields.hasNext(); ) {
            Map.Entry<String, JsonNode> field = fields.next();
            boolean uuid = field.getKey().equals("topicId");
            object.set(field.getKey(), uuid ? uuidInHex(field.getValue()) : described(field.getValue()));
        }
        return object;
    }

    private static JsonNode uuidInHex(JsonNode text) {
        Uuid uuid = Uuid.fromString(text.textValue());
        return new TextNode(String.format("%016x%016x", uuid.getMostSignificantBits(),
                uuid.getLeastSignificantBits()));
    }

    private static String camelCase(String name) {
        StringBuilder text = new StringBuilder();
        for (String word : name.split("_")) {
            text.append(text.length() == 0 ? word : Character.toUpperCase(word.charAt(0)) + word.substring(1));
        }
        return text.toString();
    }
}
