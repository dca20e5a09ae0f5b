//! The errors of modules, as data. Callers can check the kind of an error; the texts may change.

use std::io;
use std::time::Duration;

use hookhost_contract::Problem;

/// Why the engine could not be created. The host cannot work without one.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime rejected its configuration, or does not support this machine.
    #[error("the WebAssembly engine cannot be set up: {0}")]
    Setup(String),
    /// The thread for deadlines could not be started.
    #[error("the thread for deadlines cannot be started")]
    Ticker(#[source] io::Error),
}

/// Why bytes do not become a running module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The bytes are not WebAssembly.
    #[error("this is not WebAssembly but {what}; a module is a component in binary form")]
    NotWasm {
        /// What the bytes look like.
        what: &'static str,
    },
    /// A core module, which has no interfaces.
    #[error(
        "this is a core WebAssembly module, not a component; build it for wasm32-wasip2 \
         (cargo build --target wasm32-wasip2), or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// WebAssembly that does not validate or does not compile.
    #[error("this component cannot be compiled: {0}")]
    Invalid(String),
    /// The compiler exceeded its time limit and was killed.
    #[error("this component cannot be compiled: the compiler took longer than {limit:?} and was killed")]
    CompilerKilled {
        /// The time limit.
        limit: Duration,
    },
    /// A component that is not a module for this host.
    #[error(
        "this component does not export hookhost:hook/handler@0.1.0{}; build it against the world hookhost:hook/hook-module",
        among(exports)
    )]
    NoHandler {
        /// Its exports.
        exports: Vec<String>,
    },
    /// A module for another version of the contract.
    #[error("this module was built for {found}; this host serves hookhost:hook@0.1.0")]
    OtherVersion {
        /// The interface that it exports.
        found: String,
    },
    /// The handler lacks one of its functions.
    #[error(
        "this module's hookhost:hook/handler lacks the function {function}; build it against the world \
         hookhost:hook/hook-module"
    )]
    LacksFunction {
        /// The missing function.
        function: &'static str,
    },
    /// An import that is not available to modules.
    #[error(
        "this module imports {name}, which is not available; modules may import hookhost:hook/log, \
         hookhost:hook/kv and WASI 0.2 without files, sockets and environment"
    )]
    UnknownImport {
        /// The interface or function.
        name: String,
    },
    /// The names match, but the types do not. The module was built from a different version of the contract.
    #[error("this module was built from another hook.wit: {0}")]
    OtherTypes(String),
    /// There is no space for an instance: it has too many parts, or the system refuses memory.
    #[error("this module cannot be instantiated: {0}")]
    NoRoom(String),
    /// The start code of the module failed.
    #[error("this module fails while it starts")]
    Start(#[source] CallError),
}

/// Formats exports as `, only a, b`, or as a fixed text if there are none.
fn among(exports: &[String]) -> String {
    match exports {
        [] => " or anything else".to_owned(),
        some => format!(", only {}", some.join(", ")),
    }
}

/// Why a call failed. The instance is dead after any of these errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The guest panicked, threw, exited or violated the rules of WebAssembly.
    #[error("the module trapped: {message}")]
    Trap {
        /// The last output of the guest on standard error (a panic with its location, or an exception), otherwise the
        /// trap itself.
        message: String,
        /// The functions on the stack of the guest, innermost first, if the module contains names; at most eight.
        frames: Vec<String>,
    },
    /// The call exceeded its time limit.
    #[error("the module did not answer within {limit:?}")]
    Deadline {
        /// The time limit.
        limit: Duration,
    },
    /// The guest requested more memory than its limit, and then failed.
    #[error("the module needs more than {limit} bytes of memory (it requested {wanted}): {message}")]
    Memory {
        /// The total bytes that it requested.
        wanted: usize,
        /// The limit in bytes.
        limit: usize,
        /// The message, as in [`CallError::Trap`].
        message: String,
    },
    /// The guest requested more table elements than its limit, and then failed.
    #[error("the module needs more than {limit} table elements (it requested {wanted})")]
    Table {
        /// The total elements that it requested.
        wanted: usize,
        /// The limit in elements.
        limit: usize,
    },
    /// The number of outcomes differs from the number of events.
    #[error("the module returned {outcomes} outcomes for {events} events")]
    WrongOutcomeCount {
        /// The number of events passed to the guest.
        events: usize,
        /// The number of outcomes returned.
        outcomes: usize,
    },
    /// The outcome of one event exceeds the size limit.
    #[error("the module's outcome for event {event} of the batch has {bytes} bytes, {limit} are allowed")]
    OutcomeTooLarge {
        /// The index of the event in the batch.
        event: usize,
        /// The size of its outcome in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The answer could not be read: it is larger than `limit`, or it violates the canonical ABI.
    #[error("the module's answer cannot be read (at most {limit} bytes in all): {message}")]
    UnreadableAnswer {
        /// The limit of the whole answer in bytes.
        limit: usize,
        /// What was wrong.
        message: String,
    },
    /// The instance has failed before and must not be called again.
    #[error("this instance has failed before")]
    Dead,
}

impl CallError {
    /// Returns whether the same events may succeed later, for example because the machine was busy.
    pub fn depends_on_time(&self) -> bool {
        matches!(self, CallError::Deadline { .. })
    }
}

/// Why a module was not configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigureError {
    /// The module rejected its settings. The list of problems may be empty.
    #[error("the module refused its configuration{}", list(.0))]
    Refused(Vec<Problem>),
    /// The call failed.
    #[error("the module failed while it was configured")]
    Call(#[source] CallError),
}

/// Formats problems as `: key: text; key: text`, shortened. The complete problems are available as data.
fn list(problems: &[Problem]) -> String {
    let mut text = String::new();
    for (at, problem) in problems.iter().take(3).enumerate() {
        text.push_str(if at == 0 { ": " } else { "; " });
        text.push_str(&problem.to_string());
    }
    if problems.len() > 3 {
        text.push_str(&format!("; and {} more", problems.len() - 3));
    }
    text
}
