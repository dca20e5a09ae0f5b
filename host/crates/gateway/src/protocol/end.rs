//! Why connections and sessions end, in the words of events.

use hookhost_event::{ByteString, End, EndReason};
use hookhost_relay::EndCause;

/// The end of a session whose expiry interval has passed.
pub(crate) fn expired() -> End {
    plain(EndReason::Expired, None, None)
}

/// The end of a session that an administrator has ended.
pub(crate) fn kicked() -> End {
    plain(EndReason::Kicked, Some(152), None)
}

/// An end without properties.
pub(super) fn plain(reason: EndReason, code: Option<u8>, text: Option<&'static str>) -> End {
    End {
        reason,
        code,
        text: text.map(ByteString::from_static),
        properties: None,
    }
}

/// The end for events, and whether the upstream publishes the will. `fault`: the client's last mistake.
pub(super) fn end_of(cause: EndCause, fault: Option<u8>) -> (End, bool) {
    use EndReason as E;
    match cause {
        EndCause::ClientClosed => (plain(E::Closed, None, None), true),
        EndCause::ClientFailed(name) => (plain(E::SocketError, None, name), true),
        EndCause::UpstreamClosed => match fault {
            Some(code) => (plain(E::ProtocolError, Some(code), None), true),
            // The upstream may have died as well, and then no will is published.
            None => (
                plain(E::Other, None, Some("the upstream has closed the connection")),
                false,
            ),
        },
        EndCause::UpstreamSilent => (plain(E::Other, None, Some("the upstream does not answer")), false),
        EndCause::KeepAlive => (plain(E::KeepAliveTimeout, Some(141), None), true),
        EndCause::Protocol(code) => (plain(reason_of(code), Some(code), None), true),
        EndCause::TooSlow => (plain(E::TooSlow, None, None), true),
        EndCause::Expired => (plain(E::Expired, Some(160), None), true),
        EndCause::Kicked => (plain(E::Kicked, Some(152), None), true),
        EndCause::Draining => (
            plain(E::Shutdown, Some(139), Some("the upstream is being drained")),
            true,
        ),
        EndCause::Stopping => (plain(E::Shutdown, Some(139), Some("Server shutting down")), true),
    }
}

/// The reason behind the code of a DISCONNECT: of the upstream, or of the gateway itself.
pub(super) fn reason_of(code: u8) -> EndReason {
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
