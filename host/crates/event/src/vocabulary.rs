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
            /// What carries a connection.
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
                /// Anything else, such as a Unix socket.
                Other = "other",
            }

            /// What a client needs permission for.
            Access {
                /// To publish to a topic.
                Publish = "publish",
                /// To subscribe to a filter.
                Subscribe = "subscribe",
            }

            /// Why a connection or a session has ended.
            EndReason {
                /// The client sent DISCONNECT; `code` and `properties` are its own.
                Disconnect = "disconnect",
                /// The client closed without DISCONNECT; `text` is the close code of a WebSocket.
                Closed = "closed",
                /// The socket failed; `text` is the POSIX name of the error, such as `econnreset`.
                SocketError = "socket-error",
                /// Reading or writing took too long.
                IoTimeout = "io-timeout",
                /// Nothing was received for one and a half times the keep alive.
                KeepAliveTimeout = "keep-alive-timeout",
                /// An administrator ended it.
                Kicked = "kicked",
                /// The client connected elsewhere and took its session along.
                TakenOver = "taken-over",
                /// The client connected elsewhere with clean start.
                Discarded = "discarded",
                /// Permission was refused or has expired.
                NotAuthorized = "not-authorized",
                /// The client broke the protocol; `code` says how: 129 malformed, 130 protocol error, 149 too large.
                ProtocolError = "protocol-error",
                /// A SUBSCRIBE could not be carried out.
                SubscribeFailed = "subscribe-failed",
                /// An UNSUBSCRIBE could not be carried out.
                UnsubscribeFailed = "unsubscribe-failed",
                /// A rate or a quota was exceeded; `code` says which: 147, 150, 151, 159.
                LimitExceeded = "limit-exceeded",
                /// The client read too slowly.
                TooSlow = "too-slow",
                /// The session expired.
                Expired = "expired",
                /// A module decided so.
                Module = "module",
                /// The node is stopping.
                Shutdown = "shutdown",
                /// The host failed.
                InternalError = "internal-error",
                /// Anything else; `text` says what.
                Other = "other",
            }

            /// What a message comes from.
            Origin {
                /// A PUBLISH of a client.
                Client = "client",
                /// A client's will.
                Will = "will",
                /// The admin API.
                Admin = "admin",
                /// The broker itself, such as `$SYS`.
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
                /// The publisher may not publish there.
                NotAuthorized = "not-authorized",
                /// The publisher uses the packet identifier already.
                PacketIdInUse = "packet-id-in-use",
                /// The publisher has too many unacknowledged messages.
                ReceiveMaximumExceeded = "receive-maximum-exceeded",
                /// The publisher is above a rate or a quota.
                LimitExceeded = "limit-exceeded",
                /// The publish is invalid: topic, payload format, QoS or retain flag; `code` says which.
                Invalid = "invalid",
                /// A module decided so.
                Module = "module",
                /// The receiver's queue is full.
                QueueFull = "queue-full",
                /// The receiver has too many unacknowledged messages.
                WindowFull = "window-full",
                /// QoS 0 for a receiver that is disconnected.
                NotQueued = "not-queued",
                /// The message expired.
                Expired = "expired",
                /// The receiver is the publisher and does not want its own messages.
                NoLocal = "no-local",
                /// The packet is longer than the receiver accepts.
                TooLarge = "too-large",
                /// The receiver refused it; `code` is that of its PUBACK or PUBREC.
                Refused = "refused",
                /// The receiver's connection has ended.
                Disconnected = "disconnected",
                /// The receiver's session has ended.
                SessionEnded = "session-ended",
                /// Anything else; `text` says what.
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
            /// Seconds after which the message expires.
            MessageExpiryInterval(u32) = "message-expiry-interval",
            /// MIME type of the payload.
            ContentType(ByteString) = "content-type",
            /// Topic for the response to a request.
            ResponseTopic(ByteString) = "response-topic",
            /// Bytes that match a response with its request.
            CorrelationData(Bytes) = "correlation-data",
            /// Number that a subscriber gave its subscription.
            SubscriptionIdentifier(u32) = "subscription-identifier",
            /// Seconds that a session outlives its connection.
            SessionExpiryInterval(u32) = "session-expiry-interval",
            /// Client id that the broker chose.
            AssignedClientIdentifier(ByteString) = "assigned-client-identifier",
            /// Keep alive in seconds that the broker imposes.
            ServerKeepAlive(u16) = "server-keep-alive",
            /// Name of the extended authentication method.
            AuthenticationMethod(ByteString) = "authentication-method",
            /// Whether the client wants reason strings.
            RequestProblemInformation(bool) = "request-problem-information",
            /// Seconds between the end of a connection and its will.
            WillDelayInterval(u32) = "will-delay-interval",
            /// Whether the client wants response information.
            RequestResponseInformation(bool) = "request-response-information",
            /// Base for response topics.
            ResponseInformation(ByteString) = "response-information",
            /// Another broker to connect to.
            ServerReference(ByteString) = "server-reference",
            /// Human-readable reason.
            ReasonString(ByteString) = "reason-string",
            /// How many unacknowledged messages its sender accepts.
            ReceiveMaximum(u16) = "receive-maximum",
            /// Highest topic alias that its sender accepts.
            TopicAliasMaximum(u16) = "topic-alias-maximum",
            /// Topic alias of a publish; its topic is filled in already.
            TopicAlias(u16) = "topic-alias",
            /// Highest QoS of the broker.
            MaximumQos(u8) = "maximum-qos",
            /// Whether the broker keeps retained messages.
            RetainAvailable(bool) = "retain-available",
            /// Longest packet in bytes that its sender accepts.
            MaximumPacketSize(u32) = "maximum-packet-size",
            /// Whether the broker accepts wildcards.
            WildcardSubscriptionAvailable(bool) = "wildcard-subscription-available",
            /// Whether the broker accepts subscription identifiers.
            SubscriptionIdentifierAvailable(bool) = "subscription-identifier-available",
            /// Whether the broker accepts shared subscriptions.
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
