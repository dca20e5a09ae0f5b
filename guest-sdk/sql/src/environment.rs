//! What expressions see besides their operands: the columns of the event, the clock, chance, variables and tables.

use std::borrow::Cow;

use crate::value::Value;

/// The columns of one event.
pub trait Columns {
    /// The value of a column; [`Value::Undefined`] if there is no such column.
    fn get(&self, name: &str) -> Value<'_>;

    /// The value of a column in a body. It differs from `get` for an encoded payload.
    fn shown(&self, name: &str) -> Value<'_> {
        self.get(name)
    }

    /// All columns with their values in a body.
    fn all(&self) -> Vec<(Cow<'_, str>, Value<'_>)>;
}

/// A table of values that functions put values into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// The table of the node, which all rules and clients share: `kv_store_put` and its relatives.
    Node,
    /// The table of the connection of the event's client: `proc_dict_put` and its relatives.
    Connection,
}

/// What is outside of a rule.
pub trait System {
    /// Nanoseconds since 1970.
    fn now_ns(&self) -> i128;

    /// Seconds that local time is ahead of UTC.
    fn local_offset(&self) -> i32;

    /// Random bits.
    fn random(&self) -> u64;

    /// The text that stands for EMQX's environment variable `EMQXVAR_NAME`; `None` if it is not set.
    fn variable(&self, name: &str) -> Option<String>;

    /// A value in a table.
    fn get(&self, table: Table, key: &Value<'_>) -> Option<Value<'static>>;

    /// Puts a value into a table; `None` removes it.
    fn put(&self, table: Table, key: &Value<'_>, value: Option<Value<'static>>);
}

/// What a function sees besides its arguments.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// The columns of the event, for functions such as `topic(2)`. `None` where EMQX does not pass them to functions: in
    /// SELECT and in DO.
    pub columns: Option<&'a dyn Columns>,
    /// Clock, chance, variables and tables.
    pub system: &'a dyn System,
}
