//! The SDK for hookhost modules in Rust.
//!
//! A module is a WebAssembly component that hookhost runs in a sandbox. The host passes events of the MQTT broker to the
//! module, and the module returns HTTP requests for each event. The host sends the requests, retries them and keeps
//! them in order. A module cannot read files or open sockets. It reads its settings from the `.toml` file next to it.
//!
//! Here is a complete module. It subscribes to one kind of event on some topics, reads the payload as JSON and sends a
//! body of its own:
//!
//! ```
//! use hookhost_guest::pattern::TopicPattern;
//! use hookhost_guest::{Event, Hook, Host, Interest, Message, Module, Outcome, Problems, Request};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     url: String,
//!     limit: f64,
//!     topic: TopicPattern,
//! }
//!
//! #[derive(Deserialize)]
//! struct Reading {
//!     celsius: f64,
//! }
//!
//! #[derive(Serialize)]
//! struct Alert<'a> {
//!     device: &'a str,
//!     celsius: f64,
//! }
//!
//! struct TooHot(Config);
//!
//! impl Module for TooHot {
//!     type Config = Config;
//!
//!     fn new(config: Config, _: &Host) -> Result<Self, Problems> {
//!         Ok(TooHot(config))
//!     }
//!
//!     fn interests(&self) -> Vec<Interest> {
//!         vec![Interest::matching(Hook::MessagePublish, [self.0.topic.filter()])]
//!     }
//!
//!     fn on_message_publish(&mut self, _: &Event, message: &Message) -> Outcome {
//!         let TooHot(config) = self;
//!         let Some(captures) = config.topic.captures(&message.topic) else { return Outcome::Ignore };
//!         match message.json::<Reading>() {
//!             Err(error) => Outcome::fail(error),
//!             Ok(Reading { celsius }) if celsius <= config.limit => Outcome::Ignore,
//!             Ok(Reading { celsius }) => {
//!                 let device = captures.get("id").unwrap_or_default();
//!                 Request::post(&config.url).json(&Alert { device, celsius }).into()
//!             }
//!         }
//!     }
//! }
//!
//! hookhost_guest::export!(TooHot);
//!
//! // Tests need neither WebAssembly nor a broker.
//! use hookhost_guest::testing;
//! use serde_json::json;
//!
//! fn main() {
//!     let config = json!({"url": "http://127.0.0.1:5656/", "limit": 40.0, "topic": "devices/{id}/temp"});
//!     let mut module: TooHot = testing::configure(config).unwrap();
//!
//!     let hot = module.on_event(&testing::publish("devices/k7/temp", br#"{"celsius": 41.5}"#));
//!     assert_eq!(hot.requests()[0].body_str(), Some(r#"{"device":"k7","celsius":41.5}"#));
//!
//!     let mild = module.on_event(&testing::publish("devices/k7/temp", br#"{"celsius": 21.5}"#));
//!     assert_eq!(mild, Outcome::Ignore);
//! }
//! ```
//!
//! `hookhost module new NAME` creates a project like this one, which builds as it is. Without that command, a module is a
//! library crate of type `cdylib`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! hookhost-guest = { path = "../hookhost/guest-sdk" }
//! serde = { version = "1", features = ["derive"] }
//! serde_json = "1"
//! ```
//!
//! `cargo build --release --target wasm32-wasip2` builds the `.wasm` file to copy into the modules folder. If the target
//! is missing, add it with `rustup target add wasm32-wasip2`. `NAME.toml` next to the `.wasm` file contains the settings,
//! in the section `[config]`. The folder `examples/` of the repository has more modules to copy.
//!
//! # Errors
//!
//! For an event that it cannot handle, a module returns [`Outcome::fail`]. The host puts the event into quarantine with
//! the text, and no other event is affected. If a module panics, the host logs the message with its place in the source.
//! A new instance handles the events of the batch again, one by one, and an event that panics again goes into quarantine.
//! The host treats a call that exceeds the time or memory of `[limits]` in the `.toml` file in the same way.
//!
//! # Modules of this crate
//!
//! | module | contents |
//! | --- | --- |
//! | [`event`] | the events that a module receives |
//! | [`request`] | the requests and outcomes that it returns |
//! | [`topic`], [`pattern`] | topic filters, and filters with named wildcards |
//! | [`kv`] | state that is kept when the module is restarted or replaced |
//! | [`log`] | the host's log |
//! | [`problems`], [`nearest`] | errors in settings, and suggestions for misspelt names |
//! | [`time`] | local time and timestamps |
//! | [`testing`] | events and a host for unit tests |
//!
//! The crate `hookhost-webhook` is the built-in module as a library, for modules that combine its rules with a body of
//! their own.
//!
//! The crate builds for every target, so unit tests run natively. Only on `wasm32-wasip2` does it call a host.

#[doc(hidden)]
pub mod abi;
#[doc(hidden)]
pub mod bindings;
pub mod event;
pub mod kv;
pub mod log;
pub mod module;
pub mod pattern;
pub mod problems;
pub mod request;
pub mod testing;
pub mod time;

pub use hookhost_shared::{nearest, topic};

pub use event::{
    Access, Acknowledgement, Address, Authentication, Authorization, Certificate, Client, Connack, Connection,
    Delivery, DeliveryDrop, DeliveryLoss, Detail, Disconnection, DropReason, End, EndReason, Event, Hook, Interest,
    Message, MessageDrop, Node, Origin, OtherEvent, Properties, Property, Session, Subscription, Termination,
    Transport, Unsubscription,
};
pub use module::{Host, Module, NoConfig};
pub use problems::{Problem, Problems};
pub use request::{Body, Method, Outcome, Request};
