//! MQTT over WebSocket: the upgrade, and a byte stream over binary messages.
//!
//! MQTT packets may be split over messages and joined in them as the client likes, so the payloads of binary messages
//! are one stream of bytes. tungstenite answers pings and joins fragments. Text messages are refused with close code
//! 1003, messages that are too long with 1009, and frames that break the protocol with 1002.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// The subprotocol of MQTT, as the standard names it.
const SUBPROTOCOL: &str = "mqtt";
/// The name that clients of MQTT 3.1 use.
const OLD_SUBPROTOCOL: &str = "mqttv3.1";
/// Bytes that a connection's read buffer has from the start.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// The longest message that is written.
const MAX_WRITTEN_BYTES: usize = 64 << 10;

/// Why an upgrade is refused: status and text of the response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UpgradeRefusal(StatusCode, &'static str);

/// Checks an upgrade request; returns the subprotocol to answer with. Pure.
pub(crate) fn check_request<'p>(
    path: &str,
    wanted_path: &str,
    offered: impl Iterator<Item = &'p str>,
) -> Result<&'static str, UpgradeRefusal> {
    if path != wanted_path {
        return Err(UpgradeRefusal(StatusCode::NOT_FOUND, "no MQTT at this path\n"));
    }
    let known = |name: &str| {
        [SUBPROTOCOL, OLD_SUBPROTOCOL]
            .into_iter()
            .find(|known| name.trim().eq_ignore_ascii_case(known))
    };
    offered
        .flat_map(|list| list.split(','))
        .find_map(known)
        .ok_or(UpgradeRefusal(
            StatusCode::BAD_REQUEST,
            "the subprotocol has to be mqtt\n",
        ))
}

/// Carries out the upgrade on a stream.
///
/// # Errors
///
/// What is wrong with the request; the client has got an HTTP response if it was readable.
pub(crate) async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    path: &str,
    max_message_bytes: usize,
) -> Result<WebSocket<S>, Error> {
    #[expect(clippy::result_large_err, reason = "tungstenite's callback has this type")]
    let check = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
        let offered = offered.iter().filter_map(|value| value.to_str().ok());
        match check_request(request.uri().path(), path, offered) {
            Ok(subprotocol) => {
                let value = HeaderValue::from_static(subprotocol);
                response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, value);
                Ok(response)
            }
            Err(UpgradeRefusal(status, text)) => {
                let mut refusal = ErrorResponse::new(Some(text.to_owned()));
                *refusal.status_mut() = status;
                let length = HeaderValue::from(text.len());
                refusal.headers_mut().insert(header::CONTENT_LENGTH, length);
                refusal
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
                Err(refusal)
            }
        }
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        // Each message is written at once; the caller already writes many packets at a time.
        .write_buffer_size(0)
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes));
    let inner = tokio_tungstenite::accept_hdr_async_with_config(stream, check, Some(config)).await?;
    Ok(WebSocket {
        inner,
        unread: Bytes::new(),
        refusing: None,
    })
}

/// A stream of bytes over binary messages.
pub(crate) struct WebSocket<S> {
    inner: WebSocketStream<S>,
    /// The rest of the last message.
    unread: Bytes,
    /// The client has sent what is refused: the close frame is on its way.
    refusing: Option<&'static str>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Sends a close frame and refuses all further messages.
    fn refuse(&mut self, cx: &mut Context<'_>, code: CloseCode, reason: &'static str) {
        self.refusing = Some(reason);
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // A client that has gone does not get it.
        if Pin::new(&mut self.inner)
            .start_send(Message::Close(Some(frame)))
            .is_ok()
        {
            let _flushed = Pin::new(&mut self.inner).poll_flush(cx);
        }
    }
}

/// What ends the stream, as an error of a socket.
fn failed(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::NotConnected.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.unread.is_empty() {
            let message = ready!(Pin::new(&mut this.inner).poll_next(cx));
            match (message, this.refusing) {
                // The client has answered the close frame, or has gone.
                (None | Some(Err(_)), Some(reason)) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
                }
                (Some(Ok(_)), Some(_)) => {}
                (None, None) => return Poll::Ready(Ok(())),
                (Some(Ok(Message::Binary(payload))), None) => this.unread = payload,
                (Some(Ok(Message::Text(_))), None) => {
                    this.refuse(cx, CloseCode::Unsupported, "MQTT needs binary messages");
                }
                // tungstenite answers pings and close frames.
                (Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_))), None) => {}
                (Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))), None) => {
                    this.refuse(cx, CloseCode::Size, "the message is too long");
                }
                // The client has closed its socket without a close frame.
                (Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))), None) => {
                    return Poll::Ready(Ok(()));
                }
                (Some(Err(Error::Protocol(_))), None) => {
                    this.refuse(cx, CloseCode::Protocol, "the frame breaks the protocol");
                }
                (Some(Err(error)), None) => return Poll::Ready(Err(failed(error))),
            }
        }
        let length = buffer.remaining().min(this.unread.len());
        buffer.put_slice(this.unread.get(..length).unwrap_or_default());
        this.unread.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.inner).poll_ready(cx)).map_err(failed)?;
        let piece = bytes.get(..MAX_WRITTEN_BYTES).unwrap_or(bytes);
        let message = Message::Binary(Bytes::copy_from_slice(piece));
        Pin::new(&mut this.inner).start_send(message).map_err(failed)?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx).map_err(failed)
    }

    /// Sends a close frame.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_close(cx).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrade_requests() {
        let not_found = || Err(StatusCode::NOT_FOUND);
        let wrong = || Err(StatusCode::BAD_REQUEST);
        for (path, offered, expected) in [
            ("/mqtt", &["mqtt"][..], Ok("mqtt")),
            ("/mqtt", &["MQTT"], Ok("mqtt")),
            ("/mqtt", &["mqttv3.1"], Ok("mqttv3.1")),
            ("/mqtt", &["a, mqtt ,b"], Ok("mqtt")),
            ("/mqtt", &["a", "mqtt"], Ok("mqtt")),
            ("/mqtt", &["mqttv3.1,mqtt"], Ok("mqttv3.1")),
            ("/mqtt", &[], wrong()),
            ("/mqtt", &["wamp"], wrong()),
            ("/mqtt", &["mqtt5, mqtt v"], wrong()),
            ("/", &["mqtt"], not_found()),
            ("/mqtt/", &["mqtt"], not_found()),
            ("/MQTT", &["mqtt"], not_found()),
        ] {
            let checked =
                check_request(path, "/mqtt", offered.iter().copied()).map_err(|UpgradeRefusal(status, _)| status);
            assert_eq!(checked, expected, "{path} {offered:?}");
        }
    }
}
