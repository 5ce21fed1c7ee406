package kafkaproducer.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The records of batches: each set has a name, and is described once. */
final class RecordSets {
    /** The timestamp of a small record in most sets: a day in 2021. */
    static final long SOME_TIME = 1632182400000L;
    static final int LARGE = 64 * 1024;

    static final class Field {
        final String name;
        final Input value;

        Field(String name, Input value) {
            this.name = name;
            this.value = value;
        }
    }

    static final class Entry {
        final long timestamp;
        final Input key;
        final Input value;
        final List<Field> headers;

        Entry(long timestamp, Input key, Input value, Field... headers) {
            this.timestamp = timestamp;
            this.key = key;
            this.value = value;
            this.headers = List.of(headers);
        }
    }

    static final class RecordSet {
        final String name;
        final List<Entry> entries = new ArrayList<>();

        RecordSet(String name) {
            this.name = name;
        }

        RecordSet add(long timestamp, Input key, Input value, Field... headers) {
            entries.add(new Entry(timestamp, key, value, headers));
            return this;
        }

        boolean hasHeaders() {
            return entries.stream().anyMatch(entry -> !entry.headers.isEmpty());
        }

        /** All inputs of the set. */
        List<Input> inputs() {
            List<Input> inputs = new ArrayList<>();
            for (Entry entry : entries) {
                inputs.add(entry.key);
                inputs.add(entry.value);
                entry.headers.forEach(header -> inputs.add(header.value));
            }
            return inputs;
        }
    }

    private static final Map<String, RecordSet> ALL = new LinkedHashMap<>();

    private RecordSets() {
    }

    static RecordSet get(String name) {
        RecordSet set = ALL.get(name);
        if (set == null) {
            throw new IllegalArgumentException("no records are called " + name);
        }
        return set;
    }

    static Collection<RecordSet> all() {
        return ALL.values();
    }

    /** The names of the sets with one record, for each combination of key and value. */
    static List<String> pairings() {
        List<String> names = new ArrayList<>();
        ALL.keySet().stream().filter(name -> name.startsWith("key ")).forEach(names::add);
        return names;
    }

    private static RecordSet set(String name) {
        RecordSet set = new RecordSet(name);
        ALL.put(name, set);
        return set;
    }

    static {
        Map<String, Input> keys = new LinkedHashMap<>();
        keys.put("null", Input.NULL);
        keys.put("empty", Input.text(""));
        keys.put("short", Input.text("customer-17"));
        keys.put("large", Input.random(1, LARGE));
        Map<String, Input> values = new LinkedHashMap<>(keys);
        values.put("short", Input.text("{\"order\":4711,\"paid\":true}"));
        values.put("large", Input.phrases(2, LARGE));
        keys.forEach((keyName, key) -> values.forEach((valueName, value) ->
                set("key " + keyName + ", value " + valueName).add(SOME_TIME, key, value)));
        pairedInOne(keys, values);
        sizes();
        timestamps();
        headers();
    }

    private static void pairedInOne(Map<String, Input> keys, Map<String, Input> values) {
        RecordSet set = set("nulls and empties");
        keys.forEach((keyName, key) -> values.forEach((valueName, value) -> {
            if (!keyName.equals("large") && !valueName.equals("large")) {
                set.add(SOME_TIME + set.entries.size(), key, value);
            }
        }));
    }

    private static void sizes() {
        set("one short").add(SOME_TIME, Input.NULL, Input.text("value"));
        set("large phrases").add(SOME_TIME, Input.text("k"), Input.phrases(3, LARGE));
        set("large noise").add(SOME_TIME, Input.text("k"), Input.random(4, LARGE));
        set("large zeros").add(SOME_TIME, Input.text("k"), Input.zeros(LARGE));
        set("large key").add(SOME_TIME, Input.random(5, LARGE), Input.text("v"));
        set("two large").add(SOME_TIME, Input.NULL, Input.random(6, LARGE))
                .add(SOME_TIME + 1, Input.NULL, Input.zeros(LARGE));
        // Lengths at which a varint grows, which moves the following fields.
        RecordSet lengths = set("lengths around 64 and 8192");
        for (int length : new int[] {1, 55, 62, 63, 64, 65, 126, 127, 128, 129, 8191, 8192}) {
            lengths.add(SOME_TIME, Input.phrases(length, length), Input.phrases(length + 1, length));
        }
        RecordSet many = set("many");
        long state = 9;
        for (int i = 0; i < 100; i++) {
            state = Input.step(state);
            String value = "{\"order\":" + (100000 + i) + ",\"cents\":" + (state >>> 50) + ",\"paid\":"
                    + (state < 0) + ",\"place\":\"shelf " + (state >>> 40 & 63) + "\"}";
            many.add(SOME_TIME + 3L * i, Input.text("customer-" + (state >>> 58)), Input.text(value));
        }
        RecordSet tiny = set("tiny");
        for (int i = 0; i < 9000; i += 60) {
            tiny.add(SOME_TIME, Input.NULL, Input.text(Integer.toString(i)));
        }
    }

    private static void timestamps() {
        timestamps("timestamps zero", 0, 0, 0);
        timestamps("timestamps none", -1, -1);
        timestamps("timestamps increasing", 1, 64, 65, 8192, 8193, 1L << 33, SOME_TIME);
        timestamps("timestamps decreasing", SOME_TIME, SOME_TIME - 1, SOME_TIME - 64, SOME_TIME - 65, 5, 0);
        timestamps("timestamps large", Long.MAX_VALUE, Long.MAX_VALUE - 1, 253402300799999L);
        timestamps("timestamps from none to large", -1, 0, Long.MAX_VALUE);
        timestamps("timestamps from large to none", Long.MAX_VALUE, 0, -1);
        timestamps("timestamps up and down", SOME_TIME, SOME_TIME + 1000, SOME_TIME - 1000, SOME_TIME + 5, 1);
    }

    private static void timestamps(String name, long... timestamps) {
        RecordSet set = set(name);
        for (long timestamp : timestamps) {
            set.add(timestamp, Input.text("k" + set.entries.size()), Input.text("value"));
        }
    }

    private static void headers() {
        Input key = Input.text("k");
        Input value = Input.text("v");
        set("headers one").add(SOME_TIME, key, value, new Field("trace", Input.text("abc")));
        set("headers with nothing in them").add(SOME_TIME, key, value, new Field("", Input.text("")),
                new Field("null", Input.NULL), new Field("", Input.NULL), new Field("empty", Input.text("")));
        set("headers twice").add(SOME_TIME, key, value, new Field("b", Input.text("1")),
                new Field("a", Input.text("2")), new Field("b", Input.text("3")), new Field("b", Input.text("1")));
        set("headers unicode").add(SOME_TIME, key, value, new Field("größe", Input.text("東京")),
                new Field("🦀", Input.hex(new byte[] {0, -1, 127, -128})));
        set("headers large").add(SOME_TIME, Input.NULL, Input.NULL, new Field("h", Input.phrases(8, LARGE)),
                new Field("n".repeat(200), Input.random(9, 200)));
        Field[] hundred = new Field[130];
        for (int i = 0; i < hundred.length; i++) {
            hundred[i] = new Field("name-" + i, Input.text("value-" + i));
        }
        set("headers many").add(SOME_TIME, Input.NULL, Input.text("v"), hundred);
        set("headers on some").add(SOME_TIME, key, value)
                .add(SOME_TIME + 1, key, Input.NULL, new Field("why", Input.text("deleted")))
                .add(SOME_TIME + 2, Input.NULL, value)
                .add(SOME_TIME + 3, key, value, new Field("a", Input.text("1")), new Field("b", Input.NULL));
    }

    static List<JsonNode> described() {
        List<JsonNode> sets = new ArrayList<>();
        for (RecordSet set : all()) {
            ObjectNode node = Vectors.JSON.createObjectNode().put("set", set.name);
            ArrayNode records = node.putArray("records");
            for (Entry entry : set.entries) {
                ObjectNode record = records.addObject().put("timestamp", entry.timestamp);
                record.set("key", entry.key.described);
                record.set("value", entry.value.described);
                ArrayNode headers = record.putArray("headers");
                for (Field header : entry.headers) {
                    headers.addArray().add(header.name).add(header.value.described);
                }
            }
            sets.add(node);
        }
        return sets;
    }
}
