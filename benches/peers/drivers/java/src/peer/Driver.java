package peer;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.kafka.common.config.ConfigException;

/** Reads commands, one in each line, and writes a response line for each. */
public final class Driver {
    private static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

    private final PrintStream answers;
    private final boolean flushes;
    private Session session;

    private Driver(PrintStream answers, boolean flushes) {
        this.answers = answers;
        this.flushes = flushes;
    }

    public static void main(String[] arguments) throws IOException {
        PrintStream answers =
                new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        // Other output of this process must not be mixed with the responses.
        System.setOut(System.err);
        new Driver(answers, Arrays.asList(arguments).contains("flush")).run();
    }

    private void run() throws IOException {
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        boolean goesOn = true;
        String line;
        while (goesOn && (line = commands.readLine()) != null) {
            try {
                goesOn = execute(JsonParser.parseString(line).getAsJsonObject());
            } catch (Exception e) {
                e.printStackTrace();
                answer(refusal("error", e));
            }
        }
        if (session != null) {
            session.close();
        }
    }

    /** Executes a command. Returns false if it was the last one. */
    private boolean execute(JsonObject command) throws Exception {
        String name = command.get("cmd").getAsString();
        switch (name) {
            case "setup":
                return setUp(new Setup(command, flushes));
            case "produce":
                if (session == null) {
                    throw new IllegalStateException("setup comes before produce");
                }
                answer(session.produce(command));
                return true;
            case "quit":
                return false;
            default:
                throw new IllegalArgumentException("there is no command " + name);
        }
    }

    private boolean setUp(Setup setup) throws Exception {
        if (session != null) {
            throw new IllegalStateException("setup comes once");
        }
        try {
            session = new Session(setup);
        } catch (ConfigException e) {
            // The client rejects these settings.
            answer(refusal("unable", e));
            return false;
        }
        answer(session.description());
        return true;
    }

    private static JsonObject refusal(String kind, Exception cause) {
        JsonObject answer = new JsonObject();
        answer.addProperty("ok", false);
        answer.addProperty(kind, cause.toString());
        return answer;
    }

    private void answer(JsonObject answer) {
        answers.println(GSON.toJson(answer));
    }
}
