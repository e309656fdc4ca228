package others;

import java.io.InputStream;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * The client of java.net.http, which can't compress. It has one thread beside that of its selector, which also calls back: so
 * the Work is locked.
 */
final class JdkClient implements Work.Client {
    private final Work work;
    private final Executor thread;
    private final HttpClient http;
    private final List<Connection> connections = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        Work work = new Work(arguments);
        if (work.compression != Work.Compression.NONE) {
            Work.refuseCompression();
        }
        Executor thread = Executors.newSingleThreadExecutor();
        work.obey(new JdkClient(work, thread), thread);
    }

    private JdkClient(Work work, Executor thread) throws Exception {
        this.work = work;
        this.thread = thread;
        HttpClient.Builder builder = HttpClient.newBuilder().executor(thread);
        if (work.certificate != null) {
            builder.sslContext(trusting(work));
        }
        http = builder.build();
    }

    private static SSLContext trusting(Work work) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null);
        try (InputStream certificate = Files.newInputStream(work.certificate)) {
            trusted.setCertificateEntry("server", CertificateFactory.getInstance("X.509").generateCertificate(certificate));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context;
    }

    @Override
    public void dial() {
        Connection connection = new Connection();
        http.newWebSocketBuilder().buildAsync(work.url, connection).whenCompleteAsync((socket, failure) -> {
            if (failure != null) {
                Work.fail(failure);
            }
            synchronized (work) {
                connection.socket = socket;
                connections.add(connection);
                work.opened();
            }
        }, thread);
    }

    @Override
    public void start() {
        synchronized (work) {
            for (Connection connection : connections) {
                connection.send(work.window);
            }
        }
    }

    /** Only one message at a time can be sent on a connection. */
    private final class Connection implements WebSocket.Listener {
        private WebSocket socket;
        private int receivedBytes; // of a message of which more will come
        private int unsent;
        private boolean sending;

        void send(int messages) {
            unsent += messages;
            while (unsent > 0 && !sending) {
                unsent--;
                sending = true;
                ByteBuffer message = work.payloads.slice(work.nextMessage(), work.size);
                socket.sendBinary(message, true).whenComplete((done, failure) -> {
                    if (failure != null) {
                        Work.fail(failure);
                    }
                    synchronized (work) {
                        sending = false;
                        send(0);
                    }
                });
            }
        }

        @Override
        public CompletionStage<?> onBinary(WebSocket from, ByteBuffer data, boolean last) {
            receivedBytes += data.remaining();
            if (last) {
                synchronized (work) {
                    if (work.received(receivedBytes)) {
                        send(1);
                    }
                }
                receivedBytes = 0;
            }
            from.request(1);
            return null;
        }

        @Override
        public CompletionStage<?> onClose(WebSocket from, int code, String reason) {
            Work.fail("closed: " + code + " " + reason);
            return null;
        }

        @Override
        public void onError(WebSocket from, Throwable cause) {
            Work.fail(cause);
        }
    }
}
