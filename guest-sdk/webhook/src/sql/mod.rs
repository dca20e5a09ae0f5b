//! The subset of EMQX 5's rule SQL that selects the columns of a body and the events of a rule.
//!
//! ```text
//! SELECT payload.temp as t, clientid FROM "devices/+", "$events/client_connected" WHERE t > 30 and topic =~ 'devices/#'
//! ```
//!
//! [`Statement`] splits a statement into its clauses. [`Select`] and [`Condition`] are parsed clauses, which are evaluated
//! with the [`Columns`] of one event. All errors are found when a clause is parsed. `FOREACH`, `CASE`, functions,
//! arithmetic, ranges and `IN` are not supported and cause an error that quotes the place. Values compare as in EMQX, see
//! [`Value`].

mod error;
mod eval;
mod parser;
mod selection;
mod source;
mod statement;
mod token;
mod value;

pub use error::SqlError;
pub use eval::{Columns, Failure, Scope};
pub use parser::{Condition, Select};
pub(crate) use selection::Selection;
pub use source::Source;
pub use statement::Statement;
pub use value::Value;

#[cfg(test)]
mod tests;
