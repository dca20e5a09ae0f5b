//! The kinds of event, and the record that each carries.

use serde::{Deserialize, Serialize};

use super::json::defaults;
use super::vocabulary::read_name;
use super::{
    Acknowledgement, Authentication, Authorization, ByteString, Client, Connack, Connection, Delivery, DeliveryDrop,
    DeliveryLoss, Disconnection, Message, MessageDrop, Session, Subscription, Termination, Unsubscription,
};

/// Calls the macro `$with` with all kinds of event: `Kind = "dotted.name" "name-in-the-contract", record: Type;`. The
/// first doc comment says what a kind means, the second what its record is; `record` is the key of the record in JSON.
#[macro_export]
macro_rules! with_hooks {
    ($with:ident) => {
        $with! {
            /// CONNECT was read; authentication is still to come.
            ClientConnect = "client.connect" "client-connect",
                /// The requested connection.
                connection: Connection;
            /// CONNACK is about to be sent, success or refusal.
            ClientConnack = "client.connack" "client-connack",
                /// The answer.
                connack: Connack;
            /// The connection is accepted and has its session.
            ClientConnected = "client.connected" "client-connected",
                /// The answer that was sent.
                connack: Connack;
            /// An accepted connection has ended.
            ClientDisconnected = "client.disconnected" "client-disconnected",
                /// The connection and its end.
                disconnection: Disconnection;
            /// Authentication has decided.
            ClientAuthenticated = "client.authenticated" "client-authenticated",
                /// The decision.
                authentication: Authentication;
            /// Authorisation has decided about one publish or one filter.
            ClientAuthorized = "client.authorized" "client-authorized",
                /// The decision.
                authorization: Authorization;
            /// A client asks for one filter of a SUBSCRIBE; also if it is refused.
            ClientSubscribe = "client.subscribe" "client-subscribe",
                /// The requested subscription.
                subscription: Subscription;
            /// A client asks to remove one filter with UNSUBSCRIBE.
            ClientUnsubscribe = "client.unsubscribe" "client-unsubscribe",
                /// The subscription to remove.
                unsubscription: Unsubscription;
            /// A new session exists.
            SessionCreated = "session.created" "session-created",
                /// The new session.
                session: Session;
            /// A connection has resumed its session.
            SessionResumed = "session.resumed" "session-resumed",
                /// The resumed session.
                session: Session;
            /// A subscription is active.
            SessionSubscribed = "session.subscribed" "session-subscribed",
                /// The active subscription.
                subscription: Subscription;
            /// A subscription was removed by UNSUBSCRIBE.
            SessionUnsubscribed = "session.unsubscribed" "session-unsubscribed",
                /// The removed subscription.
                unsubscription: Unsubscription;
            /// A session was discarded because its client connected with clean start.
            SessionDiscarded = "session.discarded" "session-discarded",
                /// The discarded session.
                session: Session;
            /// A session has moved to another connection of its client.
            SessionTakenOver = "session.taken-over" "session-taken-over",
                /// The session that moved.
                session: Session;
            /// A session has ended for any other reason.
            SessionTerminated = "session.terminated" "session-terminated",
                /// The session and its end.
                termination: Termination;
            /// A publish was accepted, before it is routed.
            MessagePublish = "message.publish" "message-publish",
                /// The message.
                message: Message;
            /// A message is about to be written to one receiver.
            MessageDelivered = "message.delivered" "message-delivered",
                /// The message and its receiver.
                delivery: Delivery;
            /// A receiver has acknowledged a message.
            MessageAcked = "message.acked" "message-acked",
                /// The delivery and its acknowledgement.
                acknowledgement: Acknowledgement;
            /// A publish was accepted, and no client subscribes to its topic.
            MessageDropped = "message.dropped" "message-dropped",
                /// The message and the reason.
                message_drop: MessageDrop;
            /// A publish was refused.
            MessageRefused = "message.refused" "message-refused",
                /// The message and the reason.
                message_drop: MessageDrop;
            /// A message was dropped for one receiver.
            DeliveryDropped = "delivery.dropped" "delivery-dropped",
                /// The delivery and the reason.
                delivery_drop: DeliveryDrop;
            /// A message was stored for a disconnected receiver.
            MessageQueued = "message.queued" "message-queued",
                /// The message and its receiver.
                delivery: Delivery;
            /// Messages for one receiver were lost; only their number is known.
            DeliveryLost = "delivery.lost" "delivery-lost",
                /// The receiver and the number.
                delivery_loss: DeliveryLoss;
            /// Everything that has no case of its own.
            Other = "other" "other",
                /// Name and content.
                other_event: OtherEvent;
        }
    };
}

macro_rules! define_hooks {
    ($(
        #[doc = $meaning:literal] $kind:ident = $dotted:literal $name:literal,
        #[doc = $record_doc:literal] $record:ident: $type:ty;
    )+) => {
        /// A kind of event, as a module asks for it; [`Detail`] has a variant of the same name for each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        #[repr(u8)]
        pub enum Hook {
            $(#[doc = $meaning] #[serde(rename = $name)] $kind,)+
        }

        read_name!(Hook { $($kind = $name),+ });

        impl Hook {
            /// All kinds, in the order of the contract.
            pub const ALL: [Hook; Hook::COUNT] = [$(Hook::$kind),+];

            /// The dotted name: `message.publish`.
            pub fn name(self) -> &'static str {
                match self { $(Hook::$kind => $dotted,)+ }
            }

            /// The name in the contract and in JSON: `message-publish`.
            pub fn contract_name(self) -> &'static str {
                match self { $(Hook::$kind => $name,)+ }
            }
        }

        /// What happened; the variants are those of [`Hook`].
        #[derive(Debug, Clone, PartialEq)]
        #[allow(
            clippy::large_enum_variant,
            reason = "an event is built once and lives behind one Arc; a Box would be a second allocation"
        )]
        pub enum Detail {
            $(#[doc = $record_doc] $kind($type),)+
        }

        impl Detail {
            /// The kind of the event.
            pub fn hook(&self) -> Hook {
                match self { $(Detail::$kind(_) => Hook::$kind,)+ }
            }
        }
    };
}
with_hooks!(define_hooks);

impl Hook {
    /// How many kinds there are.
    pub const COUNT: usize = Hook::Other as usize + 1;
}

/// An event that has no case of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherEvent {
    /// Its name with dots: `client.ping`, `alarm.activated`.
    pub name: ByteString,
    /// The client that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,
    /// The rest, as a JSON object.
    #[serde(default = "defaults::data")]
    pub data: ByteString,
}

impl Detail {
    /// The client of the event: the receiver if there is one, else the client that acted.
    ///
    /// The events of one client are handled in the order in which they happened.
    pub fn client(&self) -> Option<&Client> {
        Some(match self {
            Detail::ClientConnect(connection) => &connection.client,
            Detail::ClientConnack(connack) | Detail::ClientConnected(connack) => &connack.connection.client,
            Detail::ClientDisconnected(disconnection) => &disconnection.connection.client,
            Detail::ClientAuthenticated(authentication) => &authentication.connection.client,
            Detail::ClientAuthorized(authorization) => &authorization.client,
            Detail::ClientSubscribe(subscription) | Detail::SessionSubscribed(subscription) => &subscription.client,
            Detail::ClientUnsubscribe(unsubscription) | Detail::SessionUnsubscribed(unsubscription) => {
                &unsubscription.client
            }
            Detail::SessionCreated(session)
            | Detail::SessionResumed(session)
            | Detail::SessionDiscarded(session)
            | Detail::SessionTakenOver(session) => &session.client,
            Detail::SessionTerminated(termination) => &termination.session.client,
            Detail::MessagePublish(message) => &message.publisher,
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => &drop.message.publisher,
            Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => &delivery.receiver,
            Detail::MessageAcked(acknowledgement) => &acknowledgement.delivery.receiver,
            Detail::DeliveryDropped(drop) => &drop.delivery.receiver,
            Detail::DeliveryLost(loss) => &loss.receiver,
            Detail::Other(other) => return other.client.as_ref(),
        })
    }

    /// What the filters of an interest are matched with: the topic of a message, the filter of a subscription, the topic
    /// of an authorisation, the name of another event; none for events without a topic.
    pub fn subject(&self) -> Option<&str> {
        Some(match self {
            Detail::ClientAuthorized(authorization) => &authorization.topic,
            Detail::ClientSubscribe(subscription) | Detail::SessionSubscribed(subscription) => &subscription.filter,
            Detail::ClientUnsubscribe(unsubscription) | Detail::SessionUnsubscribed(unsubscription) => {
                &unsubscription.filter
            }
            Detail::DeliveryLost(loss) => &loss.filter,
            Detail::Other(other) => &other.name,
            _ => &self.message()?.topic,
        })
    }

    /// The message that the event is about.
    pub fn message(&self) -> Option<&Message> {
        Some(match self {
            Detail::MessagePublish(message) => message,
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => &drop.message,
            Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => &delivery.message,
            Detail::MessageAcked(acknowledgement) => &acknowledgement.delivery.message,
            Detail::DeliveryDropped(drop) => &drop.delivery.message,
            _ => return None,
        })
    }

    /// The message that the event is about, to change it.
    pub fn message_mut(&mut self) -> Option<&mut Message> {
        Some(match self {
            Detail::MessagePublish(message) => message,
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => &mut drop.message,
            Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => &mut delivery.message,
            Detail::MessageAcked(acknowledgement) => &mut acknowledgement.delivery.message,
            Detail::DeliveryDropped(drop) => &mut drop.delivery.message,
            _ => return None,
        })
    }
}
