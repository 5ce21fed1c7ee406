package kafkaproducer.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.List;

/**
 * Writes the results of the client of Apache Kafka for given inputs: one file for each subject, one JSON object
 * in each line. The files are the same in every run.
 *
 * <pre>
 * Vectors write FOLDER      writes all files
 * Vectors read FILE         reads batches, a line of hexadecimal digits each, and prints their content
 * </pre>
 */
public final class Vectors {
    static final ObjectMapper JSON = new ObjectMapper();

    private Vectors() {
    }

    public static void main(String[] args) throws Exception {
        if (args.length == 2 && args[0].equals("write")) {
            Path folder = Paths.get(args[1]);
            Files.createDirectories(folder);
            write(folder.resolve("varints.jsonl"), Primitives.varints());
            write(folder.resolve("checksums.jsonl"), Primitives.checksums());
            write(folder.resolve("partitions.jsonl"), Primitives.partitions());
            write(folder.resolve("requests.jsonl"), Messages.requests());
            write(folder.resolve("responses.jsonl"), Messages.responses());
            write(folder.resolve("record_sets.jsonl"), RecordSets.described());
            write(folder.resolve("batches.jsonl"), Batches.built());
            write(folder.resolve("down_conversions.jsonl"), Batches.converted());
        } else if (args.length == 2 && args[0].equals("read")) {
            Reading.readAll(Paths.get(args[1]), System.out);
        } else {
            System.err.println("arguments: write FOLDER, or read FILE");
            System.exit(2);
        }
    }

    private static void write(Path file, List<JsonNode> vectors) throws IOException {
        try (BufferedWriter out = Files.newBufferedWriter(file, StandardCharsets.UTF_8)) {
            for (JsonNode vector : vectors) {
                out.write(JSON.writeValueAsString(vector));
                out.write('\n');
            }
        }
    }
}
