//! fastwebsockets, with hyper for the opening handshake. It returns an error for a message that it refuses, and leaves
//! the close frame to the program. It doesn't flush what it writes, which TLS needs.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollectorRead, Frame, OpCode, WebSocket, WebSocketError, handshake};
use http::header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::{LARGEST_MESSAGE, Result, Stream};

pub async fn serve(stream: Stream) -> Result<()> {
    let service = service_fn(async |mut request: Request<Incoming>| Ok::<_, Infallible>(respond(&mut request)));
    Ok(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await?)
}

fn respond(request: &mut Request<Incoming>) -> Response<Empty<Bytes>> {
    let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL).is_some_and(|offered| offered == "chat");
    if offered || request.uri().path() != "/chat" {
        if let Ok((mut response, socket)) = upgrade(request) {
            if offered {
                response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("chat"));
            }
            tokio::spawn(accept(socket));
            return response;
        }
    }
    let mut refusal = Response::new(Empty::new());
    *refusal.status_mut() = StatusCode::BAD_REQUEST;
    refusal
}

async fn accept(socket: UpgradeFut) {
    let echoed = async { echo(socket.await?).await };
    if let Err(err) = echoed.await {
        eprintln!("{err}");
    }
}

pub async fn connect(uri: Uri, stream: Stream) -> Result<()> {
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(uri.path())
        .header(HOST, host)
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "upgrade")
        .header(SEC_WEBSOCKET_KEY, handshake::generate_key())
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_PROTOCOL, "chat")
        .body(Empty::<Bytes>::new())?;
    let (socket, _) = handshake::client(&Spawner, request, stream).await?;
    echo(socket).await
}

struct Spawner;

impl Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for Spawner {
    fn execute(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(future);
    }
}

async fn echo(socket: WebSocket<TokioIo<Upgraded>>) -> Result<()> {
    let (mut reader, writer) = socket.split(tokio::io::split);
    reader.set_max_message_size(LARGEST_MESSAGE);
    let mut reader = FragmentCollectorRead::new(reader);
    let writer = Mutex::new(writer);
    let mut write = async |frame| {
        let mut writer = writer.lock().await;
        writer.write_frame(frame).await?;
        writer.flush().await
    };
    loop {
        let frame = match reader.read_frame::<_, WebSocketError>(&mut write).await {
            Ok(frame) => frame,
            Err(WebSocketError::FrameTooLarge) => return refuse(write(Frame::close(1009, b"refused"))).await,
            Err(WebSocketError::InvalidUTF8) => return refuse(write(Frame::close(1007, b"refused"))).await,
            Err(err) => return Err(err.into()),
        };
        match frame.opcode {
            OpCode::Text if *frame.payload == *b"ping" => {
                write(Frame::new(true, OpCode::Ping, None, b"there?".as_slice().into())).await?;
            }
            OpCode::Text if *frame.payload == *b"close" => write(Frame::close(4002, b"as asked")).await?,
            OpCode::Pong => {
                let text = [b"pong ", &*frame.payload].concat();
                write(Frame::text(text.into())).await?;
            }
            OpCode::Text => write(Frame::text(frame.payload)).await?,
            OpCode::Binary => write(Frame::binary(frame.payload)).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}

/// Sends a close frame, and leaves the peer time to receive it before its other messages reset the connection: the
/// library doesn't return what would be needed to read them.
async fn refuse(closed: impl Future<Output = std::result::Result<(), WebSocketError>>) -> Result<()> {
    closed.await?;
    sleep(Duration::from_millis(500)).await;
    Ok(())
}
