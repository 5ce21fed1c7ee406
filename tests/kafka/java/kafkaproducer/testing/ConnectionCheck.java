package kafkaproducer.testing;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;

/** Checks whether a listener accepts Kafka's own client. */
final class ConnectionCheck {
    private static final int PATIENCE_MS = 10_000;

    private ConnectionCheck() {
    }

    /** The response is one line: "accepted", or the classes and messages of the exceptions. */
    static void run(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        Map<String, Object> configs = new HashMap<>(arguments.map());
        configs.put("request.timeout.ms", String.valueOf(PATIENCE_MS));
        configs.put("default.api.timeout.ms", String.valueOf(PATIENCE_MS));
        try (Admin admin = Admin.create(configs)) {
            admin.describeCluster().nodes().get();
            answer.line("accepted");
        } catch (ExecutionException refused) {
            StringBuilder text = new StringBuilder();
            for (Throwable why = refused.getCause(); why != null; why = why.getCause()) {
                text.append(why.getClass().getSimpleName()).append(": ").append(why.getMessage()).append("; ");
            }
            answer.line(text.toString().replace('\n', ' '));
        }
    }
}
