//! A steady stream of numbered messages, and the check of their delivery: every number must arrive exactly once and,
//! per client, in order.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::packet::{self, kind};
use crate::raw::Raw;
use crate::sink::{Received, Sink};
use crate::{PATIENCE, Version, body};

/// Clients that publish at QoS 1 with the payload `CLIENT NUMBER`, numbers from 1 on, at a rate.
pub struct Flow {
    stop: watch::Sender<bool>,
    acknowledged: Arc<AtomicU32>,
    clients: Vec<JoinHandle<Sent>>,
}

/// Maximum lead of a stream over its sink, in messages.
pub const LEAD: usize = 2_000;

/// The acknowledged messages of one client.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Client id.
    pub id: String,
    /// The last number.
    pub count: u32,
    /// The longest time from PUBLISH to PUBACK.
    pub slowest: Duration,
}

impl Flow {
    /// Starts this number of clients `NAME-N`. They publish to `TOPIC/N` at a rate per second that they share.
    pub async fn start(to: SocketAddr, name: &str, clients: u32, rate: u32, topic: &str) -> Flow {
        Flow::open(to, name, clients, rate, topic, None).await
    }

    /// The same, but at most [`LEAD`] messages ahead of the requests at a sink. On a machine that cannot keep up with
    /// the rate the stream is slower, and no backlog builds up. Each message must cause a request.
    pub async fn before(sink: &Sink, to: SocketAddr, name: &str, clients: u32, rate: u32, topic: &str) -> Flow {
        Flow::open(to, name, clients, rate, topic, Some(sink.arrivals())).await
    }

    async fn open(
        to: SocketAddr,
        name: &str,
        clients: u32,
        rate: u32,
        topic: &str,
        arrivals: Option<watch::Receiver<usize>>,
    ) -> Flow {
        let sent = Arc::new(AtomicU32::new(0));
        let (stop, stopped) = watch::channel(false);
        let acknowledged = Arc::new(AtomicU32::new(0));
        let mut tasks = Vec::new();
        for number in 0..clients {
            let id = format!("{name}-{number}");
            let raw = Raw::client(to, Version::V311, &id).await;
            let publisher = Publisher {
                id,
                topic: format!("{topic}/{number}"),
                rate: f64::from(rate) / f64::from(clients),
                stopped: stopped.clone(),
                acknowledged: acknowledged.clone(),
                sent: sent.clone(),
                arrivals: arrivals.clone(),
            };
            tasks.push(tokio::spawn(publisher.run(raw)));
        }
        Flow {
            stop,
            acknowledged,
            clients: tasks,
        }
    }

    /// The number of acknowledged publishes so far.
    pub fn acknowledged(&self) -> u32 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until this number of further publishes is acknowledged.
    pub async fn go_on(&self, more: u32) {
        let enough = self.acknowledged() + more;
        let deadline = Instant::now() + PATIENCE;
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while self.acknowledged() < enough {
            assert!(
                Instant::now() < deadline,
                "only {} of {enough} publishes acknowledged",
                self.acknowledged()
            );
            tick.tick().await;
        }
    }

    /// Stops publishing, waits for the last PUBACK of each client and disconnects them.
    pub async fn stop(self) -> Vec<Sent> {
        self.stop.send_replace(true);
        let mut sent = Vec::new();
        for client in self.clients {
            match tokio::time::timeout(PATIENCE, client).await {
                Ok(Ok(client)) => sent.push(client),
                Ok(Err(error)) => panic!("a publisher failed: {error}"),
                Err(_) => panic!("a publisher got no PUBACK within {PATIENCE:?}"),
            }
        }
        sent
    }
}

struct Publisher {
    id: String,
    topic: String,
    rate: f64,
    stopped: watch::Receiver<bool>,
    acknowledged: Arc<AtomicU32>,
    /// The number of messages that all clients have sent.
    sent: Arc<AtomicU32>,
    /// The number of requests at the sink that limits the lead.
    arrivals: Option<watch::Receiver<usize>>,
}

impl Publisher {
    /// Whether another message stays within the limit.
    fn is_free(&self) -> bool {
        let sent = self.sent.load(Ordering::Relaxed) as usize;
        self.arrivals
            .as_ref()
            .is_none_or(|arrivals| sent < *arrivals.borrow() + LEAD)
    }

    async fn run(mut self, raw: Raw) -> Sent {
        let (mut reader, mut writer) = raw.into_stream().into_split();
        let start = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        let (mut count, mut slowest, mut stopping) = (0, Duration::ZERO, false);
        let mut in_flight: VecDeque<(u16, Instant)> = VecDeque::new();
        let (mut input, mut output) = (Vec::new(), Vec::new());
        while !stopping || !in_flight.is_empty() {
            tokio::select! {
                _ = tick.tick(), if !stopping => {
                    let due = (start.elapsed().as_secs_f64() * self.rate) as u32;
                    output.clear();
                    while count < due && in_flight.len() < 1000 && self.is_free() {
                        count += 1;
                        self.sent.fetch_add(1, Ordering::Relaxed);
                        let id = ((count - 1) % 65_535 + 1) as u16;
                        let payload = format!("{} {count}", self.id);
                        let publish = packet::publish(Version::V311, &self.topic, 1, id, payload.as_bytes());
                        output.extend(publish);
                        in_flight.push_back((id, Instant::now()));
                    }
                    writer.write_all(&output).await.expect("the host takes publishes");
                }
                read = reader.read_buf(&mut input) => {
                    assert!(read.is_ok_and(|read| read > 0), "the host closed the connection of {}", self.id);
                    while let Some((packet, length)) = packet::decode(&input) {
                        input.drain(..length);
                        assert_eq!(packet.kind(), kind::PUBACK, "{packet:?}");
                        let (id, sent) = in_flight.pop_front().expect("a PUBACK answers a PUBLISH");
                        assert_eq!(packet.id(), id, "PUBACKs come in order");
                        slowest = slowest.max(sent.elapsed());
                        self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                }
                () = told(&mut self.stopped), if !stopping => stopping = true,
            }
        }
        writer
            .write_all(&packet::disconnect())
            .await
            .expect("the host takes DISCONNECT");
        drop(writer.shutdown().await);
        Sent {
            id: self.id,
            count,
            slowest,
        }
    }
}

/// Waits until the condition is true, or until no sender can change the value any more.
async fn told(flag: &mut watch::Receiver<bool>) {
    drop(flag.wait_for(|flag| *flag).await);
}

/// The numbers in the payloads of `message_publish` requests, per client, in order of arrival. Skips other events.
pub fn numbers<'a>(requests: impl IntoIterator<Item = &'a Arc<Received>>) -> BTreeMap<String, Vec<u32>> {
    let payload = |request: &Arc<Received>| {
        let body = request.json();
        let is_publish = !body["from_clientid"].is_null() && body["clientid"].is_null();
        is_publish.then(|| String::from_utf8(body::payload(&body)).unwrap_or_default())
    };
    let payloads = requests.into_iter().filter_map(payload);
    by_client(payloads.filter_map(|payload| split(&payload)))
}

/// The numbers in these payloads of flows, per client, in their order. Panics at any other payload.
pub fn numbers_in(payloads: impl IntoIterator<Item = String>) -> BTreeMap<String, Vec<u32>> {
    let number = |payload: String| split(&payload).unwrap_or_else(|| panic!("{payload:?} is not of a flow"));
    by_client(payloads.into_iter().map(number))
}

/// Client and number of a flow's payload.
fn split(payload: &str) -> Option<(String, u32)> {
    let (client, number) = payload.split_once(' ')?;
    Some((client.to_owned(), number.parse().ok()?))
}

fn by_client(numbers: impl Iterator<Item = (String, u32)>) -> BTreeMap<String, Vec<u32>> {
    let mut all: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (client, number) in numbers {
        all.entry(client).or_default().push(number);
    }
    all
}

/// The total number.
pub fn total(sent: &[Sent]) -> usize {
    sent.iter().map(|client| client.count as usize).sum()
}

/// Panics unless every number of every client arrived exactly once and in order.
pub fn assert_once_in_order(sent: &[Sent], arrived: &BTreeMap<String, Vec<u32>>) {
    assert_once(sent, arrived);
    for (client, numbers) in arrived {
        if let Some(pair) = numbers.windows(2).find(|pair| pair[0] >= pair[1]) {
            panic!("{client}: {} arrived before {}", pair[0], pair[1]);
        }
    }
}

/// Panics unless every number of every client arrived exactly once.
pub fn assert_once(sent: &[Sent], arrived: &BTreeMap<String, Vec<u32>>) {
    for client in sent {
        let mut numbers = arrived.get(&client.id).cloned().unwrap_or_default();
        numbers.sort_unstable();
        let doubled: Vec<_> = numbers
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
            .collect();
        numbers.dedup();
        let lost: Vec<_> = (1..=client.count)
            .filter(|number| numbers.binary_search(number).is_err())
            .collect();
        assert!(
            lost.is_empty() && doubled.is_empty(),
            "{}: of {} lost {} {:?}…, doubled {} {:?}…",
            client.id,
            client.count,
            lost.len(),
            &lost[..lost.len().min(20)],
            doubled.len(),
            &doubled[..doubled.len().min(20)],
        );
    }
}
