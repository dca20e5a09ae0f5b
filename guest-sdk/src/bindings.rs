//! The code that `wit-bindgen` generates from `wit/hook.wit`: the types, the imports and the macro that exports a
//! component.
//!
//! It contains unsafe code, which reads and writes values at the border of the component. It builds for every target, so
//! that modules can be tested natively. The imports cannot be called natively; [`crate::log`] and [`crate::kv`] replace
//! them.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction
)]

wit_bindgen::generate!({
    path: "../wit",
    world: "hook-module",
    generate_unused_types: true,
    additional_derives: [PartialEq],
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "hookhost_guest::bindings",
    with: { "hookhost:hook/types@0.1.0/problem": hookhost_shared::Problem },
});
