//! The end of a connection: what each side is still sent, and how long that may take.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Relay;
use crate::packet;
use crate::protocol::EndCause;
use crate::wire::drain;

/// How long the last bytes may take.
const FAREWELL: Duration = Duration::from_secs(2);

impl Relay {
    /// Ends both sides for a reason other than that both have closed.
    pub(super) async fn over(&mut self, cause: EndCause) {
        let farewell = match cause {
            EndCause::ClientClosed | EndCause::ClientFailed(_) | EndCause::TooSlow => None,
            EndCause::UpstreamClosed | EndCause::UpstreamSilent => Some(128),
            EndCause::KeepAlive => Some(141),
            EndCause::Kicked => Some(152),
            EndCause::Stopping => Some(139),
            EndCause::Protocol(code) => Some(code),
        };
        let reaches_client = !matches!(cause, EndCause::ClientFailed(_) | EndCause::TooSlow);
        let ends_session = cause == EndCause::Kicked;
        if let Some(session) = &mut self.session {
            let may_disconnect = session.is_open() && session.version() == 5;
            if may_disconnect
                && self.from_upstream.framer.is_between()
                && let Some(code) = farewell
            {
                self.from_upstream.out.extend(packet::disconnect(code));
            }
            if ends_session && may_disconnect && self.from_client.framer.is_between() {
                self.from_client.out.extend(packet::DISCONNECT_END_SESSION);
            }
            self.emitter.run(|step| session.end(cause, step));
        }
        self.emitter.flush().await;
        if ends_session && !self.from_client.is_clear() {
            let last = self.from_client.out.split_off(self.from_client.sent);
            drop(timeout(FAREWELL, self.upstream.write_all(&last)).await);
            drop(timeout(FAREWELL, self.upstream.shutdown()).await);
            // When the upstream has closed, it has ended the session: then the client may come back.
            drop(timeout(FAREWELL, drain(&mut self.upstream)).await);
        }
        if reaches_client {
            let last = self.from_upstream.out.split_off(self.from_upstream.sent);
            if let Ok(Ok(())) = timeout(FAREWELL, self.client.write_all(&last)).await {
                linger(&mut self.client).await;
            }
        }
    }
}

/// Closes this side and waits for the client to close its own: a socket that is dropped with unread bytes in it is reset,
/// and what was written last would be lost.
pub(crate) async fn linger(client: &mut TcpStream) {
    if client.shutdown().await.is_err() {
        return;
    }
    drop(timeout(FAREWELL, drain(client)).await);
}
