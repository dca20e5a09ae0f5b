//! Threads that come after all others when the machine has too little for everything.

use tracing::debug;

/// Lowers the priority of the calling thread by so many steps of niceness, and of what it starts from now on.
#[cfg(target_os = "linux")]
pub fn lower(nice: i32) {
    // On Linux niceness belongs to threads, and an id of a thread is accepted for that of a process. Threads and
    // processes that this one starts inherit it.
    if nice != 0
        && let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), nice)
    {
        debug!(nice, %error, "cannot change the priority of a thread");
    }
}

/// Only Linux has a priority for each thread.
#[cfg(not(target_os = "linux"))]
pub fn lower(_nice: i32) {}
