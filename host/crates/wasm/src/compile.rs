//! Compiles WebAssembly to machine code in a child process.
//!
//! A compiler reads untrusted bytes and cannot be interrupted within its process. It briefly needs hundreds of
//! megabytes, and the allocator would never return a part of them to the system. hookhost therefore starts itself once
//! more for each module. The child process reads WebAssembly, writes machine code and ends, which frees its memory. If
//! it crashes, runs out of memory or exceeds its time limit, the host rejects this one module and keeps running. The
//! child process gets an empty environment.
//!
//! Programs other than hookhost, such as tests, compile in their own process. hookhost falls back to the same if it
//! cannot start a process. The time limit does not apply then.

use std::io::{self, Read, Write};
use std::process::{Command, ExitCode};
use std::time::Duration;

use wasmtime::{Config, WasmBacktraceDetails};

use super::child::{self, Ended};
use super::error::LoadError;
use super::lines::clean;

/// The command of hookhost that compiles.
pub const COMMAND: &str = "compile-code";

/// The time between two log lines about a module that is being compiled.
const PROGRESS_PAUSE: Duration = Duration::from_secs(5);

/// Limit of the bytes of the compiler's error output in an error.
const WORDS_BYTES: usize = 1000;

/// Returns the configuration for compiling code and for running it. Engines and compilers use the same one.
pub(super) fn config(metered: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(metered)
        // The resource limiter does not cover shared memories.
        .wasm_threads(false)
        // The names of functions are enough, together with the text of a panic. Line tables of a large guest are not
        // read.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

/// Compiles a component. With `apart`, a child process compiles it, and is killed if it takes longer than this time.
/// Falls back to this process if the child process cannot be started.
///
/// # Errors
///
/// What is wrong with the component.
pub(super) fn compile(wasm: &[u8], metered: bool, apart: Option<Duration>) -> Result<Vec<u8>, LoadError> {
    if let Some(limit) = apart {
        match elsewhere(&mut command(metered), wasm, limit) {
            Ok(result) => return result,
            Err(error) => tracing::warn!(%error, "cannot start a compiler process; compiling in this process"),
        }
    }
    here(wasm, metered).map_err(LoadError::Invalid)
}

fn here(wasm: &[u8], metered: bool) -> Result<Vec<u8>, String> {
    let compile = || wasmtime::Engine::new(&config(metered))?.precompile_component(wasm);
    compile().map_err(|error| format!("{error:#}"))
}

/// Compiles in a child process. The outer error says why the process could not be started.
fn elsewhere(command: &mut Command, wasm: &[u8], limit: Duration) -> io::Result<Result<Vec<u8>, LoadError>> {
    let waiting = |time: Duration| {
        let (seconds, bytes) = (time.as_secs(), wasm.len());
        tracing::info!(
            seconds,
            bytes,
            "still compiling a module; the next start finds it in the cache"
        );
    };
    let Some(ended) = child::run(command.env_clear(), wasm, limit, (PROGRESS_PAUSE, waiting))? else {
        return Ok(Err(LoadError::CompilerKilled { limit }));
    };
    let Ended {
        status,
        has_read,
        output,
        words,
    } = ended;
    // The compiler reads all input before it writes. If it ends earlier, its error output explains more than a broken
    // pipe.
    Ok(if status.success() && has_read {
        Ok(output)
    } else {
        let words = clean(&words, WORDS_BYTES);
        Err(LoadError::Invalid(match status.code() {
            Some(1) => words,
            _ => format!("the compiler failed ({status}): {words}"),
        }))
    })
}

/// Returns the command that starts this program again, even if its file has been replaced.
fn command(metered: bool) -> Command {
    let mut command = Command::new("/proc/self/exe");
    std::os::unix::process::CommandExt::arg0(&mut command, "hookhost-compiler");
    command.arg(COMMAND);
    if metered {
        command.arg("--metered");
    }
    command
}

/// The main function of the child process. It compiles standard input to standard output, for a metered engine if
/// `metered`. If the compiler rejects the component, it writes the reason to standard error and exits with 1.
pub fn compile_standard_input(metered: bool) -> ExitCode {
    // The child process ends with the host, because no process would read the code.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).ok();
    let mut wasm = Vec::new();
    let read = io::stdin()
        .lock()
        .read_to_end(&mut wasm)
        .map_err(|error| error.to_string());
    let code = read.and_then(|_| here(&wasm, metered));
    let written = code.and_then(|code| io::stdout().lock().write_all(&code).map_err(|error| error.to_string()));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses scripts as the compiler, which fail with a message, crash or hang.
    #[test]
    fn compilers_that_give_nothing() {
        let outcome = |script: &str, limit| {
            let mut command = Command::new("/bin/sh");
            let outcome = elsewhere(command.args(["-c", script]), b"wasm", limit).unwrap();
            outcome.map_err(|error| error.to_string())
        };
        let long = Duration::from_secs(600);
        for (script, expected) in [
            ("/bin/cat", Ok(b"wasm".to_vec())),
            (
                "/bin/cat >/dev/null; echo no such thing >&2; exit 1",
                Err("this component cannot be compiled: no such thing".to_owned()),
            ),
            (
                "/bin/cat >/dev/null; echo help >&2; exit 7",
                Err("this component cannot be compiled: the compiler failed (exit status: 7): help".to_owned()),
            ),
        ] {
            assert_eq!(outcome(script, long), expected, "{script}");
        }
        let limit = Duration::from_millis(20);
        assert_eq!(
            outcome("exec /bin/sleep 1000000", limit).unwrap_err(),
            "this component cannot be compiled: the compiler took longer than 20ms and was killed"
        );
    }
}
