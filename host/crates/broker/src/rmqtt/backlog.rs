//! What waits for each client, counted exactly.
//!
//! RMQTT hands messages to a client through a channel without bound and only then puts them into the client's bounded
//! queue. While a client does not read, its task waits for the socket, the channel fills, and every such client takes
//! as much memory as publishers can produce in that time. So each copy that is on its way to a client carries a
//! [`Ticket`], which is given back when RMQTT drops the copy, wherever that happens; without a free ticket the message
//! is dropped for this client.
//!
//! The ticket travels in `target_clientid`, which RMQTT reads only before it makes the copy. The text in there is the
//! shared group through which the copy came, which RMQTT forgets as well.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use tokio::sync::Notify;

use ::rmqtt::types::Publish;

use super::limits::Limits;

const SHARDS: usize = 64;
/// Messages that may be on their way besides those that the queue and the window hold: a burst that a client's task
/// has not got round to.
const BURST: usize = 10_000;
/// What a waiting message takes besides topic and payload, roughly.
const FIXED: usize = 512;

/// The shared group through which a copy came.
pub(super) fn group(publish: &Publish) -> Option<ByteString> {
    publish
        .target_clientid
        .as_ref()
        .filter(|group| !group.is_empty())
        .map(|group| ByteString::from(&**group))
}

/// What waits for each client.
pub(super) struct Backlogs {
    shards: [Mutex<HashMap<ByteString, Arc<Backlog>>>; SHARDS],
    hasher: RandomState,
    most: Most,
}

#[derive(Clone, Copy)]
struct Most {
    messages: usize,
    bytes: usize,
    /// From how many on a sender that can wait does so.
    calm: usize,
}

/// What waits for one client.
#[derive(Default)]
pub(super) struct Backlog {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

impl Backlogs {
    /// Nothing waits.
    pub(super) fn new(limits: &Limits) -> Backlogs {
        let bytes = if limits.max_mqueue_bytes == 0 {
            usize::MAX
        } else {
            limits.max_mqueue_bytes
        };
        let messages = limits.max_mqueue_len + usize::from(limits.max_inflight) + BURST;
        Backlogs {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            most: Most {
                messages,
                bytes,
                calm: limits.max_mqueue_len.div_ceil(2),
            },
        }
    }

    /// Gives the copy a ticket, if there is one left for this client.
    pub(super) fn admit(&self, client_id: &ByteString, publish: &mut Publish, group: Option<&ByteString>) -> bool {
        self.of(client_id).admit(publish, group, self.most)
    }

    /// Waits until few messages wait for the client; whether that was so before the time was up.
    pub(super) async fn calm(&self, client_id: &ByteString, time: Duration) -> bool {
        let backlog = self.of(client_id);
        backlog.waiting.fetch_add(1, Ordering::Relaxed);
        let calm = async {
            loop {
                let freed = backlog.freed.notified();
                tokio::pin!(freed);
                freed.as_mut().enable();
                if backlog.messages.load(Ordering::Relaxed) < self.most.calm {
                    return;
                }
                freed.await;
            }
        };
        let calm = tokio::time::timeout(time, calm).await.is_ok();
        backlog.waiting.fetch_sub(1, Ordering::Relaxed);
        calm
    }

    /// Forgets the clients for whom nothing waits.
    pub(super) fn sweep(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, backlog| Arc::strong_count(backlog) > 1);
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the index is a remainder by the number of shards"
    )]
    fn of(&self, client_id: &ByteString) -> Arc<Backlog> {
        let shard = &self.shards[self.hasher.hash_one(client_id) as usize % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(backlog) = shard.get(client_id) {
            return Arc::clone(backlog);
        }
        Arc::clone(shard.entry(client_id.clone()).or_default())
    }
}

impl Backlog {
    fn admit(self: Arc<Backlog>, publish: &mut Publish, group: Option<&ByteString>, most: Most) -> bool {
        let bytes = publish.topic.len() + publish.payload.len() + FIXED;
        if self.messages.load(Ordering::Relaxed) >= most.messages
            || self.bytes.load(Ordering::Relaxed).saturating_add(bytes) > most.bytes
        {
            return false;
        }
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let ticket = Ticket {
            backlog: self,
            bytes,
            group: group.cloned().unwrap_or_default(),
        };
        // It is text, because it was: should that fail, the ticket is given back at once.
        publish.target_clientid = Some(ByteString::try_from(Bytes::from_owner(ticket)).unwrap_or_default());
        true
    }
}

/// The right of one copy to wait; given back when it is dropped.
struct Ticket {
    backlog: Arc<Backlog>,
    bytes: usize,
    group: ByteString,
}

impl AsRef<[u8]> for Ticket {
    fn as_ref(&self) -> &[u8] {
        self.group.as_bytes()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.backlog.messages.fetch_sub(1, Ordering::Relaxed);
        self.backlog.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        if self.backlog.waiting.load(Ordering::Relaxed) > 0 {
            self.backlog.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use ::rmqtt::codec::types::QoS;
    use ::rmqtt::types::CodecPublish;

    use super::*;

    fn publish() -> Publish {
        Publish::from(CodecPublish {
            dup: false,
            retain: false,
            qos: QoS::AtMostOnce,
            topic: "t".into(),
            packet_id: None,
            payload: vec![0; 99].into(),
            properties: None,
        })
    }

    fn small() -> Backlogs {
        Backlogs::new(&Limits {
            max_mqueue_bytes: 3 * (100 + FIXED),
            ..Limits::default()
        })
    }

    #[test]
    fn tickets_come_back_when_the_last_copy_goes() {
        let backlogs = small();
        let (a, b) = (ByteString::from("a"), ByteString::from("b"));
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let mut copy = publish();
            assert!(backlogs.admit(&a, &mut copy, None));
            waiting.push(copy.clone());
        }
        assert!(!backlogs.admit(&a, &mut publish(), None), "three at most");
        assert!(
            backlogs.admit(&b, &mut publish(), None),
            "another client has room of its own"
        );
        waiting.pop();
        assert!(backlogs.admit(&a, &mut publish(), None));
        drop(waiting);
        backlogs.sweep();
        assert!(backlogs.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }

    #[test]
    fn the_group_is_remembered_and_does_not_hold_the_ticket() {
        let backlogs = small();
        let mut copy = publish();
        assert!(backlogs.admit(&"a".into(), &mut copy, Some(&"g".into())));
        let group = group(&copy);
        drop(copy);
        backlogs.sweep();
        assert!(backlogs.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
        assert_eq!(group.as_deref(), Some("g"));
    }

    #[tokio::test]
    async fn a_patient_sender_waits_for_calm() {
        let backlogs = Arc::new(Backlogs::new(&Limits {
            max_mqueue_len: 2,
            ..Limits::default()
        }));
        let client = ByteString::from("a");
        assert!(backlogs.calm(&client, Duration::ZERO).await);
        let mut copy = publish();
        assert!(backlogs.admit(&client, &mut copy, None));
        assert!(!backlogs.calm(&client, Duration::from_millis(1)).await);
        let waiter = tokio::spawn({
            let (backlogs, client) = (Arc::clone(&backlogs), client.clone());
            async move { backlogs.calm(&client, Duration::from_secs(20)).await }
        });
        tokio::task::yield_now().await;
        drop(copy);
        assert!(waiter.await.unwrap());
    }
}
