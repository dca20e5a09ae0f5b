//! Compiling on threads of its own, because it may take longer than anybody can wait.
//!
//! A module is anybody's file, and some take a compiler minutes. So each is compiled on a thread that nobody waits for
//! longer than the module's time limit. A thread that takes longer goes on; what it makes is kept for the
//! next attempt with the same code, so that the work is not done twice. After a multiple of the time limit it is told to
//! give up, so that code on which a compiler hangs does not hold a thread for ever. At most [`AT_A_TIME`] run at once: more
//! files that take long wait for a thread, within their own time limit, and everything else of the host goes on.
//!
//! The threads share nothing with a [`Compiler`] but the list of jobs, and outlive it if they must.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::folder::Print;
use super::generation::lock;
use hookhost_wasm::LoadError;

/// Modules that are compiled at the same time. One of them takes all processors where it can.
const AT_A_TIME: usize = 2;

/// So many times a module's time limit a compiler may take while nobody waits for it.
pub(super) const PATIENCE: u32 = 10;

/// Why there is no compiled code.
#[derive(Debug)]
pub(super) enum CompileError {
    /// The compiler has refused it.
    Refused(LoadError),
    /// It takes longer than anybody waits. It goes on, for the next attempt.
    TooSlow,
    /// Others that take too long use all threads.
    Busy,
    /// The system refuses a thread.
    Thread(io::Error),
}

/// Compiles code, known as what it is, and gives up after a time.
pub(super) type Compile<C> = dyn Fn(Option<Print>, &[u8], Duration) -> Result<C, LoadError> + Send + Sync;

/// Compiles modules to `C`.
pub(super) struct Compiler<C> {
    compile: Arc<Compile<C>>,
    patience: u32,
    jobs: Arc<Jobs<C>>,
}

struct Jobs<C> {
    /// Oldest first.
    list: Mutex<VecDeque<Job<C>>>,
    changed: Condvar,
}

struct Job<C> {
    /// What is compiled; none: the code in the binary.
    code: Option<Print>,
    /// None: it is being compiled.
    result: Option<Result<C, LoadError>>,
}

impl<C: Send + 'static> Compiler<C> {
    /// `compile` is called on threads of their own, each of which ends with the call. It has `patience` times as long as
    /// somebody waits for it.
    pub(super) fn new(patience: u32, compile: Arc<Compile<C>>) -> Compiler<C> {
        Compiler {
            compile,
            patience,
            jobs: Arc::new(Jobs {
                list: Mutex::default(),
                changed: Condvar::new(),
            }),
        }
    }

    /// Compiles `bytes`, known as `code`, or takes what an earlier attempt has left. Waits for at most `limit`.
    ///
    /// That an earlier attempt was given up after less time than this one would get says nothing about this one.
    pub(super) fn compile(&self, code: Option<Print>, bytes: &Bytes, limit: Duration) -> Result<C, CompileError> {
        let end = Instant::now() + limit;
        let most = limit * self.patience;
        let mut list = lock(&self.jobs.list);
        loop {
            match list.iter().position(|job| job.code == code) {
                Some(at) => {
                    if let Some(result) = list.get_mut(at).and_then(|job| job.result.take()) {
                        list.remove(at);
                        if matches!(&result, Err(LoadError::CompilerKilled { limit }) if *limit < most) {
                            continue;
                        }
                        return result.map_err(CompileError::Refused);
                    }
                }
                None if list.iter().filter(|job| job.result.is_none()).count() < AT_A_TIME => {
                    self.start(&mut list, code, bytes.clone(), most)?;
                    continue;
                }
                None => {}
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let is_ours = list.iter().any(|job| job.code == code);
                return Err(if is_ours {
                    CompileError::TooSlow
                } else {
                    CompileError::Busy
                });
            }
            list = self
                .jobs
                .changed
                .wait_timeout(list, left)
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .0;
        }
    }

    fn start(
        &self,
        list: &mut VecDeque<Job<C>>,
        code: Option<Print>,
        bytes: Bytes,
        limit: Duration,
    ) -> Result<(), CompileError> {
        // What nobody has come back for makes room.
        while list.len() >= AT_A_TIME {
            let Some(left) = list.iter().position(|job| job.result.is_some()) else {
                break;
            };
            list.remove(left);
        }
        let (compile, jobs) = (Arc::clone(&self.compile), Arc::clone(&self.jobs));
        let work = move || {
            let mut done = Done {
                jobs,
                code,
                result: Some(Err(LoadError::Invalid("the compiler has failed on it".to_owned()))),
            };
            done.result = Some(compile(code, &bytes, limit));
        };
        thread::Builder::new()
            .name("compiler".to_owned())
            .spawn(work)
            .map_err(CompileError::Thread)?;
        list.push_back(Job { code, result: None });
        Ok(())
    }
}

/// Hands the result over, however the thread ends.
struct Done<C> {
    jobs: Arc<Jobs<C>>,
    code: Option<Print>,
    result: Option<Result<C, LoadError>>,
}

impl<C> Drop for Done<C> {
    fn drop(&mut self) {
        let mut list = lock(&self.jobs.list);
        let job = list
            .iter_mut()
            .find(|job| job.code == self.code && job.result.is_none());
        if let Some(job) = job {
            job.result = self.result.take();
        }
        drop(list);
        self.jobs.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    type Gates = (Mutex<BTreeSet<Vec<u8>>>, Condvar);

    /// A compiler that holds codes beginning with `held` until their gate opens, and counts what it begins.
    struct Held {
        compiler: Compiler<Bytes>,
        open: Arc<Gates>,
        begun: Arc<AtomicUsize>,
    }

    impl Held {
        fn new() -> Held {
            let open = Arc::<Gates>::default();
            let begun = Arc::new(AtomicUsize::new(0));
            let (gates, count) = (Arc::clone(&open), Arc::clone(&begun));
            let compile = move |_, code: &[u8], limit| {
                count.fetch_add(1, Ordering::SeqCst);
                if code.starts_with(b"held") {
                    let open = gates.0.lock().unwrap();
                    drop(gates.1.wait_while(open, |open| !open.contains(code)).unwrap());
                }
                match code {
                    b"bad" => Err(LoadError::CoreModule),
                    b"panic" => panic!("told to panic"),
                    b"endless" => Err(LoadError::CompilerKilled { limit }),
                    b"held slow" if limit < LONG => Err(LoadError::CompilerKilled { limit }),
                    code => Ok(Bytes::copy_from_slice(code)),
                }
            };
            let compiler = Compiler::new(3, Arc::new(compile));
            Held { compiler, open, begun }
        }

        fn compile(&self, code: &'static str, limit: Duration) -> Result<Bytes, CompileError> {
            let mut print = [0; 32];
            print[..code.len()].copy_from_slice(code.as_bytes());
            self.compiler
                .compile(Some(Print::Content(print)), &Bytes::from_static(code.as_bytes()), limit)
        }

        fn open(&self, code: &str) {
            self.open.0.lock().unwrap().insert(code.into());
            self.open.1.notify_all();
        }

        /// Opens as soon as somebody waits for what has been begun; waiting or not makes no difference to what is tested.
        fn opener(&self, code: &'static str) -> thread::JoinHandle<()> {
            let open = Arc::clone(&self.open);
            thread::spawn(move || {
                thread::yield_now();
                open.0.lock().unwrap().insert(code.into());
                open.1.notify_all();
            })
        }
    }

    #[test]
    fn results_and_refusals_come_back() {
        let held = Held::new();
        assert_eq!(held.compile("good", LONG).unwrap(), "good");
        assert!(matches!(
            held.compile("bad", LONG),
            Err(CompileError::Refused(LoadError::CoreModule))
        ));
        match held.compile("panic", LONG) {
            Err(CompileError::Refused(LoadError::Invalid(text))) => assert!(text.contains("compiler has failed")),
            other => panic!("{other:?}"),
        }
        assert_eq!(held.compile("good", LONG).unwrap(), "good", "again, from the beginning");
        assert_eq!(held.begun.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn a_compiler_may_take_a_multiple_of_the_time_that_somebody_waits() {
        for _ in 0..3 {
            let error = Held::new().compile("endless", LONG).unwrap_err();
            assert!(
                matches!(error, CompileError::Refused(LoadError::CompilerKilled { limit }) if limit == 3 * LONG),
                "{error:?}"
            );
        }
    }

    #[test]
    fn what_takes_too_long_is_there_at_the_next_attempt() {
        let held = Held::new();
        for _ in 0..3 {
            assert!(matches!(
                held.compile("held", Duration::ZERO),
                Err(CompileError::TooSlow)
            ));
        }
        assert_eq!(held.compile("other", LONG).unwrap(), "other", "nobody else waits");
        held.open("held");
        assert_eq!(held.compile("held", LONG).unwrap(), "held");
        assert_eq!(held.begun.load(Ordering::SeqCst), 2, "compiled once");
    }

    /// Whether the first attempt is over by then or not.
    #[test]
    fn what_was_killed_in_less_time_is_compiled_again() {
        for is_over in [false, true] {
            let held = Held::new();
            assert!(matches!(
                held.compile("held slow", Duration::ZERO),
                Err(CompileError::TooSlow)
            ));
            if is_over {
                held.open("held slow");
                let list = lock(&held.compiler.jobs.list);
                let running = |list: &mut VecDeque<Job<Bytes>>| list.iter().any(|job| job.result.is_none());
                drop(held.compiler.jobs.changed.wait_while(list, running).unwrap());
            }
            let opener = (!is_over).then(|| held.opener("held slow"));
            assert_eq!(held.compile("held slow", LONG).unwrap(), "held slow");
            assert_eq!(held.begun.load(Ordering::SeqCst), 2);
            if let Some(opener) = opener {
                opener.join().unwrap();
            }
        }
    }

    #[test]
    fn only_so_many_at_a_time() {
        let held = Held::new();
        for code in ["held 1", "held 2"] {
            assert!(matches!(held.compile(code, Duration::ZERO), Err(CompileError::TooSlow)));
        }
        assert!(matches!(held.compile("other", Duration::ZERO), Err(CompileError::Busy)));
        held.open("held 1");
        assert_eq!(
            held.compile("other", LONG).unwrap(),
            "other",
            "as soon as a thread is free"
        );
        // Kept until room is needed; then it is compiled anew.
        assert!(matches!(
            held.compile("held 3", Duration::ZERO),
            Err(CompileError::TooSlow)
        ));
        held.open("held 2");
        held.open("held 3");
        for code in ["held 1", "held 2", "held 3"] {
            assert_eq!(held.compile(code, LONG).unwrap(), code);
        }
        assert!(lock(&held.compiler.jobs.list).len() <= AT_A_TIME, "nothing piles up");
    }
}
