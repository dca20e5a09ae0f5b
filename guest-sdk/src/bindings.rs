//! What `wit-bindgen` makes of `wit/hook.wit`: the types, the imports and the macro that exports a component.
//!
//! Full of unsafe code: lifting and lowering across the border of the component. It builds for every target, so that
//! modules are tested natively; there the imports cannot be called, which is why [`crate::log`] and [`crate::kv`] do
//! without them.
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
