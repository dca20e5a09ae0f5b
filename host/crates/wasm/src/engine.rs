//! The one engine of a process: compiler, cache, linker, and the thread that makes deadlines tick.
//!
//! Instances are allocated on demand. A pool would make one in a tenth of the time, but instances are warm and few,
//! and a pool's slots would have to be as large as the largest interpreter among the modules.

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

/// How often running guests are asked whether their time is up; deadlines are as precise as this.
const TICK: Duration = Duration::from_millis(10);

/// What an engine needs to know.
#[derive(Debug, Clone, Default)]
pub struct EngineSettings {
    /// Folder for compiled code, made if it is not there, and closed to others; none: compile anew at each start.
    /// Holds at most some 512 MiB, oldest removed first. A program that can write to it can run code in this process.
    pub cache_dir: Option<PathBuf>,
    /// Whether modules are compiled in another process, so that the compiler's memory goes with it. It is this program
    /// started once more, which therefore must be hookhost.
    pub apart: bool,
}

/// Compiles modules and gives them what they import. A handle: clones share everything.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Arc<Linker<State>>,
    metered: bool,
    apart: bool,
    cache: Option<Cache>,
}

impl Engine {
    /// Makes the engine and starts its thread. A cache that cannot be used is a warning in the log, no error.
    pub fn new(settings: &EngineSettings) -> Result<Engine, EngineError> {
        Engine::with(settings, false)
    }

    /// As [`new`](Engine::new), for instances that count what they execute ([`Instance::fuel`](super::Instance::fuel)).
    /// Counting costs 10 to 80 % of a guest's time, so that no host does it.
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

    /// Compiles a module and checks that it exports the handler and imports nothing that modules do not get.
    ///
    /// Takes some 0.3 seconds of processor time for a Rust module of 200 kB, many for Python, on all cores, and next to
    /// nothing if the cache has it. How large `wasm` may be is the caller's business.
    /// Whether the types of the exports fit is only seen when an instance is made.
    pub fn compile(&self, wasm: &[u8]) -> Result<Component, LoadError> {
        self.examine(wasm)?.component
    }

    /// As [`compile`](Engine::compile), for a caller that has `hash`, the SHA-256 of `wasm`.
    ///
    /// # Errors
    ///
    /// As there, and [`LoadError::CompilerKilled`] if the child process compiles for longer than `limit`. A compiler in
    /// this process cannot be interrupted and takes as long as it takes.
    pub fn compile_within(&self, wasm: &[u8], hash: [u8; 32], limit: Duration) -> Result<Component, LoadError> {
        self.examine_hashed(wasm, &hash, limit)?.component
    }

    /// The module whose `.wasm` has this SHA-256, if the cache has its code.
    pub fn cached(&self, hash: [u8; 32]) -> Option<Result<Component, LoadError>> {
        let code = self.cache.as_ref()?.find(&self.engine, &hash)?;
        Some(self.examine_code(&code).component)
    }

    /// Compiles a component and says what it exports and imports, also if that makes it no module.
    ///
    /// # Errors
    ///
    /// What is no component or does not compile.
    pub fn examine(&self, wasm: &[u8]) -> Result<Anatomy, LoadError> {
        self.examine_hashed(wasm, &Sha256::digest(wasm).into(), Duration::MAX)
    }

    fn examine_hashed(&self, wasm: &[u8], hash: &Digest, limit: Duration) -> Result<Anatomy, LoadError> {
        check_header(wasm)?;
        if let Some(code) = self.cache.as_ref().and_then(|cache| cache.find(&self.engine, hash)) {
            return Ok(self.examine_code(&code));
        }
        let code = compile(wasm, self.metered, self.apart.then_some(limit))?;
        // What is mapped takes no memory of the process's own.
        let code = match self.kept(hash, &code) {
            Some(code) => code,
            None => native::compiled(&self.engine, &code)?,
        };
        Ok(self.examine_code(&code))
    }

    fn examine_code(&self, code: &Code) -> Anatomy {
        Component::examine(&self.linker, code, self.metered)
    }

    /// Puts code into the cache and takes it from there, if there is one that works.
    fn kept(&self, hash: &Digest, code: &[u8]) -> Option<Code> {
        let cache = self.cache.as_ref()?;
        if let Err(error) = cache.keep(hash, code) {
            tracing::warn!(%error, "compiled code cannot be kept in the cache");
        }
        cache.find(&self.engine, hash)
    }
}

fn setup(error: wasmtime::Error) -> EngineError {
    EngineError::Setup(format!("{error:#}"))
}

/// Runs until the last handle of the engine is dropped.
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
