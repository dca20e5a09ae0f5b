//! The relay's side of a connection to RMQTT.
//!
//! RMQTT writes each packet with a system call of its own. Without Nagle's algorithm every acknowledgement would be a TCP
//! segment, and would wake the relay. RMQTT's side of the connection therefore uses the algorithm: while a segment is
//! unacknowledged, the system collects what follows. The relay acknowledges what it reads at once, so nothing waits for
//! the timer of delayed acknowledgements.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hookhost_relay::stream::UpstreamStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Whether RMQTT sends each packet at once. Only Linux lets the relay acknowledge at once.
pub(super) const ENGINE_NODELAY: bool = cfg!(not(target_os = "linux"));

/// A connection to RMQTT.
pub(super) struct EngineStream(TcpStream);

impl EngineStream {
    /// Makes a connection to RMQTT send at once what the relay writes.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub(super) fn new(stream: TcpStream) -> io::Result<EngineStream> {
        stream.set_nodelay(true)?;
        Ok(EngineStream(stream))
    }

    /// Acknowledges what was read. An error has no effect: the system acknowledges later.
    fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        self.0.set_quickack(true).ok();
    }
}

impl UpstreamStream for EngineStream {}

impl AsyncRead for EngineStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.acknowledge();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for EngineStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
