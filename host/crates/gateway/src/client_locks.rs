//! One CONNECT of a client at a time.
//!
//! If two connections of one client were opened at once, the gateway could not know which of them the upstream has
//! accepted last, because the answers come on different sockets. So the second CONNECT waits until the first one is
//! answered, or as long as it may wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use tokio::sync::{Mutex as Queue, OwnedMutexGuard};
use tokio::time::timeout;

/// A lock for each client id.
#[derive(Default)]
pub(super) struct ClientLocks(Arc<Mutex<HashMap<ByteString, Arc<Queue<()>>>>>);

/// A client's lock, until it is dropped.
pub(super) struct ClientLock {
    locks: Arc<Mutex<HashMap<ByteString, Arc<Queue<()>>>>>,
    client_id: ByteString,
    queue: Arc<Queue<()>>,
    /// `None` if the wait was too long.
    held: Option<OwnedMutexGuard<()>>,
}

impl ClientLocks {
    /// Waits for a client's lock, at most this long; after that the result holds no lock. `None` without a client id.
    pub(super) async fn wait(&self, client_id: &ByteString, longest: Duration) -> Option<ClientLock> {
        if client_id.is_empty() {
            return None;
        }
        let queue = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(queues.entry(client_id.clone()).or_default())
        };
        // Built before the wait, so that nothing stays behind if the wait is cancelled.
        let mut lock = ClientLock {
            locks: Arc::clone(&self.0),
            client_id: client_id.clone(),
            queue: Arc::clone(&queue),
            held: None,
        };
        lock.held = timeout(longest, queue.lock_owned()).await.ok();
        Some(lock)
    }
}

impl Drop for ClientLock {
    fn drop(&mut self) {
        let mut queues = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        self.held = None;
        // The table's and this one: no other connection waits.
        if Arc::strong_count(&self.queue) == 2 {
            queues.remove(&self.client_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn one_after_the_other_and_nothing_is_left() {
        let locks = Arc::new(ClientLocks::default());
        let id = ByteString::from("c");
        let first = locks.wait(&id, LONG).await;
        let other = locks.wait(&"d".into(), LONG).await;
        let waiting = tokio::spawn({
            let (locks, id) = (Arc::clone(&locks), id.clone());
            async move { locks.wait(&id, LONG).await.is_some_and(|lock| lock.held.is_some()) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        // After the limit the wait ends without a lock.
        let late = locks.wait(&id, Duration::from_millis(1)).await;
        assert!(late.is_some_and(|lock| lock.held.is_none()));
        drop(first);
        assert!(waiting.await.unwrap());
        drop(other);
        assert!(locks.0.lock().unwrap().is_empty());
        assert!(locks.wait(&"".into(), LONG).await.is_none());
    }
}
