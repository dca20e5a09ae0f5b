//! One CONNECT of a client at a time.
//!
//! If two connections of one client were opened at once, nobody could say which of them the upstream has accepted last,
//! because their answers come on different sockets. So the second CONNECT goes to the upstream when the first one has
//! been answered, or when it has waited as long as it may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use tokio::sync::{Mutex as Queue, OwnedMutexGuard};
use tokio::time::timeout;

/// Who is being accepted.
#[derive(Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<ByteString, Arc<Queue<()>>>>>);

/// A client's turn, until it is dropped.
pub(super) struct Turn {
    turns: Arc<Mutex<HashMap<ByteString, Arc<Queue<()>>>>>,
    client_id: ByteString,
    queue: Arc<Queue<()>>,
    /// None if the wait was too long.
    held: Option<OwnedMutexGuard<()>>,
}

impl Turn {
    /// Whether it is really this one's turn.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }
}

impl Turns {
    /// Waits for this client's turn, at most so long. A client without an id has nobody to wait for.
    pub(super) async fn wait(&self, client_id: &ByteString, longest: Duration) -> Option<Turn> {
        if client_id.is_empty() {
            return None;
        }
        let queue = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(queues.entry(client_id.clone()).or_default())
        };
        // Built before the wait, so that whoever gives up leaves nothing behind.
        let mut turn = Turn {
            turns: Arc::clone(&self.0),
            client_id: client_id.clone(),
            queue: Arc::clone(&queue),
            held: None,
        };
        turn.held = timeout(longest, queue.lock_owned()).await.ok();
        Some(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queues = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        self.held = None;
        // The table's and this one: nobody waits.
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
        let turns = Arc::new(Turns::default());
        let id = ByteString::from("c");
        let first = turns.wait(&id, LONG).await;
        let other = turns.wait(&"d".into(), LONG).await;
        let waiting = tokio::spawn({
            let (turns, id) = (Arc::clone(&turns), id.clone());
            async move { turns.wait(&id, LONG).await.is_some_and(|turn| turn.held.is_some()) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        // Who has waited too long goes on.
        let late = turns.wait(&id, Duration::from_millis(1)).await;
        assert!(late.is_some_and(|turn| turn.held.is_none()));
        drop(first);
        assert!(waiting.await.unwrap());
        drop(other);
        assert!(turns.0.lock().unwrap().is_empty());
        assert!(turns.wait(&"".into(), LONG).await.is_none());
    }
}
