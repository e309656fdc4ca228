package others;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Executor;
import javax.management.JMException;
import javax.management.ObjectName;

/**
 * What bench/others/README.md demands of a client, apart from what its library does. One thread calls the methods, except
 * for obey and fail.
 */
final class Work {
    enum Compression {
        NONE, TAKEOVER, FRESH
    }

    interface Client {
        /** Begins to open a connection. */
        void dial();

        /** Sends the first messages. */
        void start();
    }

    private static final int CONCURRENT_DIALS = 32;
    private static final int CANNOT_COMPRESS = 3; // exit status
    private static final PrintStream ANSWERS = new PrintStream(new FileOutputStream(FileDescriptor.out), true);

    final URI url;
    final int size; // of a message's payload
    final int window;
    final Compression compression;
    final Path certificate; // null: none
    final ByteBuffer payloads; // direct

    private int nextPayload;
    private int connections;
    private int received; // messages since the last line that said so
    private int toDial;
    private int dialing;
    private Client client;

    Work(String[] arguments) throws IOException {
        url = URI.create(arguments[0]);
        size = Integer.parseInt(arguments[1]);
        window = Integer.parseInt(arguments[2]);
        compression = Compression.valueOf(arguments[3].toUpperCase());
        byte[] feed = arguments[4].equals("-") ? new byte[size] : Files.readAllBytes(Path.of(arguments[4]));
        payloads = ByteBuffer.allocateDirect(feed.length).put(feed).flip();
        certificate = arguments[5].equals("-") ? null : Path.of(arguments[5]);
    }

    /** Returns where the next message to send begins among the payloads. */
    int nextMessage() {
        int start = nextPayload;
        nextPayload = start + size < payloads.capacity() ? start + size : 0;
        return start;
    }

    /** Counts a received message, and returns whether to send another one. */
    boolean received(int length) {
        if (length != size) {
            fail("a message of " + length + " bytes instead of " + size);
        }
        if (window > 0) {
            return true;
        }
        if (++received == connections) {
            received = 0;
            ANSWERS.println("received");
        }
        return false;
    }

    /** Counts a connection that is open, and dials the next one. */
    void opened() {
        connections++;
        dialing--;
        dialMore();
        if (dialing == 0) {
            ANSWERS.println("opened");
        }
    }

    private void dialMore() {
        while (toDial > 0 && dialing < CONCURRENT_DIALS) {
            toDial--;
            dialing++;
            client.dial();
        }
    }

    /** Does what the lines of standard input say, on that thread, until they end. Then the process exits. */
    void obey(Client client, Executor thread) throws IOException {
        this.client = client;
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            String[] words = line.split(" ");
            thread.execute(() -> obey(words));
        }
        Runtime.getRuntime().halt(0);
    }

    private void obey(String[] words) {
        switch (words[0]) {
            case "open" -> {
                toDial = Integer.parseInt(words[1]);
                dialMore();
            }
            case "start" -> {
                ANSWERS.println("started");
                client.start();
            }
            case "settle" -> {
                settle();
                ANSWERS.println("settled");
            }
            default -> fail("unknown line: " + String.join(" ", words));
        }
    }

    private static void settle() {
        System.gc();
        System.gc();
        try {
            ManagementFactory.getPlatformMBeanServer().invoke(
                    new ObjectName("com.sun.management:type=DiagnosticCommand"), "systemTrimNativeHeap",
                    new Object[] {null}, new String[] {String[].class.getName()});
        } catch (JMException e) {
            fail("trimming the native heap: " + e);
        }
    }

    /** Ends the process because of an error. */
    static void fail(Object reason) {
        System.err.println(reason);
        Runtime.getRuntime().halt(1);
    }

    /** Ends the process because the library can't compress as demanded. */
    static void refuseCompression() {
        Runtime.getRuntime().halt(CANNOT_COMPRESS);
    }
}
