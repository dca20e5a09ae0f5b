//! What can go wrong with a module, as data: whose fault it is can be asked, the words may change.

use std::io;
use std::time::Duration;

use hookhost_contract::Problem;

/// Why there is no engine. The host cannot work without one.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refused its configuration, or does not know this machine.
    #[error("the WebAssembly engine cannot be set up: {0}")]
    Setup(String),
    /// The thread that makes deadlines tick could not be started.
    #[error("the thread for deadlines cannot be started")]
    Ticker(#[source] io::Error),
}

/// Why bytes do not become a running module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The bytes are no WebAssembly.
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
    /// The compiler took so long that it was killed.
    #[error("this component cannot be compiled: the compiler took longer than {limit:?} and was killed")]
    CompilerKilled {
        /// The limit.
        limit: Duration,
    },
    /// A component that is no module for this host.
    #[error(
        "this component does not export hookhost:hook/handler@0.1.0{}; build it against the world hookhost:hook/hook-module",
        among(exports)
    )]
    NoHandler {
        /// What it exports instead.
        exports: Vec<String>,
    },
    /// A module for another version of the contract.
    #[error("this module was built for {found}; this host serves hookhost:hook@0.1.0")]
    OtherVersion {
        /// The interface that it exports.
        found: String,
    },
    /// The handler is there and has not all of its functions.
    #[error(
        "this module's hookhost:hook/handler lacks the function {function}; build it against the world \
         hookhost:hook/hook-module"
    )]
    LacksFunction {
        /// The function that is not there.
        function: &'static str,
    },
    /// An import that no module gets.
    #[error(
        "this module imports {name}, which modules do not get; they get hookhost:hook/log, hookhost:hook/kv and \
         WASI 0.2 without files, sockets and environment"
    )]
    UnknownImport {
        /// The interface or function.
        name: String,
    },
    /// Names fit, types do not: the module was built from another text of the contract.
    #[error("this module was built from another hook.wit: {0}")]
    OtherTypes(String),
    /// There is no room for an instance: too many parts, or the machine refuses memory.
    #[error("this module cannot be instantiated: {0}")]
    NoRoom(String),
    /// Its start code failed.
    #[error("this module fails while it starts")]
    Start(#[source] CallError),
}

/// `, only a, b`, or what to say if there is nothing.
fn among(exports: &[String]) -> String {
    match exports {
        [] => " or anything else".to_owned(),
        some => format!(", only {}", some.join(", ")),
    }
}

/// Why a call gave nothing. The instance is dead after any of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The guest panicked, threw, exited or did what WebAssembly forbids.
    #[error("the module trapped: {message}")]
    Trap {
        /// What the guest last said on its standard error (a panic with its place, an exception), else the trap itself.
        message: String,
        /// The guest's own functions on its stack, innermost first, as far as the module carries names; at most eight.
        frames: Vec<String>,
    },
    /// The call took longer than it may.
    #[error("the module did not answer within {limit:?}")]
    Deadline {
        /// The limit.
        limit: Duration,
    },
    /// The guest asked for more memory than it may have, and then failed.
    #[error("the module needs more than {limit} bytes of memory (it asked for {wanted}): {message}")]
    Memory {
        /// Bytes that it would have had in all.
        wanted: usize,
        /// Bytes that it may have in all.
        limit: usize,
        /// As in [`CallError::Trap`].
        message: String,
    },
    /// The same for tables.
    #[error("the module needs more than {limit} table elements (it asked for {wanted})")]
    Table {
        /// Elements that it would have had in all.
        wanted: usize,
        /// Elements that it may have in all.
        limit: usize,
    },
    /// There must be one outcome for each event.
    #[error("the module gave {outcomes} outcomes for {events} events")]
    WrongOutcomeCount {
        /// How many events it was given.
        events: usize,
        /// How many outcomes came back.
        outcomes: usize,
    },
    /// One event's outcome is larger than it may be.
    #[error("the module's outcome for event {event} of the batch has {bytes} bytes, {limit} are allowed")]
    OutcomeTooLarge {
        /// Index of the event in the batch.
        event: usize,
        /// Size of its outcome in bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// What the call returned could not be read: larger in all than `limit`, or against the canonical ABI.
    #[error("the module's answer cannot be read (at most {limit} bytes in all): {message}")]
    UnreadableAnswer {
        /// Bytes that the answer to this call may have in all.
        limit: usize,
        /// What was wrong.
        message: String,
    },
    /// The instance has failed before and must not be called again.
    #[error("this instance has failed before")]
    Dead,
}

impl CallError {
    /// Whether the same events may well go through at another time: the machine may have been busy.
    pub fn depends_on_time(&self) -> bool {
        matches!(self, CallError::Deadline { .. })
    }
}

/// Why a module did not take its settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigureError {
    /// It refused them; the list may be empty, and it is a refusal all the same.
    #[error("the module refused its configuration{}", list(.0))]
    Refused(Vec<Problem>),
    /// The call gave no answer.
    #[error("the module failed while it was configured")]
    Call(#[source] CallError),
}

/// `: key: text; key: text`, shortened: the problems are there as data.
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
