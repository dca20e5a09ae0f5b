//! A compiled module, and the checks that distinguish a module from other bytes.

use std::sync::Arc;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component as Code, InstancePre, Linker};

use super::bindings::HookModuleIndices;
use super::contract::Identity;
use super::error::LoadError;
use super::host::State;
use super::instance::Instance;
use super::limits::Limits;
use hookhost_kv::Kv;

/// The interface that makes a component a module, without its version.
const HANDLER: &str = "hookhost:hook/handler";

/// The functions that the handler must export.
const FUNCTIONS: [&str; 2] = ["configure", "handle"];

/// The interfaces available to modules: packages or interfaces with the supported versions.
const PROVIDED: [(&str, &str); 9] = [
    ("hookhost:hook/log", "0.1."),
    ("hookhost:hook/kv", "0.1."),
    ("hookhost:hook/types", "0.1."),
    ("wasi:cli/", "0.2."),
    ("wasi:clocks/", "0.2."),
    ("wasi:filesystem/", "0.2."),
    ("wasi:io/", "0.2."),
    ("wasi:random/", "0.2."),
    ("wasi:sockets/", "0.2."),
];

/// A compiled module whose imports and exports have been checked. Clones share the code.
#[derive(Clone)]
pub struct Component {
    pre: InstancePre<State>,
    /// The indices of the functions of the handler.
    exports: HookModuleIndices,
    /// Whether the engine counts executed instructions.
    metered: bool,
}

/// The imports and exports of a component.
pub struct Anatomy {
    /// The exported interfaces and functions, with their versions.
    pub exports: Vec<String>,
    /// The imported interfaces and functions, with their versions.
    pub imports: Vec<String>,
    /// The module, or why the component is not a module.
    pub component: Result<Component, LoadError>,
}

impl Component {
    /// Inspects compiled code. `metered` says whether its engine counts instructions.
    pub(super) fn examine(linker: &Linker<State>, code: &Code, metered: bool) -> Anatomy {
        let engine = linker.engine();
        let names = code.component_type();
        let exports: Vec<String> = names.exports(engine).map(|(name, _)| name.to_owned()).collect();
        let imports: Vec<String> = names.imports(engine).map(|(name, _)| name.to_owned()).collect();
        let check = || {
            check_exports(exports.iter().map(String::as_str))?;
            for (name, item) in names.exports(engine) {
                if let (true, ComponentItem::ComponentInstance(handler)) = (is_handler(name), item.ty) {
                    check_functions(handler.exports(engine).map(|(name, _)| name))?;
                }
            }
            check_imports(imports.iter().map(String::as_str))?;
            let other_types = |error: wasmtime::Error| LoadError::OtherTypes(format!("{error:#}"));
            let pre = linker.instantiate_pre(code).map_err(other_types)?;
            let exports = HookModuleIndices::new(&pre).map_err(other_types)?;
            Ok(Component { pre, exports, metered })
        };
        let component = check();
        Anatomy {
            exports,
            imports,
            component,
        }
    }

    pub(super) fn pre(&self) -> &InstancePre<State> {
        &self.pre
    }

    pub(super) fn exports(&self) -> &HookModuleIndices {
        &self.exports
    }

    pub(super) fn is_metered(&self) -> bool {
        self.metered
    }

    /// Creates an instance and runs its start code. Call [`Instance::configure`] next.
    ///
    /// Blocks the calling thread for up to [`Limits::start_deadline`].
    pub fn instantiate(&self, identity: &Identity, limits: &Limits, kv: &Arc<Kv>) -> Result<Instance, LoadError> {
        Instance::new(self, identity, limits, kv)
    }
}

/// Identifies bytes by their first ones. The compiler checks the rest.
pub(super) fn check_header(wasm: &[u8]) -> Result<(), LoadError> {
    let what = match wasm {
        // The layer: 0 for core modules, 1 for components.
        [0, b'a', b's', b'm', _, _, 0, 0, ..] => return Err(LoadError::CoreModule),
        [0, b'a', b's', b'm', _, _, _, _, ..] => return Ok(()),
        [] => "an empty file",
        [0, b'a', b's', b'm', ..] | [0] | [0, b'a'] | [0, b'a', b's'] => "the beginning of a WebAssembly file",
        [0x7f, b'E', b'L', b'F', ..] => "compiled machine code",
        [0x1f, 0x8b, ..] => "a gzip file",
        [b'P', b'K', ..] => "a zip file",
        _ if wasm.trim_ascii_start().starts_with(b"(") => "WebAssembly text",
        _ if wasm.trim_ascii_start().starts_with(b"<") => "an HTML page",
        _ => "something else",
    };
    Err(LoadError::NotWasm { what })
}

fn check_exports<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), LoadError> {
    let mut exports = Vec::new();
    let mut other_version = None;
    for name in names {
        match name.split_once('@') {
            Some(_) if is_handler(name) => return Ok(()),
            Some((HANDLER, _)) => other_version = Some(name.to_owned()),
            _ if name == HANDLER => other_version = Some(name.to_owned()),
            _ => exports.push(name.to_owned()),
        }
    }
    Err(match other_version {
        Some(found) => LoadError::OtherVersion { found },
        None => LoadError::NoHandler { exports },
    })
}

/// Returns whether an export is the handler in a version that this host supports.
fn is_handler(name: &str) -> bool {
    matches!(name.split_once('@'), Some((HANDLER, version)) if version.starts_with("0.1."))
}

fn check_functions<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), LoadError> {
    let names: Vec<&str> = names.collect();
    let lacking = FUNCTIONS.into_iter().find(|function| !names.contains(function));
    lacking.map_or(Ok(()), |function| Err(LoadError::LacksFunction { function }))
}

fn check_imports<'a>(mut names: impl Iterator<Item = &'a str>) -> Result<(), LoadError> {
    let is_provided = |name: &str| {
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        PROVIDED.iter().any(|(provided, versions)| {
            let fits = if provided.ends_with('/') {
                interface.starts_with(provided)
            } else {
                interface == *provided
            };
            fits && version.starts_with(versions)
        })
    };
    match names.find(|name| !is_provided(name)) {
        Some(name) => Err(LoadError::UnknownImport { name: name.to_owned() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        for (bytes, what) in [
            (&b""[..], "an empty file"),
            (b"\0as", "the beginning of a WebAssembly file"),
            (b"\0asm\x01\0\0", "the beginning of a WebAssembly file"),
            (b"\x7fELF\x02", "compiled machine code"),
            (b"PK\x03\x04", "a zip file"),
            (b" \n(component)", "WebAssembly text"),
            (b"<!doctype html>", "an HTML page"),
            (b"hello", "something else"),
        ] {
            assert_eq!(
                check_header(bytes),
                Err(LoadError::NotWasm { what }),
                "{}",
                bytes.escape_ascii()
            );
        }
        assert_eq!(check_header(b"\0asm\x01\0\0\0"), Err(LoadError::CoreModule));
        assert_eq!(check_header(b"\0asm\x0d\0\x01\0"), Ok(()));
    }

    #[test]
    fn exports() {
        let check = |names: &[&str]| check_exports(names.iter().copied());
        assert_eq!(check(&["a", "hookhost:hook/handler@0.1.0"]), Ok(()));
        assert_eq!(check(&["hookhost:hook/handler@0.1.7"]), Ok(()));
        for found in [
            "hookhost:hook/handler@0.2.0",
            "hookhost:hook/handler@1.1.0",
            "hookhost:hook/handler",
        ] {
            assert_eq!(
                check(&["a", found]),
                Err(LoadError::OtherVersion { found: found.into() })
            );
        }
        assert_eq!(
            check(&["wasi:cli/run@0.2.3"]).unwrap_err().to_string(),
            "this component does not export hookhost:hook/handler@0.1.0, only wasi:cli/run@0.2.3; \
             build it against the world hookhost:hook/hook-module"
        );
    }

    #[test]
    fn imports() {
        let check = |name: &str| check_imports([name].into_iter());
        for name in [
            "hookhost:hook/types@0.1.0",
            "hookhost:hook/log@0.1.0",
            "hookhost:hook/kv@0.1.3",
            "wasi:io/poll@0.2.6",
            "wasi:sockets/tcp@0.2.0",
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in [
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:cli/environment@0.3.0",
            "wasi:keyvalue/store@0.2.0",
            "hookhost:hook/kv@0.2.0",
            "hookhost:hook/kvs@0.1.0",
            "host-function",
        ] {
            assert_eq!(check(name), Err(LoadError::UnknownImport { name: name.into() }));
        }
    }
}
