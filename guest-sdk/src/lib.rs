//! What the author of a hookhost module depends on.
//!
//! A module is a WebAssembly component that hookhost runs in a sandbox. The host tells it what happens in the MQTT
//! broker, and it answers each event with HTTP requests, which the host sends, repeats and keeps in order. A module
//! cannot read files or open sockets; it gets its settings from the `.toml` beside it.
//!
//! Here is a whole one. It wants one kind of event on some topics, reads the payload as JSON and shapes a body of its
//! own:
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
//! `hookhost module new NAME` makes a project like this one, which builds as it is. By hand, its `Cargo.toml` says that it
//! is a library for others than Rust:
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
//! `cargo build --release --target wasm32-wasip2` then makes the `.wasm` to drop into the modules folder (`rustup target add
//! wasm32-wasip2` if the target is missing), and `NAME.toml` beside it has the settings, in the section `[config]`. The
//! repository has more modules to copy, in `examples/`.
//!
//! # What goes wrong
//!
//! An event that a module cannot handle is answered with [`Outcome::fail`]: the host sets it aside with the text, and
//! nothing else is affected. A panic is not the end of a module either: its message and its place in the source go to
//! the host's log, the other events of the batch are handled again by a new instance, and the one that panics again is
//! set aside. The same becomes of a call that takes longer or more memory than `[limits]` in the `.toml` says.
//!
//! # Where to look
//!
//! Beside [`Module`]: [`event`] has what is told, [`request`] what is answered, [`topic`] and [`pattern`] read topics,
//! [`log`] writes to the host's log, [`kv`] keeps state, [`time`] writes times, [`problems`] refuses settings, [`nearest`]
//! finds the word that somebody meant, [`testing`] makes events.
//! The crate `hookhost-webhook` is the default module as a library, for the standard rules with a body of one's own;
//! [`alloc`] makes a module without state faster.
//!
//! The crate builds for every target, so that tests are native; only on `wasm32-wasip2` is there a host behind it.

#[doc(hidden)]
pub mod abi;
pub mod alloc;
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
