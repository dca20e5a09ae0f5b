//! The columns of EMQX 5's rule engine, for one event and one rule: those of 5.8, or of the version that the rule sets.
//!
//! Bodies of format `emqx5` consist of columns, `select` selects columns, and `where` uses columns in every format.
//! [`names`] lists the columns of each kind of event, and [`Row::column`] returns their values. Many columns have the same
//! value as a [field](super::event_fields). Values are borrowed from the event where possible. A clause may use a column
//! that is not part of the body.
//!
//! Names are in descending order, because EMQX prints its maps in that order.

pub(crate) mod names;
mod parts;
mod values;

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value as Json;

use crate::encoding::Encoding;
use crate::event_fields::{self, EventFields};
use crate::format::{EmqxVersion, emqx_code};
use crate::key::RuleKey;
use crate::records::{EventRecords, requested_client_id};
use crate::rules::Rule;
use crate::sql::{Columns, Value};
use hookhost_guest::event::{Detail, Event, Node};
use parts::{publish_properties, subscription_properties};
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
