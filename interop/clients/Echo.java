import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CountDownLatch;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Echoes every message, part by part. Arguments: URL, file of the authority to trust. */
public class Echo implements WebSocket.Listener {
    private final CountDownLatch closed = new CountDownLatch(1);
    private CompletableFuture<WebSocket> sent = CompletableFuture.completedFuture(null);

    public static void main(String[] args) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (FileInputStream file = new FileInputStream(args[1])) {
            trusted.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(null, managers.getTrustManagers(), null);
        Echo echo = new Echo();
        HttpClient.newBuilder().sslContext(tls).build()
            .newWebSocketBuilder().subprotocols("chat").buildAsync(URI.create(args[0]), echo).join();
        echo.closed.await();
    }

    @Override
    public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
        String text = part.toString();
        sent = sent.thenCompose(nothing -> socket.sendText(text, last));
        return next(socket);
    }

    @Override
    public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer part, boolean last) {
        ByteBuffer copy = ByteBuffer.allocate(part.remaining()).put(part).flip();
        sent = sent.thenCompose(nothing -> socket.sendBinary(copy, last));
        return next(socket);
    }

    private CompletionStage<?> next(WebSocket socket) {
        return sent.thenRun(() -> socket.request(1));
    }

    @Override
    public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
        closed.countDown();
        return null;
    }

    @Override
    public void onError(WebSocket socket, Throwable error) {
        error.printStackTrace();
        closed.countDown();
    }
}
