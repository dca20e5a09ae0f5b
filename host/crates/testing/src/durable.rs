//! Publishes whose acknowledgement waits: an engine with one module whose interest is durable, and what every engine has
//! to do with it.

use std::net::SocketAddr;

use tokio::sync::mpsc;
use tokio::time::timeout;

use hookhost_broker::{Running, StartError};
use hookhost_contract::{Interest, Ticket};
use hookhost_event::{Detail, Hook};
use hookhost_hooks::{Attachment, Bus, Interests, Overflow, QueueLimits, Queued};

use crate::client::{Client, Connect, packet};
use crate::engine::DEADLINE;

/// Publishes in a window.
const WINDOW: u8 = 20;

/// A started engine. Every publish is durable; the test completes it.
pub struct DurableHost {
    /// The engine.
    pub running: Running,
    publishes: mpsc::UnboundedReceiver<Queued>,
    _attachment: Attachment,
}

impl DurableHost {
    /// The engine that `start` starts with the bus that it is given.
    pub async fn with(start: impl AsyncFnOnce(Bus) -> Result<Running, StartError>) -> DurableHost {
        let bus = Bus::new();
        let queue = QueueLimits {
            events: 1000,
            bytes: 1 << 20,
            overflow: Overflow::Drop,
        };
        let (attachment, mut inboxes) = bus.attach("test", 1, queue);
        let list = [Interest {
            hook: Hook::MessagePublish,
            filters: Vec::new(),
        }];
        let interests = Interests::compile(&list).unwrap().with_durable(&list).unwrap();
        attachment.set_interests(interests);
        let (sender, publishes) = mpsc::unbounded_channel();
        let mut inbox = inboxes.remove(0);
        std::thread::spawn(move || {
            let mut batch = Vec::new();
            while inbox.next_batch(&mut batch, 64) {
                batch.drain(..).for_each(|queued| drop(sender.send(queued)));
            }
        });
        DurableHost {
            running: start(bus).await.unwrap(),
            publishes,
            _attachment: attachment,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// The next publish: its payload, and the ticket for which its acknowledgement waits.
    pub async fn publish(&mut self) -> (String, Ticket) {
        let next = timeout(DEADLINE, self.publishes.recv()).await;
        let queued = next.expect("no publish came").expect("the engine runs");
        let Detail::MessagePublish(message) = &queued.event.detail else {
            panic!("{:?}", queued.event)
        };
        let payload = String::from_utf8(message.payload.to_vec()).unwrap();
        (payload, queued.ticket.expect("every publish is durable"))
    }

    /// Panics if a publish has come.
    pub fn assert_no_publish(&mut self) {
        assert!(self.publishes.try_recv().is_err());
    }
}

/// A PUBLISH to `t` with its number as payload and packet identifier.
pub fn numbered(client: &Client, qos: u8, number: u8) -> Vec<u8> {
    client.publish_bytes("t", number.to_string().as_bytes(), qos, false, [0, number])
}

/// The same, repeated.
pub fn repeated(client: &Client, qos: u8, number: u8) -> Vec<u8> {
    let mut publish = numbered(client, qos, number);
    publish[0] |= 8;
    publish
}

/// All publishes in the window of a client reach the module while none is acknowledged. When they are complete, in any
/// order, the acknowledgements come in the order of the publishes. Other packets do not wait.
pub async fn a_window_waits_together(host: &mut DurableHost, connect: &Connect, qos: u8) {
    let mut client = connect.join(host.address()).await;
    for round in 0..2 {
        let bytes: Vec<u8> = (1..=WINDOW).flat_map(|number| numbered(&client, qos, number)).collect();
        client.write(&bytes).await;
        let mut tickets = Vec::new();
        for number in 1..=WINDOW {
            let (payload, ticket) = host.publish().await;
            assert_eq!(payload, number.to_string(), "round {round}");
            tickets.push(ticket);
        }
        client.ping().await;
        let first = tickets.remove(0);
        tickets.into_iter().rev().for_each(Ticket::complete);
        client.ping().await;
        first.complete();
        for number in 1..=WINDOW {
            let (kind, body) = client.read().await;
            assert_eq!(
                (kind, &body[..2]),
                (if qos == 1 { 0x40 } else { 0x50 }, &[0, number][..])
            );
        }
        if qos == 2 {
            for number in 1..=WINDOW {
                client.write(&packet(0x62, &[0, number])).await;
                let (kind, body) = client.read().await;
                assert_eq!((kind, &body[..2]), (0x70, &[0, number][..]));
            }
        }
        client.ping().await;
    }
    client.disconnect().await;
}

/// A publish whose requests are lost is not acknowledged: the connection ends with "implementation specific error". The
/// client repeats the publish, and it causes an event again. The client connects with MQTT 5.
pub async fn a_lost_publish_ends_the_connection(host: &mut DurableHost, connect: &Connect, qos: u8) {
    let (mut client, _) = connect.open(host.address()).await;
    client.write(&numbered(&client, qos, 1)).await;
    drop(host.publish().await);
    let (kind, body) = client.read().await;
    assert_eq!((kind, body[0]), (0xe0, 131));
    assert!(client.closed().await.is_empty());
    let (mut client, _) = connect.open(host.address()).await;
    client.write(&repeated(&client, qos, 1)).await;
    let (payload, ticket) = host.publish().await;
    assert_eq!(payload, "1");
    client.ping().await;
    ticket.complete();
    let (kind, body) = client.read().await;
    assert_eq!((kind, &body[..2]), (if qos == 1 { 0x40 } else { 0x50 }, &[0, 1][..]));
    client.disconnect().await;
}

/// A client that is gone is not waited for, and its successor waits for its own publishes only.
pub async fn a_client_that_leaves_is_not_waited_for(host: &mut DurableHost, connect: &Connect) {
    let mut client = connect.join(host.address()).await;
    let bytes: Vec<u8> = (1..=WINDOW).flat_map(|number| numbered(&client, 1, number)).collect();
    client.write(&bytes).await;
    let mut tickets = Vec::new();
    for _ in 1..=WINDOW {
        tickets.push(host.publish().await.1);
    }
    // A take-over, and then a reset.
    let mut successor = connect.join(host.address()).await;
    client.closed().await;
    successor.write(&numbered(&successor, 1, 1)).await;
    let (_, ticket) = host.publish().await;
    ticket.complete();
    assert_eq!(
        successor.read().await.0,
        0x40,
        "it does not wait for the publishes of the first connection"
    );
    successor.write(&numbered(&successor, 1, 2)).await;
    tickets.push(host.publish().await.1);
    successor.reset();
    tickets.into_iter().for_each(Ticket::complete);
    let mut last = connect.join(host.address()).await;
    last.write(&numbered(&last, 1, 1)).await;
    host.publish().await.1.complete();
    assert_eq!(last.read().await.0, 0x40);
    last.disconnect().await;
}

/// A QoS 2 publish that is repeated on the next connection, before PUBREC, waits for the requests of the first one and
/// causes no second event.
pub async fn a_repeated_publish_waits_for_the_first(host: &mut DurableHost, connect: &Connect) {
    let (mut client, _) = connect.open(host.address()).await;
    client.write(&numbered(&client, 2, 1)).await;
    let (_, ticket) = host.publish().await;
    client.ping().await;
    client.reset();
    let (mut client, found) = connect.open(host.address()).await;
    assert!(found);
    client.write(&repeated(&client, 2, 1)).await;
    client.ping().await;
    host.assert_no_publish();
    ticket.complete();
    let (kind, body) = client.read().await;
    assert_eq!((kind, &body[..2]), (0x50, &[0, 1][..]));
    client.write(&packet(0x62, &[0, 1])).await;
    assert_eq!(client.read().await.0, 0x70);
    client.disconnect().await;
}
