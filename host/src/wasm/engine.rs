//! The one engine of a process: compiler, cache, linker, and the thread that makes deadlines tick.
//!
//! Instances are allocated on demand. A pool would make one in a tenth of the time, but instances are warm and few,
//! and a pool's slots would have to be as large as the largest interpreter that anybody drops in.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Cache, CacheConfig, Config, EngineWeak, WasmBacktraceDetails};

use super::component::{Anatomy, Component};
use super::error::{EngineError, LoadError};
use super::host::{self, State};

/// How often running guests are asked whether their time is up; deadlines are as precise as this.
const TICK: Duration = Duration::from_millis(10);

/// What an engine needs to know.
#[derive(Debug, Clone, Default)]
pub struct EngineSettings {
    /// Folder for compiled code, made if it is not there, and closed to others; none: compile anew at each start.
    /// Holds at most some 512 MiB, oldest removed first. Whoever can write to it can run code in this process.
    pub cache_dir: Option<PathBuf>,
}

/// Compiles modules and gives them what they import. A handle: clones share everything.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    /// If compiled code goes through a cache: what it is compiled with.
    compiling: Option<Config>,
    linker: Arc<Linker<State>>,
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
        let cache = settings.cache_dir.as_deref().and_then(cache);
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .consume_fuel(metered)
            // Shared memories are the one thing that a limiter is not asked about.
            .wasm_threads(false)
            // Names of functions are enough beside the text of a panic; line tables of a large guest are not read.
            .wasm_backtrace_details(WasmBacktraceDetails::Disable)
            .cache(cache.clone());
        let engine = wasmtime::Engine::new(&config).map_err(setup)?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker).map_err(setup)?;
        let weak = engine.weak();
        let ticker = std::thread::Builder::new().name("wasm-deadlines".to_owned());
        ticker.spawn(move || tick(&weak)).map_err(EngineError::Ticker)?;
        Ok(Engine {
            engine,
            compiling: cache.map(|_| config),
            linker: Arc::new(linker),
        })
    }

    /// Compiles a module and checks that it exports the handler and imports nothing that modules do not get.
    ///
    /// Takes one to two seconds of processor time for a Rust module of 300 kB, many for Python, on all cores, and next to
    /// Takes one to two seconds of processor time for a Rust module of 300 kB, many for Python, on all cores, and next to
    /// nothing if the cache has it. How large `wasm` may be is the caller's business.
    /// Whether the types of the exports fit is only seen when an instance is made.
    pub fn compile(&self, wasm: &[u8]) -> Result<Component, LoadError> {
        self.examine(wasm)?.component
    }

    /// Compiles a component and says what it exports and imports, also if that makes it no module.
    ///
    /// # Errors
    ///
    /// What is no component or does not compile.
    pub fn examine(&self, wasm: &[u8]) -> Result<Anatomy, LoadError> {
        // A compiler keeps the memory that its largest function took, some hundred megabytes. So one that goes away
        // compiles into the cache, and the one that stays finds the code there.
        if let Some(config) = &self.compiling {
            let passing = wasmtime::Engine::new(config).map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
            Component::compile_only(&passing, wasm)?;
        }
        Component::examine(&self.engine, &self.linker, wasm)
    }
}

fn setup(error: wasmtime::Error) -> EngineError {
    EngineError::Setup(format!("{error:#}"))
}

/// Runs until nobody has the engine any more.
fn tick(engine: &EngineWeak) {
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        drop(engine);
        std::thread::sleep(TICK);
    }
}

/// The cache in a folder that only this user can write, or none with a warning.
fn cache(dir: &Path) -> Option<Cache> {
    let cache = own(dir).map_err(|error| error.to_string()).and_then(|dir| {
        let mut config = CacheConfig::new();
        config.with_directory(dir);
        Cache::new(config).map_err(|error| format!("{error:#}"))
    });
    cache
        .inspect_err(|error| {
            tracing::warn!(dir = %dir.display(), error, "compiled modules are not cached");
        })
        .ok()
}

/// Makes the folder, or closes to others the one that is there. What lies in it is run without a check, so a folder
/// that belongs to somebody else is refused.
fn own(dir: &Path) -> io::Result<PathBuf> {
    let dir = std::path::absolute(dir)?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    let found = std::fs::metadata(&dir)?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the folder belongs to another user",
        ));
    }
    if found.permissions().mode() & 0o077 != 0 {
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_closed_to_others() {
        let temp = tempfile::tempdir().unwrap();
        let new = temp.path().join("a/b");
        let open = temp.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        for dir in [new, open] {
            assert!(cache(&dir).is_some());
            assert_eq!(std::fs::metadata(dir).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn a_cache_that_cannot_be_used_is_no_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = EngineSettings {
            cache_dir: Some(file.path().join("below a file")),
        };
        assert!(Engine::new(&settings).is_ok());
    }
}
