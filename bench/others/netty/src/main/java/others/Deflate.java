package others;

import io.netty.handler.codec.http.websocketx.extensions.WebSocketClientExtension;
import io.netty.handler.codec.http.websocketx.extensions.WebSocketClientExtensionHandler;
import io.netty.handler.codec.http.websocketx.extensions.WebSocketClientExtensionHandshaker;
import io.netty.handler.codec.http.websocketx.extensions.WebSocketExtensionData;
import io.netty.handler.codec.http.websocketx.extensions.compression.PerMessageDeflateClientExtensionHandshaker;
import io.netty.handler.codec.http.websocketx.extensions.compression.PerMessageDeflateServerExtensionHandshaker;
import java.util.HashMap;
import java.util.Map;

/**
 * Offers permessage-deflate with the fastest level. Netty's own offer can't have client_no_context_takeover, though Netty
 * does without takeover if the server demands it.
 */
final class Deflate implements WebSocketClientExtensionHandshaker {
    private static final int FASTEST = 1;
    private static final String CLIENT_FRESH = "client_no_context_takeover";
    private static final String SERVER_FRESH = "server_no_context_takeover";

    private final boolean fresh;
    private final WebSocketClientExtensionHandshaker netty;

    static WebSocketClientExtensionHandler extensionHandler(Work.Compression compression) {
        return new WebSocketClientExtensionHandler(new Deflate(compression == Work.Compression.FRESH));
    }

    private Deflate(boolean fresh) {
        this.fresh = fresh;
        netty = new PerMessageDeflateClientExtensionHandshaker(FASTEST, false,
                PerMessageDeflateServerExtensionHandshaker.MAX_WINDOW_SIZE, fresh, fresh, 0);
    }

    @Override
    public WebSocketExtensionData newRequestData() {
        WebSocketExtensionData data = netty.newRequestData();
        Map<String, String> parameters = new HashMap<>(data.parameters());
        if (fresh) {
            parameters.put(CLIENT_FRESH, null);
        }
        return new WebSocketExtensionData(data.name(), parameters);
    }

    @Override
    public WebSocketClientExtension handshakeExtension(WebSocketExtensionData agreed) {
        Map<String, String> parameters = agreed.parameters();
        if (parameters.containsKey(CLIENT_FRESH) != fresh || parameters.containsKey(SERVER_FRESH) != fresh) {
            return null; // closes the connection
        }
        return netty.handshakeExtension(agreed);
    }
}
