//! tokio-tungstenite, with a read buffer as its documentation recommends for many connections. What is sent in response to
//! the messages of one read is one write.

use std::task::Poll;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use others::client::{self, Library, Work};
use others::{Result, Transport, arrived};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

fn main() {
    client::main::<Tungstenite>();
}

struct Tungstenite;

impl Library for Tungstenite {
    type Socket<T: Transport> = WebSocketStream<T>;

    async fn open<T: Transport>(transport: T, work: &'static Work) -> Result<Self::Socket<T>> {
        let config = WebSocketConfig::default().read_buffer_size(work.buffer());
        let (socket, _) = client_async_with_config(&work.uri, transport, Some(config)).await?;
        Ok(socket)
    }

    async fn run<T: Transport>(mut socket: Self::Socket<T>, work: &'static Work) -> Result<()> {
        let mut unsent = work.window;
        loop {
            for _ in 0..unsent {
                let message = Bytes::from_static(work.message());
                socket.feed(Message::Binary(message)).await?;
            }
            if unsent > 0 {
                socket.flush().await?;
            }
            let Some(message) = socket.next().await else {
                return Ok(());
            };
            unsent = receive(message?, work)?;
            while unsent > 0 && unsent < work.window {
                let Poll::Ready(message) = arrived(&mut socket).await else {
                    break;
                };
                let Some(message) = message else {
                    return Ok(());
                };
                unsent += receive(message?, work)?;
            }
        }
    }
}

/// Returns how many messages are to be sent in response.
fn receive(message: Message, work: &Work) -> Result<usize> {
    match message {
        Message::Binary(payload) => {
            work.receive(payload.len())?;
            Ok(work.window.min(1))
        }
        _ => Ok(0),
    }
}
