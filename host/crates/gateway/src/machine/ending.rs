//! Why a connection is over, and what ends with it.

use super::*;
use hookhost_event::{Disconnection, EndReason, Session, Termination};

/// Why a connection ended, other than by DISCONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Cause {
    /// The client closed.
    ClientClosed,
    /// The client's socket failed; POSIX name of the error, if it has one.
    ClientFailed(Option<&'static str>),
    /// The upstream closed, or its socket failed.
    UpstreamClosed,
    /// The upstream has left a PINGREQ unanswered.
    UpstreamSilent,
    /// Nothing was heard of the client for too long.
    KeepAlive,
    /// The client does not read.
    TooSlow,
    /// The client has sent what the gateway cannot let pass; code of MQTT 5.
    Protocol(u8),
    /// Another connection of the client takes its place, and tells that.
    Superseded,
    /// An administrator ended it.
    Kicked,
    /// The host stops.
    Stopping,
}

impl Machine {
    /// The connection is over; whatever passes from now on is ignored.
    pub(in super::super) fn end(&mut self, cause: Cause, host: &impl Host) {
        match self.phase {
            Phase::Over => {}
            Phase::Opening => self.give_up(host),
            Phase::Leaving => {
                if let Some((end, expiry)) = self.leaving.take().map(|leaving| *leaving) {
                    self.over(end, false, false, Some(expiry), host);
                }
            }
            Phase::Open => {
                let by_upstream = matches!(cause, Cause::UpstreamClosed | Cause::Superseded);
                let (end, will) = self.reason(cause);
                self.over(end, by_upstream, will, None, host);
            }
        }
    }

    /// Reason, and whether the upstream publishes the will.
    fn reason(&self, cause: Cause) -> (End, bool) {
        use EndReason as E;
        match cause {
            Cause::ClientClosed => (plain(E::Closed, None, None), true),
            Cause::ClientFailed(name) => (plain(E::SocketError, None, name), true),
            Cause::UpstreamClosed => match self.fault {
                Some(code) => (plain(E::ProtocolError, Some(code), None), true),
                // It may have died as well, and then nobody publishes the will.
                None => (
                    plain(E::Other, None, Some("the upstream has closed the connection")),
                    false,
                ),
            },
            Cause::UpstreamSilent => (plain(E::Other, None, Some("the upstream does not answer")), false),
            Cause::KeepAlive => (plain(E::KeepAliveTimeout, Some(141), None), true),
            Cause::Protocol(code) => (plain(E::ProtocolError, Some(code), None), true),
            Cause::TooSlow => (plain(E::TooSlow, None, None), true),
            Cause::Superseded => (plain(E::TakenOver, Some(142), None), true),
            Cause::Kicked => (plain(E::Kicked, Some(152), None), true),
            Cause::Stopping => (plain(E::Shutdown, Some(139), Some("Server shutting down")), true),
        }
    }

    /// DISCONNECT passes.
    pub(super) fn disconnect(&mut self, from: Side, frame: Frame<'_>, host: &impl Host) -> Result<(), Unreadable> {
        let Packet::Disconnect {
            code,
            session_expiry,
            text,
            properties,
        } = self.read(frame)?
        else {
            return Err(Unreadable(130));
        };
        let by_upstream = from == Side::Upstream;
        let end = End {
            reason: if by_upstream {
                reason_of(code)
            } else {
                EndReason::Disconnect
            },
            code: Some(code),
            text,
            properties,
        };
        let will = if by_upstream { code != 139 } else { code != 0 };
        let session_expiry = session_expiry.filter(|_| !by_upstream && self.connection.session_expiry > 0);
        if !by_upstream && (!will || self.will.is_none()) {
            // Told when the upstream has acted on it, so that what the client is not sent any more comes later.
            let expiry = session_expiry.unwrap_or(self.connection.session_expiry);
            host.sessions()
                .leave(&self.connection.client.id, self.number, &end, expiry);
            self.phase = Phase::Leaving;
            self.leaving = Some(Box::new((end, expiry)));
            return Ok(());
        }
        self.over(end, by_upstream, will, session_expiry, host);
        Ok(())
    }

    fn over(&mut self, end: End, by_upstream: bool, will: bool, session_expiry: Option<u32>, host: &impl Host) {
        self.phase = Phase::Over;
        self.subscribing = HashMap::new();
        self.unsubscribing = HashMap::new();
        self.unanswered = HashMap::new();
        self.client_aliases = Aliases::default();
        self.upstream_aliases = Aliases::default();
        let now = host.now();
        let expiry = session_expiry.unwrap_or(self.connection.session_expiry);
        let left_to_successor = Some(&end).filter(|_| by_upstream);
        let client_id = self.connection.client.id.clone();
        let sessions = host.sessions();
        let Some(_moment) = sessions.close(&client_id, self.number, left_to_successor, expiry, now) else {
            return;
        };
        if let Some(message) = self.will.take().filter(|_| will) {
            // The session's end publishes it at the latest.
            match self.asked.will.as_ref().map_or(0, |will| will.delay).min(expiry) {
                0 => publish_will(&message, host),
                delay => host.delay(message, delay),
            }
        }
        if host.wants(Hook::ClientDisconnected, None) {
            host.tell(Detail::ClientDisconnected(Disconnection {
                connection: self.connection.clone(),
                end: end.clone(),
                connected_at: self.connected_at,
                disconnected_at: now,
            }));
        }
        if expiry == 0 && host.wants(Hook::SessionTerminated, None) {
            host.tell(Detail::SessionTerminated(Termination {
                session: Session {
                    client: self.client(),
                    created_at: self.session_created_at,
                },
                end,
            }));
        }
    }
}

/// Tells that the upstream publishes a will now.
pub(in super::super) fn publish_will(will: &Message, host: &impl Host) {
    let message = Message {
        received_at: host.now(),
        ..will.clone()
    };
    super::publishes::announce(message, host);
}

fn plain(reason: EndReason, code: Option<u8>, text: Option<&'static str>) -> End {
    End {
        reason,
        code,
        text: text.map(ByteString::from_static),
        properties: None,
    }
}

/// The reason behind the code of an upstream's DISCONNECT.
fn reason_of(code: u8) -> EndReason {
    match code {
        129 | 130 | 143 | 144 | 148 | 149 | 153 | 154 | 155 | 158 | 161 | 162 => EndReason::ProtocolError,
        131 => EndReason::InternalError,
        135 | 140 => EndReason::NotAuthorized,
        137 | 147 | 150 | 151 | 159 => EndReason::LimitExceeded,
        139 => EndReason::Shutdown,
        141 => EndReason::KeepAliveTimeout,
        142 => EndReason::TakenOver,
        152 => EndReason::Kicked,
        160 => EndReason::Expired,
        _ => EndReason::Other,
    }
}
