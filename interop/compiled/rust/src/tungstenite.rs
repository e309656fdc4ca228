//! tokio-tungstenite. It returns an error for a message that it refuses, and leaves the close frame to the program.

use futures_util::{SinkExt, StreamExt};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderValue, StatusCode, Uri};
use tokio::io::{AsyncWriteExt, copy, sink};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config, client_async_with_config};

use crate::{LARGEST_MESSAGE, Result, Stream};

pub async fn serve(stream: Stream) -> Result<()> {
    echo(accept_hdr_async_with_config(stream, agree, Some(config())).await?).await
}

pub async fn connect(uri: Uri, stream: Stream) -> Result<()> {
    let request = ClientRequestBuilder::new(uri).with_sub_protocol("chat");
    let (socket, _) = client_async_with_config(request, stream, Some(config())).await?;
    echo(socket).await
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(LARGEST_MESSAGE))
}

#[allow(clippy::result_large_err)] // the library's signature
fn agree(request: &Request, mut response: Response) -> std::result::Result<Response, ErrorResponse> {
    let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL);
    if offered.is_some_and(|offered| offered == "chat") {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("chat"));
    } else if request.uri().path() == "/chat" {
        let mut refusal = ErrorResponse::new(Some("chat is required".into()));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return Err(refusal);
    }
    Ok(response)
}

async fn echo(mut socket: WebSocketStream<Stream>) -> Result<()> {
    while let Some(message) = socket.next().await {
        match message {
            Ok(Message::Text(text)) if text == "ping" => socket.send(Message::Ping("there?".into())).await?,
            Ok(Message::Text(text)) if text == "close" => close(&mut socket, CloseCode::from(4002), "as asked").await?,
            Ok(Message::Pong(payload)) => {
                let text = format!("pong {}", String::from_utf8_lossy(&payload));
                socket.send(Message::Text(text.into())).await?;
            }
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).await?,
            Ok(_) => {}
            Err(Error::Capacity(_)) => return refuse(socket, CloseCode::Size).await,
            Err(Error::Utf8(_)) => return refuse(socket, CloseCode::Invalid).await,
            Err(err) => return Err(err.into()),
        }
    }
    Ok(())
}

/// Sends a close frame, and reads what remains of the message, which would otherwise reset the connection.
async fn refuse(mut socket: WebSocketStream<Stream>, code: CloseCode) -> Result<()> {
    close(&mut socket, code, "refused").await?;
    socket.get_mut().shutdown().await?;
    copy(socket.get_mut(), &mut sink()).await?;
    Ok(())
}

async fn close(socket: &mut WebSocketStream<Stream>, code: CloseCode, reason: &'static str) -> Result<()> {
    Ok(socket.close(Some(CloseFrame { code, reason: reason.into() })).await?)
}
