//! The records that an event carries, whatever its kind: each kind has some of them, and most records belong to several
//! kinds. None: an event of this kind has no such record.

use crate::event::{
    Authentication, Authorization, Connack, Connection, Delivery, Detail, Disconnection, DropReason, End, Event,
    Properties, Session, Subscription, Unsubscription,
};

/// Why a message or a delivery was dropped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropped<'a> {
    pub(super) reason: DropReason,
    pub(super) code: u8,
    pub(super) text: Option<&'a str>,
}

impl Event {
    pub(super) fn connection(&self) -> Option<&Connection> {
        match &self.detail {
            Detail::ClientConnect(connection) => Some(connection),
            Detail::ClientAuthenticated(authentication) => Some(&authentication.connection),
            Detail::ClientDisconnected(disconnection) => Some(&disconnection.connection),
            _ => self.connack().map(|connack| &connack.connection),
        }
    }

    pub(super) fn connack(&self) -> Option<&Connack> {
        match &self.detail {
            Detail::ClientConnack(connack) | Detail::ClientConnected(connack) => Some(connack),
            _ => None,
        }
    }

    pub(super) fn disconnection(&self) -> Option<&Disconnection> {
        match &self.detail {
            Detail::ClientDisconnected(disconnection) => Some(disconnection),
            _ => None,
        }
    }

    pub(super) fn authentication(&self) -> Option<&Authentication> {
        match &self.detail {
            Detail::ClientAuthenticated(authentication) => Some(authentication),
            _ => None,
        }
    }

    pub(super) fn authorization(&self) -> Option<&Authorization> {
        match &self.detail {
            Detail::ClientAuthorized(authorization) => Some(authorization),
            _ => None,
        }
    }

    pub(super) fn session(&self) -> Option<&Session> {
        match &self.detail {
            Detail::SessionCreated(session)
            | Detail::SessionResumed(session)
            | Detail::SessionDiscarded(session)
            | Detail::SessionTakenOver(session) => Some(session),
            Detail::SessionTerminated(termination) => Some(&termination.session),
            _ => None,
        }
    }

    pub(super) fn subscription(&self) -> Option<&Subscription> {
        match &self.detail {
            Detail::ClientSubscribe(subscription) | Detail::SessionSubscribed(subscription) => Some(subscription),
            _ => None,
        }
    }

    pub(super) fn unsubscription(&self) -> Option<&Unsubscription> {
        match &self.detail {
            Detail::ClientUnsubscribe(end) | Detail::SessionUnsubscribed(end) => Some(end),
            _ => None,
        }
    }

    pub(super) fn delivery(&self) -> Option<&Delivery> {
        match &self.detail {
            Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => Some(delivery),
            Detail::MessageAcked(acknowledgement) => Some(&acknowledgement.delivery),
            Detail::DeliveryDropped(drop) => Some(&drop.delivery),
            _ => None,
        }
    }

    /// How a connection or a session ended.
    pub(super) fn end(&self) -> Option<&End> {
        match &self.detail {
            Detail::SessionTerminated(termination) => Some(&termination.end),
            _ => self.disconnection().map(|disconnection| &disconnection.end),
        }
    }

    /// Why a message was dropped or refused, for everybody or for one receiver.
    pub(super) fn dropped(&self) -> Option<Dropped<'_>> {
        let (reason, code, text) = match &self.detail {
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => (drop.reason, drop.code, &drop.text),
            Detail::DeliveryDropped(drop) => (drop.reason, drop.code, &drop.text),
            _ => return None,
        };
        let text = text.as_deref();
        Some(Dropped { reason, code, text })
    }

    /// A subscription's filter, and its shared group if it has one.
    pub(super) fn filter(&self) -> Option<(&str, Option<&str>)> {
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

    /// The properties of the packet that the event is about.
    pub(super) fn properties(&self) -> Option<&Properties> {
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
