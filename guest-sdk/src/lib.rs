//! What the author of a hookhost module depends on.

pub mod bindings;
pub mod topic;
