package kafkaproducer.testing;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Runs the main class of a server (broker, controller or ZooKeeper) in a JVM that cannot outlive its
 * owner: the end of standard input halts the JVM at once, the line "stop" shuts it down cleanly.
 *
 * <p>Arguments: [--await-gone ZOOKEEPER PATH] MAIN-CLASS ARGUMENT...
 */
public final class Node {
    private Node() {
    }

    public static void main(String[] args) throws Exception {
        haltWithOwner();
        String[] rest = args;
        if (rest[0].equals("--await-gone")) {
            Registration.awaitGone(rest[1], rest[2]);
            rest = Arrays.copyOfRange(rest, 3, rest.length);
        }
        String[] arguments = Arrays.copyOfRange(rest, 1, rest.length);
        Class.forName(rest[0]).getMethod("main", String[].class).invoke(null, (Object) arguments);
    }

    /** Starts the thread that ends this JVM when the owner closes standard input. */
    static void haltWithOwner() {
        Thread watcher = new Thread(() -> {
            try (BufferedReader in = new BufferedReader(
                    new InputStreamReader(System.in, StandardCharsets.US_ASCII))) {
                String line;
                while ((line = in.readLine()) != null) {
                    if (line.equals("stop")) {
                        // On its own thread, because the owner may end while shutdown hooks run.
                        new Thread(() -> System.exit(0), "clean-stop").start();
                    }
                }
            } catch (Throwable broken) {
                // An unreadable standard input counts as closed.
            }
            Runtime.getRuntime().halt(3);
        }, "owner-watcher");
        watcher.setDaemon(true);
        watcher.start();
    }
}
