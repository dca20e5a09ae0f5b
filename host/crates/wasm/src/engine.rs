//! The engine, one per process: compiler, cache, linker, and the thread that increments the epoch for deadlines.
//!
//! Instances are allocated on demand. A pool would create one in a tenth of the time. But instances are warm and few,
//! and the slots of a pool would have to fit the largest interpreter.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wasmtime::EngineWeak;
use wasmtime::component::{Component as Code, Linker};

use super::cache::{Cache, Digest};
use super::compile::{compile, config};
use super::component::{Anatomy, Component, check_header};
use super::error::{EngineError, LoadError};
use super::host::{self, State};
use super::native;

/// Interval of the deadline checks of running guests, and so the precision of deadlines.
const TICK: Duration = Duration::from_millis(10);

/// Settings of an engine.
#[derive(Debug, Clone, Default)]
pub struct EngineSettings {
    /// The folder for compiled code, created if missing and closed to other users. `None`: modules are compiled at each
    /// start. It contains at most about 512 MiB; the oldest files are removed first. A program that can write to the
    /// folder can run code in this process.
    pub cache_dir: Option<PathBuf>,
    /// Whether a child process compiles modules, so that the memory of the compiler is freed afterwards. The child
    /// process is this program started again, so this program must be hookhost.
    pub apart: bool,
}

/// Compiles modules and provides their imports. It is a handle; clones share everything.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Arc<Linker<State>>,
    metered: bool,
    apart: bool,
    cache: Option<Cache>,
}

impl Engine {
    /// Creates the engine and starts its thread. An unusable cache is only logged as a warning.
    pub fn new(settings: &EngineSettings) -> Result<Engine, EngineError> {
        Engine::with(settings, false)
    }

    /// Works like [`new`](Engine::new), for instances that count executed instructions
    /// ([`Instance::fuel`](super::Instance::fuel)). Counting costs 10 to 80 % of the time of a guest, so the host does
    /// not use it.
    pub fn metered(settings: &EngineSettings) -> Result<Engine, EngineError> {
        Engine::with(settings, true)
    }

    fn with(settings: &EngineSettings, metered: bool) -> Result<Engine, EngineError> {
        let engine = wasmtime::Engine::new(&config(metered)).map_err(setup)?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker).map_err(setup)?;
        let cache = settings.cache_dir.as_deref().and_then(|dir| {
            let cache = Cache::open(dir, &engine);
            cache
                .inspect_err(|error| tracing::warn!(dir = %dir.display(), %error, "compiled modules are not cached"))
                .ok()
        });
        let weak = engine.weak();
        let ticker = std::thread::Builder::new().name("wasm-deadlines".to_owned());
        ticker.spawn(move || tick(&weak)).map_err(EngineError::Ticker)?;
        Ok(Engine {
            engine,
            linker: Arc::new(linker),
            metered,
            apart: settings.apart,
            cache,
        })
    }

    /// Compiles a module and checks that it exports the handler and imports only supported interfaces.
    ///
    /// A Rust module of 200 kB takes about 0.3 seconds of CPU time. Python takes many seconds on all cores. A module in
    /// the cache takes almost no time. The caller limits the size of `wasm`. The types of the exports are only checked
    /// when an instance is created.
    pub fn compile(&self, wasm: &[u8]) -> Result<Component, LoadError> {
        self.examine(wasm)?.component
    }

    /// Works like [`compile`](Engine::compile), for a caller that knows `hash`, the SHA-256 of `wasm`.
    ///
    /// # Errors
    ///
    /// The errors of [`compile`](Engine::compile), and [`LoadError::CompilerKilled`] if the child process takes longer
    /// than `limit`. A compiler in this process cannot be interrupted, so `limit` does not apply to it.
    pub fn compile_within(&self, wasm: &[u8], hash: [u8; 32], limit: Duration) -> Result<Component, LoadError> {
        self.examine_hashed(wasm, &hash, limit)?.component
    }

    /// Returns the module whose `.wasm` has this SHA-256, if the cache has its code.
    pub fn cached(&self, hash: [u8; 32]) -> Option<Result<Component, LoadError>> {
        let code = self.cache.as_ref()?.find(&self.engine, &hash)?;
        Some(self.examine_code(&code).component)
    }

    /// Compiles a component and returns its exports and imports, even if it is not a module.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if `wasm` is not a component or does not compile.
    pub fn examine(&self, wasm: &[u8]) -> Result<Anatomy, LoadError> {
        self.examine_hashed(wasm, &Sha256::digest(wasm).into(), Duration::MAX)
    }

    fn examine_hashed(&self, wasm: &[u8], hash: &Digest, limit: Duration) -> Result<Anatomy, LoadError> {
        check_header(wasm)?;
        if let Some(code) = self.cache.as_ref().and_then(|cache| cache.find(&self.engine, hash)) {
            return Ok(self.examine_code(&code));
        }
        let code = compile(wasm, self.metered, self.apart.then_some(limit))?;
        // Mapped code uses no private memory of the process.
        let code = match self.kept(hash, &code) {
            Some(code) => code,
            None => native::compiled(&self.engine, &code)?,
        };
        Ok(self.examine_code(&code))
    }

    fn examine_code(&self, code: &Code) -> Anatomy {
        Component::examine(&self.linker, code, self.metered)
    }

    /// Stores code in the cache and loads it from there, if there is a working cache.
    fn kept(&self, hash: &Digest, code: &[u8]) -> Option<Code> {
        let cache = self.cache.as_ref()?;
        if let Err(error) = cache.keep(hash, code) {
            tracing::warn!(%error, "cannot store compiled code in the cache");
        }
        cache.find(&self.engine, hash)
    }
}

fn setup(error: wasmtime::Error) -> EngineError {
    EngineError::Setup(format!("{error:#}"))
}

/// Increments the epoch until the last handle of the engine is dropped.
fn tick(engine: &EngineWeak) {
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        drop(engine);
        std::thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_cannot_be_used_is_no_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = EngineSettings {
            cache_dir: Some(file.path().join("below a file")),
            ..EngineSettings::default()
        };
        assert!(Engine::new(&settings).is_ok());
    }
}
