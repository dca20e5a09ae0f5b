//! The default module: webhook rules in, RMQTT's JSON bodies out.
//!
//! All of it is in the SDK, where other modules can use it too. It keeps nothing from one batch of events to the next,
//! and so can have the allocator for that.

hookhost_guest::export!(hookhost_guest::webhook::Webhook);
hookhost_guest::batch_allocator!();
