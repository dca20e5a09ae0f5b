//! What EMQX 4 and 5 have in common: their versions, which drops they report, the order of CONNACK, and their words for
//! reasons and reason codes.
//!
//! EMQX uses the names of MQTT 5's reason codes for clients of every version, and words of its own for reasons without a
//! code. Reasons that EMQX does not have get similar words.

use std::borrow::Cow;

use hookhost_guest::{Connection, Detail, DropReason, End, EndReason, Event, Hook, Transport};

use super::Format;
use crate::key::RuleKey;

/// A version of EMQX. Bodies of different versions have different keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EmqxVersion {
    major: u8,
    minor: u8,
}

impl EmqxVersion {
    /// The version of format `emqx4` unless a rule sets another one.
    pub(crate) const V4_4: EmqxVersion = EmqxVersion::new(4, 4);
    /// The version of format `emqx5` unless a rule sets another one.
    pub(crate) const V5_8: EmqxVersion = EmqxVersion::new(5, 8);

    pub(crate) const fn new(major: u8, minor: u8) -> EmqxVersion {
        EmqxVersion { major, minor }
    }

    /// The versions that a rule of a format may set: `"4.0"` to `"4.4"`, or `"5.0"` to `"6.2"`; none for other formats.
    pub(crate) fn names(format: Format) -> &'static [&'static str] {
        match format {
            Format::Emqx4 => &["4.0", "4.1", "4.2", "4.3", "4.4"],
            Format::Emqx5 => &[
                "5.0", "5.1", "5.2", "5.3", "5.4", "5.5", "5.6", "5.7", "5.8", "5.9", "5.10", "6.0", "6.1", "6.2",
            ],
            _ => &[],
        }
    }

    /// The version with a name such as `5.8`.
    pub(crate) fn from_name(name: &str) -> Option<EmqxVersion> {
        let (major, minor) = name.split_once('.')?;
        Some(EmqxVersion::new(major.parse().ok()?, minor.parse().ok()?))
    }

    fn is_4(self) -> bool {
        self.major == 4
    }
}

/// The hooks of a key in both versions.
///
/// A rule for CONNACK gets the events of refused connections, and for accepted ones the event that the client is
/// connected: it has the same content, and EMQX reports CONNACK after it. So no event has to be held back.
pub(super) fn hooks(key: RuleKey) -> &'static [Hook] {
    match key {
        RuleKey::ClientConnack => &[Hook::ClientConnack, Hook::ClientConnected],
        RuleKey::MessageDropped => &[Hook::MessageDropped, Hook::MessageRefused],
        key => key.hook(),
    }
}

/// Whether EMQX reports CONNACK with this event. True for all other keys.
pub(super) fn reports_connack(key: RuleKey, event: &Event) -> bool {
    match (key, &event.detail) {
        (RuleKey::ClientConnack, Detail::ClientConnack(connack)) => connack.code >= 128,
        _ => true,
    }
}

/// Whether EMQX reports a publish that was refused as a dropped message: only those of QoS 2 that it could not accept.
/// True for all other events.
pub(super) fn reports_drop(key: RuleKey, event: &Event) -> bool {
    match (key, &event.detail) {
        (RuleKey::MessageDropped, Detail::MessageRefused(drop)) => matches!(
            drop.reason,
            DropReason::PacketIdInUse | DropReason::ReceiveMaximumExceeded
        ),
        _ => true,
    }
}

/// The name of a reason code.
pub(crate) fn code(code: u8) -> &'static str {
    match code {
        0 => "success",
        1 => "granted_qos1",
        2 => "granted_qos2",
        4 => "disconnect_with_will_message",
        16 => "no_matching_subscribers",
        17 => "no_subscription_existed",
        129 => "malformed_packet",
        130 => "protocol_error",
        131 => "implementation_specific_error",
        132 => "unsupported_protocol_version",
        133 => "client_identifier_not_valid",
        134 => "bad_username_or_password",
        135 => "not_authorized",
        136 => "server_unavailable",
        137 => "server_busy",
        138 => "banned",
        139 => "server_shutting_down",
        140 => "bad_authentication_method",
        141 => "keepalive_timeout",
        142 => "session_taken_over",
        143 => "topic_filter_invalid",
        144 => "topic_name_invalid",
        145 => "packet_identifier_inuse",
        146 => "packet_identifier_not_found",
        147 => "receive_maximum_exceeded",
        148 => "topic_alias_invalid",
        149 => "packet_too_large",
        150 => "message_rate_too_high",
        151 => "quota_exceeded",
        152 => "administrative_action",
        153 => "payload_format_invalid",
        154 => "retain_not_supported",
        155 => "qos_not_supported",
        156 => "use_another_server",
        157 => "server_moved",
        158 => "shared_subscriptions_not_supported",
        159 => "connection_rate_exceeded",
        160 => "maximum_connect_time",
        161 => "subscription_identifiers_not_supported",
        162 => "wildcard_subscriptions_not_supported",
        _ => "unspecified_error",
    }
}

/// Why a connection or a session has ended. `connection` is used for its transport.
pub(crate) fn end<'e>(end: &'e End, connection: Option<&Connection>, emqx: EmqxVersion) -> Cow<'e, str> {
    let text = end.text.as_deref().filter(|text| !text.is_empty());
    let transport = connection.map_or(Transport::Tcp, |connection| connection.transport);
    let by_code = end.code.filter(|code| *code != 0).map(code);
    // EMQX 4 prints an unknown reason as null.
    let unknown = if emqx.is_4() { "null" } else { "internal_error" };
    let closed = match transport {
        Transport::Tls => "ssl_closed",
        _ => "tcp_closed",
    };
    Cow::Borrowed(match end.reason {
        EndReason::Disconnect => by_code.unwrap_or("normal"),
        EndReason::Closed => match (transport, text) {
            (Transport::Websocket | Transport::WebsocketTls, Some(_)) if !emqx.is_4() => "internal_error",
            (Transport::Websocket | Transport::WebsocketTls, Some(close_code)) => close_code,
            _ => closed,
        },
        // Erlang does not distinguish a reset from a connection that was closed.
        EndReason::SocketError => match text {
            Some("econnreset") => closed,
            text => text.unwrap_or("closed"),
        },
        EndReason::IoTimeout => "etimedout",
        EndReason::KeepAliveTimeout => "keepalive_timeout",
        EndReason::Kicked => "kicked",
        EndReason::TakenOver if emqx.is_4() => "takeovered",
        EndReason::TakenOver => "takenover",
        EndReason::Discarded => "discarded",
        EndReason::NotAuthorized => "not_authorized",
        EndReason::ProtocolError => match end.code {
            Some(149) => "frame_too_large",
            _ => by_code.unwrap_or("protocol_error"),
        },
        EndReason::Expired => "expired",
        EndReason::SubscribeFailed
        | EndReason::UnsubscribeFailed
        | EndReason::LimitExceeded
        | EndReason::TooSlow
        | EndReason::Module
        | EndReason::Shutdown
        | EndReason::InternalError
        | EndReason::Other => by_code.or(text).unwrap_or(unknown),
    })
}

/// Why a message was dropped, for all receivers or for one.
pub(crate) fn drop(reason: DropReason, drop_code: u8, text: Option<&str>) -> &str {
    let by_code = Some(drop_code).filter(|code| *code >= 128).map(code);
    let text = text.filter(|text| !text.is_empty());
    match reason {
        DropReason::NoSubscribers => "no_subscribers",
        DropReason::NotAuthorized => "not_authorized",
        DropReason::PacketIdInUse => "packet_identifier_inuse",
        DropReason::ReceiveMaximumExceeded => "receive_maximum_exceeded",
        DropReason::QueueFull => "queue_full",
        DropReason::NotQueued => "qos0_msg",
        DropReason::Expired => "expired",
        DropReason::NoLocal => "no_local",
        DropReason::WindowFull => "inflight_full",
        DropReason::TooLarge => "packet_too_large",
        DropReason::Disconnected => "disconnected",
        DropReason::SessionEnded => "session_ended",
        DropReason::LimitExceeded => by_code.unwrap_or("quota_exceeded"),
        DropReason::Invalid | DropReason::Refused | DropReason::Module | DropReason::Other => {
            by_code.or(text).unwrap_or("unspecified_error")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_guest::testing;

    #[test]
    fn ends_of_connections() {
        for (reason, code, text, four, five) in [
            (EndReason::Disconnect, None, None, "normal", "normal"),
            (EndReason::Disconnect, Some(0), None, "normal", "normal"),
            (
                EndReason::Disconnect,
                Some(4),
                None,
                "disconnect_with_will_message",
                "disconnect_with_will_message",
            ),
            (EndReason::Closed, None, None, "tcp_closed", "tcp_closed"),
            (
                EndReason::SocketError,
                None,
                Some("econnreset"),
                "tcp_closed",
                "tcp_closed",
            ),
            (
                EndReason::SocketError,
                None,
                Some("etimedout"),
                "etimedout",
                "etimedout",
            ),
            (EndReason::SocketError, None, None, "closed", "closed"),
            (EndReason::IoTimeout, None, None, "etimedout", "etimedout"),
            (
                EndReason::KeepAliveTimeout,
                Some(141),
                None,
                "keepalive_timeout",
                "keepalive_timeout",
            ),
            (EndReason::Kicked, Some(152), None, "kicked", "kicked"),
            (EndReason::TakenOver, Some(142), None, "takeovered", "takenover"),
            (EndReason::Discarded, Some(142), None, "discarded", "discarded"),
            (
                EndReason::NotAuthorized,
                Some(135),
                None,
                "not_authorized",
                "not_authorized",
            ),
            (
                EndReason::ProtocolError,
                None,
                Some("x"),
                "protocol_error",
                "protocol_error",
            ),
            (
                EndReason::ProtocolError,
                Some(129),
                None,
                "malformed_packet",
                "malformed_packet",
            ),
            (
                EndReason::ProtocolError,
                Some(149),
                None,
                "frame_too_large",
                "frame_too_large",
            ),
            (
                EndReason::LimitExceeded,
                Some(151),
                None,
                "quota_exceeded",
                "quota_exceeded",
            ),
            (
                EndReason::Shutdown,
                Some(139),
                None,
                "server_shutting_down",
                "server_shutting_down",
            ),
            (EndReason::Expired, None, None, "expired", "expired"),
            (EndReason::Other, None, Some("what"), "what", "what"),
            (EndReason::Other, None, None, "null", "internal_error"),
            (EndReason::InternalError, None, Some(""), "null", "internal_error"),
        ] {
            let ended = End {
                code,
                text: text.map(str::to_owned),
                ..testing::end(reason)
            };
            assert_eq!(end(&ended, None, EmqxVersion::V4_4), four, "{reason:?} {code:?}");
            assert_eq!(end(&ended, None, EmqxVersion::V5_8), five, "{reason:?} {code:?}");
        }
    }

    #[test]
    fn versions_have_an_order() {
        for format in [Format::Emqx4, Format::Emqx5] {
            let versions: Vec<_> = EmqxVersion::names(format)
                .iter()
                .map(|name| EmqxVersion::from_name(name).unwrap())
                .collect();
            assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
        }
        assert_eq!(EmqxVersion::names(Format::Rmqtt), [""; 0]);
        for name in ["", "5", "5.", "5.x", "v5.8", "5.8.9"] {
            assert_eq!(EmqxVersion::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_reset_over_tls_is_like_a_closed_connection() {
        let reset = End {
            text: Some("econnreset".to_owned()),
            ..testing::end(EndReason::SocketError)
        };
        let connection = Connection {
            transport: Transport::Tls,
            ..testing::connection("c")
        };
        assert_eq!(end(&reset, Some(&connection), EmqxVersion::V5_8), "ssl_closed");
    }

    #[test]
    fn a_closed_connection_is_named_after_what_carried_it() {
        let closed = |text: Option<&str>| End {
            text: text.map(str::to_owned),
            ..testing::end(EndReason::Closed)
        };
        for (transport, text, four, five) in [
            (Transport::Tls, None, "ssl_closed", "ssl_closed"),
            (Transport::Websocket, None, "tcp_closed", "tcp_closed"),
            (Transport::Websocket, Some("1000"), "1000", "internal_error"),
            (Transport::WebsocketTls, Some("1001"), "1001", "internal_error"),
            (Transport::Tcp, Some("x"), "tcp_closed", "tcp_closed"),
        ] {
            let connection = Connection {
                transport,
                ..testing::connection("c")
            };
            assert_eq!(end(&closed(text), Some(&connection), EmqxVersion::V4_4), four);
            assert_eq!(end(&closed(text), Some(&connection), EmqxVersion::V5_8), five);
        }
    }

    #[test]
    fn drops() {
        for (reason, code, text, expected) in [
            (DropReason::NoSubscribers, 16, None, "no_subscribers"),
            (DropReason::PacketIdInUse, 145, None, "packet_identifier_inuse"),
            (
                DropReason::ReceiveMaximumExceeded,
                147,
                None,
                "receive_maximum_exceeded",
            ),
            (DropReason::QueueFull, 151, Some("x"), "queue_full"),
            (DropReason::NotQueued, 0, None, "qos0_msg"),
            (DropReason::Expired, 0, None, "expired"),
            (DropReason::NoLocal, 0, None, "no_local"),
            (DropReason::WindowFull, 147, None, "inflight_full"),
            (DropReason::LimitExceeded, 150, None, "message_rate_too_high"),
            (DropReason::Invalid, 144, None, "topic_name_invalid"),
            (DropReason::Module, 0, Some("quiet hours"), "quiet hours"),
            (DropReason::Other, 0, None, "unspecified_error"),
        ] {
            assert_eq!(drop(reason, code, text), expected, "{reason:?}");
        }
    }
}
