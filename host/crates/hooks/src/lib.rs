//! From the broker to modules: who wants which event, and the queues in between.
//!
//! [`Interests`] say what a module wants, compiled from what it asked for. The [`Bus`] finds for an event the modules
//! that want it and puts it into a queue of each; a module's thread reads its [`Inbox`] in batches. The broker knows
//! the bus, modules know their [`Attachment`] and their inboxes, and neither knows the other.
//!
//! Every queue is bounded by events and bytes ([`QueueLimits`]); what does not fit is dropped and counted, or waited
//! for. Nothing here knows Wasm, HTTP or an MQTT packet.

mod bus;
mod interests;
mod queue;
mod target;
mod throttle;
mod weight;

pub use bus::{Attachment, Bus, Interested, InterestedIn, Version, Waiting};
pub use interests::{Interest, InterestCause, InterestError, Interests, has_topic};
pub use queue::{Inbox, Overflow, QueueLimits, Queued};
pub use target::{Drops, QueueState, Unqueued};
pub use throttle::Throttle;
pub use weight::weight;
