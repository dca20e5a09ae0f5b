//! The records that an event carries: each kind of event has some of them, and most records belong to several kinds.

use hookhost_guest::event::{
    Authentication, Authorization, Connack, Connection, Delivery, Detail, Disconnection, DropReason, End, Event,
    Message, Origin, Properties, Property, Session, Subscription, Unsubscription,
};

/// Why a message or a delivery was dropped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropped<'a> {
    pub(super) reason: DropReason,
    pub(super) code: u8,
    pub(super) text: Option<&'a str>,
}

/// The records of an event. `None`: an event of this kind has no such record.
pub(crate) trait EventRecords {
    fn connection(&self) -> Option<&Connection>;

    fn connack(&self) -> Option<&Connack>;

    fn disconnection(&self) -> Option<&Disconnection>;

    fn authentication(&self) -> Option<&Authentication>;

    fn authorization(&self) -> Option<&Authorization>;

    fn session(&self) -> Option<&Session>;

    fn subscription(&self) -> Option<&Subscription>;

    fn unsubscription(&self) -> Option<&Unsubscription>;

    fn delivery(&self) -> Option<&Delivery>;

    /// How a connection or a session ended.
    fn end(&self) -> Option<&End>;

    /// Why a message was dropped or refused, for all receivers or for one.
    fn dropped(&self) -> Option<Dropped<'_>>;

    /// A subscription's filter, and its shared group if it has one.
    fn filter(&self) -> Option<(&str, Option<&str>)>;

    /// The properties of the packet that the event is about.
    fn properties(&self) -> Option<&Properties>;
}

impl EventRecords for Event {
    fn connection(&self) -> Option<&Connection> {
        match &self.detail {
            Detail::ClientConnect(connection) => Some(connection),
            Detail::ClientAuthenticated(authentication) => Some(&authentication.connection),
            Detail::ClientDisconnected(disconnection) => Some(&disconnection.connection),
            _ => self.connack().map(|connack| &connack.connection),
        }
    }

    fn connack(&self) -> Option<&Connack> {
        match &self.detail {
            Detail::ClientConnack(connack) | Detail::ClientConnected(connack) => Some(connack),
            _ => None,
        }
    }

    fn disconnection(&self) -> Option<&Disconnection> {
        match &self.detail {
            Detail::ClientDisconnected(disconnection) => Some(disconnection),
            _ => None,
        }
    }

    fn authentication(&self) -> Option<&Authentication> {
        match &self.detail {
            Detail::ClientAuthenticated(authentication) => Some(authentication),
            _ => None,
        }
    }

    fn authorization(&self) -> Option<&Authorization> {
        match &self.detail {
            Detail::ClientAuthorized(authorization) => Some(authorization),
            _ => None,
        }
    }

    fn session(&self) -> Option<&Session> {
        match &self.detail {
            Detail::SessionCreated(session)
            | Detail::SessionResumed(session)
            | Detail::SessionDiscarded(session)
            | Detail::SessionTakenOver(session) => Some(session),
            Detail::SessionTerminated(termination) => Some(&termination.session),
            _ => None,
        }
    }

    fn subscription(&self) -> Option<&Subscription> {
        match &self.detail {
            Detail::ClientSubscribe(subscription) | Detail::SessionSubscribed(subscription) => Some(subscription),
            _ => None,
        }
    }

    fn unsubscription(&self) -> Option<&Unsubscription> {
        match &self.detail {
            Detail::ClientUnsubscribe(end) | Detail::SessionUnsubscribed(end) => Some(end),
            _ => None,
        }
    }

    fn delivery(&self) -> Option<&Delivery> {
        match &self.detail {
            Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => Some(delivery),
            Detail::MessageAcked(acknowledgement) => Some(&acknowledgement.delivery),
            Detail::DeliveryDropped(drop) => Some(&drop.delivery),
            _ => None,
        }
    }

    fn end(&self) -> Option<&End> {
        match &self.detail {
            Detail::SessionTerminated(termination) => Some(&termination.end),
            _ => self.disconnection().map(|disconnection| &disconnection.end),
        }
    }

    fn dropped(&self) -> Option<Dropped<'_>> {
        let (reason, code, text) = match &self.detail {
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => (drop.reason, drop.code, &drop.text),
            Detail::DeliveryDropped(drop) => (drop.reason, drop.code, &drop.text),
            _ => return None,
        };
        let text = text.as_deref();
        Some(Dropped { reason, code, text })
    }

    fn filter(&self) -> Option<(&str, Option<&str>)> {
        let (filter, group) = match &self.detail {
            Detail::ClientSubscribe(subscription) | Detail::SessionSubscribed(subscription) => {
                (&subscription.filter, &subscription.group)
            }
            Detail::ClientUnsubscribe(end) | Detail::SessionUnsubscribed(end) => (&end.filter, &end.group),
            Detail::DeliveryLost(loss) => (&loss.filter, &loss.group),
            _ => return None,
        };
        Some((filter, group.as_deref()))
    }

    fn properties(&self) -> Option<&Properties> {
        if let Some(message) = self.message() {
            return message.properties.as_ref();
        }
        let of_end = self.end().map(|end| end.properties.as_ref());
        let of_connection = || self.connection().map(|connection| connection.properties.as_ref());
        let of_subscription = || self.subscription().map(|subscription| subscription.properties.as_ref());
        let of_unsubscription = || self.unsubscription().map(|end| end.properties.as_ref());
        of_end
            .or_else(of_connection)
            .or_else(of_subscription)
            .or_else(of_unsubscription)
            .flatten()
    }
}

/// A step of a connection, with the CONNACK if there is one.
pub(crate) enum ConnectStep<'a> {
    /// The broker has read a CONNECT packet.
    Connect,
    /// The broker is about to send CONNACK.
    Connack(&'a Connack),
    /// The broker has accepted the connection.
    Connected(&'a Connack),
}

/// The client id in the CONNECT packet: empty if the broker assigned one, as far as the event says so.
pub(crate) fn requested_client_id(event: &Event) -> &str {
    let properties = event.connack().and_then(|connack| connack.properties.as_ref());
    let is_assigned = properties.is_some_and(|properties| {
        let assigned = |property: &Property| matches!(property, Property::AssignedClientIdentifier(_));
        properties.standard.iter().any(assigned)
    });
    let is_assigned = is_assigned || event.extra("client_id_assigned") == Some("true");
    let client = event.client().filter(|_| !is_assigned);
    client.map_or("", |client| client.id.as_str())
}

/// Whether the broker itself published a message.
pub(crate) fn is_system(message: &Message) -> bool {
    message.origin == Origin::System
}
