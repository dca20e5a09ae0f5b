//! The columns of EMQX 5's rule engine (5.8), for one event and one rule.
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
use crate::records::EventRecords;
use crate::rules::Rule;
use crate::sql::{Columns, Value};
use hookhost_guest::event::{Client, Detail, Event, Node, Subscription};
use values::{attributes, host_of, name_of, properties};

/// One event as a row of columns.
pub(super) struct Row<'e> {
    key: RuleKey,
    fields: EventFields<'e>,
    encoding: Encoding,
    /// Whether the columns are those of EMQX 5.2, which its documentation describes.
    documented: bool,
    /// The parsed data of a [`Detail::Other`].
    data: OnceCell<Option<Json>>,
}

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
            documented: rule.shape.as_documented,
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
        let names = names::of(&self.event().detail);
        let old = self.documented;
        // Before 5.8 an event with `peerhost` had no `peername`, and no event had attributes.
        let has_host = names.contains(&"peerhost");
        let is_end = names.contains(&"disconnected_at");
        names.iter().copied().filter(move |name| {
            !old || match *name {
                "client_attrs" => false,
                "peername" => !has_host,
                "connected_at" => !is_end,
                _ => true,
            }
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
            "clientid" => field!(self, "clientid"),
            "username" => field!(self, "username"),
            "timestamp" => field!(self, "timestamp"),
            "event" => Value::text(self.event_name()),
            "node" => field!(self, "node"),
            "metadata" => Value::Object(vec![("rule_id".into(), Value::text(self.fields.action()))]),
            "peername" => name_of(event.client().and_then(|client| client.peer.as_ref())),
            "peerhost" => host_of(event.client().and_then(|client| client.peer.as_ref())),
            "client_attrs" => attributes(event.client()),
            // Columns of messages.
            "topic" => self.topic(),
            "payload" => event.message().map(|message| Value::bytes(message.payload.as_slice())).into(),
            "qos" => field!(self, "qos"),
            "id" => field!(self, "id"),
            "flags" => self.flags(),
            "publish_received_at" => field!(self, "publish_received_at"),
            "pub_props" => event.message().map(|m| properties(m.properties.as_ref())).into(),
            "from_clientid" => self.from().map(|publisher| publisher.id.as_str()).into(),
            "from_username" => self.from().and_then(|publisher| publisher.username.as_deref()).into(),
            "puback_props" => match &event.detail {
                Detail::MessageAcked(acknowledgement) => properties(acknowledgement.properties.as_ref()),
                _ => Value::Undefined,
            },
            "reason" => self.reason(),
            // A column of clauses only: no body of EMQX has it.
            "origin" => field!(self, "origin"),
            // Columns of connections.
            "sockname" => name_of(event.connection().and_then(|c| c.local.as_ref())),
            "proto_name" => field!(self, "proto_name"),
            "proto_ver" => event.connection().map(|c| c.client.protocol_version).into(),
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
                code.map(emqx_code).into()
            }
            "is_anonymous" => field!(self, "anonymous"),
            "is_superuser" => field!(self, "superuser"),
            // Columns of decisions, subscriptions and sessions.
            "action" => field!(self, "access"),
            "authz_source" => event.authorization().map(|a| a.source.as_str()).into(),
            "result" => field!(self, "result"),
            "sub_props" => event.subscription().map(subscription_properties).into(),
            "unsub_props" => event.unsubscription().map(|u| properties(u.properties.as_ref())).into(),
            "created_at" => field!(self, "created_at"),
            "count" => field!(self, "count"),
            _ => return None,
        })
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
            Detail::ClientAuthenticated(_) => "client.check_authn_complete",
            Detail::ClientAuthorized(_) => "client.check_authz_complete",
            Detail::SessionTakenOver(_) => "session.takenover",
            Detail::MessageRefused(_) if self.key == RuleKey::MessageDropped => "message.dropped",
            _ => words::event_name(self.event()),
        }
    }

    fn expiry(&self) -> Value<'_> {
        let expiry = self.event().connection().map(|connection| connection.session_expiry);
        match &self.event().detail {
            // Only this event has milliseconds.
            Detail::ClientConnack(_) => expiry.map(|seconds| u64::from(seconds) * 1000).into(),
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
        end.map(|end| emqx_end_reason(end, connection, EmqxVersion::Five))
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
            Some(_) if self.documented => Value::text(filter),
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

/// The properties of a subscription, including its identifier.
fn subscription_properties(subscription: &Subscription) -> Value<'_> {
    match (properties(subscription.properties.as_ref()), subscription.id) {
        (Value::Object(entries), Some(id)) => {
            let id = ("Subscription-Identifier".into(), id.into());
            Value::object(entries.into_iter().chain([id]))
        }
        (known, _) => known,
    }
}
