//! The two places where the host runs machine code without checking its instructions.
//!
//! wasmtime checks that the code was made by its own version, for this kind of CPU and with matching settings. It
//! cannot check the instructions. The host therefore accepts only the output of the compiler and the files of the
//! cache. No other user can write to the cache ([`cache`](super::cache)).

#![allow(
    unsafe_code,
    reason = "whether machine code is what a compiler has made can only be promised, as is done here"
)]

use std::path::Path;

use wasmtime::component::Component as Code;

use super::error::LoadError;

/// Loads the code that [`compile`](super::compile::compile) returned.
pub(super) fn compiled(engine: &wasmtime::Engine, code: &[u8]) -> Result<Code, LoadError> {
    // SAFETY: the bytes come from wasmtime's compiler, in this process or through a pipe from a process of the same
    // program.
    let code = unsafe { Code::deserialize(engine, code) };
    code.map_err(|error| LoadError::Invalid(format!("{error:#}")))
}

/// Loads the code in a file of the cache. The file is mapped: pages are read when they are used.
pub(super) fn mapped(engine: &wasmtime::Engine, file: &Path) -> wasmtime::Result<Code> {
    // SAFETY: only this user can write to the folder of the cache. Files in it are written completely under a temporary
    // name and never changed afterwards.
    unsafe { Code::deserialize_file(engine, file) }
}
