//! tokio-websockets. What is sent in response to the messages of one read is one write.

use std::task::Poll;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use others::client::{self, Library, Work};
use others::{Result, Transport, arrived};
use tokio_websockets::{ClientBuilder, Config, Message, WebSocketStream};

fn main() {
    client::main::<TokioWebsockets>();
}

struct TokioWebsockets;

impl Library for TokioWebsockets {
    type Socket<T: Transport> = WebSocketStream<T>;

    async fn open<T: Transport>(transport: T, work: &'static Work) -> Result<Self::Socket<T>> {
        let config = Config::default().flush_threshold(work.buffer());
        let builder = ClientBuilder::from_uri(work.uri.clone()).config(config);
        let (socket, _) = builder.connect_on(transport).await?;
        Ok(socket)
    }

    async fn run<T: Transport>(mut socket: Self::Socket<T>, work: &'static Work) -> Result<()> {
        let mut unsent = work.window;
        loop {
            for _ in 0..unsent {
                let message = Bytes::from_static(work.message());
                socket.feed(Message::binary(message)).await?;
            }
            if unsent > 0 {
                socket.flush().await?;
            }
            let Some(message) = socket.next().await else {
                return Ok(());
            };
            unsent = receive(&message?, work)?;
            while unsent > 0 && unsent < work.window {
                let Poll::Ready(message) = arrived(&mut socket).await else {
                    break;
                };
                let Some(message) = message else {
                    return Ok(());
                };
                unsent += receive(&message?, work)?;
            }
        }
    }
}

/// Returns how many messages are to be sent in response.
fn receive(message: &Message, work: &Work) -> Result<usize> {
    if !message.is_binary() {
        return Ok(0);
    }
    work.receive(message.as_payload().len())?;
    Ok(work.window.min(1))
}
