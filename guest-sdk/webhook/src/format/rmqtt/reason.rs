//! Reasons in the words of RMQTT.
//!
//! RMQTT prints the names of the variants of its enums and of its reason codes. A reason that RMQTT does not have keeps the
//! text of the event.

use std::borrow::Cow;

use hookhost_guest::event::{DropReason, End, EndReason, MessageDrop, Property};

/// The text for the reason code of a CONNACK; it depends on the MQTT version of the client.
pub(super) fn connack(code: u8, protocol_version: u8) -> &'static str {
    match (code, protocol_version) {
        (0, _) => "Connection Accepted",
        (132, 5) => "protocol version is not supported",
        (132, _) => "Connection Refused, unacceptable protocol version",
        (133, 5) => "client identifier is invalid",
        (133, _) => "Connection Refused, identifier rejected",
        (134, 5) => "bad user name or password",
        (134, _) => "Connection Refused, bad user name or password",
        (135, 5) => "not authorized",
        (135, _) => "Connection Refused, not authorized",
        (136, 5) => "Server unavailable",
        (136, _) => "Connection Refused, Server unavailable",
        _ => "Connection Refused",
    }
}

/// Why a connection or a session has ended.
pub(super) fn end(end: &End, protocol_version: u8) -> Cow<'_, str> {
    let text = end.text.as_deref().filter(|text| !text.is_empty());
    let with_text = |word: &'static str| match text {
        Some(text) => Cow::Owned(format!("{word}({text})")),
        None => Cow::Borrowed(word),
    };
    match end.reason {
        // RMQTT also notices that the client has closed the connection, and lists both reasons.
        EndReason::Disconnect if protocol_version == 5 => Cow::Owned(disconnect_v5(end)),
        EndReason::Disconnect => Cow::Borrowed("Disconnect(V3),RemoteClose"),
        EndReason::Closed => Cow::Borrowed("RemoteClose"),
        EndReason::SocketError => socket_error(text),
        EndReason::IoTimeout => Cow::Borrowed("ReadWriteTimeout"),
        EndReason::KeepAliveTimeout => Cow::Borrowed("KeepaliveTimeout"),
        EndReason::Kicked => Cow::Borrowed("ByAdminKick"),
        EndReason::TakenOver | EndReason::Discarded => Cow::Borrowed("Kicked"),
        EndReason::Expired => Cow::Borrowed("SessionExpiration"),
        EndReason::ProtocolError => match (text, end.code) {
            (Some(text), _) => Cow::Borrowed(text),
            (None, Some(code)) => Cow::Owned(format!("ProtocolError({})", code_name(code))),
            (None, None) => Cow::Borrowed("ProtocolError"),
        },
        EndReason::SubscribeFailed => with_text("SubscribeFailed"),
        EndReason::UnsubscribeFailed => with_text("UnsubscribeFailed"),
        EndReason::LimitExceeded if end.code == Some(159) => Cow::Borrowed("HandshakeRateExceeded"),
        EndReason::NotAuthorized
        | EndReason::LimitExceeded
        | EndReason::TooSlow
        | EndReason::Module
        | EndReason::Shutdown
        | EndReason::InternalError
        | EndReason::Other => Cow::Borrowed(text.unwrap_or("Unknown")),
    }
}

/// The failure of a socket by its POSIX name: Linux's words, as RMQTT prints them.
fn socket_error(name: Option<&str>) -> Cow<'static, str> {
    let (number, words) = match name {
        Some("epipe") => (32, "Broken pipe"),
        Some("enetdown") => (100, "Network is down"),
        Some("enetunreach") => (101, "Network is unreachable"),
        Some("econnaborted") => (103, "Software caused connection abort"),
        Some("econnreset") => (104, "Connection reset by peer"),
        Some("enotconn") => (107, "Transport endpoint is not connected"),
        Some("etimedout") => (110, "Connection timed out"),
        Some("ehostdown") => (112, "Host is down"),
        Some("ehostunreach") => (113, "No route to host"),
        _ => return Cow::Borrowed("ReadWriteError"),
    };
    Cow::Owned(format!("io error, \"{words} (os error {number})\""))
}

/// A DISCONNECT of MQTT 5 as RMQTT prints it: the debug text of the packet.
fn disconnect_v5(end: &End) -> String {
    let properties = end.properties.as_ref();
    let expiry = properties.and_then(|properties| {
        properties.find(|property| match property {
            Property::SessionExpiryInterval(seconds) => Some(*seconds),
            _ => None,
        })
    });
    let reference = properties.and_then(|properties| {
        properties.find(|property| match property {
            Property::ServerReference(text) => Some(text.as_str()),
            _ => None,
        })
    });
    let reason = properties.and_then(|properties| properties.reason_string());
    let user = properties
        .map(|properties| properties.user.as_slice())
        .unwrap_or_default();
    let code = code_name(end.code.unwrap_or(0));
    format!(
        "Disconnect(V5(Disconnect {{ reason_code: {code}, session_expiry_interval_secs: {expiry:?}, \
         server_reference: {reference:?}, reason_string: {reason:?}, user_properties: {user:?} }})),RemoteClose"
    )
}

/// Why a publish was refused.
pub(super) fn message_drop(drop: &MessageDrop) -> &str {
    drop_reason(drop.reason, drop.code, drop.text.as_deref())
}

/// Why a message was dropped, for all receivers or for one.
pub(super) fn drop_reason(reason: DropReason, code: u8, text: Option<&str>) -> &str {
    let text = text.filter(|text| !text.is_empty());
    match reason {
        DropReason::QueueFull => "MessageQueueFull",
        DropReason::Expired => "MessageExpiration",
        DropReason::WindowFull => "Inflight window is full",
        DropReason::Disconnected => text.unwrap_or("the client has disconnected"),
        DropReason::SessionEnded => text.unwrap_or("SessionExpiration"),
        // RMQTT has no variant for the others and writes the reason string or the name of the code for the client.
        _ => match (text, code) {
            (Some(text), _) => text,
            (None, 0) => default_name(reason),
            (None, code) => code_name(code),
        },
    }
}

fn default_name(reason: DropReason) -> &'static str {
    match reason {
        DropReason::NotAuthorized => code_name(135),
        DropReason::PacketIdInUse => code_name(145),
        DropReason::ReceiveMaximumExceeded => code_name(147),
        _ => "Unknown",
    }
}

/// The name of a reason code, as RMQTT's cases are named.
fn code_name(code: u8) -> &'static str {
    match code {
        0 => "NormalDisconnection",
        4 => "DisconnectWithWillMessage",
        16 => "NoMatchingSubscribers",
        129 => "MalformedPacket",
        130 => "ProtocolError",
        131 => "ImplementationSpecificError",
        135 => "NotAuthorized",
        137 => "ServerBusy",
        139 => "ServerShuttingDown",
        140 => "BadAuthenticationMethod",
        141 => "KeepAliveTimeout",
        142 => "SessionTakenOver",
        143 => "TopicFilterInvalid",
        144 => "TopicNameInvalid",
        145 => "PacketIdentifierInUse",
        147 => "ReceiveMaximumExceeded",
        148 => "TopicAliasInvalid",
        149 => "PacketTooLarge",
        150 => "MessageRateTooHigh",
        151 => "QuotaExceeded",
        152 => "AdministrativeAction",
        153 => "PayloadFormatInvalid",
        154 => "RetainNotSupported",
        155 => "QosNotSupported",
        156 => "UseAnotherServer",
        157 => "ServerMoved",
        158 => "SharedSubscriptionNotSupported",
        159 => "ConnectionRateExceeded",
        160 => "MaximumConnectTime",
        161 => "SubscriptionIdentifiersNotSupported",
        162 => "WildcardSubscriptionsNotSupported",
        _ => "UnspecifiedError",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_guest::event::Properties;
    use hookhost_guest::testing;

    #[test]
    fn answers_to_connect() {
        for (code, v3, v5) in [
            (0, "Connection Accepted", "Connection Accepted"),
            (
                132,
                "Connection Refused, unacceptable protocol version",
                "protocol version is not supported",
            ),
            (
                133,
                "Connection Refused, identifier rejected",
                "client identifier is invalid",
            ),
            (136, "Connection Refused, Server unavailable", "Server unavailable"),
            (
                134,
                "Connection Refused, bad user name or password",
                "bad user name or password",
            ),
            (135, "Connection Refused, not authorized", "not authorized"),
            (137, "Connection Refused", "Connection Refused"),
            (140, "Connection Refused", "Connection Refused"),
        ] {
            assert_eq!(
                (connack(code, 3), connack(code, 4), connack(code, 5)),
                (v3, v3, v5),
                "{code}"
            );
        }
    }

    #[test]
    fn ends_of_connections() {
        for (reason, code, text, expected) in [
            (EndReason::Disconnect, Some(0), None, "Disconnect(V3),RemoteClose"),
            (EndReason::Closed, None, None, "RemoteClose"),
            (EndReason::Closed, None, Some("1001"), "RemoteClose"),
            (EndReason::SocketError, None, None, "ReadWriteError"),
            (
                EndReason::SocketError,
                None,
                Some("econnreset"),
                "io error, \"Connection reset by peer (os error 104)\"",
            ),
            (EndReason::IoTimeout, None, None, "ReadWriteTimeout"),
            (EndReason::KeepAliveTimeout, Some(141), None, "KeepaliveTimeout"),
            (EndReason::Kicked, Some(152), None, "ByAdminKick"),
            (EndReason::TakenOver, Some(142), None, "Kicked"),
            (EndReason::Discarded, Some(142), None, "Kicked"),
            (EndReason::NotAuthorized, Some(135), Some("no"), "no"),
            (
                EndReason::ProtocolError,
                Some(130),
                Some("ProtocolError(packet_id is None)"),
                "ProtocolError(packet_id is None)",
            ),
            (
                EndReason::ProtocolError,
                Some(129),
                Some("Malformed packet"),
                "Malformed packet",
            ),
            (
                EndReason::ProtocolError,
                Some(149),
                None,
                "ProtocolError(PacketTooLarge)",
            ),
            (EndReason::ProtocolError, None, None, "ProtocolError"),
            (EndReason::SubscribeFailed, None, None, "SubscribeFailed"),
            (EndReason::SubscribeFailed, None, Some("x"), "SubscribeFailed(x)"),
            (EndReason::UnsubscribeFailed, None, Some("x"), "UnsubscribeFailed(x)"),
            (EndReason::LimitExceeded, Some(159), Some("x"), "HandshakeRateExceeded"),
            (EndReason::LimitExceeded, Some(147), Some("x"), "x"),
            (EndReason::TooSlow, None, None, "Unknown"),
            (EndReason::Expired, None, None, "SessionExpiration"),
            (EndReason::Module, None, Some(""), "Unknown"),
            (EndReason::Shutdown, Some(139), Some("stopping"), "stopping"),
            (EndReason::InternalError, None, None, "Unknown"),
            (EndReason::Other, None, Some("what"), "what"),
        ] {
            let text = text.map(str::to_owned);
            assert_eq!(
                end(
                    &End {
                        code,
                        text,
                        ..testing::end(reason)
                    },
                    4
                ),
                expected,
                "{reason:?}"
            );
        }
    }

    #[test]
    fn a_disconnect_of_mqtt_5_is_a_debug_text() {
        let plain = End {
            code: Some(0),
            ..testing::end(EndReason::Disconnect)
        };
        assert_eq!(
            end(&plain, 5),
            "Disconnect(V5(Disconnect { reason_code: NormalDisconnection, session_expiry_interval_secs: None, \
             server_reference: None, reason_string: None, user_properties: [] })),RemoteClose"
        );
        let properties = Properties {
            standard: vec![
                Property::ReasonString("a \"b\"".into()),
                Property::SessionExpiryInterval(60),
            ],
            user: vec![("k".into(), "v".into()), ("k".into(), "w".into())],
        };
        let full = End {
            code: Some(4),
            properties: Some(properties),
            ..testing::end(EndReason::Disconnect)
        };
        assert_eq!(
            end(&full, 5),
            "Disconnect(V5(Disconnect { reason_code: DisconnectWithWillMessage, \
             session_expiry_interval_secs: Some(60), server_reference: None, reason_string: Some(\"a \\\"b\\\"\"), \
             user_properties: [(\"k\", \"v\"), (\"k\", \"w\")] })),RemoteClose"
        );
    }

    #[test]
    fn drops() {
        for (reason, code, text, expected) in [
            (DropReason::NotAuthorized, 135, None, "NotAuthorized"),
            (DropReason::NotAuthorized, 0, None, "NotAuthorized"),
            (DropReason::NotAuthorized, 131, None, "ImplementationSpecificError"),
            (DropReason::NotAuthorized, 135, Some("quiet hours"), "quiet hours"),
            (DropReason::PacketIdInUse, 145, None, "PacketIdentifierInUse"),
            (DropReason::PacketIdInUse, 0, None, "PacketIdentifierInUse"),
            (DropReason::ReceiveMaximumExceeded, 147, Some("x"), "x"),
            (DropReason::QueueFull, 151, None, "MessageQueueFull"),
            (DropReason::WindowFull, 147, None, "Inflight window is full"),
            (DropReason::Expired, 0, None, "MessageExpiration"),
            (DropReason::Disconnected, 0, None, "the client has disconnected"),
            (DropReason::Disconnected, 0, Some("Tx is closed"), "Tx is closed"),
            (
                DropReason::SessionEnded,
                0,
                Some("Disconnect(V3),RemoteClose"),
                "Disconnect(V3),RemoteClose",
            ),
            (DropReason::SessionEnded, 0, None, "SessionExpiration"),
            (DropReason::Refused, 153, None, "PayloadFormatInvalid"),
            (DropReason::Refused, 128, None, "UnspecifiedError"),
            (DropReason::Module, 0, None, "Unknown"),
            (DropReason::Other, 0, Some("what"), "what"),
        ] {
            assert_eq!(drop_reason(reason, code, text), expected, "{reason:?} {code}");
        }
    }
}
