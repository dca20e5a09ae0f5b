//! A client's connection after the layers below MQTT are open.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::websocket::WebSocket;

/// A client's connection. What is written may stay in a buffer until it is flushed, except on TCP and Unix sockets.
pub struct ClientStream(Layers);

enum Layers {
    Tcp(TcpStream),
    Unix(UnixStream),
    // The others are boxed, because they are much larger than a socket.
    Tls(Box<TlsStream<TcpStream>>),
    WebSocket(Box<WebSocket<TcpStream>>),
    SecureWebSocket(Box<WebSocket<TlsStream<TcpStream>>>),
}

impl From<TcpStream> for ClientStream {
    fn from(stream: TcpStream) -> ClientStream {
        ClientStream(Layers::Tcp(stream))
    }
}

impl From<UnixStream> for ClientStream {
    fn from(stream: UnixStream) -> ClientStream {
        ClientStream(Layers::Unix(stream))
    }
}

impl From<TlsStream<TcpStream>> for ClientStream {
    fn from(stream: TlsStream<TcpStream>) -> ClientStream {
        ClientStream(Layers::Tls(Box::new(stream)))
    }
}

impl From<WebSocket<TcpStream>> for ClientStream {
    fn from(stream: WebSocket<TcpStream>) -> ClientStream {
        ClientStream(Layers::WebSocket(Box::new(stream)))
    }
}

impl From<WebSocket<TlsStream<TcpStream>>> for ClientStream {
    fn from(stream: WebSocket<TlsStream<TcpStream>>) -> ClientStream {
        ClientStream(Layers::SecureWebSocket(Box::new(stream)))
    }
}

/// Calls a method of the stream inside.
macro_rules! inside {
    ($stream:expr, $method:ident($($argument:expr),*)) => {
        match &mut $stream.get_mut().0 {
            Layers::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Layers::Unix(stream) => Pin::new(stream).$method($($argument),*),
            Layers::Tls(stream) => Pin::new(stream).$method($($argument),*),
            Layers::WebSocket(stream) => Pin::new(stream).$method($($argument),*),
            Layers::SecureWebSocket(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        inside!(self, poll_read(cx, buffer))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        inside!(self, poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(self, poll_shutdown(cx))
    }
}
