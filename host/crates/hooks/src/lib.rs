//! Takes events from a broker engine to the queues of modules.
//!
//! [`Interests`] are the events that a module subscribes to, compiled for fast lookup. An engine emits events through an
//! [`Emitter`]; the [`Bus`] finds the modules that want an event and puts it into one queue of each; a module's thread
//! reads its [`Inbox`] in batches. Engines know the emitter, modules know their [`Attachment`] and their inboxes, and
//! neither knows the other.
//!
//! Every queue is bounded by events and bytes ([`QueueLimits`]); an event that does not fit is dropped and counted, or
//! its emitter waits. Nothing here depends on Wasm, HTTP or MQTT packets.

mod attachment;
mod bus;
mod clock;
mod counters;
mod emitter;
mod interest_table;
mod interests;
mod queue;
mod recipients;
mod target;
mod throttle;
mod weight;

pub use attachment::Attachment;
pub use bus::Bus;
pub use counters::DropCounts;
pub use emitter::Emitter;
pub use interest_table::Version;
pub use interests::{InterestCause, InterestError, Interests, has_topic};
pub use queue::{Inbox, Overflow, QueueLimits, Queued};
pub use recipients::{InterestedIn, PendingEvent, Recipients};
pub use target::{OfferError, QueueState};
pub use throttle::Throttle;
pub use weight::weight;
