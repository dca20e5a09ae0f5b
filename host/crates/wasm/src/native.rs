//! The two places where the host runs machine code without checking it.
//!
//! wasmtime checks that such code was made by its own version, for this kind of processor and with fitting settings. It
//! cannot check the instructions. So only two kinds are taken: what the compiler has just handed over, and what lies
//! in the cache, which no other user can write to ([`cache`](super::cache)).

#![allow(
    unsafe_code,
    reason = "whether machine code is what a compiler has made can only be promised, as is done here"
)]

use std::path::Path;

use wasmtime::component::Component as Code;

use super::error::LoadError;

/// Code that [`compile`](super::compile::compile) has made.
pub(super) fn compiled(engine: &wasmtime::Engine, code: &[u8]) -> Result<Code, LoadError> {
    // SAFETY: the bytes come from wasmtime's compiler, in this process or through a pipe from one of the same program.
    let code = unsafe { Code::deserialize(engine, code) };
    code.map_err(|error| LoadError::Invalid(format!("{error:#}")))
}

/// Code in a file of the cache. It is mapped: pages are read when they are called.
pub(super) fn mapped(engine: &wasmtime::Engine, file: &Path) -> wasmtime::Result<Code> {
    // SAFETY: only this user can write in the cache's folder, and files there are written whole under another name and
    // never changed afterwards.
    unsafe { Code::deserialize_file(engine, file) }
}
