package kafkaproducer.testing;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;

/** Metrics of Kafka's own producer after a load. */
final class Metrics {
    private Metrics() {
    }

    /**
     * Sends bursts of records, and lists the producer's metrics when all are acknowledged. Arguments: configuration,
     * topic, partitions, bytes of a record, records of a burst, bursts, milliseconds from one burst to the next. The
     * response has a line for each metric, with fields separated by tabs: group, name, tags, description, type, value.
     */
    static void afterLoad(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        Map<String, String> configs = arguments.map();
        String topic = arguments.text();
        int partitions = arguments.number();
        byte[] value = new byte[arguments.number()];
        int records = arguments.number();
        int bursts = arguments.number();
        long pause = arguments.longNumber() * 1_000_000;
        try (KafkaProducer<byte[], byte[]> producer = Filling.producer(configs)) {
            List<Future<RecordMetadata>> futures = new ArrayList<>();
            long start = System.nanoTime();
            for (int burst = 0; burst < bursts; burst++) {
                long wait = start + burst * pause - System.nanoTime();
                if (wait > 0) {
                    Thread.sleep(wait / 1_000_000, (int) (wait % 1_000_000));
                }
                for (int record = 0; record < records; record++) {
                    futures.add(producer.send(new ProducerRecord<>(topic, record % partitions, null, value)));
                }
            }
            for (Future<RecordMetadata> future : futures) {
                future.get();
            }
            for (Metric metric : producer.metrics().values()) {
                MetricName name = metric.metricName();
                Object said = metric.metricValue();
                answer.line(name.group() + "\t" + name.name() + "\t" + name.tags() + "\t" + name.description() + "\t"
                        + said.getClass().getSimpleName() + "\t" + said);
            }
        }
    }
}
