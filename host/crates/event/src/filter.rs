//! Topic filters. Host and modules match with the same code, so they always agree.

pub use hookhost_shared::topic::{FilterError, FilterTree, SharedFilter, TopicFilter};
