//! The one engine of a process: compiler, cache, linker, and the thread that makes deadlines tick.
//!
//! Instances are allocated on demand. A pool would make one in a tenth of the time, but instances are warm and few,
//! and a pool's slots would have to be as large as the largest interpreter that anybody drops in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component as Code, Linker};
use wasmtime::{Config, EngineWeak};

use super::cache::{Cache, Digest};
use super::compile::{Compiling, compile, config};
use super::component::{Anatomy, Component, check_header};
use super::error::{EngineError, LoadError};
use super::host::{self, State};
use super::native;

/// How often running guests are asked whether their time is up; deadlines are as precise as this.
const TICK: Duration = Duration::from_millis(10);

/// Bytes of stack for quickly compiled code: 32 times what code gets that was compiled well. Large functions have been
/// seen to take 25 times as much.
const QUICK_STACK: usize = 16 << 20;

/// Bytes of stack that a thread needs which makes or calls instances of quickly compiled code. Only what is used takes
/// memory.
pub const STACK: usize = QUICK_STACK + (2 << 20);

/// What an engine needs to know.
#[derive(Debug, Clone, Default)]
pub struct EngineSettings {
    /// Folder for compiled code, made if it is not there, and closed to others; none: compile anew at each start.
    /// Holds at most some 512 MiB, oldest removed first. Whoever can write to it can run code in this process.
    pub cache_dir: Option<PathBuf>,
    /// Whether modules are compiled in another process, so that the compiler's memory goes with it. It is this program
    /// started once more, which therefore must be hookhost.
    pub apart: bool,
}

/// Compiles modules and gives them what they import. A handle: clones share everything.
#[derive(Clone)]
pub struct Engine {
    good: Runtime,
    /// For quickly compiled code, which gets a larger stack.
    quick: Runtime,
    metered: bool,
    apart: bool,
    cache: Option<Cache>,
}

/// What code runs in.
#[derive(Clone)]
struct Runtime {
    engine: wasmtime::Engine,
    linker: Arc<Linker<State>>,
}

impl Runtime {
    fn new(config: &Config) -> Result<Runtime, EngineError> {
        let engine = wasmtime::Engine::new(config).map_err(setup)?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker).map_err(setup)?;
        Ok(Runtime {
            engine,
            linker: Arc::new(linker),
        })
    }
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
        let good = Runtime::new(&config(metered))?;
        let quick = Runtime::new(
            config(metered)
                .max_wasm_stack(QUICK_STACK)
                .async_stack_size(QUICK_STACK),
        )?;
        let cache = settings.cache_dir.as_deref().and_then(|dir| {
            let cache = Cache::open(dir, &good.engine);
            cache
                .inspect_err(|error| tracing::warn!(dir = %dir.display(), %error, "compiled modules are not cached"))
                .ok()
        });
        let engines = [good.engine.weak(), quick.engine.weak()];
        let ticker = std::thread::Builder::new().name("wasm-deadlines".to_owned());
        ticker.spawn(move || tick(&engines)).map_err(EngineError::Ticker)?;
        Ok(Engine {
            good,
            quick,
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

    /// The module whose code has this SHA-256, if it was compiled well once and the cache has it.
    pub fn kept_of(&self, hash: [u8; 32]) -> Option<Result<Component, LoadError>> {
        let code = self.cache.as_ref()?.find(&self.good.engine, &hash)?;
        Some(Component::examine(&self.good.linker, &code, true, self.metered).component)
    }

    /// As [`compile`](Engine::compile), in less than half of the time and to slower code that is not kept, unless the cache
    /// has better: [`Component::is_optimised`] tells. If it is not, its instances are made and called on threads with
    /// [`STACK`] only; with less the process may end. `hash` is the SHA-256 of `wasm`.
    ///
    /// A compiler in another process that takes longer than `limit` is killed.
    pub fn compile_quickly(&self, wasm: &[u8], hash: [u8; 32], limit: Duration) -> Result<Component, LoadError> {
        self.examine_hashed(wasm, &hash, true, limit)?.component
    }

    /// As [`compile`](Engine::compile), for a caller that has the SHA-256 of `wasm`, and with a `limit` as there.
    pub fn optimise(&self, wasm: &[u8], hash: [u8; 32], limit: Duration) -> Result<Component, LoadError> {
        self.examine_hashed(wasm, &hash, false, limit)?.component
    }

    /// Compiles a component and says what it exports and imports, also if that makes it no module.
    ///
    /// # Errors
    ///
    /// What is no component or does not compile.
    pub fn examine(&self, wasm: &[u8]) -> Result<Anatomy, LoadError> {
        self.examine_hashed(wasm, &Sha256::digest(wasm).into(), false, Duration::MAX)
    }

    fn examine_hashed(&self, wasm: &[u8], hash: &Digest, quick: bool, limit: Duration) -> Result<Anatomy, LoadError> {
        check_header(wasm)?;
        let good = &self.good;
        if let Some(code) = self.cache.as_ref().and_then(|cache| cache.find(&good.engine, hash)) {
            return Ok(Component::examine(&good.linker, &code, true, self.metered));
        }
        let metered = self.metered;
        let code = compile(wasm, Compiling { quick, metered }, self.apart.then_some(limit))?;
        if quick {
            let code = native::compiled(&self.quick.engine, &code)?;
            return Ok(Component::examine(&self.quick.linker, &code, false, metered));
        }
        // What is mapped takes no memory of the process's own.
        let code = match self.kept(hash, &code) {
            Some(code) => code,
            None => native::compiled(&good.engine, &code)?,
        };
        Ok(Component::examine(&good.linker, &code, true, self.metered))
    }

    /// Puts code into the cache and takes it from there, if there is one that works.
    fn kept(&self, hash: &Digest, code: &[u8]) -> Option<Code> {
        let cache = self.cache.as_ref()?;
        if let Err(error) = cache.keep(hash, code) {
            tracing::warn!(%error, "compiled code cannot be kept in the cache");
        }
        cache.find(&self.good.engine, hash)
    }
}

fn setup(error: wasmtime::Error) -> EngineError {
    EngineError::Setup(format!("{error:#}"))
}

/// Runs until nobody has the engines any more.
fn tick(engines: &[EngineWeak]) {
    loop {
        let mut ended = true;
        for engine in engines.iter().filter_map(EngineWeak::upgrade) {
            engine.increment_epoch();
            ended = false;
        }
        if ended {
            return;
        }
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
