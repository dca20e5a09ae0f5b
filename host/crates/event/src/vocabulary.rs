//! The words of the contract, once: enums and properties with their names and meanings.
//!
//! [`with_enums!`](crate::with_enums) and [`with_properties!`](crate::with_properties) hand the tables to a macro. This
//! file makes the types and their JSON names of them, the lowering to `wit/hook.wit` its conversions, and a test
//! compares `docs/events.md` with them. A new word is added here and in the WIT file.

use serde::Serialize;

use super::{ByteString, Bytes};

/// Calls the macro `$with` with all enums but the hooks: `Enum { Variant = "name-in-the-contract", … }`, each with its
/// meaning as a doc comment.
#[macro_export]
macro_rules! with_enums {
    ($with:ident) => {
        $with! {
            /// The transport of a connection.
            Transport {
                /// Plain TCP.
                Tcp = "tcp",
                /// TLS over TCP.
                Tls = "tls",
                /// WebSocket.
                Websocket = "websocket",
                /// WebSocket over TLS.
                WebsocketTls = "websocket-tls",
                /// QUIC.
                Quic = "quic",
                /// Any other transport, such as a Unix socket.
                Other = "other",
            }

            /// An action that needs permission.
            Access {
                /// Publish to a topic.
                Publish = "publish",
                /// Subscribe to a topic filter.
                Subscribe = "subscribe",
            }

            /// Why a connection or a session has ended.
            EndReason {
                /// The client sent DISCONNECT; `code` and `properties` are those of the packet.
                Disconnect = "disconnect",
                /// The client closed the connection without DISCONNECT; `text` is the close code of a WebSocket.
                Closed = "closed",
                /// The socket failed; `text` is the POSIX name of the error, such as `econnreset`.
                SocketError = "socket-error",
                /// Reading or writing timed out.
                IoTimeout = "io-timeout",
                /// The client sent nothing for one and a half times the keep alive.
                KeepAliveTimeout = "keep-alive-timeout",
                /// An administrator ended it.
                Kicked = "kicked",
                /// The client opened another connection, which took over the session.
                TakenOver = "taken-over",
                /// The client opened another connection with clean start.
                Discarded = "discarded",
                /// Permission was denied or has expired.
                NotAuthorized = "not-authorized",
                /// The client violated the protocol; `code`: 129 malformed packet, 130 protocol error, 149 packet too large.
                ProtocolError = "protocol-error",
                /// The broker could not process a SUBSCRIBE packet.
                SubscribeFailed = "subscribe-failed",
                /// The broker could not process an UNSUBSCRIBE packet.
                UnsubscribeFailed = "unsubscribe-failed",
                /// A rate limit or a quota was exceeded; `code` says which: 147, 150, 151 or 159.
                LimitExceeded = "limit-exceeded",
                /// The client read too slowly.
                TooSlow = "too-slow",
                /// The session has expired.
                Expired = "expired",
                /// A module requested it.
                Module = "module",
                /// The node is shutting down.
                Shutdown = "shutdown",
                /// The host failed.
                InternalError = "internal-error",
                /// Any other reason; `text` describes it.
                Other = "other",
            }

            /// The origin of a message.
            Origin {
                /// A PUBLISH packet of a client.
                Client = "client",
                /// The will of a client.
                Will = "will",
                /// The admin API.
                Admin = "admin",
                /// The broker itself, such as `$SYS` messages.
                System = "system",
                /// Another broker.
                Bridge = "bridge",
                /// A module.
                Module = "module",
            }

            /// Why a message was dropped.
            DropReason {
                /// No client subscribes to the topic.
                NoSubscribers = "no-subscribers",
                /// The publisher is not allowed to publish to the topic.
                NotAuthorized = "not-authorized",
                /// The publisher already uses the packet identifier.
                PacketIdInUse = "packet-id-in-use",
                /// The publisher has too many unacknowledged messages.
                ReceiveMaximumExceeded = "receive-maximum-exceeded",
                /// The publisher exceeds a rate limit or a quota.
                LimitExceeded = "limit-exceeded",
                /// Topic, payload format, QoS or retain flag is not acceptable; `code` says which.
                Invalid = "invalid",
                /// A module requested it.
                Module = "module",
                /// The receiver's queue is full.
                QueueFull = "queue-full",
                /// The receiver has too many unacknowledged messages.
                WindowFull = "window-full",
                /// The message has QoS 0, and the receiver is offline.
                NotQueued = "not-queued",
                /// The message has expired.
                Expired = "expired",
                /// The receiver is the publisher, and its subscription excludes its own messages.
                NoLocal = "no-local",
                /// The packet is larger than the receiver accepts.
                TooLarge = "too-large",
                /// The receiver refused it; `code` is that of its PUBACK or PUBREC.
                Refused = "refused",
                /// The receiver's connection has ended.
                Disconnected = "disconnected",
                /// The receiver's session has ended.
                SessionEnded = "session-ended",
                /// Any other reason; `text` describes it.
                Other = "other",
            }
        }
    };
}

/// Calls the macro `$with` with all properties: `Variant(type) = "name-in-the-contract", …`, each with its meaning as a
/// doc comment.
#[macro_export]
macro_rules! with_properties {
    ($with:ident) => {
        $with! {
            /// 0 for bytes, 1 for UTF-8 text.
            PayloadFormatIndicator(u8) = "payload-format-indicator",
            /// Lifetime of the message in seconds, set by the publisher.
            MessageExpiryInterval(u32) = "message-expiry-interval",
            /// MIME type of the payload.
            ContentType(ByteString) = "content-type",
            /// Topic for the response to a request.
            ResponseTopic(ByteString) = "response-topic",
            /// Bytes that identify the request to which a response belongs.
            CorrelationData(Bytes) = "correlation-data",
            /// Number that the subscriber gave to its subscription.
            SubscriptionIdentifier(u32) = "subscription-identifier",
            /// Seconds for which the session is kept after its connection ends.
            SessionExpiryInterval(u32) = "session-expiry-interval",
            /// Client id that the broker assigned.
            AssignedClientIdentifier(ByteString) = "assigned-client-identifier",
            /// Keep alive in seconds, set by the broker.
            ServerKeepAlive(u16) = "server-keep-alive",
            /// Name of the extended authentication method.
            AuthenticationMethod(ByteString) = "authentication-method",
            /// Whether the client requests reason strings.
            RequestProblemInformation(bool) = "request-problem-information",
            /// Seconds between the end of the connection and the publication of the will.
            WillDelayInterval(u32) = "will-delay-interval",
            /// Whether the client requests response information.
            RequestResponseInformation(bool) = "request-response-information",
            /// Prefix for response topics.
            ResponseInformation(ByteString) = "response-information",
            /// Another broker that the client should use.
            ServerReference(ByteString) = "server-reference",
            /// Human-readable reason.
            ReasonString(ByteString) = "reason-string",
            /// Number of unacknowledged messages that the sender of the packet accepts.
            ReceiveMaximum(u16) = "receive-maximum",
            /// Highest topic alias that the sender of the packet accepts.
            TopicAliasMaximum(u16) = "topic-alias-maximum",
            /// Topic alias of a message. The topic of the message is already resolved.
            TopicAlias(u16) = "topic-alias",
            /// Highest QoS that the broker supports.
            MaximumQos(u8) = "maximum-qos",
            /// Whether the broker supports retained messages.
            RetainAvailable(bool) = "retain-available",
            /// Largest packet in bytes that the sender of this packet accepts.
            MaximumPacketSize(u32) = "maximum-packet-size",
            /// Whether the broker supports wildcards in topic filters.
            WildcardSubscriptionAvailable(bool) = "wildcard-subscription-available",
            /// Whether the broker supports subscription identifiers.
            SubscriptionIdentifierAvailable(bool) = "subscription-identifier-available",
            /// Whether the broker supports shared subscriptions.
            SharedSubscriptionAvailable(bool) = "shared-subscription-available",
        }
    };
}

/// Reads an enum from its name. What serde derives would take an object with that key as well.
macro_rules! read_name {
    ($enum:ident { $($variant:ident = $name:literal),+ }) => {
        impl<'de> serde::Deserialize<'de> for $enum {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$enum, D::Error> {
                match &*String::deserialize(deserializer)? {
                    $($name => Ok($enum::$variant),)+
                    other => Err(serde::de::Error::unknown_variant(other, &[$($name),+])),
                }
            }
        }
    };
}
pub(super) use read_name;

macro_rules! define_enums {
    ($(#[doc = $about:literal] $enum:ident {
        $(#[doc = $meaning:literal] $variant:ident = $name:literal,)+
    })+) => {$(
        #[doc = $about]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub enum $enum {
            $(#[doc = $meaning] #[serde(rename = $name)] $variant,)+
        }

        read_name!($enum { $($variant = $name),+ });
    )+};
}
with_enums!(define_enums);

macro_rules! define_property {
    ($(#[doc = $meaning:literal] $variant:ident($type:ty) = $name:literal,)+) => {
        /// A property of MQTT 5, typed; user properties and authentication data are not among them.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Property {
            $(#[doc = $meaning] $variant($type),)+
        }
    };
}
with_properties!(define_property);
