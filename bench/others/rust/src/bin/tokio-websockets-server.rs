//! A server of tokio-websockets. A text message, whose copies share their memory, is sent to one connection after the other.

use std::sync::LazyLock;

use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use others::Result;
use others::server::{self, Room};
use tokio::net::TcpStream;
use tokio_websockets::{Message, ServerBuilder, WebSocketStream};

type Writer = SplitSink<WebSocketStream<TcpStream>, Message>;

static ROOM: LazyLock<Room<Writer>> = LazyLock::new(Room::default);

fn main() {
    server::main(serve);
}

async fn serve(stream: TcpStream) -> Result<()> {
    let (_, socket) = ServerBuilder::new().accept(stream).await?;
    let (writer, mut reader) = socket.split();
    let member = ROOM.join(writer);
    while let Some(message) = reader.next().await {
        let message = message?;
        if message.is_binary() {
            member.writer.lock().await.send(message).await?;
        } else if message.is_text() {
            for writer in member.room.writers() {
                // The task of a connection handles its errors.
                _ = writer.lock().await.send(message.clone()).await;
            }
        }
    }
    Ok(())
}
