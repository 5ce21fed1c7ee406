package kafkaproducer.testing;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Runs Kafka's DumpLogSegments, and sends its output as text. */
final class Dump {
    /** The class names of the tool. The newer name is first; older jars do not have that class. */
    private static final String[] NAMES = {
        "org.apache.kafka.tools.DumpLogSegments", "kafka.tools.DumpLogSegments",
    };

    private Dump() {
    }

    /** The arguments are those of the tool. */
    static void run(Helper.Arguments arguments, Helper.Answer answer) throws Exception {
        List<String> options = new ArrayList<>();
        while (arguments.hasMore()) {
            options.add(arguments.text());
        }
        Object values = options.toArray(new String[0]);
        Method main = tool().getMethod("main", String[].class);
        PrintStream target = target(answer);
        PrintStream before = System.out;
        System.setOut(target);
        try {
            // The Scala version of the tool prints to Scala's console, which keeps the stream that it used first.
            scala.Console.withOut(target, new scala.runtime.AbstractFunction0<Object>() {
                @Override
                public Object apply() {
                    return invoke(main, values);
                }
            });
        } finally {
            System.setOut(before);
            target.flush();
        }
    }

    private static Class<?> tool() throws ClassNotFoundException {
        for (String name : NAMES) {
            try {
                return Class.forName(name);
            } catch (ClassNotFoundException other) {
                // This version does not have the class: try the next name.
            }
        }
        throw new ClassNotFoundException("none of " + Arrays.toString(NAMES));
    }

    private static Object invoke(Method main, Object arguments) {
        try {
            return main.invoke(null, arguments);
        } catch (InvocationTargetException failure) {
            throw new IllegalStateException("DumpLogSegments failed", failure.getCause());
        } catch (IllegalAccessException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private static PrintStream target(Helper.Answer answer) {
        return new PrintStream(new OutputStream() {
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
    }
}
