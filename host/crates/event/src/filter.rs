//! Topic filters: the host matches with the code that its modules match with, so that the two never disagree.

pub use hookhost_shared::topic::{FilterError, SharedFilter, TopicFilter};
