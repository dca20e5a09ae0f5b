//! From WebAssembly to machine code, in a child process.
//!
//! A compiler takes untrusted bytes, and nothing in its own process can interrupt it; for a moment it takes hundreds of
//! megabytes, of which the allocator of a process never gives back a part. So hookhost starts itself once more for each
//! module: the child process reads WebAssembly, writes machine code, and ends. Its memory ends with it. If it crashes, is
//! killed because memory is short, or takes longer than its limit, one module is refused and the host keeps running. It
//! gets an empty environment.
//!
//! Programs that are not hookhost, such as tests, call the same function in place; so does hookhost if it cannot start a
//! process. Then the limit does not apply.

use std::io::{self, Read, Write};
use std::process::{Command, ExitCode};
use std::time::Duration;

use wasmtime::{Config, WasmBacktraceDetails};

use super::child::{self, Ended};
use super::error::LoadError;
use super::lines::clean;

/// The command of the program that compiles.
pub const COMMAND: &str = "compile-code";

/// Bytes of a compiler's last words that an error has room for.
const WORDS_BYTES: usize = 1000;

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

/// Compiles a component; the error says what is wrong with it. `apart`: in a child process if one can be started, which is
/// killed if it takes longer than that.
pub(super) fn compile(wasm: &[u8], metered: bool, apart: Option<Duration>) -> Result<Vec<u8>, LoadError> {
    if let Some(limit) = apart {
        match elsewhere(&mut command(metered), wasm, limit) {
            Ok(result) => return result,
            Err(error) => tracing::warn!(%error, "no process can be started to compile a module; it is compiled here"),
        }
    }
    here(wasm, metered).map_err(LoadError::Invalid)
}

fn here(wasm: &[u8], metered: bool) -> Result<Vec<u8>, String> {
    let compile = || wasmtime::Engine::new(&config(metered))?.precompile_component(wasm);
    compile().map_err(|error| format!("{error:#}"))
}

/// In a child process; the outer error says why it could not be started.
fn elsewhere(command: &mut Command, wasm: &[u8], limit: Duration) -> io::Result<Result<Vec<u8>, LoadError>> {
    let Some(ended) = child::run(command.env_clear(), wasm, limit)? else {
        return Ok(Err(LoadError::CompilerKilled { limit }));
    };
    let Ended {
        status,
        has_read,
        output,
        words,
    } = ended;
    // It reads to the end before it writes. If it ends before, what it has to say tells more than a broken pipe.
    Ok(if status.success() && has_read {
        Ok(output)
    } else {
        let words = clean(&words, WORDS_BYTES);
        Err(LoadError::Invalid(match status.code() {
            Some(1) => words,
            _ => format!("the compiler has failed on it ({status}): {words}"),
        }))
    })
}

/// This program once more, also if its file is another one by now.
fn command(metered: bool) -> Command {
    let mut command = Command::new("/proc/self/exe");
    std::os::unix::process::CommandExt::arg0(&mut command, "hookhost-compiler");
    command.arg(COMMAND);
    if metered {
        command.arg("--metered");
    }
    command
}

/// What the child process does: compiles standard input to standard output, for an engine that counts what is executed if
/// `metered`. Fails with 1 and the reason on standard error if the compiler refuses the component.
pub fn compile_standard_input(metered: bool) -> ExitCode {
    // When the host has ended, nothing takes the code any more.
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

    /// Programs in the place of the compiler: what it says when it refuses, fails or hangs.
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
                Err(
                    "this component cannot be compiled: the compiler has failed on it (exit status: 7): help"
                        .to_owned(),
                ),
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
