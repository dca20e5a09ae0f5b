//! The TLS files of the listeners, which are read again when one of them changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hookhost_listener::TlsFiles;
use tracing::{error, info};

/// The TLS files of the listeners. Empty until the listeners are open.
#[derive(Clone, Default)]
pub(super) struct ListenerFiles(Arc<Mutex<Vec<TlsFiles>>>);

impl ListenerFiles {
    /// A panic under the lock leaves no partial change: each change is one assignment.
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<TlsFiles>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads certificates, keys and revocation lists again. Blocks.
    pub(super) fn reload(&self) {
        for files in self.lock().iter() {
            match files.reload() {
                Ok(true) => info!(listener = files.listener(), "TLS files reloaded"),
                Ok(false) => {}
                Err(error) => {
                    error!(listener = files.listener(), %error, "TLS files not reloaded; the previous ones stay in use");
                }
            }
        }
    }
}
