//! The border of a component where events come in and outcomes go out, by the canonical ABI of the component model.
//!
//! The generated bindings have code for this too, but all of it in one function: with every case of
//! [`Detail`](crate::event::Detail) in it, a compiler makes 600 kB of machine code of that, which moves all fields of all
//! cases for each event. That was half of a module's time for an event, and most of the time that it took to compile a
//! module. Here each type is read by a function of its own, straight into the place where it stays. Everything else about
//! the border remains the bindings'.
//!
//! A type knows its size and alignment and how it is read (`lift.rs`) or written (`lower.rs`). Records and variants are
//! listed in `events.rs` as the contract has them: their offsets follow from the order, which a test compares with
//! `wit/hook.wit`; that no field or case is missing and each has its type is seen by the compiler.
//!
//! With [`alloc`](crate::alloc), where unsafe code is beside the bindings: what it relies on is that the host obeys the
//! canonical ABI, as wasmtime does.
#![allow(unsafe_code)]

mod events;
mod lift;
mod lower;

use lift::Lift;
use lower::lower_list;

use crate::bindings::exports::hookhost::hook::handler::Guest;
use crate::event::Event;

/// Bytes of a pointer and of a length.
const WORD: usize = size_of::<usize>();

/// Reads the events, has them handled and writes the outcomes; gives where their list is described.
///
/// # Safety
///
/// `events` is a list of so many that the host has written. One thread; what is returned holds until the next call and
/// is taken back by the generated `__post_return_handle`.
#[doc(hidden)]
pub unsafe fn handle<T: Guest>(events: *mut u8, len: usize) -> *mut u8 {
    // As each generated export does first; it does something once, and for guests with constructors of C alone.
    #[cfg(target_arch = "wasm32")]
    wit_bindgen::rt::run_ctors_once();
    static mut ANSWER: [usize; 2] = [0; 2];
    let answer = (&raw mut ANSWER).cast::<u8>();
    // SAFETY: the caller's promise; there is one thread, and the host has read the last answer.
    unsafe {
        let outcomes = T::handle(Event::lift_list(events, len));
        lower_list(outcomes, answer);
    }
    answer
}

/// Where the generated `export_component!` looks for the exports of the handler; all but `handle` are the bindings'.
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

    /// As the canonical ABI has them for memories of 32 bits: laid out by hand.
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
            "what the generated bindings count"
        );
    }
}
