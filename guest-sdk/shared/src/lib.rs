//! What the hookhost host and its modules share.
//!
//! - [`topic`]: topic filters as MQTT defines them. The host and its modules match topics with the same code, so a rule
//!   of a module matches exactly the topics that the host's interests match.
//! - [`nearest`]: finds the known name that is most similar to a misspelt one, for "did you mean …?".
//! - [`problems`]: a list of configuration errors, each with the key where it is.
//!
//! Nothing here does I/O. Module authors find these modules in `hookhost-guest`, which re-exports them.

pub mod nearest;
pub mod problems;
pub mod topic;

pub use problems::{Problem, Problems};
