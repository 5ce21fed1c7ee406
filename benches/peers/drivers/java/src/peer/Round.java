package peer;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import org.HdrHistogram.ConcurrentHistogram;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramIterationValue;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.InterruptException;

/**
 * The records of one produce command. Thread t of T sends the records t, t+T, t+2T, and so on. The last thread that
 * has sent its records flushes.
 */
abstract class Round {
    final Session session;
    final long records;
    private int threads;
    /** The number of threads that are still sending. */
    private final AtomicInteger threadsLeft = new AtomicInteger();
    final LongAdder sent = new LongAdder();
    final LongAdder acked = new LongAdder();
    final LongAdder failed = new LongAdder();
    private final AtomicReference<String> firstError = new AtomicReference<>();
    /** Null if latencies are not measured. */
    final Histogram latencies;
    private volatile boolean isOver;
    /** Whether a flush has returned: every record is complete. */
    volatile boolean isFlushed;
    long startNanos;
    private long endNanos;

    private Round(Session session, long records, Histogram latencies) {
        this.session = session;
        this.records = records;
        this.latencies = latencies;
    }

    static Round of(Session session, JsonObject command) {
        long records = command.get("records").getAsLong();
        String mode = command.get("mode").getAsString();
        switch (mode) {
            case "blast":
                return session.setup.callback ? new Blast(session, records) : new QuietBlast(session, records);
            case "one_by_one":
                return new OneByOne(session, records);
            case "groups":
                return new Groups(session, records, command.get("group").getAsLong());
            case "rate":
                return new AtRate(session, records, command.get("per_second").getAsDouble());
            default:
                throw new IllegalArgumentException("there is no mode " + mode);
        }
    }

    /** Sends record i. */
    abstract void send(long i, Share share) throws InterruptedException;

    /** The counts of one thread, added to the shared counters at the end. */
    static final class Share {
        long sent;
        Future<RecordMetadata> last;
    }

    void begin(int threads) {
        this.threads = threads;
        threadsLeft.set(threads);
        startNanos = System.nanoTime();
    }

    /** Sends the records of thread t. */
    void send(int thread) {
        Share share = new Share();
        try {
            for (long i = thread; i < records && !isOver; i += threads) {
                share.sent++;
                offer(i, share);
            }
            if (threadsLeft.decrementAndGet() == 0) {
                session.producer.flush();
                isFlushed = true;
            }
            finish(share);
        } catch (InterruptedException | InterruptException e) {
            note("a thread was interrupted while it waited for the client");
        } catch (KafkaException e) {
            note(e.toString());
        } finally {
            sent.add(share.sent);
        }
    }

    /** Sends record i. A record that the client rejects counts as failed. */
    private void offer(long i, Share share) throws InterruptedException {
        try {
            send(i, share);
        } catch (InterruptException e) {
            throw e;
        } catch (KafkaException e) {
            failed(e);
        }
    }

    /** Called when all records of this thread have been sent. */
    void finish(Share share) throws InterruptedException {}

    void giveUp(long afterMillis) {
        note("given up after " + afterMillis + " ms");
        isOver = true;
    }

    void end() {
        endNanos = System.nanoTime();
    }

    final void note(String error) {
        firstError.compareAndSet(null, error);
    }

    final void acknowledged(long sinceNanos) {
        acked.increment();
        latencies.recordValue(Math.max(0, System.nanoTime() - sinceNanos));
    }

    final void failed(Throwable error) {
        failed.increment();
        note(error.toString());
    }

    JsonObject answer() {
        JsonObject answer = new JsonObject();
        answer.addProperty("ok", true);
        answer.addProperty("sent", sent.sum());
        answer.addProperty("acked", acked.sum());
        answer.addProperty("failed", failed.sum());
        answer.addProperty("first_error", firstError.get());
        answer.addProperty("seconds", (endNanos - startNanos) / 1e9);
        if (latencies != null) {
            JsonArray counts = new JsonArray();
            // A copy, because records of a cancelled round may still be acknowledged.
            for (HistogramIterationValue value : latencies.copy().recordedValues()) {
                JsonArray pair = new JsonArray();
                pair.add(value.getValueIteratedTo());
                pair.add(value.getCountAtValueIteratedTo());
                counts.add(pair);
            }
            answer.add("latency_ns", counts);
        }
        return answer;
    }

    private static Histogram histogram() {
        return new ConcurrentHistogram(3);
    }

    /** Sends as fast as the client accepts records; a callback counts the results. */
    private static final class Blast extends Round implements Callback {
        Blast(Session session, long records) {
            super(session, records, null);
        }

        @Override
        void send(long i, Share share) {
            session.producer.send(session.record(i), this);
        }

        @Override
        public void onCompletion(RecordMetadata metadata, Exception error) {
            if (error == null) {
                acked.increment();
            } else {
                failed(error);
            }
        }
    }

    /**
     * Sends the records of a group as fast as the client accepts them, and the next group when all of them are
     * committed or acknowledged. A latency is that of a group. Only for a single thread.
     */
    private static final class Groups extends Round {
        private final long group;
        private long groupStartNanos;

        Groups(Session session, long records, long group) {
            super(session, records, histogram());
            this.group = group;
        }

        @Override
        void send(long i, Share share) {
            boolean isTransactional = session.setup.isTransactional;
            long place = i % group;
            if (place == 0) {
                groupStartNanos = System.nanoTime();
                if (isTransactional) {
                    session.producer.beginTransaction();
                }
            }
            session.producer.send(session.record(i));
            if (place == group - 1 || i == records - 1) {
                long failedBefore = session.failedSoFar();
                if (isTransactional) {
                    session.producer.commitTransaction();
                } else {
                    session.producer.flush();
                }
                latencies.recordValue(System.nanoTime() - groupStartNanos);
                if (session.failedSoFar() > failedBefore) {
                    throw new KafkaException("records of a group failed");
                }
                acked.add(place + 1);
            }
        }
    }

    /** As Blast, without callbacks: flush waits for all records, and a metric counts the failures. */
    private static final class QuietBlast extends Round {
        private final long failedBefore;

        QuietBlast(Session session, long records) {
            super(session, records, null);
            failedBefore = session.failedSoFar();
        }

        @Override
        void send(long i, Share share) {
            share.last = session.producer.send(session.record(i));
        }

        @Override
        void finish(Share share) throws InterruptedException {
            try {
                if (share.last != null) {
                    share.last.get();
                }
            } catch (ExecutionException e) {
                note(e.getCause().toString());
            }
        }

        @Override
        void end() {
            super.end();
            if (isFlushed) {
                failed.reset();
                failed.add(session.failedSoFar() - failedBefore);
                acked.add(sent.sum() - failed.sum());
            } else {
                note("not flushed, and without callbacks nothing is known of single records");
            }
        }
    }

    /** Sends each record after the acknowledgement of the previous one. */
    private static final class OneByOne extends Round {
        OneByOne(Session session, long records) {
            super(session, records, histogram());
        }

        @Override
        void send(long i, Share share) throws InterruptedException {
            long before = System.nanoTime();
            try {
                session.producer.send(session.record(i)).get();
                acknowledged(before);
            } catch (ExecutionException e) {
                failed(e.getCause());
            }
        }
    }

    /** Sends each record when it is due. */
    private static final class AtRate extends Round {
        private final double nanosPerRecord;

        AtRate(Session session, long records, double perSecond) {
            super(session, records, histogram());
            nanosPerRecord = 1e9 / perSecond;
        }

        @Override
        void send(long i, Share share) throws InterruptedException {
            long due = startNanos + (long) (i * nanosPerRecord);
            waitUntil(due);
            session.producer.send(session.record(i), (metadata, error) -> {
                if (error == null) {
                    acknowledged(due);
                } else {
                    failed(error);
                }
            });
        }

        private static void waitUntil(long due) throws InterruptedException {
            long early;
            while ((early = due - System.nanoTime()) > 0) {
                // Does not spin: with 100 µs between records the cost of spinning would dominate the measurement.
                LockSupport.parkNanos(early);
                if (Thread.interrupted()) {
                    throw new InterruptedException();
                }
            }
        }
    }
}
