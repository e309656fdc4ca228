//! A server of tokio-websockets. What is sent in response to the messages of one read is one write. A text message, whose
//! copies share their memory, is sent to one connection after the other.

use std::sync::LazyLock;
use std::task::Poll;

use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use others::server::{self, Room};
use others::{Result, arrived};
use tokio::net::TcpStream;
use tokio_websockets::{Message, ServerBuilder, WebSocketStream};

type Writer = SplitSink<WebSocketStream<TcpStream>, Message>;

/// How many messages are received before the first of them is answered.
const AT_A_TIME: usize = 64;

static ROOM: LazyLock<Room<Writer>> = LazyLock::new(Room::default);

fn main() {
    server::main(serve);
}

async fn serve(stream: TcpStream) -> Result<()> {
    let (_, socket) = ServerBuilder::new().accept(stream).await?;
    let (writer, mut reader) = socket.split();
    let member = ROOM.join(writer);
    let mut messages = Vec::new();
    while let Some(message) = reader.next().await {
        messages.push(message?);
        while messages.len() < AT_A_TIME
            && let Poll::Ready(Some(message)) = arrived(&mut reader).await
        {
            messages.push(message?);
        }
        for message in messages.drain(..) {
            if message.is_binary() {
                member.writer.lock().await.feed(message).await?;
            } else if message.is_text() {
                for writer in member.room.writers() {
                    // The task of a connection handles its errors.
                    _ = writer.lock().await.send(message.clone()).await;
                }
            }
        }
        member.writer.lock().await.flush().await?;
    }
    Ok(())
}
