//! Compiles once more, as well as the compiler can, what was compiled quickly to be in force at once.
//!
//! One thread takes one module after the other and hands the code back; the compiler itself works on a thread of the
//! lowest priority, so that events come first. Nobody waits for it, so it gets [`PATIENCE`] times the time that a module
//! may take to compile; one that takes longer stays as it is until it is loaded the next time.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tracing::warn;

use super::compiler::{CompileError, Compiler};
use super::folder::{ModuleName, Print};
use crate::wasm::Component;

/// So many times the time limit of compiling.
const PATIENCE: u32 = 10;

/// What is to be compiled once more.
pub(super) struct Task {
    /// The module that it was loaded for.
    pub(super) name: ModuleName,
    /// What the code is; none: that in the binary.
    pub(super) code: Option<Print>,
    pub(super) bytes: Bytes,
    /// The module's time limit.
    pub(super) limit: Duration,
}

/// The thread that does it; it ends after the task that it is about when this is dropped.
pub(super) struct Optimiser(Sender<Task>);

impl Optimiser {
    /// Starts the thread. `wanted` is asked before each task whether anybody still waits for it, and `done` gets what
    /// came of it.
    ///
    /// # Errors
    ///
    /// That of the system if it refuses a thread.
    pub(super) fn start(
        compiler: Compiler<Component>,
        wanted: impl Fn(&Task) -> bool + Send + 'static,
        done: impl Fn(&Task, Component) + Send + 'static,
    ) -> io::Result<Optimiser> {
        let (sender, tasks) = channel::<Task>();
        let work = move || {
            for task in tasks {
                if !wanted(&task) {
                    continue;
                }
                let Task {
                    name,
                    code,
                    bytes,
                    limit,
                } = &task;
                match compiler.compile(*code, bytes, *limit * PATIENCE) {
                    Ok(component) => done(&task, component),
                    Err(error) => warn!(module = %name, reason = why(&error), "module stays in quickly compiled code"),
                }
            }
        };
        thread::Builder::new().name("optimiser".to_owned()).spawn(work)?;
        Ok(Optimiser(sender))
    }

    /// Has a task done when those before it are.
    pub(super) fn add(&self, task: Task) {
        // The thread ends with this only.
        self.0.send(task).ok();
    }
}

fn why(error: &CompileError) -> String {
    match error {
        CompileError::Refused(error) => super::explain(error),
        CompileError::TooSlow => "compiling it well takes too long".to_owned(),
        CompileError::Busy => "others take too long to compile".to_owned(),
        CompileError::Thread(error) => error.to_string(),
    }
}
