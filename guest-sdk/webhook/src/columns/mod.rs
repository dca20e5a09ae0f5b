//! The columns of EMQX 5's rule engine, for one event and one rule: those of 5.8, or of the version that the rule sets.
//!
//! Bodies of format `emqx5` consist of columns, `select` selects columns, and `where` uses columns in every format.
//! [`names`] lists the columns of each kind of event, and [`Row::column`] returns their values. Many columns have the same
//! value as a [field](super::event_fields). Values are borrowed from the event where possible. A clause may use a column
//! that is not part of the body.
//!
//! Names are in descending order, because EMQX prints its maps in that order.

pub(crate) mod names;
mod values;

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value as Json;

use super::words;
use crate::encoding::Encoding;
use crate::event_fields::{self, EventFields};
use crate::format::{EmqxVersion, emqx_code, emqx_drop_reason, emqx_end_reason};
use crate::key::RuleKey;
use crate::records::{EventRecords, requested_client_id};
use crate::rules::Rule;
use crate::sql::{Columns, Value};
use hookhost_guest::event::{Address, Client, Detail, DropReason, Event, Message, Node, Origin, Subscription};
use names::PING;
use values::{attributes, host_of, name_of, properties};

/// One event as a row of columns.
pub(super) struct Row<'e> {
    key: RuleKey,
    fields: EventFields<'e>,
    encoding: Encoding,
    version: EmqxVersion,
    /// The parsed data of a [`Detail::Other`].
    data: OnceCell<Option<Json>>,
}

const V5_0: EmqxVersion = EmqxVersion::new(5, 0);
/// The version that the documentation of EMQX 5 describes.
const DOCUMENTED: EmqxVersion = EmqxVersion::new(5, 2);
const V5_4: EmqxVersion = EmqxVersion::new(5, 4);
const V5_9: EmqxVersion = EmqxVersion::new(5, 9);

/// The value of the field with this name. An unknown name is a compile error.
macro_rules! field {
    ($row:ident, $name:literal) => {
        (const { event_fields::field($name) })(&$row.fields)
    };
}

impl<'e> Row<'e> {
    /// The row of an event for a rule of a key. `node` is the node of the host.
    pub(super) fn new(key: RuleKey, rule: &'e Rule, event: &'e Event, node: &'e Node) -> Row<'e> {
        Row {
            key,
            fields: EventFields::new(event, node, &rule.action),
            encoding: rule.shape.payload_encoding,
            version: match rule.shape.as_documented {
                true => DOCUMENTED,
                // The columns of `where` do not depend on the version of EMQX 4.
                false => rule
                    .shape
                    .emqx_version
                    .filter(|version| *version >= V5_0)
                    .unwrap_or(EmqxVersion::V5_8),
            },
            data: OnceCell::new(),
        }
    }

    /// The fields of the event.
    pub(super) fn fields(&self) -> &EventFields<'e> {
        &self.fields
    }

    fn event(&self) -> &'e Event {
        self.fields.event()
    }

    /// The names of all columns of the event, in descending order, without those in the data of [`Detail::Other`].
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let names = names::of(self.key, &self.event().detail);
        let version = self.version;
        let has_host = names.contains(&"peerhost");
        let is_end = names.contains(&"disconnected_at");
        let is_connack = names.contains(&"reason_code");
        let action_is_empty = self.fields.action().is_empty();
        names.iter().copied().filter(move |name| match *name {
            "client_attrs" => version >= EmqxVersion::V5_8,
            // Before 5.8 an event with `peerhost` had no `peername`.
            "peername" => version >= EmqxVersion::V5_8 || !has_host,
            "connected_at" if is_end => version >= EmqxVersion::V5_8,
            "connected_at" if is_connack => version >= V5_9,
            "metadata" => !action_is_empty,
            _ => true,
        })
    }

    /// The value of a column; [`Value::Undefined`] if the event has no column with this name.
    fn value(&self, name: &str) -> Value<'_> {
        if let Detail::Other(_) = self.event().detail
            && let Some(value) = self.data().and_then(|data| data.get(name))
        {
            return Value::from(value);
        }
        self.column(name).unwrap_or(Value::Undefined)
    }

    /// The value of a column; `None` if no kind of event has a column with this name.
    #[rustfmt::skip]
    fn column(&self, name: &str) -> Option<Value<'_>> {
        let event = self.event();
        Some(match name {
            // Columns of every event, or of every event with a client.
            "clientid" if self.is_answer() => Value::text(requested_client_id(event)),
            "clientid" => field!(self, "clientid"),
            "username" => field!(self, "username"),
            "timestamp" => field!(self, "timestamp"),
            "event" => Value::atom(self.event_name()),
            "node" => word(field!(self, "node")),
            "metadata" => match self.fields.action() {
                "" => Value::Undefined,
                id => Value::Object(vec![("rule_id".into(), Value::text(id))]),
            },
            "peername" => name_of(self.peer()),
            "peerhost" => host_of(self.peer()),
            "client_attrs" => attributes(event.client()),
            // Columns of messages.
            "topic" => self.topic(),
            "payload" => event.message().map(|message| Value::bytes(message.payload.as_slice())).into(),
            "qos" => field!(self, "qos"),
            "id" => field!(self, "id"),
            "flags" => self.flags(),
            "publish_received_at" => field!(self, "publish_received_at"),
            "pub_props" => event.message().map(|message| publish_properties(message, self.subscription_ids())).into(),
            "from_clientid" => self.from().map(|publisher| publisher.id.as_str()).into(),
            "from_username" => self.from().and_then(|publisher| publisher.username.as_deref()).into(),
            "puback_props" => match &event.detail {
                Detail::MessageAcked(acknowledgement) => properties(acknowledgement.properties.as_ref()),
                _ => Value::Undefined,
            },
            "reason" => word(self.reason()),
            // A column of clauses only: no body of EMQX has it.
            "origin" => field!(self, "origin"),
            // Columns of connections.
            "sockname" => name_of(event.connection().and_then(|c| c.local.as_ref())),
            "proto_name" => field!(self, "proto_name"),
            "proto_ver" => self.connected_client().map(|client| client.protocol_version).into(),
            "keepalive" => field!(self, "keepalive"),
            "clean_start" => field!(self, "clean_start"),
            "expiry_interval" => self.expiry(),
            "receive_maximum" => field!(self, "receive_maximum"),
            "is_bridge" => field!(self, "is_bridge"),
            "mountpoint" => field!(self, "mountpoint"),
            "conn_props" => event.connection().map(|c| properties(c.properties.as_ref())).into(),
            "connected_at" => field!(self, "connected_at"),
            "disconnected_at" => field!(self, "disconnected_at"),
            "disconn_props" => event.disconnection().map(|d| properties(d.end.properties.as_ref())).into(),
            "reason_code" => {
                let of_connack = || event.connack().map(|connack| connack.code);
                let code = event.authentication().map(|authentication| authentication.code).or_else(of_connack);
                word(code.map(emqx_code).into())
            }
            "is_anonymous" => field!(self, "anonymous"),
            "is_superuser" => field!(self, "superuser"),
            // Columns of decisions, subscriptions and sessions.
            "action" => word(field!(self, "access")),
            // EMQX has kept the decision.
            "authz_source" if event.extra("repeated") == Some("true") => word("cache".into()),
            "authz_source" => word(event.authorization().map(|a| match a.source.as_str() {
                // The file that EMQX comes with allows what no other rule denies.
                "default" => "file",
                source => source,
            }).into()),
            "result" => word(field!(self, "result")),
            "sub_props" => event.subscription().map(subscription_properties).into(),
            "unsub_props" => event.unsubscription().map(|u| properties(u.properties.as_ref())).into(),
            "created_at" => field!(self, "created_at"),
            "count" => field!(self, "count"),
            _ => return None,
        })
    }

    /// The address of the client. EMQX does not know that of the publisher of a will.
    fn peer(&self) -> Option<&'e Address> {
        let event = self.event();
        let is_will = event.message().is_some_and(|message| message.origin == Origin::Will);
        let is_of_publisher = event.delivery().is_none();
        let client = event.client().filter(|_| !(is_will && is_of_publisher));
        client?.peer.as_ref()
    }

    /// The client of an event of a connection.
    fn connected_client(&self) -> Option<&'e Client> {
        match &self.event().detail {
            Detail::Other(other) if other.name == PING => other.client.as_ref(),
            _ => self.event().connection().map(|connection| &connection.client),
        }
    }

    /// Whether the row is about CONNECT or CONNACK, when EMQX does not know the client id that it assigns.
    fn is_answer(&self) -> bool {
        matches!(self.key, RuleKey::ClientConnect | RuleKey::ClientConnack)
    }

    fn data(&self) -> Option<&Json> {
        let parse = || match &self.event().detail {
            Detail::Other(other) => serde_json::from_str(&other.data).ok().filter(Json::is_object),
            _ => None,
        };
        self.data.get_or_init(parse).as_ref()
    }

    fn event_name(&self) -> &'e str {
        match &self.event().detail {
            _ if self.key == RuleKey::ClientConnack => "client.connack",
            Detail::ClientAuthenticated(_) => "client.check_authn_complete",
            Detail::ClientAuthorized(_) => "client.check_authz_complete",
            Detail::SessionTakenOver(_) => "session.takenover",
            Detail::MessageRefused(_) if self.key == RuleKey::MessageDropped => "message.dropped",
            _ => words::event_name(self.event()),
        }
    }

    fn expiry(&self) -> Value<'_> {
        let expiry = self.event().connection().map(|connection| connection.session_expiry);
        match self.key {
            // Only this event has milliseconds.
            RuleKey::ClientConnack => expiry.map(|seconds| u64::from(seconds) * 1000).into(),
            _ => expiry.into(),
        }
    }

    fn flags(&self) -> Value<'_> {
        let of_message = || self.event().message().map(|message| (message.retain, message.dup));
        let of_delivery = self.event().delivery().map(|delivery| (delivery.retain, delivery.dup));
        let flags = of_delivery.or_else(of_message);
        flags
            .map(|(retain, dup)| Value::Object(vec![("retain".into(), retain.into()), ("dup".into(), dup.into())]))
            .into()
    }

    /// The identifiers of the subscriptions that a delivered message matches. EMQX does not know them when it drops a message
    /// for the client that published it.
    fn subscription_ids(&self) -> &'e [u32] {
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
    fn from(&self) -> Option<&'e Client> {
        self.event().delivery().map(|delivery| &delivery.message.publisher)
    }

    fn reason(&self) -> Value<'_> {
        if let Some(dropped) = self.event().dropped() {
            return Value::text(emqx_drop_reason(dropped.reason, dropped.code, dropped.text));
        }
        let connection = self.event().connection();
        let end = self.event().end();
        end.map(|end| emqx_end_reason(end, connection, EmqxVersion::V5_8))
            .into()
    }

    fn topic(&self) -> Value<'_> {
        match (self.event().filter(), &self.event().detail) {
            (Some((filter, group)), _) => self.filter(filter, group),
            // The subject is the name of the event.
            (None, Detail::Other(_)) => Value::Undefined,
            (None, _) => self.event().subject().into(),
        }
    }

    /// A filter with the prefix of its shared group, as in EMQX 5.4 and later.
    fn filter(&self, filter: &'e str, group: Option<&str>) -> Value<'e> {
        match group {
            None => Value::text(filter),
            Some(_) if self.version < V5_4 => Value::text(filter),
            Some("$queue") => Value::Text(format!("$queue/{filter}").into()),
            Some(group) => Value::Text(format!("$share/{group}/{filter}").into()),
        }
    }

    /// Appends the whole row as JSON.
    pub(super) fn push(&self, out: &mut String) {
        if self.data().is_some() {
            Value::object(self.all()).push(out);
            return;
        }
        let mut before = '{';
        for name in self.names() {
            out.push(before);
            before = ',';
            out.push('"');
            out.push_str(name);
            out.push_str("\":");
            match (name, self.event().message()) {
                // Encodes without a copy, because a payload may be long.
                ("payload", Some(message)) if self.encoding != Encoding::Plain => {
                    self.encoding.push_json(out, &message.payload);
                }
                _ => self.value(name).push(out),
            }
        }
        out.push('}');
    }
}

impl Columns for Row<'_> {
    fn get(&self, name: &str) -> Value<'_> {
        self.value(name)
    }

    fn shown(&self, name: &str) -> Value<'_> {
        match (name, self.event().message()) {
            ("payload", Some(message)) if self.encoding != Encoding::Plain => {
                let mut text = String::new();
                self.encoding.push(&mut text, &message.payload);
                Value::Text(text.into())
            }
            _ => self.value(name),
        }
    }

    fn all(&self) -> Vec<(Cow<'_, str>, Value<'_>)> {
        let data = self.data().and_then(Json::as_object).into_iter().flatten();
        let data = data.map(|(name, value)| (Cow::Borrowed(name.as_str()), Value::from(value)));
        let names = self.names().map(|name| (Cow::Borrowed(name), self.shown(name)));
        names.chain(data).collect()
    }
}

/// A text as a word of EMQX: see [`Value::Atom`].
fn word(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Text(text) => Value::Atom(text),
        other => other,
    }
}

/// The properties of a subscription, including its identifier.
fn subscription_properties(subscription: &Subscription) -> Value<'_> {
    with_identifiers(properties(subscription.properties.as_ref()), subscription.id.as_slice())
}

/// The properties of a message, and for a delivery the identifiers of the subscriptions that it matches.
fn publish_properties<'e>(message: &'e Message, subscription_ids: &[u32]) -> Value<'e> {
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
