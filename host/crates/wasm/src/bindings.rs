//! The contract `wit/hook.wit` as Rust, generated, and the handler's functions by its types. Events are borrowed, answers
//! are owned.
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

use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::AsContextMut;
use wasmtime::component::{Component, ComponentExportIndex, Func, Instance, TypedFunc};

use self::hookhost::hook::types;

wasmtime::component::bindgen!({
    path: "../../../wit",
    world: "hook-module",
    // Its result has no room for an error, and a call that changes too much must end somehow.
    imports: { "hookhost:hook/kv.remove": trappable },
    ownership: Borrowing { duplicate_if_necessary: false },
});

/// The handler of a component: where its functions are, and that they have the types of the contract.
///
/// wasmtime compares the types anew for each instance, which takes a fifth of the time that an instance takes. They are
/// the component's, so they are compared with its first instance.
pub(super) struct Handler {
    configure: ComponentExportIndex,
    handle: ComponentExportIndex,
    checked: AtomicBool,
}

type Configure<'a> = TypedFunc<(types::HostInfo<'a>, &'a str), (Result<Vec<types::Interest>, Vec<types::Problem>>,)>;
type Handle<'a> = TypedFunc<(&'a [types::Event<'a>],), (Vec<types::Outcome>,)>;

impl Handler {
    /// Finds the functions; none if one is missing.
    pub(super) fn find(component: &Component) -> Option<Handler> {
        let handler = component.get_export_index(None, "hookhost:hook/handler@0.1.0")?;
        Some(Handler {
            configure: component.get_export_index(Some(&handler), "configure")?,
            handle: component.get_export_index(Some(&handler), "handle")?,
            checked: AtomicBool::new(false),
        })
    }

    /// The functions in an instance of this component.
    ///
    /// # Errors
    ///
    /// Their types are not those of the contract.
    pub(super) fn functions(&self, mut store: impl AsContextMut, instance: &Instance) -> wasmtime::Result<Functions> {
        let mut find = |index| {
            let function = instance.get_func(&mut store, index);
            function.ok_or_else(|| wasmtime::Error::msg("a function of the handler is missing"))
        };
        let functions = Functions {
            configure: find(&self.configure)?,
            handle: find(&self.handle)?,
        };
        if !self.checked.load(Ordering::Relaxed) {
            let _: Configure<'_> = functions.configure.typed(&store)?;
            let _: Handle<'_> = functions.handle.typed(&store)?;
            self.checked.store(true, Ordering::Relaxed);
        }
        Ok(functions)
    }
}

/// The handler's functions in one instance.
pub(super) struct Functions {
    configure: Func,
    handle: Func,
}

impl Functions {
    pub(super) fn configure(
        &self,
        store: impl AsContextMut,
        host: types::HostInfo<'_>,
        config: &str,
    ) -> wasmtime::Result<Result<Vec<types::Interest>, Vec<types::Problem>>> {
        // SAFETY: `Handler::functions` has seen that functions of this component have these types.
        let (answer,) = unsafe { Configure::new_unchecked(self.configure) }.call(store, (host, config))?;
        Ok(answer)
    }

    pub(super) fn handle(
        &self,
        store: impl AsContextMut,
        events: &[types::Event<'_>],
    ) -> wasmtime::Result<Vec<types::Outcome>> {
        // SAFETY: as in `configure`.
        let (outcomes,) = unsafe { Handle::new_unchecked(self.handle) }.call(store, (events,))?;
        Ok(outcomes)
    }
}
