package interop;

import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.websocketx.BinaryWebSocketFrame;
import io.netty.handler.codec.http.websocketx.CloseWebSocketFrame;
import io.netty.handler.codec.http.websocketx.PingWebSocketFrame;
import io.netty.handler.codec.http.websocketx.PongWebSocketFrame;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocket13FrameEncoder;
import io.netty.handler.codec.http.websocketx.WebSocketClientProtocolConfig;
import io.netty.handler.codec.http.websocketx.WebSocketClientProtocolHandler;
import io.netty.handler.codec.http.websocketx.WebSocketClientProtocolHandler.ClientHandshakeStateEvent;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketFrameAggregator;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolConfig;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolHandler;
import io.netty.handler.codec.http.websocketx.extensions.compression.WebSocketClientCompressionHandler;
import io.netty.handler.codec.http.websocketx.extensions.compression.WebSocketServerCompressionHandler;
import io.netty.handler.ssl.OptionalSslHandler;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import java.io.File;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Echoes as ../../../../../README.md describes. Arguments: server PORT CERTIFICATE KEY, or client AUTHORITY URL...
 */
final class Netty {
    private static final int HANDSHAKE_LIMIT = 8192;
    private static final int LARGEST_MESSAGE = 2 << 20;

    private static final EventLoopGroup LOOP = new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "server" -> listen(Integer.parseInt(arguments[1]), new File(arguments[2]), new File(arguments[3]));
            case "client" -> dial(new File(arguments[1]), List.of(arguments).subList(2, arguments.length));
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void listen(int port, File certificate, File key) throws Exception {
        SslContext tls = SslContextBuilder.forServer(certificate, key).build();
        WebSocketServerProtocolConfig protocol = WebSocketServerProtocolConfig.newBuilder()
                .websocketPath("/")
                .checkStartsWith(true)
                .subprotocols("chat")
                .allowExtensions(true)
                .maxFramePayloadLength(LARGEST_MESSAGE)
                .dropPongFrames(false)
                .build();
        new ServerBootstrap()
                .group(LOOP)
                .channel(NioServerSocketChannel.class)
                .childOption(ChannelOption.TCP_NODELAY, true)
                .childHandler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        channel.pipeline().addLast(new OptionalSslHandler(tls), new HttpServerCodec(),
                                new HttpObjectAggregator(HANDSHAKE_LIMIT), new ChatOnly(),
                                new WebSocketServerCompressionHandler(LARGEST_MESSAGE),
                                new WebSocketServerProtocolHandler(protocol),
                                new WebSocketFrameAggregator(LARGEST_MESSAGE), new Echo());
                    }
                })
                .bind("127.0.0.1", port).sync();
    }

    private static void dial(File authority, List<String> urls) throws Exception {
        SslContext tls = SslContextBuilder.forClient().trustManager(authority).build();
        List<ChannelFuture> closing = new ArrayList<>();
        for (String url : urls) {
            closing.add(dial(tls, URI.create(url)).sync().channel().closeFuture());
        }
        for (ChannelFuture closed : closing) {
            closed.sync();
        }
        LOOP.shutdownGracefully();
    }

    private static ChannelFuture dial(SslContext tls, URI url) {
        WebSocketClientProtocolConfig protocol = WebSocketClientProtocolConfig.newBuilder()
                .webSocketUri(url)
                .subprotocol("chat")
                .allowExtensions(true)
                .maxFramePayloadLength(LARGEST_MESSAGE)
                .dropPongFrames(false)
                .build();
        return new Bootstrap()
                .group(LOOP)
                .channel(NioSocketChannel.class)
                .option(ChannelOption.TCP_NODELAY, true)
                .handler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        ChannelPipeline pipeline = channel.pipeline();
                        if (url.getScheme().equals("wss")) {
                            pipeline.addLast(tls.newHandler(channel.alloc(), url.getHost(), url.getPort()));
                        }
                        pipeline.addLast(new HttpClientCodec(), new HttpObjectAggregator(HANDSHAKE_LIMIT),
                                new WebSocketClientCompressionHandler(LARGEST_MESSAGE),
                                new WebSocketClientProtocolHandler(protocol),
                                new WebSocketFrameAggregator(LARGEST_MESSAGE), new Encoder(), new Echo());
                    }
                })
                .connect(url.getHost(), url.getPort());
    }

    /** Refuses requests for /chat that don't offer the subprotocol chat. */
    private static final class ChatOnly extends SimpleChannelInboundHandler<FullHttpRequest> {
        @Override
        protected void channelRead0(ChannelHandlerContext context, FullHttpRequest request) {
            if (request.uri().equals("/chat") && !request.headers().contains(HttpHeaderNames.SEC_WEBSOCKET_PROTOCOL)) {
                context.writeAndFlush(new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.BAD_REQUEST))
                        .addListener(ChannelFutureListener.CLOSE);
                return;
            }
            context.fireChannelRead(request.retain());
        }
    }

    private static final class Echo extends SimpleChannelInboundHandler<WebSocketFrame> {
        @Override
        protected void channelRead0(ChannelHandlerContext context, WebSocketFrame message) {
            if (message instanceof TextWebSocketFrame text && text.text().equals("ping")) {
                context.write(new PingWebSocketFrame(Unpooled.copiedBuffer("there?", StandardCharsets.UTF_8)));
            } else if (message instanceof TextWebSocketFrame text && text.text().equals("close")) {
                context.write(new CloseWebSocketFrame(4002, "as asked"));
            } else if (message instanceof PongWebSocketFrame) {
                context.write(new TextWebSocketFrame("pong " + message.content().toString(StandardCharsets.UTF_8)));
            } else if (message instanceof TextWebSocketFrame || message instanceof BinaryWebSocketFrame) {
                context.write(message.retain());
            }
        }

        @Override
        public void channelReadComplete(ChannelHandlerContext context) {
            context.flush();
        }

        /** Stops reading while what was written is not sent. */
        @Override
        public void channelWritabilityChanged(ChannelHandlerContext context) {
            context.channel().config().setAutoRead(context.channel().isWritable());
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            System.err.println(cause);
        }
    }

    /**
     * Moves a client's encoder in front of its decoder when that is there. Otherwise the close frame that the decoder
     * sends for what it refuses is not encoded, and the client closes with 1000.
     */
    private static final class Encoder extends ChannelInboundHandlerAdapter {
        @Override
        public void userEventTriggered(ChannelHandlerContext context, Object event) {
            if (event == ClientHandshakeStateEvent.HANDSHAKE_COMPLETE) {
                context.pipeline().remove("ws-encoder");
                context.pipeline().addBefore("ws-decoder", "ws-encoder", new WebSocket13FrameEncoder(true));
            }
            context.fireUserEventTriggered(event);
        }
    }
}
