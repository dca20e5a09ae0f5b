//! The contract `wit/hook.wit` as generated Rust code. Events are borrowed, answers are owned.
//!
//! The generated code implements unsafe traits of wasmtime. Only this file and `native.rs` of the host may contain
//! unsafe code.

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
    // The result of `remove` cannot carry an error, so a call that changes too much must trap.
    imports: { "hookhost:hook/kv.remove": trappable },
    ownership: Borrowing { duplicate_if_necessary: false },
});
