package kafkaproducer.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The description of output bytes in a line: hexadecimal digits, or, if the output contains long parts of an
 * input with a recipe, an array of digits and references to such parts.
 */
final class Output {
    /** The minimum length of a part that is replaced by a reference. */
    private static final int WORTH = 64;
    private static final int WINDOW = Long.BYTES;

    private Output() {
    }

    static byte[] bytes(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }

    static String hex(byte[] bytes) {
        StringBuilder digits = new StringBuilder(2 * bytes.length);
        for (byte each : bytes) {
            digits.append(Character.forDigit(each >> 4 & 15, 16)).append(Character.forDigit(each & 15, 16));
        }
        return digits.toString();
    }

    static byte[] unhex(String digits) {
        byte[] bytes = new byte[digits.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(digits.substring(2 * i, 2 * i + 2), 16);
        }
        return bytes;
    }

    /** Describes the output, with references to inputs that have recipes. */
    static JsonNode described(byte[] output, List<Input> inputs) {
        ArrayNode pieces = JsonNodeFactory.instance.arrayNode();
        int plainFrom = 0;
        int at = 0;
        while (at + WORTH <= output.length) {
            ObjectNode piece = longestPiece(output, at, inputs);
            if (piece == null) {
                at++;
                continue;
            }
            addPlain(pieces, output, plainFrom, at);
            pieces.add(piece);
            at += piece.get("count").intValue();
            plainFrom = at;
        }
        if (pieces.isEmpty()) {
            return new TextNode(hex(output));
        }
        addPlain(pieces, output, plainFrom, output.length);
        return pieces;
    }

    private static void addPlain(ArrayNode pieces, byte[] output, int from, int to) {
        if (to > from) {
            pieces.add(hex(Arrays.copyOfRange(output, from, to)));
        }
    }

    private static ObjectNode longestPiece(byte[] output, int at, List<Input> inputs) {
        ObjectNode best = null;
        int most = WORTH - 1;
        long window = ByteBuffer.wrap(output).getLong(at);
        for (Input input : inputs) {
            if (!input.isRecipe()) {
                continue;
            }
            Integer from = windows(input).get(window);
            if (from == null) {
                continue;
            }
            int count = 0;
            while (at + count < output.length && from + count < input.bytes.length
                    && output[at + count] == input.bytes[from + count]) {
                count++;
            }
            if (count > most) {
                most = count;
                best = input.described.<ObjectNode>deepCopy().put("from", from).put("count", count);
            }
        }
        return best;
    }

    private static final Map<Input, Map<Long, Integer>> WINDOWS = new HashMap<>();

    /** The first position of each window of an input. */
    private static Map<Long, Integer> windows(Input input) {
        return WINDOWS.computeIfAbsent(input, key -> {
            Map<Long, Integer> first = new HashMap<>();
            ByteBuffer bytes = ByteBuffer.wrap(key.bytes);
            for (int at = 0; at + WINDOW <= key.bytes.length; at++) {
                first.putIfAbsent(bytes.getLong(at), at);
            }
            return first;
        });
    }
}
