//! Reads events and writes outcomes at the border of a component, in the canonical ABI of the component model. Module
//! authors do not use it; [`export!`](crate::export) does.
//!
//! The bindings contain generated code for the same task, but as one function with every case of
//! [`Detail`](crate::event::Detail), which compiles to some 400 kB of machine code. Here each type is read by a function of
//! its own, directly to its final place. The reason is the time that the host needs to compile a module. Measured with
//! the built-in module:
//!
//! | | this code | generated code |
//! | --- | --- | --- |
//! | time to compile the module | 1 | 3.5 times as long |
//! | machine code | 1.53 MB | 1.95 MB |
//! | time of a call per event | 1 | 1.04 to 1.11 times as long |
//!
//! So without this code a new version of a small module (200 kB) could not replace the old one within 500 ms. The rest of
//! the border uses the bindings.
//!
//! Each type has a size, an alignment and a function that reads it (`lift.rs`) or writes it (`lower.rs`). `events.rs` lists
//! records and variants in the order of the contract, which determines the offsets. A test compares the order with
//! `wit/hook.wit`. The compiler checks that no field or case is missing and that each has its type.
//!
//! The unsafe code relies on a host that obeys the canonical ABI, as wasmtime does.
#![allow(unsafe_code)]

mod events;
mod lift;
mod lower;

use lift::Lift;
use lower::lower_list;

use crate::bindings::exports::hookhost::hook::handler::Guest;
use crate::event::Event;

/// Size of a pointer and of a length, in bytes.
const WORD: usize = size_of::<usize>();

/// Reads the events, calls the module and writes the outcomes. Returns the address of the pointer and the length of the
/// list of outcomes.
///
/// # Safety
///
/// `events` is a list of `len` events that the host has written. There is only one thread. The result is valid until the
/// next call, and the generated `__post_return_handle` frees it.
#[doc(hidden)]
pub unsafe fn handle<T: Guest>(events: *mut u8, len: usize) -> *mut u8 {
    // Every generated export does this first. It runs the constructors of C code once.
    #[cfg(target_arch = "wasm32")]
    wit_bindgen::rt::run_ctors_once();
    static mut RESULT: [usize; 2] = [0; 2];
    let result = (&raw mut RESULT).cast::<u8>();
    // SAFETY: the caller's promise; there is one thread, and the host has read the previous result.
    unsafe {
        let outcomes = T::handle(Event::lift_list(events, len));
        lower_list(outcomes, result);
    }
    result
}

/// The paths that the generated `export_component!` uses. All items except `handle` are those of the bindings.
#[doc(hidden)]
pub mod exports {
    pub mod hookhost {
        pub mod hook {
            pub mod handler {
                pub use crate::__export_handler as __export_hookhost_hook_handler_0_1_0_cabi;
                pub use crate::abi::handle;
                pub use crate::bindings::exports::hookhost::hook::handler::{
                    __post_return_configure, __post_return_handle, _export_configure_cabi,
                };
            }
        }
    }
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_handler {
    ($type:ident with_types_in $($path:tt)*) => {
        const _: () = {
            #[unsafe(export_name = "hookhost:hook/handler@0.1.0#configure")]
            unsafe extern "C" fn configure(
                node: *mut u8, node_len: usize, id: i32, version: *mut u8, version_len: usize, module: *mut u8,
                module_len: usize, generation: i32, config: *mut u8, config_len: usize,
            ) -> *mut u8 {
                unsafe {
                    $($path)*::_export_configure_cabi::<$type>(
                        node, node_len, id, version, version_len, module, module_len, generation, config, config_len,
                    )
                }
            }

            #[unsafe(export_name = "cabi_post_hookhost:hook/handler@0.1.0#configure")]
            unsafe extern "C" fn configured(answer: *mut u8) {
                unsafe { $($path)*::__post_return_configure::<$type>(answer) }
            }

            #[unsafe(export_name = "hookhost:hook/handler@0.1.0#handle")]
            unsafe extern "C" fn handle(events: *mut u8, len: usize) -> *mut u8 {
                unsafe { $($path)*::handle::<$type>(events, len) }
            }

            #[unsafe(export_name = "cabi_post_hookhost:hook/handler@0.1.0#handle")]
            unsafe extern "C" fn handled(answer: *mut u8) {
                unsafe { $($path)*::__post_return_handle::<$type>(answer) }
            }
        };
    };
}

#[cfg(test)]
mod tests {
    use super::events::{Pairs, RECORDS, VARIANTS};
    use super::*;
    use crate::event::{Address, Client, DropReason, Property};

    /// Names of the fields or cases of a type of the contract, in their order.
    fn members(kind: &str, name: &str) -> Vec<String> {
        let contract = include_str!("../../../wit/hook.wit");
        let head = format!("  {kind} {} {{", kebab(name));
        let lines = contract.lines().skip_while(|line| *line != head).skip(1);
        let members = lines.map(str::trim).take_while(|line| *line != "}");
        let members = members.filter(|line| !line.starts_with("//"));
        members
            .filter_map(|line| line.split([':', '(', ',']).next())
            .map(str::to_owned)
            .collect()
    }

    /// `RetainAvailable` and `retain_available` as `retain-available`.
    fn kebab(name: &str) -> String {
        let mut text = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !text.is_empty() {
                text.push('-');
            }
            text.extend(letter.to_lowercase());
        }
        text.replace('_', "-")
    }

    #[test]
    fn the_order_is_that_of_the_contract() {
        for (kind, types) in [("record", RECORDS), ("variant", VARIANTS)] {
            for (name, ours) in types {
                let ours: Vec<_> = ours.iter().map(|member| kebab(member)).collect();
                assert_eq!(ours, members(kind, name), "{name}");
            }
        }
        let request = members("record", "Request");
        assert_eq!(
            request,
            [
                "method",
                "url",
                "headers",
                "body",
                "ordering-key",
                "destination",
                "options"
            ]
        );
        assert_eq!(members("enum", "Method"), ["get", "post", "put", "patch", "delete"]);
        assert_eq!(members("variant", "Body"), ["text", "bytes"]);
        assert_eq!(members("variant", "Outcome"), ["ignore", "deliver", "fail"]);
    }

    /// The expected sizes follow from the canonical ABI for 32-bit memories.
    #[test]
    fn sizes_follow_from_the_parts() {
        assert_eq!(
            (Option::<u8>::SIZE, Option::<u16>::SIZE, Option::<u64>::SIZE),
            (2, 4, 16)
        );
        assert_eq!((Address::SIZE, Address::ALIGN), (3 * WORD, WORD));
        assert_eq!(Option::<Address>::SIZE, 4 * WORD);
        assert_eq!((Client::SIZE, Property::SIZE), (17 * WORD, 3 * WORD));
        assert_eq!((DropReason::SIZE, Option::<Pairs>::SIZE), (1, 3 * WORD));
        assert_eq!(
            (Event::SIZE, Event::ALIGN),
            (80 + 60 * WORD, 8),
            "the size in the generated bindings"
        );
    }
}
