//! Configuration.

pub mod units;

pub use units::{UnitError, format_duration, format_size, parse_duration, parse_size};
