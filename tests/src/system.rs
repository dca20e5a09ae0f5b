//! A system that fails on request: a host runs with a clock that jumps and a disk that cannot be flushed.
//!
//! A small library in C stands before the C library of the host (`LD_PRELOAD`). It reads what to do from a file that it
//! maps into memory, so a test changes it while the host runs.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::host::Setup;

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Seconds that are added to the clock, and whether flushing fails. */
static volatile int64_t *faults;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("TEST_FAULTS");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(0, 16, PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    if (mapped != MAP_FAILED) faults = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME && faults) time->tv_sec += faults[0];
    return result;
}

static int flush(long call, int file) {
    if (faults && faults[1]) {
        errno = EIO;
        return -1;
    }
    return syscall(call, file);
}

int fsync(int file) { return flush(SYS_fsync, file); }
int fdatasync(int file) { return flush(SYS_fdatasync, file); }
"#;

/// The faults of a host's system. Without a call it works well.
pub struct FaultySystem {
    dir: TempDir,
    faults: std::fs::File,
}

impl FaultySystem {
    /// Compiles the library. Needs a C compiler, as the linker of Rust does.
    pub fn new() -> FaultySystem {
        let dir = TempDir::with_prefix("hookhost-faults-").expect("a temporary directory");
        let source = dir.path().join("faults.c");
        std::fs::write(&source, SOURCE).expect("the directory is ours");
        let mut compile = Command::new("cc");
        compile
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(dir.path().join("faults.so"));
        let compiled = compile.arg(&source).output().expect("a C compiler is there");
        assert!(compiled.status.success(), "{compiled:?}");
        let faults = std::fs::File::create(dir.path().join("faults")).expect("the directory is ours");
        let system = FaultySystem { dir, faults };
        system.write(0, 0);
        system.write(1, 0);
        system
    }

    /// Lets a host run on this system.
    pub fn below(&self, setup: Setup) -> Setup {
        let path = |name: &str| -> PathBuf { self.dir.path().join(name) };
        let text = |path: PathBuf| path.to_str().expect("a temporary directory is UTF-8").to_owned();
        setup
            .env("LD_PRELOAD", &text(path("faults.so")))
            .env("TEST_FAULTS", &text(path("faults")))
    }

    /// Sets the clock of the host to this many seconds after the true time; negative: before it.
    pub fn set_clock(&self, seconds: i64) {
        self.write(0, seconds);
    }

    /// Whether flushing a file to the disk fails from now on.
    pub fn set_flush_fails(&self, fails: bool) {
        self.write(1, i64::from(fails));
    }

    fn write(&self, place: u64, value: i64) {
        let written = self.faults.write_all_at(&value.to_ne_bytes(), place * 8);
        written.expect("the file is ours");
    }
}

impl Default for FaultySystem {
    fn default() -> FaultySystem {
        FaultySystem::new()
    }
}
