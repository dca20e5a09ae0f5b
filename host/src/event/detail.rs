//! The kinds of event, and what each carries.

use super::{
    Acknowledgement, Authentication, Authorization, ByteString, Client, Connack, Connection, Delivery, DeliveryDrop,
    DeliveryLoss, Disconnection, Message, MessageDrop, Session, Subscription, Termination, Unsubscription,
};

/// A kind of event, as a module asks for it; [`Detail`] has a variant of the same name for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Hook {
    /// CONNECT was read; authentication is still to come.
    ClientConnect,
    /// CONNACK is about to be sent, success or refusal.
    ClientConnack,
    /// The connection is accepted and has its session.
    ClientConnected,
    /// An accepted connection has ended.
    ClientDisconnected,
    /// Authentication has decided.
    ClientAuthenticated,
    /// Authorisation has decided about one publish or one filter.
    ClientAuthorized,
    /// One filter of a SUBSCRIBE was asked for; refused ones too.
    ClientSubscribe,
    /// One filter of an UNSUBSCRIBE was asked for.
    ClientUnsubscribe,
    /// A new session exists.
    SessionCreated,
    /// A connection has found its session again.
    SessionResumed,
    /// A subscription is in force.
    SessionSubscribed,
    /// A subscription was given up by UNSUBSCRIBE.
    SessionUnsubscribed,
    /// A session was thrown away because its client connected with clean start.
    SessionDiscarded,
    /// A session has moved to another connection of its client.
    SessionTakenOver,
    /// A session has ended for any other reason.
    SessionTerminated,
    /// A publish was accepted, before it is routed.
    MessagePublish,
    /// A message is about to be written to one receiver.
    MessageDelivered,
    /// A receiver has confirmed a message.
    MessageAcked,
    /// A publish was accepted and nobody subscribes to its topic.
    MessageDropped,
    /// A publish was refused.
    MessageRefused,
    /// A message was dropped for one receiver.
    DeliveryDropped,
    /// A message was stored for a receiver that is away.
    MessageQueued,
    /// Messages for one receiver were lost unseen.
    DeliveryLost,
    /// Everything that has no case of its own.
    Other,
}

impl Hook {
    /// How many kinds there are.
    pub const COUNT: usize = Hook::Other as usize + 1;

    /// All kinds, in the order of the contract.
    pub const ALL: [Hook; Hook::COUNT] = [
        Hook::ClientConnect,
        Hook::ClientConnack,
        Hook::ClientConnected,
        Hook::ClientDisconnected,
        Hook::ClientAuthenticated,
        Hook::ClientAuthorized,
        Hook::ClientSubscribe,
        Hook::ClientUnsubscribe,
        Hook::SessionCreated,
        Hook::SessionResumed,
        Hook::SessionSubscribed,
        Hook::SessionUnsubscribed,
        Hook::SessionDiscarded,
        Hook::SessionTakenOver,
        Hook::SessionTerminated,
        Hook::MessagePublish,
        Hook::MessageDelivered,
        Hook::MessageAcked,
        Hook::MessageDropped,
        Hook::MessageRefused,
        Hook::DeliveryDropped,
        Hook::MessageQueued,
        Hook::DeliveryLost,
        Hook::Other,
    ];

    /// The dotted name: `message.publish`.
    pub fn name(self) -> &'static str {
        match self {
            Hook::ClientConnect => "client.connect",
            Hook::ClientConnack => "client.connack",
            Hook::ClientConnected => "client.connected",
            Hook::ClientDisconnected => "client.disconnected",
            Hook::ClientAuthenticated => "client.authenticated",
            Hook::ClientAuthorized => "client.authorized",
            Hook::ClientSubscribe => "client.subscribe",
            Hook::ClientUnsubscribe => "client.unsubscribe",
            Hook::SessionCreated => "session.created",
            Hook::SessionResumed => "session.resumed",
            Hook::SessionSubscribed => "session.subscribed",
            Hook::SessionUnsubscribed => "session.unsubscribed",
            Hook::SessionDiscarded => "session.discarded",
            Hook::SessionTakenOver => "session.taken-over",
            Hook::SessionTerminated => "session.terminated",
            Hook::MessagePublish => "message.publish",
            Hook::MessageDelivered => "message.delivered",
            Hook::MessageAcked => "message.acked",
            Hook::MessageDropped => "message.dropped",
            Hook::MessageRefused => "message.refused",
            Hook::DeliveryDropped => "delivery.dropped",
            Hook::MessageQueued => "message.queued",
            Hook::DeliveryLost => "delivery.lost",
            Hook::Other => "other",
        }
    }
}

/// An event that has no case of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct OtherEvent {
    /// Its name with dots: `client.ping`, `alarm.activated`.
    pub name: ByteString,
    /// The client that it is about.
    pub client: Option<Client>,
    /// The rest, as a JSON object.
    pub data: ByteString,
}

/// What happened; the variants are those of [`Hook`].
#[derive(Debug, Clone, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "an event is built once and lives behind one Arc; a Box would be a second allocation"
)]
pub enum Detail {
    /// The connection that is asked for.
    ClientConnect(Connection),
    /// The answer.
    ClientConnack(Connack),
    /// The answer that was given.
    ClientConnected(Connack),
    /// The connection and its end.
    ClientDisconnected(Disconnection),
    /// The decision.
    ClientAuthenticated(Authentication),
    /// The decision.
    ClientAuthorized(Authorization),
    /// The subscription that is asked for.
    ClientSubscribe(Subscription),
    /// The subscription to give up.
    ClientUnsubscribe(Unsubscription),
    /// The new session.
    SessionCreated(Session),
    /// The session as found.
    SessionResumed(Session),
    /// The subscription in force.
    SessionSubscribed(Subscription),
    /// The subscription given up.
    SessionUnsubscribed(Unsubscription),
    /// The session thrown away.
    SessionDiscarded(Session),
    /// The session that moved.
    SessionTakenOver(Session),
    /// The session and its end.
    SessionTerminated(Termination),
    /// The message.
    MessagePublish(Message),
    /// The message and its receiver.
    MessageDelivered(Delivery),
    /// The delivery and its confirmation.
    MessageAcked(Acknowledgement),
    /// The message and the reason.
    MessageDropped(MessageDrop),
    /// The message and the reason.
    MessageRefused(MessageDrop),
    /// The delivery and the reason.
    DeliveryDropped(DeliveryDrop),
    /// The message and its receiver.
    MessageQueued(Delivery),
    /// The receiver and the number.
    DeliveryLost(DeliveryLoss),
    /// Name and content.
    Other(OtherEvent),
}

impl Detail {
    /// The kind of the event.
    pub fn hook(&self) -> Hook {
        match self {
            Detail::ClientConnect(_) => Hook::ClientConnect,
            Detail::ClientConnack(_) => Hook::ClientConnack,
            Detail::ClientConnected(_) => Hook::ClientConnected,
            Detail::ClientDisconnected(_) => Hook::ClientDisconnected,
            Detail::ClientAuthenticated(_) => Hook::ClientAuthenticated,
            Detail::ClientAuthorized(_) => Hook::ClientAuthorized,
            Detail::ClientSubscribe(_) => Hook::ClientSubscribe,
            Detail::ClientUnsubscribe(_) => Hook::ClientUnsubscribe,
            Detail::SessionCreated(_) => Hook::SessionCreated,
            Detail::SessionResumed(_) => Hook::SessionResumed,
            Detail::SessionSubscribed(_) => Hook::SessionSubscribed,
            Detail::SessionUnsubscribed(_) => Hook::SessionUnsubscribed,
            Detail::SessionDiscarded(_) => Hook::SessionDiscarded,
            Detail::SessionTakenOver(_) => Hook::SessionTakenOver,
            Detail::SessionTerminated(_) => Hook::SessionTerminated,
            Detail::MessagePublish(_) => Hook::MessagePublish,
            Detail::MessageDelivered(_) => Hook::MessageDelivered,
            Detail::MessageAcked(_) => Hook::MessageAcked,
            Detail::MessageDropped(_) => Hook::MessageDropped,
            Detail::MessageRefused(_) => Hook::MessageRefused,
            Detail::DeliveryDropped(_) => Hook::DeliveryDropped,
            Detail::MessageQueued(_) => Hook::MessageQueued,
            Detail::DeliveryLost(_) => Hook::DeliveryLost,
            Detail::Other(_) => Hook::Other,
        }
    }

    /// The client that the event is about: the one that did something, or the receiver where there is one.
    ///
    /// Events of one client are handled in the order in which they happened; this says whose order that is.
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

    /// What an interest's filters are matched against: the topic of a message, the filter of a subscription, the
    /// topic of an authorisation, the name of another event; none for events that have no topic.
    pub fn subject(&self) -> Option<&str> {
        Some(match self {
            Detail::ClientAuthorized(authorization) => &authorization.topic,
            Detail::ClientSubscribe(subscription) | Detail::SessionSubscribed(subscription) => &subscription.filter,
            Detail::ClientUnsubscribe(unsubscription) | Detail::SessionUnsubscribed(unsubscription) => {
                &unsubscription.filter
            }
            Detail::MessagePublish(message) => &message.topic,
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => &drop.message.topic,
            Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => &delivery.message.topic,
            Detail::MessageAcked(acknowledgement) => &acknowledgement.delivery.message.topic,
            Detail::DeliveryDropped(drop) => &drop.delivery.message.topic,
            Detail::DeliveryLost(loss) => &loss.filter,
            Detail::Other(other) => &other.name,
            _ => return None,
        })
    }
}
