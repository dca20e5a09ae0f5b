//! Writes to the host's log. The host adds module, generation and time, and truncates long lines.
//!
//! Use the macros [`error!`](crate::error), [`warn!`](crate::warn), [`info!`](crate::info), [`debug!`](crate::debug) and
//! [`trace!`](crate::trace). A line of a level that the host does not log is not formatted. A panic is logged with its
//! message and place without a macro. In native tests lines go to standard error.

use std::fmt;

pub use crate::bindings::hookhost::hook::log::Level;

/// Returns whether the host currently logs lines of this level.
pub fn enabled(level: Level) -> bool {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::hookhost::hook::log::enabled(level);
    #[cfg(not(target_arch = "wasm32"))]
    return level <= Level::Info;
}

/// Writes a line if the host logs its level.
pub fn write(level: Level, line: fmt::Arguments<'_>) {
    if !enabled(level) {
        return;
    }
    #[cfg(target_arch = "wasm32")]
    crate::bindings::hookhost::hook::log::write(level, &line.to_string());
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?}: {line}");
}

/// Logs that something is lost or does not work. Takes the arguments of [`format!`].
///
/// ```
/// hookhost_guest::error!("device {} has no limit", "k7");
/// ```
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Error, ::std::format_args!($($line)+)) };
}

/// Logs that something needs attention. Takes the arguments of [`format!`].
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Warn, ::std::format_args!($($line)+)) };
}

/// Logs normal operation. Takes the arguments of [`format!`].
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Info, ::std::format_args!($($line)+)) };
}

/// Logs for the author of the module. Takes the arguments of [`format!`].
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Debug, ::std::format_args!($($line)+)) };
}

/// Logs for the author of the module, in full detail. Takes the arguments of [`format!`].
#[macro_export]
macro_rules! trace {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Trace, ::std::format_args!($($line)+)) };
}
