//! A value with its place, units, problems, and the one checked reader of settings.

pub mod document;
mod mistakes;
mod places;
mod problem;
pub mod reader;
pub mod units;
pub mod url;

pub use mistakes::Mistakes;
pub use places::Places;
pub use problem::{Problem, Source, suggestion};
pub use reader::{Given, Layer, Place, Reader};
pub use units::{UnitError, format_duration, format_size, parse_duration, parse_size};
