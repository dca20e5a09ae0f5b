//! The rule SQL of EMQX 5: it selects the columns of a body and the events of a rule.
//!
//! ```text
//! SELECT payload.temp as t, clientid FROM "devices/+", "$events/client_connected" WHERE t > 30 and topic =~ 'devices/#'
//! ```
//!
//! [`Statement`] splits a statement into its clauses. [`Select`] and [`Condition`] are parsed clauses, which are evaluated
//! with the [`Columns`] of one event. All errors are found when a clause is parsed. Values compare as in EMQX, see
//! [`Value`]. [`functions`] has the table of functions. The library does no input and output and knows no clock: what is
//! outside of a rule comes from its [`System`].

pub mod functions;
pub mod json;

mod environment;
mod error;
mod eval;
mod failure;
mod parser;
mod statement;
mod syntax;
mod token;
mod value;

pub use environment::{Columns, Environment, System, Table};
pub use error::SqlError;
pub use eval::{Scope, Selected};
pub use failure::Failure;
pub use statement::Statement;
pub use syntax::{Condition, Select};
pub use value::{Entries, Value};

#[cfg(test)]
mod tests;
