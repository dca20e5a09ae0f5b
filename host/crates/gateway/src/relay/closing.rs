//! The end of a connection: what is still said to whom, and until when.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{LINGER, Relay};
use crate::machine::Cause;
use crate::packet;

/// How long the last bytes may take to a client.
const FAREWELL: Duration = Duration::from_secs(2);

impl Relay {
    /// Ends both sides for a reason that is not that both have closed.
    pub(super) async fn over(&mut self, cause: Cause) {
        let farewell = match cause {
            Cause::ClientClosed | Cause::ClientFailed(_) | Cause::TooSlow => None,
            Cause::UpstreamClosed | Cause::UpstreamSilent => Some(128),
            Cause::KeepAlive => Some(141),
            Cause::Kicked => Some(152),
            Cause::Superseded => Some(142),
            Cause::Stopping => Some(139),
            Cause::Protocol(code) => Some(code),
        };
        let reaches_client = !matches!(cause, Cause::ClientFailed(_) | Cause::TooSlow);
        let ends_session = cause == Cause::Kicked;
        if let Some(machine) = &mut self.machine {
            let may_speak = machine.is_open() && machine.version() == 5;
            if may_speak
                && self.from_upstream.framer.is_between()
                && let Some(code) = farewell
            {
                self.from_upstream.out.extend(packet::disconnect(code));
            }
            if ends_session && may_speak && self.shield.is_none() && self.from_client.framer.is_between() {
                self.from_client.out.extend(packet::DISCONNECT_FOR_EVER);
            }
            machine.end(cause, &self.teller);
        }
        self.teller.flush().await;
        if ends_session && !self.from_client.is_clear() {
            let last = self.from_client.out.split_off(self.from_client.sent);
            drop(timeout(FAREWELL, self.upstream.write_all(&last)).await);
            drop(timeout(FAREWELL, self.upstream.shutdown()).await);
            // When the upstream has closed, it has acted on it: then the client may come back.
            drop(timeout(FAREWELL, drained(&mut self.upstream)).await);
        }
        self.settle().await;
        if reaches_client {
            let last = self.from_upstream.out.split_off(self.from_upstream.sent);
            if let Ok(Ok(())) = timeout(FAREWELL, self.client.write_all(&last)).await {
                linger(&mut self.client).await;
            }
        }
    }

    /// Waits until rumqttd has closed, so that the next connection of the client does not meet this one there. Other
    /// upstreams need no such care.
    pub(super) async fn settle(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        if self.upstream.shutdown().await.is_err() {
            return;
        }
        drop(timeout(LINGER, drained(&mut self.upstream)).await);
        drop(lease);
    }
}

/// Closes this side and waits for the client to close its own: a socket that is dropped with something unread in it is
/// reset, and what was written last would be lost.
pub(crate) async fn linger(client: &mut TcpStream) {
    if client.shutdown().await.is_err() {
        return;
    }
    drop(timeout(FAREWELL, drained(client)).await);
}

/// Reads until the other side has closed.
async fn drained(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(count) if count > 0) {}
}
