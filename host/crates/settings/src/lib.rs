//! Settings: a value with its place, units, problems, and the one checked reader.
//!
//! A source (a TOML text, the environment, flags) becomes a [`Table`] of [`Setting`]s, each with its [`Place`]. Several
//! sources are merged, the stronger over the weaker ([`merge`]). A [`Section`] then reads key by key, checks each value,
//! and adds what is wrong to a [`Report`]:
//!
//! ```
//! use std::path::Path;
//! use hookhost_settings::{Place, Report, Section, document};
//!
//! let path = Path::new("hookhost.toml");
//! let (table, errors) = document::parse(path, "[mqtt]\nthreads = 4\nlisten = \"localhost\"\nnodelai = true\n");
//! assert!(errors.is_empty());
//! let report = Report::default();
//! let mut root = Section::root(&report, Place::file(path), table);
//! let mut mqtt = root.section("mqtt");
//! assert_eq!(mqtt.integer("threads", 8_usize, 1..=1024), 4);
//! mqtt.boolean("nodelay", true);
//! mqtt.address("listen", "127.0.0.1:1883".parse()?);
//! drop((mqtt, root));
//! let problems: Vec<String> = report.finish().problems.iter().map(ToString::to_string).collect();
//! assert_eq!(problems, [
//!     "hookhost.toml:3: mqtt.listen: should be an address with a port, such as \"127.0.0.1:1883\" or \"[::]:1883\"",
//!     "hookhost.toml:4: mqtt.nodelai: unknown key; the nearest known one is mqtt.nodelay",
//! ]);
//! # Ok::<(), std::net::AddrParseError>(())
//! ```
//!
//! Nothing here reads files or the environment.

mod convert;
pub mod document;
mod place;
mod places;
mod report;
mod section;
mod setting;
mod suggestion;
mod tree;
pub mod units;
pub mod url;
pub mod variables;

pub use place::{Place, Problem, Source, error_line};
pub use places::Places;
pub use report::{Findings, Report, UnknownKeys};
pub use section::Section;
pub use setting::{JsonDates, Setting, Table, Value};
pub use suggestion::suggestion;
pub use tree::{find, find_mut, insert, merge, remove};
pub use units::{UnitError, format_duration, format_size, parse_duration, parse_size};

/// Reads a whole file. The error is the reason why it cannot be read.
pub type Files<'a> = dyn Fn(&std::path::Path) -> std::io::Result<Vec<u8>> + 'a;
