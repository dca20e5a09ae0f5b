//! Lower priority for threads that yield to all others under CPU pressure.

use tracing::debug;

/// Raises the niceness of the calling thread, and of the threads it starts later, by `nice` steps.
#[cfg(target_os = "linux")]
pub fn lower(nice: i32) {
    // On Linux each thread has its own niceness, and a call for a process accepts the id of a thread. New threads and
    // processes inherit it.
    if nice != 0
        && let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), nice)
    {
        debug!(nice, %error, "cannot change the priority of a thread");
    }
}

/// Does nothing: only Linux has a priority for each thread.
#[cfg(not(target_os = "linux"))]
pub fn lower(_nice: i32) {}
