package kafkaproducer.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.nio.charset.StandardCharsets;

/**
 * Input bytes of a vector, and their description in its line: null, a text, hexadecimal digits, or a
 * recipe for long inputs.
 *
 * <p>Recipes use the random numbers of a linear congruential generator, see {@link #step}.
 */
final class Input {
    static final Input NULL = new Input(null, NullNode.getInstance());

    /** The words of {@link #phrases}. */
    private static final String[] PHRASES = {
        "the order was paid, ", "in the garden of the king ", "delivered on the third journey; ", "no ",
        "a ledger for each house and mountain, ", "by night, ", "with currency and amount ", "and so ",
        "\"customer\": \"customer-17\", ", "\"amount\": 100, ", "\"paid\": true, ", "\"paid\": false, ",
        "2021-09-21T00:00:00Z ", "INFO  started in ", "WARN  gave up after ", "17 ms\n"
    };

    final byte[] bytes;
    final JsonNode described;

    private Input(byte[] bytes, JsonNode described) {
        this.bytes = bytes;
        this.described = described;
    }

    static Input text(String text) {
        return new Input(text.getBytes(StandardCharsets.UTF_8), new TextNode(text));
    }

    static Input hex(byte[] bytes) {
        ObjectNode described = JsonNodeFactory.instance.objectNode().put("hex", Output.hex(bytes));
        return new Input(bytes, described);
    }

    /** Bytes that cannot be compressed. */
    static Input random(int seed, int length) {
        byte[] bytes = new byte[length];
        long state = seed;
        for (int i = 0; i < length; i++) {
            state = step(state);
            bytes[i] = (byte) (state >>> 56);
        }
        return recipe("random", seed, bytes);
    }

    /** Text that compresses like a log. */
    static Input phrases(int seed, int length) {
        byte[] bytes = new byte[length];
        long state = seed;
        int at = 0;
        while (at < length) {
            state = step(state);
            byte[] phrase = PHRASES[(int) (state >>> 60)].getBytes(StandardCharsets.US_ASCII);
            for (int i = 0; i < phrase.length && at < length; i++) {
                bytes[at++] = phrase[i];
            }
        }
        return recipe("phrases", seed, bytes);
    }

    static Input zeros(int length) {
        return recipe("zeros", 0, new byte[length]);
    }

    static long step(long state) {
        return state * 6364136223846793005L + 1442695040888963407L;
    }

    private static Input recipe(String kind, int seed, byte[] bytes) {
        ObjectNode described = JsonNodeFactory.instance.objectNode();
        described.put(kind, seed).put("length", bytes.length);
        return new Input(bytes, described);
    }

    /** Whether output may refer to a part of this input instead of repeating the bytes. */
    boolean isRecipe() {
        return described.has("length");
    }
}
