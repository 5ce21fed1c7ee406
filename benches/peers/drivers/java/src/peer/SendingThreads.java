package peer;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** The sending threads: started once, parked between rounds. */
final class SendingThreads {
    private final int count;
    private final ThreadPoolExecutor pool;

    SendingThreads(int count) {
        this.count = count;
        pool = (ThreadPoolExecutor) Executors.newFixedThreadPool(count);
        pool.prestartAllCoreThreads();
    }

    /** Runs a round in all threads, and cancels it after giveUpMillis, unless that is null. */
    void run(Round round, Long giveUpMillis) throws InterruptedException {
        CountDownLatch left = new CountDownLatch(count);
        List<Future<?>> tasks = new ArrayList<>();
        round.begin(count);
        for (int i = 0; i < count; i++) {
            int thread = i;
            tasks.add(pool.submit(() -> {
                try {
                    round.send(thread);
                } finally {
                    left.countDown();
                }
            }));
        }
        if (giveUpMillis == null) {
            left.await();
        } else if (!left.await(giveUpMillis, TimeUnit.MILLISECONDS)) {
            round.giveUp(giveUpMillis);
            // The interrupt wakes a thread that waits in the client. A thread that has not begun does not begin.
            tasks.forEach(task -> task.cancel(true));
            left.await(1, TimeUnit.SECONDS);
        }
        round.end();
    }

    void close() {
        pool.shutdownNow();
    }
}
