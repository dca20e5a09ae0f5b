//! The words of the contract's enums.

use serde::Serializer;
use serde_json::Value;

use super::form::Form;
use super::reader::Reader;
use crate::{Access, DropReason, EndReason, Hook, Origin, Transport};

macro_rules! names {
    ($type:ident, $what:literal, $($variant:ident = $name:literal),* $(,)?) => {
        impl Form for $type {
            fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(match self { $($type::$variant => $name,)* })
            }

            fn read(value: Value, reader: &mut Reader) -> Option<$type> {
                reader.name(value, $what, &[$(($name, $type::$variant)),*])
            }
        }

        #[cfg(test)]
        impl super::tests::Arbitrary for $type {
            fn arbitrary(choices: &mut super::tests::Choices) -> $type {
                choices.one_of(&[$($type::$variant),*])
            }
        }
    };
}

macro_rules! hooks {
    ($($variant:ident = $name:literal),* $(,)?) => {
        names!(Hook, "a hook", $($variant = $name),*);

        pub(super) fn hook(hook: Hook) -> &'static str {
            match hook { $(Hook::$variant => $name,)* }
        }
    };
}

hooks!(
    ClientConnect = "client-connect",
    ClientConnack = "client-connack",
    ClientConnected = "client-connected",
    ClientDisconnected = "client-disconnected",
    ClientAuthenticated = "client-authenticated",
    ClientAuthorized = "client-authorized",
    ClientSubscribe = "client-subscribe",
    ClientUnsubscribe = "client-unsubscribe",
    SessionCreated = "session-created",
    SessionResumed = "session-resumed",
    SessionSubscribed = "session-subscribed",
    SessionUnsubscribed = "session-unsubscribed",
    SessionDiscarded = "session-discarded",
    SessionTakenOver = "session-taken-over",
    SessionTerminated = "session-terminated",
    MessagePublish = "message-publish",
    MessageDelivered = "message-delivered",
    MessageAcked = "message-acked",
    MessageDropped = "message-dropped",
    MessageRefused = "message-refused",
    DeliveryDropped = "delivery-dropped",
    MessageQueued = "message-queued",
    DeliveryLost = "delivery-lost",
    Other = "other",
);

names!(
    Transport,
    "a transport",
    Tcp = "tcp",
    Tls = "tls",
    Websocket = "websocket",
    WebsocketTls = "websocket-tls",
    Quic = "quic",
    Other = "other",
);

names!(Access, "an access", Publish = "publish", Subscribe = "subscribe");

names!(
    EndReason,
    "a reason for an end",
    Disconnect = "disconnect",
    Closed = "closed",
    SocketError = "socket-error",
    IoTimeout = "io-timeout",
    KeepAliveTimeout = "keep-alive-timeout",
    Kicked = "kicked",
    TakenOver = "taken-over",
    Discarded = "discarded",
    NotAuthorized = "not-authorized",
    ProtocolError = "protocol-error",
    SubscribeFailed = "subscribe-failed",
    UnsubscribeFailed = "unsubscribe-failed",
    LimitExceeded = "limit-exceeded",
    TooSlow = "too-slow",
    Expired = "expired",
    Module = "module",
    Shutdown = "shutdown",
    InternalError = "internal-error",
    Other = "other",
);

names!(
    Origin,
    "an origin",
    Client = "client",
    Will = "will",
    Admin = "admin",
    System = "system",
    Bridge = "bridge",
    Module = "module",
);

names!(
    DropReason,
    "a reason to drop",
    NoSubscribers = "no-subscribers",
    NotAuthorized = "not-authorized",
    PacketIdInUse = "packet-id-in-use",
    ReceiveMaximumExceeded = "receive-maximum-exceeded",
    LimitExceeded = "limit-exceeded",
    Invalid = "invalid",
    Module = "module",
    QueueFull = "queue-full",
    WindowFull = "window-full",
    NotQueued = "not-queued",
    Expired = "expired",
    NoLocal = "no-local",
    TooLarge = "too-large",
    Refused = "refused",
    Disconnected = "disconnected",
    SessionEnded = "session-ended",
    Other = "other",
);
