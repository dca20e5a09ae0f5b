//! What the functions of the SQL see of the outside: the clock, chance, and tables.
//!
//! The table of the node is in the key-value store of the module, so that all instances share it. The tables of connections
//! are in the memory of the instance, because all events of a client reach the same one; those of the last
//! [`MAX_CONNECTIONS`] connections are kept.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use hookhost_guest::{Event, kv};
use hookhost_sql::{System, Table, Value, json};

/// Number of connections whose tables an instance keeps.
const MAX_CONNECTIONS: usize = 10_000;

/// The keys of the table of the node in the key-value store.
const PREFIX: &str = "sql/";

/// The outside of a rule for one event.
pub(crate) struct EventSystem<'e> {
    event: &'e Event,
    /// Names and values of the variables that `getenv` returns.
    variables: &'e [(String, String)],
}

/// The table of a connection: keys and values.
type Entries = Vec<(Value<'static>, Value<'static>)>;

thread_local! {
    /// The tables of connections, the latest one last. A connection is a client id and an address.
    static CONNECTIONS: RefCell<VecDeque<(String, Entries)>> = RefCell::default();
}

impl<'e> EventSystem<'e> {
    pub(crate) fn new(event: &'e Event, variables: &'e [(String, String)]) -> EventSystem<'e> {
        EventSystem { event, variables }
    }

    /// The name of the connection of the event's client.
    fn connection(&self) -> String {
        let client = self.event.client();
        let peer = client.and_then(|client| client.peer.as_ref());
        let peer = peer.map(ToString::to_string).unwrap_or_default();
        format!("{peer}/{}", client.map(|client| client.id.as_str()).unwrap_or_default())
    }
}

impl System for EventSystem<'_> {
    fn now_ns(&self) -> i128 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i128::try_from(now.as_nanos()).unwrap_or(i128::MAX)
    }

    fn local_offset(&self) -> i32 {
        i32::from(self.event.utc_offset) * 60
    }

    fn random(&self) -> u64 {
        // Each state has keys of its own.
        RandomState::new().hash_one(())
    }

    fn variable(&self, name: &str) -> Option<String> {
        let (_, value) = self.variables.iter().find(|(known, _)| known == name)?;
        Some(value.clone())
    }

    fn get(&self, table: Table, key: &Value<'_>) -> Option<Value<'static>> {
        match table {
            Table::Node => decoded(&kv::get(&node_key(key))?),
            Table::Connection => CONNECTIONS.with_borrow(|connections| {
                let name = self.connection();
                let (_, entries) = connections.iter().rev().find(|(known, _)| *known == name)?;
                let (_, value) = entries.iter().find(|(known, _)| known == key)?;
                Some(value.clone())
            }),
        }
    }

    fn put(&self, table: Table, key: &Value<'_>, value: Option<Value<'static>>) {
        match (table, value) {
            (Table::Node, None) => {
                kv::remove(&node_key(key));
            }
            (Table::Node, Some(value)) => {
                if let Err(error) = kv::set(&node_key(key), encoded(&value), None) {
                    hookhost_guest::warn!("kv_store_put does not store the value: {error}");
                }
            }
            (Table::Connection, value) => CONNECTIONS.with_borrow_mut(|connections| {
                let name = self.connection();
                let at = connections.iter().rposition(|(known, _)| *known == name);
                let (name, mut entries) = at
                    .and_then(|at| connections.remove(at))
                    .unwrap_or_else(|| (name, Entries::new()));
                entries.retain(|(known, _)| known != key);
                entries.extend(value.map(|value| (key.clone().into_owned(), value)));
                if connections.len() == MAX_CONNECTIONS {
                    connections.pop_front();
                }
                connections.push_back((name, entries));
            }),
        }
    }
}

/// The key in the store: the kind of the key, because a number and its text are different keys, and its text.
fn node_key(key: &Value<'_>) -> String {
    format!("{PREFIX}{}", key.to_json())
}

/// A value as the store keeps it: bytes behind `b`, JSON behind `j`, and `u` for [`Value::Undefined`].
fn encoded(value: &Value<'_>) -> Vec<u8> {
    match value {
        Value::Undefined => b"u".to_vec(),
        Value::Bytes(bytes) => [b"b", &**bytes].concat(),
        value => format!("j{}", value.to_json()).into_bytes(),
    }
}

fn decoded(stored: &[u8]) -> Option<Value<'static>> {
    match stored.split_first()? {
        (b'u', _) => Some(Value::Undefined),
        (b'b', bytes) => Some(Value::bytes(bytes.to_vec())),
        (b'j', text) => json::read(str::from_utf8(text).ok()?).map(Value::into_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_guest::testing;

    #[test]
    fn tables_keep_values() {
        let (one, two) = (testing::connected("c1"), testing::connected("c2"));
        let variables = [("A".to_owned(), "1".to_owned())];
        let (one, two) = (EventSystem::new(&one, &variables), EventSystem::new(&two, &variables));
        for value in [
            Value::Undefined,
            Value::text("x"),
            Value::bytes(b"\xff".to_vec()),
            Value::List(vec![Value::Null, Value::Float(1.0), Value::Integer(1)]),
        ] {
            for table in [Table::Node, Table::Connection] {
                assert_eq!(one.get(table, &"k".into()), None);
                one.put(table, &"k".into(), Some(value.clone()));
                one.put(table, &1u8.into(), Some(Value::Null));
                assert_eq!(one.get(table, &"k".into()), Some(value.clone()));
                let elsewhere = two.get(table, &"k".into());
                assert_eq!(elsewhere, (table == Table::Node).then(|| value.clone()));
                one.put(table, &"k".into(), None);
            }
        }
        assert_eq!(one.get(Table::Node, &"1".into()), None);
        assert_eq!(one.variable("A").as_deref(), Some("1"));
        assert_eq!(one.variable("B"), None);
    }

    #[test]
    fn tables_of_connections_are_bounded() {
        for number in 0..=MAX_CONNECTIONS {
            let event = testing::connected(&number.to_string());
            EventSystem::new(&event, &[]).put(Table::Connection, &"k".into(), Some(Value::Null));
        }
        assert_eq!(CONNECTIONS.with_borrow(VecDeque::len), MAX_CONNECTIONS);
        let last = testing::connected(&MAX_CONNECTIONS.to_string());
        assert_eq!(
            EventSystem::new(&last, &[]).get(Table::Connection, &"k".into()),
            Some(Value::Null)
        );
    }
}
