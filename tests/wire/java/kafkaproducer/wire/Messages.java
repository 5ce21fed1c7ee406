package kafkaproducer.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.lang.reflect.InvocationTargetException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.requests.RequestUtils;

/**
 * Requests and responses with their headers, in every version that Kafka supports, filled in several ways.
 * A line has the message as Kafka's own JSON.
 */
final class Messages {
    private static final ApiKeys[] APIS = {
        ApiKeys.PRODUCE, ApiKeys.METADATA, ApiKeys.API_VERSIONS, ApiKeys.FIND_COORDINATOR,
        ApiKeys.INIT_PRODUCER_ID, ApiKeys.ADD_PARTITIONS_TO_TXN, ApiKeys.ADD_OFFSETS_TO_TXN, ApiKeys.END_TXN,
        ApiKeys.TXN_OFFSET_COMMIT, ApiKeys.SASL_HANDSHAKE, ApiKeys.SASL_AUTHENTICATE
    };
    private static final String[] CLIENT_IDS = {null, "", "producer-1", "größe-東京", "c".repeat(140)};
    private static final int[] CORRELATION_IDS = {0, 1, -1, Integer.MAX_VALUE, Integer.MIN_VALUE, 4711};

    private Messages() {
    }

    static List<JsonNode> requests() {
        return all(true);
    }

    static List<JsonNode> responses() {
        return all(false);
    }

    private static List<JsonNode> all(boolean requests) {
        List<JsonNode> vectors = new ArrayList<>();
        for (ApiKeys api : APIS) {
            Schema[] schemas = requests ? api.messageType.requestSchemas() : api.messageType.responseSchemas();
            for (short version = api.oldestVersion(); version <= api.latestVersion(); version++) {
                for (Filling.Manner manner : Filling.Manner.values()) {
                    Filling filling = new Filling(api, requests, version, manner);
                    if (filling.isWanted()) {
                        vectors.add(vector(api, requests, version, schemas[version], filling, vectors.size()));
                    }
                }
            }
        }
        return vectors;
    }

    private static ObjectNode vector(ApiKeys api, boolean request, short version, Schema schema, Filling filling,
            int number) {
        int correlationId = CORRELATION_IDS[number % CORRELATION_IDS.length];
        ObjectNode vector = Vectors.JSON.createObjectNode().put("api", api.name).put("version", version);
        vector.put("filled", filling.manner.name().toLowerCase()).put("correlationId", correlationId);
        short headerVersion;
        Message header;
        if (request) {
            String clientId = CLIENT_IDS[number % CLIENT_IDS.length];
            vector.put("clientId", clientId);
            headerVersion = api.requestHeaderVersion(version);
            header = new RequestHeaderData().setRequestApiKey(api.id).setRequestApiVersion(version)
                    .setCorrelationId(correlationId).setClientId(clientId);
        } else {
            headerVersion = api.responseHeaderVersion(version);
            header = new ResponseHeaderData().setCorrelationId(correlationId);
        }
        ObjectNode body = filling.fill(schema);
        ApiMessage message = message(api, request, body, version);
        ByteBuffer written = RequestUtils.serialize(header, headerVersion, message, version);
        vector.set("body", Filling.described(body));
        vector.put("hex", Output.hex(Output.bytes(written)));
        readBack(api, request, version, header, headerVersion, message, written);
        return vector;
    }

    /** The message that Kafka itself parses from the JSON. */
    private static ApiMessage message(ApiKeys api, boolean request, JsonNode body, short version) {
        ApiMessage empty = request ? api.messageType.newRequest() : api.messageType.newResponse();
        try {
            Class<?> converter = Class.forName(empty.getClass().getName() + "JsonConverter");
            return (ApiMessage) converter.getMethod("read", JsonNode.class, short.class)
                    .invoke(null, body, version);
        } catch (InvocationTargetException failure) {
            throw new IllegalStateException(api + " v" + version + ": " + body, failure.getCause());
        } catch (ReflectiveOperationException failure) {
            throw new IllegalStateException(failure);
        }
    }

    private static void readBack(ApiKeys api, boolean request, short version, Message header, short headerVersion,
            ApiMessage message, ByteBuffer written) {
        ByteBufferAccessor reader = new ByteBufferAccessor(written.duplicate());
        Message headerRead = request ? new RequestHeaderData(reader, headerVersion)
                : new ResponseHeaderData(reader, headerVersion);
        ApiMessage read = request ? api.messageType.newRequest() : api.messageType.newResponse();
        read.read(reader, version);
        if (reader.remaining() > 0 || !headerRead.equals(header) || !read.equals(message)) {
            throw new AssertionError(api + " v" + version + " is read as " + read + ", not " + message);
        }
    }
}
