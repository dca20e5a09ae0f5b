//! The rule SQL of EMQX 5 with the events of this module: the entries of FROM. The language itself is the library
//! [`hookhost_sql`].

mod source;

pub use hookhost_sql::{
    Columns, Condition, Failure, Scope, Select, Selected, SqlError, Statement, System, Table, Value,
};
pub use source::Source;

/// Whether any kind of event has a column with this name. Events of other brokers may have further columns.
pub fn is_column(name: &str) -> bool {
    crate::columns::names::is_column(name)
}
