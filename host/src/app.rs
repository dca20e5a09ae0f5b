//! Builds the parts, connects them, and shuts them down.

use crate::config::{Config, Problem};

/// Runs until a signal ends it.
pub fn run(_config: Config) -> anyhow::Result<()> {
    Ok(())
}

/// Everything that is wrong with the modules; starts nothing.
pub fn check(_config: Config) -> Vec<Problem> {
    Vec::new()
}
