package kafkaproducer.testing;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.util.Arrays;

/** Kafka's DumpLogSegments, its output sent as text. */
final class Dump {
    private Dump() {
    }

    /** Arguments: those of the tool. */
    static void run(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        java.util.List<String> options = new java.util.ArrayList<>();
        while (arguments.hasMore()) {
            options.add(arguments.text());
        }
        PrintStream target = new PrintStream(new OutputStream() {
            @Override
            public void write(int b) {
                write(new byte[] {(byte) b}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int from, int length) {
                try {
                    answer.put('T', Arrays.copyOfRange(bytes, from, from + length));
                } catch (IOException broken) {
                    throw new UncheckedIOException(broken);
                }
            }
        });
        try {
            // The tool prints through Scala's console, which remembers the stream it first saw.
            scala.Console.withOut(target, new scala.runtime.AbstractFunction0<Object>() {
                @Override
                public Object apply() {
                    kafka.tools.DumpLogSegments.main(options.toArray(new String[0]));
                    return null;
                }
            });
        } finally {
            target.flush();
        }
    }
}
