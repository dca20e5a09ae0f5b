//! Values of columns that more than one field of the event decides.

use serde_json::Value as Json;

use super::names::PING;
use super::values::properties;
use super::{Row, V5_4};
use crate::format::{EmqxVersion, emqx_drop_reason, emqx_end_reason};
use crate::key::RuleKey;
use crate::records::EventRecords;
use crate::sql::Value;
use crate::words;
use hookhost_guest::event::{Address, Client, Detail, DropReason, Message, Origin, Subscription};

impl<'e> Row<'e> {
    /// The address of the client. EMQX does not know that of the publisher of a will.
    pub(super) fn peer(&self) -> Option<&'e Address> {
        let event = self.event();
        let is_will = event.message().is_some_and(|message| message.origin == Origin::Will);
        let is_of_publisher = event.delivery().is_none();
        let client = event.client().filter(|_| !(is_will && is_of_publisher));
        client?.peer.as_ref()
    }

    /// The client of an event of a connection.
    pub(super) fn connected_client(&self) -> Option<&'e Client> {
        match &self.event().detail {
            Detail::Other(other) if other.name == PING => other.client.as_ref(),
            _ => self.event().connection().map(|connection| &connection.client),
        }
    }

    /// Whether the row is about CONNECT or CONNACK, when EMQX does not know the client id that it assigns.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self.key, RuleKey::ClientConnect | RuleKey::ClientConnack)
    }

    pub(super) fn data(&self) -> Option<&Json> {
        let parse = || match &self.event().detail {
            Detail::Other(other) => serde_json::from_str(&other.data).ok().filter(Json::is_object),
            _ => None,
        };
        self.data.get_or_init(parse).as_ref()
    }

    pub(super) fn event_name(&self) -> &'e str {
        match &self.event().detail {
            _ if self.key == RuleKey::ClientConnack => "client.connack",
            Detail::ClientAuthenticated(_) => "client.check_authn_complete",
            Detail::ClientAuthorized(_) => "client.check_authz_complete",
            Detail::SessionTakenOver(_) => "session.takenover",
            Detail::MessageRefused(_) if self.key == RuleKey::MessageDropped => "message.dropped",
            _ => words::event_name(self.event()),
        }
    }

    pub(super) fn expiry(&self) -> Value<'_> {
        let expiry = self.event().connection().map(|connection| connection.session_expiry);
        match self.key {
            // Only this event has milliseconds.
            RuleKey::ClientConnack => expiry.map(|seconds| u64::from(seconds) * 1000).into(),
            _ => expiry.into(),
        }
    }

    pub(super) fn flags(&self) -> Value<'_> {
        let of_message = || self.event().message().map(|message| (message.retain, message.dup));
        let of_delivery = self.event().delivery().map(|delivery| (delivery.retain, delivery.dup));
        let flags = of_delivery.or_else(of_message);
        flags
            .map(|(retain, dup)| Value::Object(vec![("retain".into(), retain.into()), ("dup".into(), dup.into())]))
            .into()
    }

    /// The identifiers of the subscriptions that a delivered message matches. EMQX does not know them when it drops a message
    /// for the client that published it.
    pub(super) fn subscription_ids(&self) -> &'e [u32] {
        let event = self.event();
        let is_no_local = event
            .dropped()
            .is_some_and(|dropped| dropped.reason == DropReason::NoLocal);
        let delivery = event.delivery().filter(|_| !is_no_local);
        delivery
            .and_then(|delivery| delivery.subscription_ids.as_deref())
            .unwrap_or_default()
    }

    /// The publisher of a delivered message.
    pub(super) fn from(&self) -> Option<&'e Client> {
        self.event().delivery().map(|delivery| &delivery.message.publisher)
    }

    pub(super) fn reason(&self) -> Value<'_> {
        if let Some(dropped) = self.event().dropped() {
            return Value::text(emqx_drop_reason(dropped.reason, dropped.code, dropped.text));
        }
        let connection = self.event().connection();
        let end = self.event().end();
        end.map(|end| emqx_end_reason(end, connection, EmqxVersion::V5_8))
            .into()
    }

    pub(super) fn topic(&self) -> Value<'_> {
        match (self.event().filter(), &self.event().detail) {
            (Some((filter, group)), _) => self.filter(filter, group),
            // The subject is the name of the event.
            (None, Detail::Other(_)) => Value::Undefined,
            (None, _) => self.event().subject().into(),
        }
    }

    /// A filter with the prefix of its shared group, as in EMQX 5.4 and later.
    pub(super) fn filter(&self, filter: &'e str, group: Option<&str>) -> Value<'e> {
        match group {
            None => Value::text(filter),
            Some(_) if self.version < V5_4 => Value::text(filter),
            Some("$queue") => Value::Text(format!("$queue/{filter}").into()),
            Some(group) => Value::Text(format!("$share/{group}/{filter}").into()),
        }
    }
}

/// The properties of a subscription, including its identifier.
pub(super) fn subscription_properties(subscription: &Subscription) -> Value<'_> {
    with_identifiers(properties(subscription.properties.as_ref()), subscription.id.as_slice())
}

/// The properties of a message, and for a delivery the identifiers of the subscriptions that it matches.
pub(super) fn publish_properties<'e>(message: &'e Message, subscription_ids: &[u32]) -> Value<'e> {
    with_identifiers(properties(message.properties.as_ref()), subscription_ids)
}

/// Adds identifiers of subscriptions: a number, or a list if there are several.
fn with_identifiers<'e>(properties: Value<'e>, ids: &[u32]) -> Value<'e> {
    let ids = match ids {
        [] => return properties,
        [id] => Value::from(*id),
        ids => Value::List(ids.iter().copied().map(Value::from).collect()),
    };
    let Value::Object(entries) = properties else {
        return properties;
    };
    Value::object(entries.into_iter().chain([("Subscription-Identifier".into(), ids)]))
}
