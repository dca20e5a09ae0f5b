//! Lines for the host's log. The host adds module, generation and time, and cuts what is too long.
//!
//! Use the macros: [`error!`](crate::error), [`warn!`](crate::warn), [`info!`](crate::info),
//! [`debug!`](crate::debug) and [`trace!`](crate::trace). A line that the host does not keep is not even put together.
//! A panic needs no line of its own: its message and place go to the host by themselves. In native tests lines go to
//! standard error.

use std::fmt;

pub use crate::bindings::hookhost::hook::log::Level;

/// Whether lines of this level are kept just now.
pub fn enabled(level: Level) -> bool {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::hookhost::hook::log::enabled(level);
    #[cfg(not(target_arch = "wasm32"))]
    return level <= Level::Info;
}

/// Writes a line if its level is kept.
pub fn write(level: Level, line: fmt::Arguments<'_>) {
    if !enabled(level) {
        return;
    }
    #[cfg(target_arch = "wasm32")]
    crate::bindings::hookhost::hook::log::write(level, &line.to_string());
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?}: {line}");
}

/// Logs that something is lost or broken.
///
/// ```
/// hookhost_guest::error!("device {} has no limit", "k7");
/// ```
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Error, ::std::format_args!($($line)+)) };
}

/// Logs that something needs attention. Takes what [`format!`] takes, as the others do.
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Warn, ::std::format_args!($($line)+)) };
}

/// Logs something worth knowing in normal operation.
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Info, ::std::format_args!($($line)+)) };
}

/// Logs something for the author of the module.
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Debug, ::std::format_args!($($line)+)) };
}

/// Logs something for the author of the module, in full.
#[macro_export]
macro_rules! trace {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Trace, ::std::format_args!($($line)+)) };
}
