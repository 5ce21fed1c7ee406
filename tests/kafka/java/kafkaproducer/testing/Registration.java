package kafkaproducer.testing;

import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.ZooKeeper;

/** A broker's entry in ZooKeeper. A separate class, because newer brokers lack ZooKeeper's classes. */
final class Registration {
    private static final long GONE_TIMEOUT_MS = 60_000;

    private Registration() {
    }

    /**
     * Waits until the ZooKeeper session of a killed broker has expired. A broker that registers earlier
     * finds its own old entry and exits.
     */
    static void awaitGone(String connect, String path) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(GONE_TIMEOUT_MS);
        ZooKeeper client = new ZooKeeper(connect, 10_000, event -> { });
        try {
            while (true) {
                try {
                    if (client.exists(path, false) == null) {
                        return;
                    }
                } catch (KeeperException.ConnectionLossException notYet) {
                    // ZooKeeper itself may still be starting.
                }
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException(path + " is still registered in ZooKeeper");
                }
                Thread.sleep(50);
            }
        } finally {
            client.close();
        }
    }
}
