//! Upstreams that are away, slow, silent or no brokers: clients are told what they can be told, nothing hangs, and no
//! event is invented.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{Client, clean, packet};
use super::fake::{Fake, Nobody, gateway, joined, read, rest};
use super::*;

/// Connects, and gets so many bytes as an answer before the end.
async fn refused(host: &Host, version: u8, id: &str) {
    let mut c = Client::raw(host.address(), version).await;
    c.write(&clean(version, id).bytes()).await;
    let (first, body) = c.read().await;
    let expected: &[u8] = if version == 5 { &[0, 0x88, 0] } else { &[0, 3] };
    assert_eq!((first, &body[..]), (0x20, expected));
    c.closed().await;
    host.told(&[&format!("client.connect {id}"), &format!("client.connack {id} 136 new")])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_cannot_be_reached_or_is_none() {
    let nobody = Nobody::anywhere();
    let host = gateway(&[nobody.address], |_, _| {}).await;
    for version in [4, 5] {
        refused(&host, version, "c").await;
    }
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"",
        b"\x20",
        b"\x20\xff\xff\xff\xff\xff",
        b"\x30\0",
    ] {
        let fake = Fake::listen().await;
        // Some of these answers never end.
        let brief =
            |gateway: &mut GatewaySettings, _: &mut Limits| gateway.connect_timeout = Duration::from_millis(500);
        let host = gateway(&[fake.address()], brief).await;
        let upstream = tokio::spawn(async move {
            for _ in 0..2 {
                let mut stream = fake.accept().await;
                stream.write_all(answer).await.unwrap();
                if answer.is_empty() {
                    drop(stream);
                } else {
                    rest(&mut stream).await;
                }
            }
        });
        for version in [4, 5] {
            refused(&host, version, "c").await;
        }
        upstream.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_upstream_is_tried() {
    let silent = Fake::listen().await;
    let last = start(&settings(Limits::default()), None).await.unwrap();
    let nobody = Nobody::anywhere();
    let upstreams = [nobody.address, silent.address(), last.address()];
    // The silent one takes all of this, and the last one must not.
    let host = gateway(&upstreams, |gateway, _| {
        gateway.connect_timeout = Duration::from_secs(5)
    })
    .await;
    for id in ["a", "b"] {
        ping_and_leave(clean(4, id).join(host.address()).await).await;
    }
    host.sees("session.terminated b Disconnect 0").await;
}

async fn ping_and_leave(mut client: Client) {
    client.ping().await;
    client.disconnect().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_goes_and_comes_back() {
    let upstream = start(&settings(Limits::default()), None).await.unwrap();
    let address = upstream.address();
    let host = gateway(&[address], |_, _| {}).await;
    let mut old = clean(4, "old").join(host.address()).await;
    let mut new = clean(5, "new").join(host.address()).await;
    upstream.stop(DEADLINE).await;
    old.closed().await;
    let kinds = new.closed().await;
    assert_eq!(kinds, [0xe0], "MQTT 5 says that it is over");
    for id in ["old", "new"] {
        host.sees(&format!("client.disconnected {id} Other")).await;
    }
    host.forget();
    let nobody = Nobody::at(address);
    refused(&host, 5, "meanwhile").await;
    let again = settings_at(address, Limits::default());
    let _upstream = start(&again, None).await.unwrap();
    drop(nobody);
    ping_and_leave(clean(5, "new").join(host.address()).await).await;
    host.sees("session.terminated new Disconnect 0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_closes_in_the_middle_of_a_packet() {
    for version in [4, 5] {
        let fake = Fake::listen().await;
        let host = gateway(&[fake.address()], |_, _| {}).await;
        let (mut c, mut stream) = joined(&host, &fake, &clean(version, "c")).await;
        stream.write_all(b"\x30\x0a\0\x01t").await.unwrap();
        drop(stream);
        assert_eq!(rest(&mut c).await, b"\x30\x0a\0\x01t", "nothing is put into a packet");
        host.sees("client.disconnected c Other").await;
        assert!(
            lines_of(&host.events(), "c")
                .iter()
                .all(|line| !line.starts_with("message"))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_without_an_answer_ends_the_connection() {
    let fake = Fake::listen().await;
    let host = gateway(&[fake.address()], |gateway, _| {
        gateway.response_timeout = Duration::from_millis(300)
    })
    .await;
    let (mut c, mut stream) = joined(&host, &fake, &clean(5, "c")).await;
    c.write_all(&[0xc0, 0]).await.unwrap();
    assert_eq!(read(&mut stream, 2).await, [0xc0, 0]);
    assert_eq!(read(&mut c, 4).await, [0xe0, 2, 128, 0]);
    drop(c);
    host.sees("client.disconnected c Other").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_does_not_read_holds_its_client_back() {
    let fake = Fake::listen().await;
    let host = gateway(&[fake.address()], |_, _| {}).await;
    let (mut c, mut stream) = joined(&host, &fake, &clean(4, "c")).await;
    let one = packet(0x30, &[b"\0\x01t".as_slice(), &[b'x'; 50_000]].concat());
    let mut sent = 0;
    // The sockets and one piece hold some megabytes, and then the client has to wait.
    while let Ok(wrote) = timeout(Duration::from_millis(500), c.write(&one[sent % one.len()..])).await {
        sent += wrote.unwrap();
        assert!(sent < 200 << 20, "somebody holds everything");
    }
    let reader = tokio::spawn(async move {
        let got = rest(&mut stream).await;
        got.chunks(one.len())
            .all(|packet| *packet == one[..packet.len()])
            .then_some(got.len())
    });
    c.shutdown().await.unwrap();
    assert_eq!(reader.await.unwrap(), Some(sent), "in order and complete");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_given_up() {
    let fake = Fake::listen().await;
    let host = gateway(&[fake.address()], |_, limits| {
        limits.send_timeout = Duration::from_millis(300)
    })
    .await;
    let (_c, mut stream) = joined(&host, &fake, &clean(4, "slow")).await;
    let one = packet(0x30, &[b"\0\x01t".as_slice(), &[b'x'; 50_000]].concat());
    while stream.write_all(&one).await.is_ok() {}
    host.sees("client.disconnected slow TooSlow").await;
    host.sees("session.terminated slow TooSlow").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_while_it_waits_leaves_nothing() {
    let fake = Fake::listen().await;
    let host = gateway(&[fake.address()], |gateway, _| gateway.connect_timeout = DEADLINE).await;
    let mut c = TcpStream::connect(host.address()).await.unwrap();
    c.write_all(&clean(4, "c").bytes()).await.unwrap();
    let mut stream = fake.accept().await;
    drop(c);
    rest(&mut stream).await;
    host.told(&["client.connect c"]).await;
    assert_eq!(host.running.clients().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_one_connection_and_its_end_is_told() {
    use crate::emitter::Emitter;
    use crate::protocol::{Opening, SocketInfo};
    use crate::{Broker, Engine};
    use hookhost_contract::Interest;
    use hookhost_hooks::{Bus, Interests, QueueLimits};
    use hookhost_listener::{Kind, Peer};

    let bus = Bus::new();
    let (attachment, mut inboxes) = bus.attach("test", 1, QueueLimits::default());
    let interest = |hook| Interest {
        hook,
        filters: Vec::new(),
    };
    let wanted = [interest(Hook::ClientDisconnected), interest(Hook::SessionTerminated)];
    attachment.set_interests(Interests::compile(&wanted).unwrap());
    let upstream = start(&settings(Limits::default()), None).await.unwrap();
    let gateway = GatewaySettings::new(vec![at(upstream.address())]);
    let broker = Broker::start(
        &settings(Limits::default()),
        &gateway,
        &UpstreamControl::new(gateway.upstreams.clone()),
        Some(bus),
    )
    .await
    .unwrap();
    let mut bystander = clean(4, "by").join(broker.address()).await;

    let shared = Arc::clone(&broker.shared);
    let task = tokio::spawn(async move {
        let guard = shared.begin();
        let socket = SocketInfo {
            number: guard.number,
            peer: Peer {
                address: Some(([127, 0, 0, 1], 1).into()),
                proxy: None,
                local: None,
                listener: "tcp:default".into(),
                kind: Kind::Tcp,
                tls: None,
            },
        };
        let connect = clean(4, "c").bytes();
        let connect = crate::packet::connect(&connect[2..]).unwrap();
        let mut emitter = Emitter::new(&shared);
        let opening = emitter.run(|step| Opening::new(socket, connect, step));
        emitter.accept(opening, &Default::default());
        panic!("as a mistake in here would");
    });
    assert!(task.await.is_err());
    let (told, _inbox) = tokio::task::spawn_blocking(move || {
        let mut inbox = inboxes.remove(0);
        let (mut told, mut batch) = (Vec::new(), Vec::new());
        while told.len() < 2 && inbox.next_batch(&mut batch, 8) {
            told.extend(batch.drain(..).map(|queued| line(&queued.event)));
        }
        (told, inbox)
    })
    .await
    .unwrap();
    assert_eq!(
        told,
        [
            "client.disconnected c InternalError 131",
            "session.terminated c InternalError 131"
        ]
    );
    bystander.ping().await;
    assert_eq!(broker.clients().await.len(), 1);
}
