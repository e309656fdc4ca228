//! A server of tokio-tungstenite, with a read buffer as its documentation recommends for many connections. What is sent in
//! response to the messages of one read is one write. A text message, whose copies share their memory, is sent to one
//! connection after the other.

use std::sync::LazyLock;
use std::task::Poll;

use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use others::server::{self, Member, Room};
use others::{Result, arrived};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

type Writer = SplitSink<WebSocketStream<TcpStream>, Message>;

static ROOM: LazyLock<Room<Writer>> = LazyLock::new(Room::default);

fn main() {
    server::main(serve);
}

async fn serve(stream: TcpStream) -> Result<()> {
    let config = WebSocketConfig::default().read_buffer_size(4 << 10);
    let socket = accept_async_with_config(stream, Some(config)).await?;
    let (writer, mut reader) = socket.split();
    let member = ROOM.join(writer);
    while let Some(message) = reader.next().await {
        answer(&member, message?).await?;
        while let Poll::Ready(Some(message)) = arrived(&mut reader).await {
            answer(&member, message?).await?;
        }
        member.writer.lock().await.flush().await?;
    }
    Ok(())
}

async fn answer(member: &Member<'_, Writer>, message: Message) -> Result<()> {
    match message {
        Message::Binary(_) => member.writer.lock().await.feed(message).await?,
        Message::Text(_) => {
            for writer in member.room.writers() {
                // The task of a connection handles its errors.
                _ = writer.lock().await.send(message.clone()).await;
            }
        }
        _ => {}
    }
    Ok(())
}
