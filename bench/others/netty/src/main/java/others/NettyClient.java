package others;

import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.handler.codec.http.EmptyHttpHeaders;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.websocketx.BinaryWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketClientHandshakerFactory;
import io.netty.handler.codec.http.websocketx.WebSocketClientProtocolHandler;
import io.netty.handler.codec.http.websocketx.WebSocketClientProtocolHandler.ClientHandshakeStateEvent;
import io.netty.handler.codec.http.websocketx.WebSocketVersion;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.SSLException;

/** The client of Netty: one event loop over epoll, and BoringSSL. Answers to the messages of one read are one write. */
final class NettyClient implements Work.Client {
    private static final int HANDSHAKE_LIMIT = 8192;

    private final Work work;
    private final ByteBuf payloads;
    private final SslContext tls; // null: none
    private final Bootstrap bootstrap;
    private final List<Channel> channels = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        Work work = new Work(arguments);
        EventLoopGroup loop = new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
        work.obey(new NettyClient(work, loop), loop.next());
    }

    private NettyClient(Work work, EventLoopGroup loop) throws SSLException {
        this.work = work;
        payloads = Unpooled.unreleasableBuffer(Unpooled.wrappedBuffer(work.payloads));
        tls = work.certificate == null ? null : SslContextBuilder.forClient()
                .sslProvider(SslProvider.OPENSSL)
                .trustManager(work.certificate.toFile())
                .build();
        bootstrap = new Bootstrap()
                .group(loop)
                .channel(EpollSocketChannel.class)
                .option(ChannelOption.TCP_NODELAY, true)
                .handler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        addHandlers(channel.pipeline());
                    }
                });
    }

    private void addHandlers(ChannelPipeline pipeline) {
        if (tls != null) {
            pipeline.addLast(tls.newHandler(pipeline.channel().alloc(), work.url.getHost(), work.url.getPort()));
        }
        pipeline.addLast(new HttpClientCodec(), new HttpObjectAggregator(HANDSHAKE_LIMIT));
        boolean compress = work.compression != Work.Compression.NONE;
        if (compress) {
            pipeline.addLast(Deflate.extensionHandler(work.compression));
        }
        pipeline.addLast(new WebSocketClientProtocolHandler(WebSocketClientHandshakerFactory.newHandshaker(work.url,
                WebSocketVersion.V13, null, compress, EmptyHttpHeaders.INSTANCE, Math.max(work.size, HANDSHAKE_LIMIT))));
        pipeline.addLast(new Connection());
    }

    @Override
    public void dial() {
        bootstrap.connect(work.url.getHost(), work.url.getPort()).addListener((ChannelFutureListener) connecting -> {
            if (!connecting.isSuccess()) {
                Work.fail(connecting.cause());
            }
        });
    }

    @Override
    public void start() {
        for (Channel channel : channels) {
            for (int i = 0; i < work.window; i++) {
                channel.write(nextMessage());
            }
            channel.flush();
        }
    }

    private BinaryWebSocketFrame nextMessage() {
        return new BinaryWebSocketFrame(payloads.slice(work.nextMessage(), work.size));
    }

    private final class Connection extends SimpleChannelInboundHandler<BinaryWebSocketFrame> {
        @Override
        protected void channelRead0(ChannelHandlerContext context, BinaryWebSocketFrame message) {
            if (work.received(message.content().readableBytes())) {
                context.write(nextMessage()); // a failure closes the connection
            }
        }

        @Override
        public void channelReadComplete(ChannelHandlerContext context) {
            context.flush();
        }

        @Override
        public void userEventTriggered(ChannelHandlerContext context, Object event) {
            if (event == ClientHandshakeStateEvent.HANDSHAKE_COMPLETE) {
                channels.add(context.channel());
                work.opened();
            }
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            Work.fail("the connection is closed");
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            Work.fail(cause);
        }
    }
}
