package interop;

import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.eclipse.jetty.alpn.server.ALPNServerConnectionFactory;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.http2.server.HTTP2CServerConnectionFactory;
import org.eclipse.jetty.http2.server.HTTP2ServerConnectionFactory;
import org.eclipse.jetty.server.DetectorConnectionFactory;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.SslConnectionFactory;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.eclipse.jetty.websocket.api.Callback;
import org.eclipse.jetty.websocket.api.Configurable;
import org.eclipse.jetty.websocket.api.Session;
import org.eclipse.jetty.websocket.client.ClientUpgradeRequest;
import org.eclipse.jetty.websocket.client.WebSocketClient;
import org.eclipse.jetty.websocket.server.ServerUpgradeRequest;
import org.eclipse.jetty.websocket.server.ServerUpgradeResponse;
import org.eclipse.jetty.websocket.server.WebSocketUpgradeHandler;

/**
 * Echoes as ../../../../../README.md describes. Arguments: server PORT CERTIFICATE KEY, or client AUTHORITY URL... The
 * server speaks HTTP/1.1 and HTTP/2, both with TLS and without.
 */
final class Jetty {
    private static final int LARGEST_MESSAGE = 2 << 20;

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "server" -> listen(Integer.parseInt(arguments[1]), arguments[2], arguments[3]);
            case "client" -> dial(arguments[1], List.of(arguments).subList(2, arguments.length));
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void listen(int port, String certificate, String key) throws Exception {
        HttpConfiguration configuration = new HttpConfiguration();
        SslContextFactory.Server tls = new SslContextFactory.Server();
        tls.setSslContext(Tls.serving(certificate, key));
        ALPNServerConnectionFactory alpn = new ALPNServerConnectionFactory("h2", "http/1.1");
        alpn.setDefaultProtocol("http/1.1");
        Server server = new Server();
        ServerConnector connector = new ServerConnector(server,
                new DetectorConnectionFactory(new SslConnectionFactory(tls, alpn.getProtocol())),
                new HttpConnectionFactory(configuration), new HTTP2CServerConnectionFactory(configuration),
                alpn, new HTTP2ServerConnectionFactory(configuration));
        connector.setHost("127.0.0.1");
        connector.setPort(port);
        server.addConnector(connector);
        server.setHandler(WebSocketUpgradeHandler.from(server, container -> {
            limit(container);
            container.addMapping("/*", Jetty::accept);
        }));
        server.start();
    }

    private static Object accept(ServerUpgradeRequest request, ServerUpgradeResponse response,
            org.eclipse.jetty.util.Callback callback) {
        if (request.hasSubProtocol("chat")) {
            response.setAcceptedSubProtocol("chat");
        } else if (request.getHttpURI().getPath().equals("/chat")) {
            Response.writeError(request, response, callback, HttpStatus.BAD_REQUEST_400);
            return null;
        }
        return new Echo();
    }

    private static void dial(String authority, List<String> urls) throws Exception {
        SslContextFactory.Client tls = new SslContextFactory.Client();
        tls.setSslContext(Tls.trusting(authority));
        HttpClient http = new HttpClient();
        http.setSslContextFactory(tls);
        WebSocketClient client = new WebSocketClient(http);
        limit(client);
        client.start();
        List<Echo> echoes = new ArrayList<>();
        for (String url : urls) {
            ClientUpgradeRequest request = new ClientUpgradeRequest(URI.create(url));
            request.setSubProtocols("chat");
            request.addExtensions("permessage-deflate");
            Echo echo = new Echo();
            echoes.add(echo);
            client.connect(echo, request).exceptionally(failure -> {
                failure.printStackTrace();
                return null;
            });
        }
        for (Echo echo : echoes) {
            echo.closed.await();
        }
        client.stop();
    }

    private static void limit(Configurable endpoint) {
        endpoint.setMaxTextMessageSize(LARGEST_MESSAGE);
        endpoint.setMaxBinaryMessageSize(LARGEST_MESSAGE);
    }

    /** Echoes one message at a time. Jetty itself answers a message that it refuses with a close frame. */
    public static class Echo implements Session.Listener {
        private final CountDownLatch closed = new CountDownLatch(1);
        private Session session;

        @Override
        public void onWebSocketOpen(Session session) {
            this.session = session;
            session.demand();
        }

        @Override
        public void onWebSocketText(String text) {
            switch (text) {
                case "ping" -> session.sendPing(StandardCharsets.UTF_8.encode("there?"), next());
                case "close" -> session.close(4002, "as asked", Callback.NOOP);
                default -> session.sendText(text, next());
            }
        }

        @Override
        public void onWebSocketBinary(ByteBuffer payload, Callback callback) {
            session.sendBinary(payload, Callback.from(() -> {
                callback.succeed();
                session.demand();
            }, callback::fail));
        }

        @Override
        public void onWebSocketPong(ByteBuffer payload) {
            session.sendText("pong " + StandardCharsets.UTF_8.decode(payload), next());
        }

        private Callback next() {
            return Callback.from(session::demand, Throwable::printStackTrace);
        }

        @Override
        public void onWebSocketClose(int code, String reason, Callback callback) {
            closed.countDown();
            callback.succeed();
        }

        @Override
        public void onWebSocketError(Throwable cause) {
            System.err.println(cause);
        }
    }
}
