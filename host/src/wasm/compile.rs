//! From WebAssembly to machine code, in a process of its own where that can be had.
//!
//! A compiler takes bytes of anybody's, and nothing can interrupt it; for a moment it takes hundreds of megabytes, of
//! which the allocator of a process keeps a part for ever. So hookhost starts itself once more for each module: that
//! process reads WebAssembly, writes machine code, and ends. Its memory ends with it, and should it crash, or be killed
//! because memory is short, one module is refused and the host goes on. It gets no argument but how to compile, and
//! nothing of the environment.
//!
//! Programs that are not hookhost, such as tests, call the same function in place; so does hookhost where it can start
//! no process.

use std::io::{self, Read, Write};
use std::process::{Command, ExitCode, Stdio};

use wasmtime::{Config, OptLevel, RegallocAlgorithm, WasmBacktraceDetails};

use super::lines::clean;

/// The command of the program that compiles.
pub const COMMAND: &str = "compile-code";

/// Bytes of a compiler's last words that an error has room for.
const WORDS_BYTES: usize = 1000;

/// How code is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compiling {
    /// Quickly, in a quarter of the time, to slower code of three to five times the size; else as well as the compiler
    /// can.
    pub quick: bool,
    /// For an engine that counts what is executed.
    pub metered: bool,
}

/// What code has to be compiled with to run in an engine. Engines and compilers are made of the same.
pub(super) fn config(metered: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(metered)
        // Shared memories are the one thing that a limiter is not asked about.
        .wasm_threads(false)
        // Names of functions are enough beside the text of a panic; line tables of a large guest are not read.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

/// Compiles a component; the error says what is wrong with it. `apart`: in another process if there can be one.
pub(super) fn compile(wasm: &[u8], how: Compiling, apart: bool) -> Result<Vec<u8>, String> {
    if apart {
        match elsewhere(wasm, how) {
            Ok(result) => return result,
            Err(error) => tracing::warn!(%error, "no process can be started to compile a module; it is compiled here"),
        }
    }
    here(wasm, how)
}

fn here(wasm: &[u8], how: Compiling) -> Result<Vec<u8>, String> {
    let mut config = config(how.metered);
    if how.quick {
        // Neither changes what engines the code fits.
        config
            .cranelift_opt_level(OptLevel::None)
            .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    }
    let compile = || wasmtime::Engine::new(&config)?.precompile_component(wasm);
    compile().map_err(|error| format!("{error:#}"))
}

/// In another process; the outer error says why there is none.
fn elsewhere(wasm: &[u8], how: Compiling) -> io::Result<Result<Vec<u8>, String>> {
    let mut child = command(how)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // It reads to the end before it writes. If it ends before, what it has to say tells more than a broken pipe.
    let sent = child.stdin.take().map(|mut stdin| stdin.write_all(wasm));
    let ended = child.wait_with_output()?;
    Ok(match (ended.status.success(), sent) {
        (true, Some(Ok(()))) => Ok(ended.stdout),
        _ => {
            let words = clean(&ended.stderr, WORDS_BYTES);
            Err(match ended.status.code() {
                Some(1) => words,
                _ => format!("the compiler has failed on it ({}): {words}", ended.status),
            })
        }
    })
}

/// This program once more, also if its file is another one by now.
fn command(how: Compiling) -> Command {
    let mut command = Command::new("/proc/self/exe");
    std::os::unix::process::CommandExt::arg0(&mut command, "hookhost-compiler");
    command.arg(COMMAND);
    for (wanted, flag) in [(how.quick, "--quick"), (how.metered, "--metered")] {
        if wanted {
            command.arg(flag);
        }
    }
    command
}

/// What the other process does: compiles standard input to standard output. Fails with 1 and the reason on standard
/// error if the compiler refuses it.
pub fn compile_standard_input(how: Compiling) -> ExitCode {
    // Nobody is left to take the code when the host has ended.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).ok();
    let mut wasm = Vec::new();
    let read = io::stdin()
        .lock()
        .read_to_end(&mut wasm)
        .map_err(|error| error.to_string());
    let code = read.and_then(|_| here(&wasm, how));
    let written = code.and_then(|code| io::stdout().lock().write_all(&code).map_err(|error| error.to_string()));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
