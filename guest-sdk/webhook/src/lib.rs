//! The default module: webhook rules in, RMQTT's JSON bodies out.
//!
//! All of it is in the SDK, where other modules can use it too.

hookhost_guest::export!(hookhost_guest::webhook::Webhook);
