//! The events that a module receives.
//!
//! The types are those of the contract `hookhost:hook`; this module adds methods to read them. An [`Event`] has a time
//! and, in [`Event::detail`], what happened. [`Module`] has a method for each kind of detail.
//!
//! [`Module`]: crate::Module

use std::fmt;
use std::str::Utf8Error;

use serde::de::DeserializeOwned;

use crate::time::LocalTime;

pub use crate::bindings::hookhost::hook::types::{
    Access, Acknowledgement, Address, Authentication, Authorization, Certificate, Client, Connack, Connection,
    Delivery, DeliveryDrop, DeliveryLoss, Detail, Disconnection, DropReason, End, EndReason, Event, Hook, Interest,
    Message, MessageDrop, Node, Origin, OtherEvent, Properties, Property, Session, Subscription, Termination,
    Transport, Unsubscription,
};

impl Event {
    /// The kind of event.
    pub fn hook(&self) -> Hook {
        match &self.detail {
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

    /// The client that the event is about: the receiver of a delivery, the publisher of any other message. `None` for an
    /// event of kind [`Hook::Other`] without a client.
    pub fn client(&self) -> Option<&Client> {
        Some(match &self.detail {
            Detail::ClientConnect(connection) => &connection.client,
            Detail::ClientConnack(connack) | Detail::ClientConnected(connack) => &connack.connection.client,
            Detail::ClientDisconnected(disconnection) => &disconnection.connection.client,
            Detail::ClientAuthenticated(authentication) => &authentication.connection.client,
            Detail::ClientAuthorized(authorization) => &authorization.client,
            Detail::ClientSubscribe(subscription) | Detail::SessionSubscribed(subscription) => &subscription.client,
            Detail::ClientUnsubscribe(end) | Detail::SessionUnsubscribed(end) => &end.client,
            Detail::SessionCreated(session)
            | Detail::SessionResumed(session)
            | Detail::SessionDiscarded(session)
            | Detail::SessionTakenOver(session) => &session.client,
            Detail::SessionTerminated(termination) => &termination.session.client,
            Detail::MessagePublish(message) => &message.publisher,
            Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => &delivery.receiver,
            Detail::MessageAcked(acknowledgement) => &acknowledgement.delivery.receiver,
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => &drop.message.publisher,
            Detail::DeliveryDropped(drop) => &drop.delivery.receiver,
            Detail::DeliveryLost(loss) => &loss.receiver,
            Detail::Other(other) => return other.client.as_ref(),
        })
    }

    /// The text that the filters of an [`Interest`] match: the topic of a message, the filter of a subscription, or the
    /// name of an event of kind [`Hook::Other`]. `None` for events that have none of these.
    pub fn subject(&self) -> Option<&str> {
        Some(match &self.detail {
            Detail::ClientAuthorized(authorization) => &authorization.topic,
            Detail::ClientSubscribe(subscription) | Detail::SessionSubscribed(subscription) => &subscription.filter,
            Detail::ClientUnsubscribe(end) | Detail::SessionUnsubscribed(end) => &end.filter,
            Detail::DeliveryLost(loss) => &loss.filter,
            Detail::Other(other) => &other.name,
            _ => return self.message().map(|message| message.topic.as_str()),
        })
    }

    /// The message that the event is about; `None` if the event is not about a message.
    pub fn message(&self) -> Option<&Message> {
        match &self.detail {
            Detail::MessagePublish(message) => Some(message),
            Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => Some(&delivery.message),
            Detail::MessageAcked(acknowledgement) => Some(&acknowledgement.delivery.message),
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => Some(&drop.message),
            Detail::DeliveryDropped(drop) => Some(&drop.delivery.message),
            _ => None,
        }
    }

    /// The value behind a name in [`Event::extras`].
    pub fn extra(&self, name: &str) -> Option<&str> {
        values(self.extras.as_deref()?, name).next()
    }

    /// The time of the event in the host's time zone.
    pub fn local_time(&self) -> LocalTime {
        LocalTime::new(self.at, self.utc_offset)
    }
}

impl Message {
    /// The payload as text.
    ///
    /// # Errors
    ///
    /// If the payload is not UTF-8.
    pub fn payload_str(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(&self.payload)
    }

    /// Deserializes the payload from JSON.
    ///
    /// # Errors
    ///
    /// If the payload is not JSON or does not have the form of `T`.
    ///
    /// ```
    /// use hookhost_guest::testing;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Reading {
    ///     celsius: f64,
    /// }
    ///
    /// let message = testing::message("devices/k7/temp", br#"{"celsius": 21.5, "battery": 80}"#);
    /// assert_eq!(message.json::<Reading>().unwrap().celsius, 21.5);
    /// ```
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.payload)
    }

    /// The value of a user property: the first one if there are several with this name.
    pub fn user_property(&self, name: &str) -> Option<&str> {
        self.properties.as_ref()?.user(name).next()
    }
}

impl Client {
    /// The value of an attribute that authentication or the host attached to the client.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        values(self.attributes.as_deref()?, name).next()
    }
}

impl Properties {
    /// The values of all user properties with this name, in the order sent.
    pub fn user(&self, name: &str) -> impl Iterator<Item = &str> {
        values(&self.user, name)
    }

    /// MIME type of the payload.
    pub fn content_type(&self) -> Option<&str> {
        self.find(|property| match property {
            Property::ContentType(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Topic for the response to a request.
    pub fn response_topic(&self) -> Option<&str> {
        self.find(|property| match property {
            Property::ResponseTopic(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Bytes that identify the request to which a response belongs.
    pub fn correlation_data(&self) -> Option<&[u8]> {
        self.find(|property| match property {
            Property::CorrelationData(bytes) => Some(bytes.as_slice()),
            _ => None,
        })
    }

    /// Human-readable reason.
    pub fn reason_string(&self) -> Option<&str> {
        self.find(|property| match property {
            Property::ReasonString(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Calls `what` for each standard property until it returns a value, and returns that value.
    pub fn find<'a, T>(&'a self, what: impl FnMut(&'a Property) -> Option<T>) -> Option<T> {
        self.standard.iter().find_map(what)
    }
}

fn values<'a>(pairs: &'a [(String, String)], name: &str) -> impl Iterator<Item = &'a str> {
    pairs
        .iter()
        .filter(move |(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

/// `ip:port`, with brackets around an IPv6 address.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ip.contains(':') {
            write!(f, "[{}]:{}", self.ip, self.port)
        } else {
            write!(f, "{}:{}", self.ip, self.port)
        }
    }
}

impl Interest {
    /// All events of a kind, with any topic.
    pub fn every(hook: Hook) -> Interest {
        Interest {
            hook,
            filters: Vec::new(),
        }
    }

    /// The events of a kind whose topic or subscription filter matches one of these topic filters.
    ///
    /// A filter that begins with a wildcard does not match topics that begin with `$`. For all events, including those,
    /// use [`every`](Interest::every); an empty list of filters means the same.
    ///
    /// ```
    /// use hookhost_guest::{Hook, Interest};
    ///
    /// let wanted = Interest::matching(Hook::MessagePublish, ["devices/+/temp", "$SYS/#"]);
    /// assert_eq!(wanted.filters, ["devices/+/temp", "$SYS/#"]);
    /// ```
    pub fn matching<T: ToString>(hook: Hook, filters: impl IntoIterator<Item = T>) -> Interest {
        Interest {
            hook,
            filters: filters.into_iter().map(|filter| filter.to_string()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn addresses_are_printed_as_sockets_are() {
        for (ip, port, expected) in [
            ("127.0.0.1", 1883, "127.0.0.1:1883"),
            ("::1", 1883, "[::1]:1883"),
            ("::ffff:10.0.0.5", 5, "[::ffff:10.0.0.5]:5"),
        ] {
            assert_eq!(Address { ip: ip.into(), port }.to_string(), expected);
        }
    }

    #[test]
    fn repeated_user_properties_keep_their_order() {
        let mut message = testing::message("a", b"");
        assert_eq!(message.user_property("k"), None);
        message.properties = Some(Properties {
            standard: vec![Property::TopicAlias(1), Property::ContentType("text/plain".into())],
            user: [("k", "1"), ("x", "2"), ("k", "3")]
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .to_vec(),
        });
        assert_eq!(message.user_property("k"), Some("1"));
        let properties = message.properties.unwrap();
        assert_eq!(properties.user("k").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(properties.content_type(), Some("text/plain"));
        assert_eq!(properties.reason_string(), None);
    }

    #[test]
    fn what_an_event_is_about() {
        let publish = testing::publish("a/b", b"1");
        assert_eq!((publish.hook(), publish.subject()), (Hook::MessagePublish, Some("a/b")));
        assert_eq!(publish.client().unwrap().id, "publisher");

        let delivery = testing::delivered("a/b", b"1");
        assert_eq!(
            (delivery.hook(), delivery.subject()),
            (Hook::MessageDelivered, Some("a/b"))
        );
        assert_eq!(delivery.client().unwrap().id, "receiver");

        let subscribed = testing::subscribed("a/+");
        assert_eq!(
            (subscribed.hook(), subscribed.subject()),
            (Hook::SessionSubscribed, Some("a/+"))
        );
        assert_eq!(testing::connected("c1").subject(), None);
        assert_eq!(testing::connected("c1").client().unwrap().id, "c1");
    }
}
