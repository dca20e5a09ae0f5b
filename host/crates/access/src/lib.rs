//! Authentication and access rules: which clients may connect, and to which topics they may publish and subscribe.
//!
//! ```text
//! CONNECT ──> AccessControl::authenticate ──> Verdict: accepted (ClientAccess) or refused (Refusal)
//! SUBSCRIBE filter, PUBLISH ──> ClientAccess::authorize ──> Decision: allowed or not, and what decided
//! ```
//!
//! [`Settings`] is the checked configuration with the contents of the files that it names. [`AccessControl`] holds the
//! current settings; a reload replaces them as a whole ([`AccessControl::replace`]). The engine keeps a [`ClientAccess`]
//! for each connection: the client's [`Identity`], the rules that concern it, and a bounded cache of decisions.
//!
//! - [`rules`] decides by rules: pure, without I/O and without a clock.
//! - `users` reads and writes password files; `passwords` computes argon2 hashes on threads of its own and remembers
//!   verified passwords.
//! - `failures` computes the delay after failed logins: pure, the time comes in as an argument.
//! - `jwt` checks tokens, pure; `keys` has their keys and fetches those that a URL publishes; `acl_claim` reads the rules
//!   in a token.
//! - `service` asks web services; `template` has the placeholders in their requests.
//! - `rate` measures how fast one client publishes: pure.
//! - `chain` asks the sources of authentication in their order.
//! - `connect_rules` are the rules of one source about who may connect: pure.
//! - `client` is what one connected client may do; `compiled` has its rules and the decisions that it has cached.
//! - `settings` reads `[[authentication]]` and `[access]`.
//!
//! The crate depends neither on MQTT packets nor on an engine. Passwords and tokens never appear in logs, errors or `Debug`.

mod acl_claim;
mod chain;
mod client;
mod compiled;
mod connect_rules;
mod control;
mod failures;
mod identity;
mod jwt;
mod keys;
mod passwords;
mod rate;
pub mod rules;
mod service;
mod settings;
mod template;
mod users;

pub use client::{ClientAccess, Decision};
pub use control::{AccessControl, Counters};
pub use identity::{CertificateNames, Identity, Login, Refusal, Verdict};
pub use passwords::{HashError, hash_password};
pub use settings::{DenyAction, Settings, Surroundings};
pub use users::{UserNameError, Users, UsersError, check_name, with_user, without_user};
