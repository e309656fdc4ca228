//! fastwebsockets, frame by frame. It masks a message where it is, so each connection has a copy, and no message allocates.
//! It writes each message by itself, so what is sent in response to the messages of one read goes through tokio's buffer.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use fastwebsockets::{Frame, OpCode, Payload, WebSocketError, WebSocketRead, WebSocketWrite, handshake};
use http::Request;
use http::header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http_body_util::Empty;
use hyper::rt::Executor;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use others::client::{self, Library, Work};
use others::{Result, Transport};
use tokio::io::{BufWriter, ReadHalf, WriteHalf};

fn main() {
    client::main::<FastWebsockets>();
}

struct FastWebsockets;

type Stream = TokioIo<Upgraded>;
type Writer = WebSocketWrite<WriteHalf<Stream>>;
type Socket = (WebSocketRead<ReadHalf<Stream>>, Writer);

impl Library for FastWebsockets {
    type Socket<T: Transport> = Socket;

    async fn open<T: Transport>(transport: T, work: &'static Work) -> Result<Socket> {
        let transport = BufWriter::with_capacity(work.write_buffer(), transport);
        let host = work.uri.authority().map_or("", |authority| authority.as_str());
        let request = Request::get(work.uri.path())
            .header(HOST, host)
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "upgrade")
            .header(SEC_WEBSOCKET_KEY, handshake::generate_key())
            .header(SEC_WEBSOCKET_VERSION, "13")
            .body(Empty::<Bytes>::new())?;
        let (socket, _) = handshake::client(&Spawner, request, transport).await?;
        let (mut reader, writer) = socket.split(tokio::io::split);
        reader.set_auto_pong(false); // control frames are returned
        reader.set_auto_close(false);
        Ok((reader, writer))
    }

    async fn run<T: Transport>(socket: Socket, work: &'static Work) -> Result<()> {
        let (mut reader, mut writer) = socket;
        let mut masked = vec![0; if work.window > 0 { work.size } else { 0 }];
        for _ in 0..work.window {
            send(&mut writer, &mut masked, work.message()).await?;
        }
        let mut answer = async |_| Err(WebSocketError::InvalidValue); // there is nothing to answer
        let mut size = 0;
        loop {
            let frame = {
                let mut reading = pin!(reader.read_frame(&mut answer));
                match poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
                    Poll::Ready(frame) => frame?,
                    Poll::Pending => {
                        writer.flush().await?;
                        reading.await?
                    }
                }
            };
            match frame.opcode {
                OpCode::Binary | OpCode::Continuation => size += frame.payload.len(),
                OpCode::Close => return Ok(()),
                _ => return Err("an unexpected frame".into()),
            }
            if !frame.fin {
                continue;
            }
            work.receive(size)?;
            size = 0;
            if work.window > 0 {
                send(&mut writer, &mut masked, work.message()).await?;
            }
        }
    }
}

async fn send(writer: &mut Writer, masked: &mut [u8], message: &[u8]) -> Result<()> {
    masked.copy_from_slice(message);
    Ok(writer.write_frame(Frame::binary(Payload::BorrowedMut(masked))).await?)
}

struct Spawner;

impl Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for Spawner {
    fn execute(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(future);
    }
}
