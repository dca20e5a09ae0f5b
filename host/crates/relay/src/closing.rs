//! The end of a connection: what each side is still sent, and how long that may take.

use std::time::Duration;

use hookhost_listener::ClientStream;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::inspector::{ClosingPackets, EndCause, Inspector};
use super::packet;
use super::relay::Relay;
use super::stream::UpstreamStream;
use super::wire::drain;

/// How long the last bytes may take.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(2);

impl<I: Inspector, U: UpstreamStream> Relay<I, U> {
    /// Ends both sides for a reason other than that both have closed.
    pub(crate) async fn over(&mut self, cause: EndCause) {
        let reaches_client = !matches!(cause, EndCause::ClientFailed(_) | EndCause::TooSlow);
        let upstream_is_gone = cause == EndCause::UpstreamClosed;
        let ClosingPackets { code, to_upstream } = self.inspector.closing_packets(cause).await;
        self.inspector.flush().await;
        if let Some(code) = code
            && self.from_upstream.framer.is_between()
        {
            self.from_upstream.out.extend(packet::disconnect(code));
        }
        if !to_upstream.is_empty() && self.from_client.framer.is_between() {
            let mut last = self.from_client.out.split_off(self.from_client.sent);
            last.extend_from_slice(to_upstream);
            drop(timeout(CLOSING_TIMEOUT, self.upstream.write_all(&last)).await);
            drop(timeout(CLOSING_TIMEOUT, self.upstream.shutdown()).await);
            // When the upstream has closed, it has ended the session: then the client may come back.
            drop(timeout(CLOSING_TIMEOUT, drain(&mut self.upstream)).await);
        } else if !upstream_is_gone {
            // The upstream learns at once that the client has gone.
            drop(timeout(CLOSING_TIMEOUT, self.upstream.shutdown()).await);
        }
        if reaches_client {
            let last = self.from_upstream.out.split_off(self.from_upstream.sent);
            let writing = async {
                self.client.write_all(&last).await?;
                self.client.flush().await
            };
            if let Ok(Ok(())) = timeout(CLOSING_TIMEOUT, writing).await {
                linger(&mut self.client).await;
            }
        }
    }
}

/// Closes this side and waits for the client to close its own: a socket that is dropped with unread bytes in it is reset,
/// and what was written last would be lost.
pub async fn linger(client: &mut ClientStream) {
    let closing = async {
        if client.shutdown().await.is_ok() {
            drain(client).await;
        }
    };
    drop(timeout(CLOSING_TIMEOUT, closing).await);
}
