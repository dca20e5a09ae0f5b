//! Modules in an object store of NATS: what is put there once has effect on all hosts, one host after the other.
//!
//! ```text
//! object store ──> list in memory ──> differs from the mirror? ──> turn ──> mirror folder ──> reload ──> observe ──> end of turn
//!       ▲                                                                                                  │ fails
//!       └────────────────────────── the previous files of the module, with the reason <────────────────────┘
//! ```
//!
//! **Mirror.** A folder below the data folder has the files of the store. It is the modules folder of the host, so loading,
//! switching and rolling back are those of any modules folder. A change of the store replaces the folder in one step. A host
//! that starts without NATS uses its mirror.
//!
//! **Turns.** A host that has something to load takes the turn: a key that only one host can create, and that ends with its
//! lifetime if the host stops. It loads, watches the new modules for a time, and gives the turn back. The next host follows.
//!
//! **Rollback.** If a module does not load or is rolled back on one host, this host writes the previous files back into the
//! store, with the reason. All hosts take these files at once, without a turn. A module without previous files is disabled.
//!
//! - `plan.rs`: what differs, and whether it needs a turn: pure;
//! - `mirror.rs`: the folder;
//! - `turn.rs`: the turn;
//! - `rollout.rs`: the thread.

mod mirror;
mod plan;
mod rollout;
mod turn;

pub(crate) use mirror::{Mirror, mirror_dir};
pub(crate) use rollout::{DISABLED, Rollout, disabled};
