package peer;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.lang.management.CompilationMXBean;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Metric;

/** A producer and the threads that send through it, from setup to quit. */
final class Session {
    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(10);

    final Setup setup;
    final KafkaProducer<byte[], byte[]> producer;
    private final SendingThreads threads;
    /** The version of the client. */
    private final String version;
    private final Metric recordErrors;

    Session(Setup setup) {
        this.setup = setup;
        producer = new KafkaProducer<>(setup.settings);
        int partitions = producer.partitionsFor(setup.topic).size();
        if (partitions != setup.partitions) {
            throw new IllegalStateException(String.format(
                    "topic %s has %d partitions, not %d", setup.topic, partitions, setup.partitions));
        }
        if (setup.isTransactional) {
            producer.initTransactions();
        }
        version = (String) metric("app-info", "version").metricValue();
        recordErrors = metric("producer-metrics", "record-error-total");
        threads = new SendingThreads(setup.threads);
    }

    private Metric metric(String group, String name) {
        return producer.metrics().entrySet().stream()
                .filter(entry -> entry.getKey().group().equals(group))
                .filter(entry -> entry.getKey().name().equals(name))
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("the client has no metric " + group + "/" + name))
                .getValue();
    }

    /** The number of records that have failed since the start, from the client's own metric. */
    long failedSoFar() {
        return ((Double) recordErrors.metricValue()).longValue();
    }

    ProducerRecord<byte[], byte[]> record(long i) {
        byte[][] keys = setup.keys;
        byte[] key = keys == null ? null : keys[(int) (i % keys.length)];
        byte[] value = setup.payloads[(int) (i % setup.payloads.length)];
        return new ProducerRecord<>(setup.topic, setup.partition, key, value);
    }

    JsonObject produce(JsonObject command) throws InterruptedException {
        Round round = Round.of(this, command);
        Long giveUpMillis = Setup.isGiven(command, "give_up_ms") ? command.get("give_up_ms").getAsLong() : null;
        long compiled = compilingMillis();
        threads.run(round, giveUpMillis);
        JsonObject answer = round.answer();
        answer.addProperty("compiling_ns", (compilingMillis() - compiled) * 1_000_000);
        return answer;
    }

    /** How long the just-in-time compilers have worked since the start, in all their threads. */
    private static long compilingMillis() {
        CompilationMXBean compilers = ManagementFactory.getCompilationMXBean();
        return compilers == null ? 0 : compilers.getTotalCompilationTime();
    }

    void close() {
        threads.close();
        producer.close(CLOSE_TIMEOUT);
    }

    JsonObject description() {
        JsonObject answer = new JsonObject();
        answer.addProperty("ok", true);
        answer.addProperty("client", String.format(
                "Apache Kafka's Java client %s on Java %s",
                version, Runtime.version()));
        JsonObject settings = new JsonObject();
        new TreeMap<>(setup.settings).forEach((key, value) -> settings.addProperty((String) key, (String) value));
        answer.add("settings", settings);
        JsonArray unequal = new JsonArray();
        if (setup.partition == null && setup.keys == null && !version.startsWith("3.0.")) {
            unequal.add("Without key, this version changes the partition every batch.size bytes and avoids"
                    + " partitions with long queues (KIP-794); 3.0.0 changes it when a batch is full or sent.");
        }
        answer.add("unequal", unequal);
        JsonArray notes = new JsonArray();
        notes.add("The JVM runs with " + String.join(" ", ManagementFactory.getRuntimeMXBean().getInputArguments())
                + "; its collector is "
                + ManagementFactory.getGarbageCollectorMXBeans().stream()
                        .map(GarbageCollectorMXBean::getName)
                        .collect(Collectors.joining(", "))
                + "; its CPU time includes collecting and compiling.");
        notes.add(setup.callback
                ? "Ends are counted in the callback of send."
                : "No callback: flush waits for all records, and the metric record-error-total tells how many failed.");
        if (setup.settings.containsKey("security.protocol")) {
            notes.add("TLS is that of the JDK.");
        }
        answer.add("notes", notes);
        return answer;
    }
}
