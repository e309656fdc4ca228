//! A server of sockudo-ws with mimalloc, as it recommends, and its topics for text messages. What is sent in response to the
//! messages of one read is one write. Nothing times out, as with the other servers.

use std::pin::pin;
use std::sync::LazyLock;

use futures_util::future::{Either, select};
use futures_util::{SinkExt, StreamExt};
use others::{Result, fail, refuse_huge_pages, server};
use sockudo_ws::pubsub::PubSub;
use sockudo_ws::server::WebSocketServer;
use sockudo_ws::{Config, Http1, Message};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const TOPIC: &str = "all";

static TOPICS: LazyLock<PubSub> = LazyLock::new(PubSub::new);

fn main() {
    if let Err(err) = refuse_huge_pages() {
        fail(err);
    }
    sockudo_ws::init_clock();
    server::main(serve);
}

async fn serve(stream: TcpStream) -> Result<()> {
    let config = Config::builder().auto_ping(false).idle_timeout(0).build();
    let (mut socket, _) = WebSocketServer::<Http1>::new(config).accept_raw(stream).await?;
    let (sender, mut published) = mpsc::unbounded_channel();
    let subscriber = TOPICS.create_subscriber(sender);
    TOPICS.subscribe(subscriber, TOPIC);
    let result = async {
        loop {
            match select(socket.next(), pin!(published.recv())).await {
                Either::Left((None, _)) => return Ok(()),
                Either::Left((Some(message), _)) => match message? {
                    // It is written before the next read.
                    message @ Message::Binary(_) => socket.feed(message).await?,
                    message @ Message::Text(_) => _ = TOPICS.publish(TOPIC, message),
                    _ => {}
                },
                Either::Right((Some(message), _)) => socket.send(message).await?,
                Either::Right((None, _)) => return Ok(()),
            }
        }
    }
    .await;
    TOPICS.remove_subscriber(subscriber);
    result
}
