//! The code of a module: from the cache, or compiled.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{LoadError, Loader};
use crate::builtin::BuiltIn;
use crate::folder::{Content, FileHash, MAX_WASM_BYTES, ModuleName};
use hookhost_wasm as wasm;
use hookhost_wasm::{Component, Engine};

/// Compiled code and its source.
#[derive(Clone)]
pub(crate) struct Compiled {
    from: CodeSource,
    pub(crate) component: Component,
}

/// Where code comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CodeSource {
    File(FileHash),
    BuiltIn(BuiltIn),
}

impl CodeSource {
    fn of(file: Option<&Content>, built_in: BuiltIn) -> CodeSource {
        file.map_or(CodeSource::BuiltIn(built_in), |content| CodeSource::File(content.hash))
    }
}

impl Compiled {
    /// Code that the caller has compiled from a file.
    pub(crate) fn of(file: &Content, component: Component) -> Compiled {
        Compiled {
            from: CodeSource::File(file.hash),
            component,
        }
    }

    /// Whether the code is from this file, or without a file from this build of the built-in module.
    pub(super) fn is_from(&self, file: Option<&Content>, built_in: BuiltIn) -> bool {
        self.from == CodeSource::of(file, built_in)
    }
}

/// Makes compiled code from the bytes of a module.
pub(crate) trait Compile: Send + Sync {
    /// The cached code of a `.wasm` with this SHA-256, if the cache has it.
    fn cached(&self, hash: [u8; 32]) -> Option<Result<Component, wasm::LoadError>>;

    /// Compiles a `.wasm` with this SHA-256. Gives up after `limit` with [`wasm::LoadError::CompilerKilled`].
    fn compile(&self, wasm: &[u8], hash: [u8; 32], limit: Duration) -> Result<Component, wasm::LoadError>;
}

impl Compile for Engine {
    fn cached(&self, hash: [u8; 32]) -> Option<Result<Component, wasm::LoadError>> {
        Engine::cached(self, hash)
    }

    fn compile(&self, wasm: &[u8], hash: [u8; 32], limit: Duration) -> Result<Component, wasm::LoadError> {
        self.compile_within(wasm, hash, limit)
    }
}

impl Loader {
    pub(super) fn compile(
        &self,
        name: &ModuleName,
        wasm: Option<&Content>,
        built_in: BuiltIn,
        limit: Duration,
        file: &str,
    ) -> Result<Compiled, LoadError> {
        let from = CodeSource::of(wasm, built_in);
        let refused = |source| {
            let file = file.to_owned();
            match source {
                wasm::LoadError::CompilerKilled { limit } => LoadError::TooSlow { file, limit },
                source => LoadError::Code { file, source },
            }
        };
        let (bytes, hash) = match wasm {
            Some(content) => {
                let (bytes, limit) = (content.size, self.settings.module_size);
                if bytes > limit && matches!(content.hash, FileHash::Content(_)) {
                    let file = file.to_owned();
                    return Err(LoadError::TooLarge { file, bytes, limit });
                }
                if let FileHash::Content(hash) = content.hash
                    && let Some(cached) = self.compiler.cached(hash)
                {
                    let component = cached.map_err(refused)?;
                    return Ok(Compiled { from, component });
                }
                let bytes = readable(content, file, MAX_WASM_BYTES)?;
                let hash = match content.hash {
                    FileHash::Content(hash) => hash,
                    _ => Sha256::digest(&bytes).into(),
                };
                (bytes, hash)
            }
            None if name.is_webhook() => {
                let code = built_in.code();
                (Bytes::from_static(code), Sha256::digest(code).into())
            }
            None => {
                return Err(LoadError::Unreadable {
                    file: file.to_owned(),
                    kind: std::io::ErrorKind::NotFound,
                });
            }
        };
        let component = self.compiler.compile(&bytes, hash, limit).map_err(refused)?;
        Ok(Compiled { from, component })
    }
}

pub(super) fn readable(content: &Content, file: &str, limit: u64) -> Result<Bytes, LoadError> {
    match content.hash {
        // The file could be read shortly before.
        FileHash::Content(_) => content
            .bytes()
            .map_err(|_| LoadError::Changed { file: file.to_owned() }),
        FileHash::TooLarge(bytes) => Err(LoadError::TooLarge {
            file: file.to_owned(),
            bytes,
            limit,
        }),
        FileHash::Unreadable(kind) => Err(LoadError::Unreadable {
            file: file.to_owned(),
            kind,
        }),
    }
}
