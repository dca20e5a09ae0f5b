//! Publishers that outlive the host, and the count of what became of their messages.
//!
//! Each publisher is a client with a window of unacknowledged messages. It behaves as MQTT asks: when the connection ends,
//! it connects again and repeats what is not acknowledged, in order. A test kills the host as often as it likes and tells
//! the publishers the address of the next one. At the end, [`Tally`] compares what they sent with what the receiver got.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::packet::{self, Connect, Publish, kind};
use crate::{PATIENCE, Version};

/// How a set of publishers works.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The clients are `NAME-0`, `NAME-1`, …
    pub name: &'static str,
    /// Number of clients.
    pub clients: u32,
    /// Client `NAME-N` publishes to `TOPIC/N`.
    pub topic: &'static str,
    /// Unacknowledged messages of one client.
    pub window: usize,
    /// The wait of each client between two messages; zero: none.
    pub pause: Duration,
    /// 1 or 2.
    pub qos: u8,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            name: "p",
            clients: 4,
            topic: "d",
            window: 20,
            pause: Duration::ZERO,
            qos: 1,
        }
    }
}

/// Running publishers.
pub struct Publishers {
    address: watch::Sender<SocketAddr>,
    stop: watch::Sender<bool>,
    acknowledged: Arc<AtomicU32>,
    clients: Vec<JoinHandle<Published>>,
}

/// The messages of one client, all of them acknowledged: the payloads `ID 1` to `ID COUNT`.
#[derive(Debug, Clone)]
pub struct Published {
    /// Client id.
    pub id: String,
    /// The last number.
    pub count: u32,
}

impl Publishers {
    /// Starts clients that publish to this host.
    pub fn start(to: SocketAddr, plan: &Plan) -> Publishers {
        let (address, addresses) = watch::channel(to);
        let (stop, stopped) = watch::channel(false);
        let acknowledged = Arc::new(AtomicU32::new(0));
        let client = |number| {
            let publisher = Publisher {
                id: format!("{}-{number}", plan.name),
                topic: format!("{}/{number}", plan.topic),
                plan: plan.clone(),
                address: addresses.clone(),
                stopped: stopped.clone(),
                acknowledged: Arc::clone(&acknowledged),
                sent: 0,
                in_flight: VecDeque::new(),
                is_repeating: false,
            };
            tokio::spawn(publisher.run())
        };
        Publishers {
            clients: (0..plan.clients).map(client).collect(),
            address,
            stop,
            acknowledged,
        }
    }

    /// The host has another address from now on.
    pub fn move_to(&self, address: SocketAddr) {
        self.address.send_replace(address);
    }

    /// Acknowledged messages of all clients so far.
    pub fn acknowledged(&self) -> u32 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until this number of further messages is acknowledged.
    pub async fn go_on(&self, more: u32) {
        let enough = self.acknowledged() + more;
        let wait = async {
            let mut tick = tokio::time::interval(Duration::from_millis(1));
            while self.acknowledged() < enough {
                tick.tick().await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("only {} of {enough} publishes are acknowledged", self.acknowledged());
        }
    }

    /// Stops publishing and waits for the last acknowledgement of each client.
    pub async fn stop(self) -> Vec<Published> {
        self.stop.send_replace(true);
        let mut published = Vec::new();
        for client in self.clients {
            match tokio::time::timeout(PATIENCE, client).await {
                Ok(client) => published.push(client.expect("a publisher does not fail")),
                Err(_) => panic!("a publisher got no acknowledgement within {PATIENCE:?}"),
            }
        }
        published
    }
}

struct Publisher {
    id: String,
    topic: String,
    plan: Plan,
    address: watch::Receiver<SocketAddr>,
    stopped: watch::Receiver<bool>,
    acknowledged: Arc<AtomicU32>,
    sent: u32,
    /// Unacknowledged messages, and whether PUBREC has come (QoS 2).
    in_flight: VecDeque<(u32, bool)>,
    /// Whether the session of the current connection may know of messages in flight.
    is_repeating: bool,
}

impl Publisher {
    async fn run(mut self) -> Published {
        loop {
            let address = *self.address.borrow_and_update();
            if self.serve(address).await.is_ok() {
                return Published {
                    id: self.id,
                    count: self.sent,
                };
            }
            // The host has died. Its successor usually has another address.
            let changed = tokio::time::timeout(Duration::from_millis(50), self.address.changed());
            drop(changed.await);
        }
    }

    /// One connection. Returns an error if it ends before everything is acknowledged.
    async fn serve(&mut self, address: SocketAddr) -> io::Result<()> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream
            .write_all(&Connect::new(Version::V311, &self.id).encode())
            .await?;
        let mut output = Vec::new();
        // A clean session has forgotten the state of QoS 2.
        let repeated = std::mem::take(&mut self.in_flight);
        for (number, _) in repeated {
            self.publish(number, self.is_repeating, &mut output);
        }
        self.is_repeating = true;
        let (mut reader, mut writer) = stream.split();
        let mut tick = (!self.plan.pause.is_zero()).then(|| tokio::time::interval(self.plan.pause));
        let mut input = Vec::new();
        let mut is_connected = false;
        loop {
            if is_connected && !output.is_empty() {
                writer.write_all(&output).await?;
                output.clear();
            }
            let is_stopping = *self.stopped.borrow();
            if is_stopping && self.in_flight.is_empty() {
                writer.write_all(&packet::disconnect()).await?;
                return writer.shutdown().await;
            }
            let may_send = is_connected && !is_stopping && self.in_flight.len() < self.plan.window;
            if may_send && tick.is_none() {
                self.publish_next(&mut output);
                continue;
            }
            tokio::select! {
                read = reader.read_buf(&mut input) => {
                    if read? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    while let Some((packet, length)) = packet::decode(&input) {
                        input.drain(..length);
                        match packet.kind() {
                            kind::CONNACK => is_connected = true,
                            kind::PUBREC => self.received(packet.id(), &mut output),
                            kind::PUBACK | kind::PUBCOMP => self.acknowledge(packet.id()),
                            _ => panic!("{packet:?}"),
                        }
                    }
                }
                () = next(&mut tick), if may_send => self.publish_next(&mut output),
                _ = self.stopped.changed(), if !is_stopping => {}
                changed = self.address.changed() => {
                    changed.expect("the test runs");
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
        }
    }

    fn publish_next(&mut self, output: &mut Vec<u8>) {
        self.sent += 1;
        self.publish(self.sent, false, output);
    }

    fn publish(&mut self, number: u32, dup: bool, output: &mut Vec<u8>) {
        self.in_flight.push_back((number, false));
        let payload = format!("{} {number}", self.id);
        let publish = Publish {
            topic: self.topic.as_bytes(),
            qos: self.plan.qos,
            id: packet_id(number),
            retain: false,
            dup,
            properties: &[],
            payload: payload.as_bytes(),
        };
        publish.encode_to(Version::V311, output);
    }

    fn received(&mut self, id: u16, output: &mut Vec<u8>) {
        let found = self.in_flight.iter_mut().find(|(number, _)| packet_id(*number) == id);
        found.expect("a PUBREC answers a PUBLISH").1 = true;
        output.extend(packet::packet(kind::PUBREL << 4 | 2, &id.to_be_bytes()));
    }

    fn acknowledge(&mut self, id: u16) {
        let (number, _) = self
            .in_flight
            .pop_front()
            .expect("an acknowledgement answers a PUBLISH");
        assert_eq!(packet_id(number), id, "acknowledgements come in order");
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

fn packet_id(number: u32) -> u16 {
    ((number - 1) % 65_535 + 1) as u16
}

async fn next(tick: &mut Option<tokio::time::Interval>) {
    match tick {
        Some(tick) => drop(tick.tick().await),
        None => std::future::pending().await,
    }
}

/// What became of the messages of all publishers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Messages published. The host has acknowledged all of them.
    pub acknowledged: usize,
    /// Requests that the receiver has accepted.
    pub received: usize,
    /// Those that came once more.
    pub doubled: usize,
    /// Messages whose first request came after that of a later one of the same client.
    pub out_of_order: usize,
    /// Messages of which no request was accepted.
    pub lost: usize,
}

impl Tally {
    /// Compares what was published with the numbers that arrived, per client and in order of arrival, as
    /// [`numbers`](crate::flow::numbers) returns them.
    pub fn of(published: &[Published], arrived: &BTreeMap<String, Vec<u32>>) -> Tally {
        let mut tally = Tally::default();
        for Published { id, count } in published {
            tally.acknowledged += *count as usize;
            let mut seen = vec![false; *count as usize + 1];
            let mut last = 0;
            for number in arrived.get(id).into_iter().flatten() {
                tally.received += 1;
                let seen = seen.get_mut(*number as usize).expect("only published messages arrive");
                if std::mem::replace(seen, true) {
                    tally.doubled += 1;
                } else if *number < last {
                    tally.out_of_order += 1;
                } else {
                    last = *number;
                }
            }
            tally.lost += seen.iter().skip(1).filter(|seen| !**seen).count();
        }
        tally
    }

    /// Panics if a message was lost or out of order.
    pub fn assert_complete(self) {
        assert_eq!((self.lost, self.out_of_order), (0, 0), "{self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            acknowledged,
            received,
            doubled,
            out_of_order,
            lost,
        } = self;
        write!(
            f,
            "acknowledged {acknowledged}, received {received}, doubled {doubled}, out of order {out_of_order}, lost {lost}"
        )
    }
}
