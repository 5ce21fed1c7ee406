package kafkaproducer.testing;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Executes calls of the tests with Kafka's own code: administers topics, reads records back, dumps log
 * segments, computes partitions. One JVM executes many calls. The classes are compiled for one version of
 * Kafka. "read", "fill" and "dump" also run with the jars of other versions, because a class is loaded
 * only when it is needed.
 *
 * <p>A call on standard input is a count of arguments and the arguments, each a 32-bit length and its
 * bytes (a length of -1 is null); the first argument names the call. A response on standard output is a
 * sequence of frames, each a kind, a 32-bit length and bytes: 'T' is a piece of text, 'R' contains whole
 * records, and the last frame is 'K' for success or 'E' with the error. All numbers are big-endian.
 */
public final class Helper {
    /** Approximate size of a frame of records or text. */
    private static final int FRAME_BYTES = 64 * 1024;

    private Helper() {
    }

    public static void main(String[] args) throws Exception {
        DataInputStream in = new DataInputStream(
                new BufferedInputStream(new FileInputStream(FileDescriptor.in)));
        Answer answer = new Answer(new DataOutputStream(
                new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), FRAME_BYTES * 2)));
        // Other output, such as that of libraries, must not be mixed with the frames.
        System.setOut(new PrintStream(new FileOutputStream(FileDescriptor.err), true));
        haltAtEnd(in, answer);
    }

    /**
     * Executes calls until standard input ends. Calls run on another thread, so that the end is detected
     * during a call.
     */
    private static void haltAtEnd(DataInputStream in, Answer answer) {
        java.util.concurrent.BlockingQueue<List<byte[]>> calls =
                new java.util.concurrent.LinkedBlockingQueue<>();
        Thread worker = new Thread(() -> {
            try {
                while (true) {
                    serve(calls.take(), answer);
                }
            } catch (Throwable fatal) {
                fatal.printStackTrace();
                Runtime.getRuntime().halt(4);
            }
        }, "calls");
        worker.setDaemon(true);
        worker.start();
        try {
            while (true) {
                calls.add(readCall(in));
            }
        } catch (EOFException end) {
            Runtime.getRuntime().halt(0);
        } catch (Throwable broken) {
            broken.printStackTrace();
            Runtime.getRuntime().halt(4);
        }
    }

    private static List<byte[]> readCall(DataInputStream in) throws IOException {
        int count = in.readInt();
        List<byte[]> call = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int length = in.readInt();
            byte[] bytes = length < 0 ? null : new byte[length];
            if (bytes != null) {
                in.readFully(bytes);
            }
            call.add(bytes);
        }
        return call;
    }

    private static void serve(List<byte[]> call, Answer answer) throws IOException {
        Arguments arguments = new Arguments(call);
        String name = arguments.text();
        try {
            switch (name) {
                case "await-broker": Topics.awaitBroker(arguments); break;
                case "create": Topics.create(arguments); break;
                case "delete": Topics.delete(arguments); break;
                case "add-partitions": Topics.addPartitions(arguments); break;
                case "move-leaders": Replicas.moveLeaders(arguments); break;
                case "await-in-sync": Replicas.awaitInSync(arguments); break;
                case "describe": Topics.describe(arguments, answer); break;
                case "read": Reading.read(arguments, answer); break;
                case "produce": Records.produce(arguments, answer); break;
                case "fill": Filling.fill(arguments); break;
                case "dump": Dump.run(arguments, answer); break;
                case "check-connection": ConnectionCheck.run(arguments, answer); break;
                case "partitions": Partitions.run(arguments, answer); break;
                case "metrics": Metrics.afterLoad(arguments, answer); break;
                case "transaction": Transactions.describe(arguments, answer); break;
                case "await-transaction": Transactions.await(arguments, answer); break;
                case "committed": Transactions.committed(arguments, answer); break;
                case "configure": Transactions.configure(arguments); break;
                case "feature": Transactions.feature(arguments, answer); break;
                case "script": Transactions.script(arguments, answer); break;
                default: throw new IllegalArgumentException("no such call: " + name);
            }
            answer.end('K', new byte[0]);
        } catch (Throwable failure) {
            StringWriter trace = new StringWriter();
            failure.printStackTrace(new PrintWriter(trace));
            answer.end('E', (name + ": " + trace).getBytes(StandardCharsets.UTF_8));
        }
    }

    /** The arguments of a call, read one after another. */
    static final class Arguments {
        private final List<byte[]> values;
        private int next;

        Arguments(List<byte[]> values) {
            this.values = values;
        }

        boolean hasMore() {
            return next < values.size();
        }

        byte[] bytes() {
            return values.get(next++);
        }

        String text() {
            return new String(bytes(), StandardCharsets.UTF_8);
        }

        int number() {
            return Integer.parseInt(text());
        }

        long longNumber() {
            return Long.parseLong(text());
        }

        /** Reads a count, and as many pairs of key and value. */
        java.util.Map<String, String> map() {
            java.util.Map<String, String> pairs = new java.util.HashMap<>();
            int count = number();
            for (int i = 0; i < count; i++) {
                String key = text();
                pairs.put(key, text());
            }
            return pairs;
        }
    }

    /** Writes the frames of responses. */
    static final class Answer {
        private final DataOutputStream out;
        private ByteBuffer pending = ByteBuffer.allocate(FRAME_BYTES);
        private char pendingKind = 'T';

        Answer(DataOutputStream out) {
            this.out = out;
        }

        void line(String text) throws IOException {
            put('T', (text + "\n").getBytes(StandardCharsets.UTF_8));
        }

        /** Adds one whole record, or piece of text, to the pending frame of its kind. */
        void put(char kind, byte[] bytes) throws IOException {
            room(kind, bytes.length).put(bytes);
        }

        /** Returns the pending frame of this kind, with room for this many more bytes. */
        ByteBuffer room(char kind, int bytes) throws IOException {
            if (kind != pendingKind || pending.remaining() < bytes) {
                flush();
                pendingKind = kind;
            }
            if (pending.capacity() < bytes) {
                pending = ByteBuffer.allocate(bytes);
            }
            return pending;
        }

        private void flush() throws IOException {
            if (pending.position() > 0) {
                frame(pendingKind, pending.array(), pending.position());
                pending.clear();
            }
        }

        private void frame(char kind, byte[] bytes, int length) throws IOException {
            out.writeByte(kind);
            out.writeInt(length);
            out.write(bytes, 0, length);
        }

        void end(char kind, byte[] bytes) throws IOException {
            flush();
            frame(kind, bytes, bytes.length);
            out.flush();
        }
    }
}
