//! sockudo-ws with mimalloc, as it recommends. What is sent in response to the messages of one read is one write.
//! Nothing times out, as with the other clients.

use bytes::{Bytes, BytesMut};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use others::client::{self, Compression, Library, Work};
use others::{Result, Transport, refuse_huge_pages};
use sockudo_ws::client::WebSocketClient;
use sockudo_ws::deflate::DeflateConfig;
use sockudo_ws::handshake::{build_request, generate_key, parse_response, validate_accept_key};
use sockudo_ws::{CompressedWebSocketStream, Config, Error, Http1, Message, WebSocketStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() {
    sockudo_ws::init_clock();
    client::main::<Sockudo>();
}

struct Sockudo;

enum Socket<T> {
    Plain(WebSocketStream<T>),
    Compressed(Box<CompressedWebSocketStream<T>>),
}

impl Library for Sockudo {
    type Socket<T: Transport> = Socket<T>;

    const COMPRESSES: bool = true;

    /// Who only receives wants many connections.
    fn prepare(work: &Work) -> Result<()> {
        if work.window == 0 { refuse_huge_pages() } else { Ok(()) }
    }

    async fn open<T: Transport>(transport: T, work: &'static Work) -> Result<Socket<T>> {
        if work.compression != Compression::None {
            return Ok(Socket::Compressed(Box::new(open_compressed(transport, work).await?)));
        }
        let client = WebSocketClient::<Http1>::new(config(work));
        let (socket, _) = client.connect_raw(transport, host(work), work.uri.path(), None).await?;
        Ok(Socket::Plain(socket))
    }

    async fn run<T: Transport>(socket: Socket<T>, work: &'static Work) -> Result<()> {
        match socket {
            Socket::Plain(socket) => answer(socket, work).await,
            Socket::Compressed(socket) => answer(*socket, work).await,
        }
    }

    fn settle() {
        // SAFETY: it may be called at any time.
        unsafe { libmimalloc_sys::mi_collect(true) };
    }
}

fn config(work: &Work) -> Config {
    Config::builder().auto_ping(false).idle_timeout(0).write_buffer_size(work.buffer()).build()
}

fn host(work: &Work) -> &str {
    work.uri.authority().map_or("", |authority| authority.as_str())
}

/// Does the opening handshake with an extension, which the library's client doesn't offer.
async fn open_compressed<T: Transport>(mut transport: T, work: &Work) -> Result<CompressedWebSocketStream<T>> {
    let fresh = work.compression == Compression::Fresh;
    let offer = if fresh {
        "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
    } else {
        "permessage-deflate"
    };
    let key = generate_key();
    let request = build_request(host(work), work.uri.path(), &key, None, Some(offer));
    transport.write_all(&request).await?;
    let mut response = BytesMut::new();
    let consumed = loop {
        if transport.read_buf(&mut response).await? == 0 {
            return Err("the server closed the connection in the opening handshake".into());
        }
        if let Some((parsed, consumed)) = parse_response(&response)? {
            if !validate_accept_key(&key, parsed.accept.unwrap_or("")) {
                return Err("the server didn't accept the opening handshake".into());
            }
            if !parsed.extensions.unwrap_or("").starts_with("permessage-deflate") {
                return Err("the server doesn't compress".into());
            }
            break consumed;
        }
    };
    let compression = DeflateConfig {
        server_no_context_takeover: fresh,
        client_no_context_takeover: fresh,
        compression_level: 1,
        compression_threshold: 0,
        ..DeflateConfig::default()
    };
    let early = response.split_off(consumed).freeze();
    Ok(CompressedWebSocketStream::client_with_leftover(
        transport,
        config(work),
        compression,
        (!early.is_empty()).then_some(early),
    ))
}

/// Receives, and sends in response. The library writes what was fed to it before it reads again.
async fn answer<S>(mut socket: S, work: &'static Work) -> Result<()>
where
    S: Stream<Item = std::result::Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    for _ in 0..work.window {
        socket.feed(message(work)).await?;
    }
    while let Some(received) = socket.next().await {
        let Message::Binary(payload) = received? else {
            continue;
        };
        work.receive(payload.len())?;
        if work.window > 0 {
            socket.feed(message(work)).await?;
        }
    }
    Ok(())
}

fn message(work: &'static Work) -> Message {
    Message::Binary(Bytes::from_static(work.message()))
}
