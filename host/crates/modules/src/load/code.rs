//! Code: how it is come by, and what of it is kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{LoadError, Loaded, Loader};
use crate::builtin;
use crate::compiler::{Compile, CompileError, Compiler};
use crate::folder::{Content, MOST_WASM, ModuleName, Print};
use crate::optimiser::Task;
use hookhost_delivery::priority;
use hookhost_wasm as wasm;
use hookhost_wasm::{Component, Engine};

/// Niceness of the compiler when nobody waits for it: all that there is.
const NICE: i32 = 19;

/// Compiled code and what it was compiled from; none: the default module in the binary.
#[derive(Clone)]
pub(crate) struct Compiled {
    from: Option<Print>,
    pub(crate) component: Component,
}

impl Compiled {
    /// Code that somebody else has compiled from a file.
    pub(crate) fn of(file: &Content, component: Component) -> Compiled {
        Compiled {
            from: Some(file.print),
            component,
        }
    }

    pub(super) fn is_from(&self, file: Option<&Content>) -> bool {
        self.from == file.map(|content| content.print)
    }

    /// Whether this can still give way to better code from the same file.
    pub(crate) fn is_improved_by(&self, from: Option<Print>) -> bool {
        self.from == from && !self.component.is_optimised()
    }
}

/// How compiled code is come by.
#[derive(Clone)]
pub(crate) struct Ways {
    /// What there is already of a content.
    pub(crate) kept: Arc<Kept>,
    /// What this makes may be better than asked for.
    pub(crate) quick: Arc<Compile<Component>>,
    pub(crate) well: Arc<Compile<Component>>,
}

type Kept = dyn Fn([u8; 32]) -> Option<Result<Component, wasm::LoadError>> + Send + Sync;

impl Ways {
    pub(super) fn of(engine: &Engine) -> Ways {
        let (kept, quick, well) = (engine.clone(), engine.clone(), engine.clone());
        Ways {
            kept: Arc::new(move |hash| kept.kept_of(hash)),
            quick: Arc::new(move |code, wasm, limit| quick.compile_quickly(wasm, hash(code, wasm), limit)),
            well: Arc::new(move |code, wasm, limit| well.optimise(wasm, hash(code, wasm), limit)),
        }
    }
}

impl Loader {
    /// Compiles as well as it can be done, after all other work.
    pub(crate) fn optimising(&self) -> Compiler<Component> {
        let well = Arc::clone(&self.ways.well);
        let compile = move |code, wasm: &[u8], limit| {
            priority::lower(NICE);
            well(code, wasm, limit)
        };
        // It waits for as long as it lets the compiler work.
        Compiler::new(1, Arc::new(compile))
    }

    /// What is left to be done for a module that was loaded.
    pub(crate) fn task(&self, name: &ModuleName, loaded: &Loaded) -> Option<Task> {
        let is_left = loaded.compiled.is_improved_by(loaded.compiled.from);
        is_left.then(|| Task {
            name: name.clone(),
            wasm: loaded.files.wasm.clone(),
            limit: loaded.allowance.compile_time,
        })
    }

    pub(super) fn compile(
        &self,
        compiler: &Compiler<Component>,
        name: &ModuleName,
        wasm: Option<&Content>,
        limit: Duration,
        file: &str,
    ) -> Result<Compiled, LoadError> {
        let from = wasm.map(|content| content.print);
        let bytes = match wasm {
            Some(content) => {
                let (bytes, limit) = (content.size, self.settings.module_size);
                if bytes > limit && matches!(content.print, Print::Content(_)) {
                    let file = file.to_owned();
                    return Err(LoadError::TooLarge { file, bytes, limit });
                }
                if let Print::Content(hash) = content.print
                    && let Some(kept) = (self.ways.kept)(hash)
                {
                    let component = kept.map_err(|source| {
                        let file = file.to_owned();
                        LoadError::Code { file, source }
                    })?;
                    return Ok(Compiled { from, component });
                }
                readable(content, file, MOST_WASM)?
            }
            None if name.is_webhook() => Bytes::from_static(builtin::WEBHOOK),
            None => {
                return Err(LoadError::Unreadable {
                    file: file.to_owned(),
                    kind: std::io::ErrorKind::NotFound,
                });
            }
        };
        let compiled = compiler.compile(from, &bytes, limit);
        let component = compiled.map_err(|error| {
            let file = file.to_owned();
            match error {
                CompileError::Refused(source) => LoadError::Code { file, source },
                CompileError::TooSlow => LoadError::TooSlow { file, limit },
                CompileError::Busy => LoadError::CompilersBusy { file, limit },
                CompileError::Thread(source) => LoadError::Threads {
                    module: name.shared(),
                    source,
                },
            }
        })?;
        Ok(Compiled { from, component })
    }
}

/// SHA-256 of code, which most have brought along.
fn hash(code: Option<Print>, wasm: &[u8]) -> [u8; 32] {
    match code {
        Some(Print::Content(hash)) => hash,
        _ => Sha256::digest(wasm).into(),
    }
}

pub(super) fn readable(content: &Content, file: &str, limit: u64) -> Result<Bytes, LoadError> {
    match content.print {
        // It could be read a moment ago.
        Print::Content(_) => content
            .bytes()
            .map_err(|_| LoadError::Changed { file: file.to_owned() }),
        Print::TooLarge(bytes) => Err(LoadError::TooLarge {
            file: file.to_owned(),
            bytes,
            limit,
        }),
        Print::Unreadable(kind) => Err(LoadError::Unreadable {
            file: file.to_owned(),
            kind,
        }),
    }
}
