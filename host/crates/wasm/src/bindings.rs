//! The contract `wit/hook.wit` as Rust, generated. Events are borrowed, answers are owned.
//!
//! The generated code implements wasmtime's unsafe traits; beside `native.rs` this is the one file of the host that may.

#![allow(
    unsafe_code,
    reason = "bindgen implements wasmtime's unsafe marker traits for the types of the contract"
)]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the contract is documented in wit/hook.wit"
)]

wasmtime::component::bindgen!({
    path: "../../../wit",
    world: "hook-module",
    // Its result has no room for an error, and a call that changes too much must end somehow.
    imports: { "hookhost:hook/kv.remove": trappable },
    ownership: Borrowing { duplicate_if_necessary: false },
});
