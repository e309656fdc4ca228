//! A server of fastwebsockets, with hyper for the opening handshake. A text message is sent to one connection after the
//! other.

use std::convert::Infallible;
use std::sync::LazyLock;

use bytes::Bytes;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError, WebSocketWrite};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use others::Result;
use others::server::{self, Room};
use tokio::io::WriteHalf;
use tokio::net::TcpStream;

type Writer = WebSocketWrite<WriteHalf<TokioIo<Upgraded>>>;

static ROOM: LazyLock<Room<Writer>> = LazyLock::new(Room::default);

fn main() {
    server::main(accept);
}

async fn accept(stream: TcpStream) -> Result<()> {
    let service = service_fn(async |mut request: Request<Incoming>| {
        let Ok((response, socket)) = upgrade(&mut request) else {
            let mut refusal = Response::new(Empty::<Bytes>::new());
            *refusal.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(refusal);
        };
        tokio::spawn(serve(socket));
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    Ok(connection.with_upgrades().await?)
}

async fn serve(socket: UpgradeFut) -> Result<()> {
    let (reader, writer) = socket.await?.split(tokio::io::split);
    let mut reader = FragmentCollectorRead::new(reader);
    let member = ROOM.join(writer);
    let mut control = async |frame| member.writer.lock().await.write_frame(frame).await;
    loop {
        let frame = reader.read_frame::<_, WebSocketError>(&mut control).await?;
        match frame.opcode {
            OpCode::Binary => {
                let echo = Frame::binary(frame.payload);
                member.writer.lock().await.write_frame(echo).await?;
            }
            OpCode::Text => {
                for writer in member.room.writers() {
                    let copy = Frame::text(Payload::Borrowed(&frame.payload));
                    // The task of a connection handles its errors.
                    _ = writer.lock().await.write_frame(copy).await;
                }
            }
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}
