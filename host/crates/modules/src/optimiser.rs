//! Compiles once more, as well as the compiler can, what was compiled quickly to be in force at once.
//!
//! One thread takes one module after the other and hands the code back; the compiler itself works on a thread of the
//! lowest priority, so that events come first. Nobody waits for it, so it gets [`PATIENCE`] times the time that a module
//! may take to compile; one that takes longer stays as it is until it is loaded the next time.
//!
//! What waits is bounded by what is used: a content waits once, and one that nobody uses any more, because a newer file
//! has taken its place, makes room for the next. Code is read when its turn comes, so that what waits takes no memory. If the
//! file is another one by then, what uses that code stays as it is.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tracing::warn;

use super::builtin;
use super::compiler::{CompileError, Compiler, PATIENCE};
use super::folder::{Content, Lost, ModuleName, Print};
use super::generation::lock;

/// What is to be compiled once more.
#[derive(Debug)]
pub(super) struct Task {
    /// The module that it was loaded for.
    pub(super) name: ModuleName,
    /// The code; none: that in the binary.
    pub(super) wasm: Option<Content>,
    /// The module's time limit.
    pub(super) limit: Duration,
}

impl Task {
    /// What the code is; none: that in the binary.
    pub(super) fn code(&self) -> Option<Print> {
        self.wasm.as_ref().map(|content| content.print)
    }
}

/// The thread that does it; it ends after the task that it is about when this is dropped.
pub(super) struct Optimiser {
    shared: Arc<Shared>,
    wanted: Arc<Wanted>,
}

/// Whether anybody waits for a task.
type Wanted = dyn Fn(&Task) -> bool + Send + Sync;

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Waiting,
    over: bool,
}

/// Tasks, oldest first, each content once.
#[derive(Debug, Default)]
struct Waiting(VecDeque<Task>);

impl Waiting {
    /// Adds a task, in the place of one with the same content if there is one, and drops what nobody wants any more.
    fn add(&mut self, task: Task, wanted: impl Fn(&Task) -> bool) {
        self.0.retain(|other| other.code() == task.code() || wanted(other));
        match self.0.iter_mut().find(|other| other.code() == task.code()) {
            Some(other) => *other = task,
            None => self.0.push_back(task),
        }
    }
}

impl Optimiser {
    /// Starts the thread. `wanted` is asked whether anybody still waits for a task, and `done` gets what came of each that
    /// was tried: none if there is no better code.
    ///
    /// # Errors
    ///
    /// That of the system if it refuses a thread.
    pub(super) fn start<C: Send + 'static>(
        compiler: Compiler<C>,
        wanted: impl Fn(&Task) -> bool + Send + Sync + 'static,
        done: impl Fn(&Task, Option<C>) + Send + 'static,
    ) -> io::Result<Optimiser> {
        let optimiser = Optimiser {
            shared: Arc::default(),
            wanted: Arc::new(wanted),
        };
        let (shared, wanted) = (Arc::clone(&optimiser.shared), Arc::clone(&optimiser.wanted));
        let work = move || {
            while let Some(task) = shared.next() {
                if wanted(&task) {
                    done(&task, compile(&compiler, &task));
                }
            }
        };
        thread::Builder::new().name("optimiser".to_owned()).spawn(work)?;
        Ok(optimiser)
    }

    /// Has a task done when those before it are.
    pub(super) fn add(&self, task: Task) {
        lock(&self.shared.queue).waiting.add(task, &*self.wanted);
        self.shared.changed.notify_all();
    }
}

impl Drop for Optimiser {
    fn drop(&mut self) {
        lock(&self.shared.queue).over = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Waits for the next task; none when it is over.
    fn next(&self) -> Option<Task> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.over {
                return None;
            }
            if let Some(task) = queue.waiting.0.pop_front() {
                return Some(task);
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn compile<C: Send + 'static>(compiler: &Compiler<C>, task: &Task) -> Option<C> {
    let compiled = bytes(task).and_then(|bytes| {
        let compiled = compiler.compile(task.code(), &bytes, task.limit * PATIENCE);
        compiled.map_err(|error| why(&error))
    });
    compiled
        .inspect_err(|reason| warn!(module = %task.name, reason, "module stays in quickly compiled code"))
        .ok()
}

fn bytes(task: &Task) -> Result<Bytes, String> {
    let Some(wasm) = &task.wasm else {
        return Ok(Bytes::from_static(builtin::WEBHOOK));
    };
    wasm.bytes().map_err(|lost| match lost {
        Lost::Changed => "its file is another one by now".to_owned(),
        Lost::Unreadable(kind) => format!("its file cannot be read any more: {kind}"),
    })
}

fn why(error: &CompileError) -> String {
    match error {
        CompileError::Refused(error) => super::explain(error),
        CompileError::TooSlow => "compiling it well takes too long".to_owned(),
        CompileError::Busy => "others take too long to compile".to_owned(),
        CompileError::Thread(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use hookhost_wasm::LoadError;

    fn task(name: &str, code: u8) -> Task {
        Task {
            name: name.parse().unwrap(),
            wasm: Some(Content::of(Bytes::copy_from_slice(&[code]))),
            limit: Duration::from_secs(60),
        }
    }

    fn code(task: &Task) -> u8 {
        task.wasm.as_ref().unwrap().held()[0]
    }

    #[test]
    fn what_waits_is_what_is_used() {
        let mut waiting = Waiting::default();
        let mut seen = |name: &str, code: u8, used: &[u8]| {
            waiting.add(task(name, code), |task| used.contains(&self::code(task)));
            let list = waiting
                .0
                .iter()
                .map(|task| format!("{}{}", task.name, self::code(task)));
            list.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(seen("a", 1, &[]), "a1", "nobody is asked about what comes");
        assert_eq!(seen("b", 2, &[1]), "a1 b2");
        assert_eq!(seen("a", 3, &[1, 2]), "a1 b2 a3", "1 can be gone back to");
        assert_eq!(seen("a", 4, &[2, 3]), "b2 a3 a4");
        assert_eq!(seen("c", 2, &[3, 4]), "c2 a3 a4", "the same content in its place");
        assert_eq!(seen("d", 5, &[]), "d5");
    }

    #[test]
    fn tasks_are_done_in_order_and_those_that_nobody_wants_are_not() {
        let (asked, codes) = channel();
        let (open, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let compile = move |_, code: &[u8], _| {
            asked.send(code[0]).unwrap();
            lock(&gate).recv().unwrap();
            match code {
                [2] => Err(LoadError::CoreModule),
                code => Ok(code[0]),
            }
        };
        let used = Arc::new(Mutex::new(vec![1, 2, 3]));
        let (told, done) = channel();
        let wanted = Arc::clone(&used);
        let optimiser = Optimiser::start(
            Compiler::new(1, Arc::new(compile)),
            move |task| lock(&wanted).contains(&self::code(task)),
            move |task, code| told.send((self::code(task), code)).unwrap(),
        )
        .unwrap();
        for code in 1..=3 {
            optimiser.add(task("a", code));
        }
        assert_eq!(codes.recv(), Ok(1));
        // While the first is being compiled, most of what waits loses its use.
        for code in 4..100 {
            *lock(&used) = vec![2, code];
            optimiser.add(task("a", code));
            assert!(lock(&optimiser.shared.queue).waiting.0.len() <= 2);
        }
        for _ in 0..3 {
            open.send(()).unwrap();
        }
        let done: Vec<_> = done.iter().take(3).collect();
        assert_eq!(done, [(1, Some(1)), (2, None), (99, Some(99))]);
        assert_eq!(codes.try_iter().collect::<Vec<_>>(), [2, 99]);
        drop(optimiser);
        assert!(codes.recv().is_err(), "its thread ends");
    }
}
