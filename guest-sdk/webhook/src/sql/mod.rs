//! The part of EMQX 5's rule SQL that rules need: which columns a body has, and for which events.
//!
//! ```text
//! SELECT payload.temp as t, clientid FROM "devices/+", "$events/client_connected" WHERE t > 30 and topic =~ 'devices/#'
//! ```
//!
//! [`Statement`] takes a whole statement apart; [`Select`] and [`Condition`] are its clauses, parsed, and evaluated over
//! the [`Columns`] of one event. Everything is checked when it is parsed; what is not supported (`FOREACH`, `CASE`,
//! functions, arithmetic, ranges, `IN`) is an error that quotes the place. What values mean, how they compare and what
//! becomes of missing ones is EMQX's way, see [`Value`]. Pure: no clock, no broker.

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
