package kafkaproducer.wire;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.Record;

/** Reads batches with Kafka's own reader, with the checks of a consumer and a broker. */
final class Reading {
    private Reading() {
    }

    static void readAll(Path file, PrintStream out) throws IOException {
        PrintStream utf8 = new PrintStream(out, false, StandardCharsets.UTF_8);
        for (String line : Files.readAllLines(file)) {
            utf8.println(Vectors.JSON.writeValueAsString(read(Output.unhex(line))));
        }
        utf8.flush();
    }

    private static ObjectNode read(byte[] bytes) {
        ObjectNode found = Vectors.JSON.createObjectNode();
        ArrayNode batches = found.putArray("batches");
        int size = 0;
        try {
            for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches()) {
                batch.ensureValid();
                size += batch.sizeInBytes();
                describe(batch, batches.addObject());
            }
            if (size != bytes.length) {
                found.put("error", (bytes.length - size) + " bytes are left over");
            }
        } catch (RuntimeException refused) {
            found.put("error", refused.toString());
        }
        return found;
    }

    private static void describe(MutableRecordBatch batch, ObjectNode node) {
        node.put("magic", batch.magic()).put("codec", batch.compressionType().name);
        node.put("baseOffset", batch.baseOffset()).put("lastOffset", batch.lastOffset());
        node.put("maxTimestamp", batch.maxTimestamp());
        node.put("producerId", batch.producerId()).put("producerEpoch", batch.producerEpoch());
        node.put("baseSequence", batch.baseSequence()).put("transactional", batch.isTransactional());
        ArrayNode records = node.putArray("records");
        for (Record record : batch) {
            record.ensureValid();
            ObjectNode described = records.addObject();
            described.put("offset", record.offset()).put("timestamp", record.timestamp());
            described.put("key", record.hasKey() ? Output.hex(Output.bytes(record.key())) : null);
            described.put("value", record.hasValue() ? Output.hex(Output.bytes(record.value())) : null);
            ArrayNode headers = described.putArray("headers");
            for (Header header : record.headers()) {
                byte[] value = header.value();
                headers.addArray().add(header.key()).add(value == null ? null : Output.hex(value));
            }
        }
    }
}
