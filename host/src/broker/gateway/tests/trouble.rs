//! Upstreams that are away, slow, silent or no brokers: clients are told what they can be told, nothing hangs, and no
//! event is invented.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::client::{Client, Connect, clean, packet};
use super::*;

/// An upstream that does what the test says.
struct Fake(TcpListener);

impl Fake {
    async fn listen() -> Fake {
        Fake(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next connection.
    async fn accept(&self) -> TcpStream {
        timeout(DEADLINE, self.0.accept()).await.unwrap().unwrap().0
    }

    /// The next connection, after CONNECT of so many bytes was answered with success.
    async fn serve(&self, connect: &[u8], version: u8) -> TcpStream {
        let mut stream = self.accept().await;
        assert_eq!(read(&mut stream, connect.len()).await, connect);
        let connack: &[u8] = if version == 5 {
            &[0x20, 3, 0, 0, 0]
        } else {
            &[0x20, 2, 0, 0]
        };
        stream.write_all(connack).await.unwrap();
        stream
    }
}

async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    timeout(DEADLINE, stream.read_exact(&mut bytes))
        .await
        .expect("bytes")
        .unwrap();
    bytes
}

/// What comes until the end.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    drop(timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("an end"));
    bytes
}

/// A gateway to these addresses. What an upstream may take is more than anything here takes, unless a test waits for it.
async fn gateway(upstreams: &[SocketAddr], change: impl FnOnce(&mut GatewaySettings, &mut Limits)) -> Host {
    let mut limits = Limits::default();
    let mut gateway = GatewaySettings::new(upstreams.iter().copied().map(at).collect());
    gateway.connect_timeout = DEADLINE;
    change(&mut gateway, &mut limits);
    Host::with(&with_gateway(limits, gateway), &Hook::ALL).await
}

/// An address where nobody listens, nor anybody else can as long as this is kept.
struct Nobody {
    address: SocketAddr,
    _kept: TcpSocket,
}

impl Nobody {
    /// At an address of the system's choice.
    fn anywhere() -> Nobody {
        Nobody::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// At an address that is free. Whoever wants to listen there again can, with `SO_REUSEADDR`.
    fn at(address: SocketAddr) -> Nobody {
        let kept = TcpSocket::new_v4().unwrap();
        kept.set_reuseaddr(true).unwrap();
        kept.bind(address).unwrap();
        Nobody {
            address: kept.local_addr().unwrap(),
            _kept: kept,
        }
    }
}

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
        clean(4, id).join(host.address()).await.ping_and_leave().await;
    }
    host.sees("session.terminated b Disconnect 0").await;
}

impl Client {
    async fn ping_and_leave(mut self) {
        self.ping().await;
        self.disconnect().await;
    }
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
    let again = Settings {
        listen: address,
        ..settings(Limits::default())
    };
    let _upstream = start(&again, None).await.unwrap();
    drop(nobody);
    clean(5, "new").join(host.address()).await.ping_and_leave().await;
    host.sees("session.terminated new Disconnect 0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_closes_in_the_middle_of_a_packet() {
    for version in [4, 5] {
        let fake = Fake::listen().await;
        let host = gateway(&[fake.address()], |_, _| {}).await;
        let connect = clean(version, "c").bytes();
        let mut c = TcpStream::connect(host.address()).await.unwrap();
        c.write_all(&connect).await.unwrap();
        let mut stream = fake.serve(&connect, version).await;
        let length = if version == 5 { 5 } else { 4 };
        read(&mut c, length).await;
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
    let connect = clean(5, "c").bytes();
    let mut c = TcpStream::connect(host.address()).await.unwrap();
    c.write_all(&connect).await.unwrap();
    let mut stream = fake.serve(&connect, 5).await;
    read(&mut c, 5).await;
    c.write_all(&[0xc0, 0]).await.unwrap();
    assert_eq!(read(&mut stream, 2).await, [0xc0, 0]);
    assert_eq!(read(&mut c, 4).await, [0xe0, 2, 128, 0]);
    drop(c);
    host.sees("client.disconnected c Other").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_goes_on_unchanged() {
    let fake = Fake::listen().await;
    let host = gateway(&[fake.address()], |_, _| {}).await;
    let connect = clean(5, "c").bytes();
    let mut c = TcpStream::connect(host.address()).await.unwrap();
    c.write_all(&connect).await.unwrap();
    let mut stream = fake.serve(&connect, 5).await;
    read(&mut c, 5).await;
    // Odd lengths, unknown types, broken packets and noise.
    let mut bytes = vec![
        0x30, 0x85, 0x00, 0, 1, b't', 0, b'x', 0x00, 0x03, 1, 2, 3, 0x32, 0x02, 0, 9,
    ];
    bytes.extend(packet(0x30, &[0xff; 300]));
    bytes.extend((0..200_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8));
    for upwards in [true, false] {
        let (from, to) = if upwards {
            (&mut c, &mut stream)
        } else {
            (&mut stream, &mut c)
        };
        let (write, got) = tokio::join!(from.write_all(&bytes), read(to, bytes.len()));
        write.unwrap();
        assert!(got == bytes, "the same bytes arrive");
    }
    host.sees("message.publish c Client t q0 \"x\"").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connect_that_cannot_be_read_is_the_upstreams_affair() {
    let fake = Fake::listen().await;
    let host = gateway(&[fake.address()], |_, _| {}).await;
    let mut connect = clean(4, "c").bytes();
    connect[8] = 9;
    let mut c = TcpStream::connect(host.address()).await.unwrap();
    c.write_all(&connect).await.unwrap();
    let mut stream = fake.accept().await;
    assert_eq!(read(&mut stream, connect.len()).await, connect);
    stream.write_all(&[0x20, 2, 0, 1]).await.unwrap();
    drop(stream);
    assert_eq!(rest(&mut c).await, [0x20, 2, 0, 1]);
    // What is no CONNECT at all is not worth asking anybody.
    let mut c = TcpStream::connect(host.address()).await.unwrap();
    c.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(rest(&mut c).await, b"");
    assert_eq!(host.events().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_has_said_everything_still_hears() {
    let fake = Fake::listen().await;
    let host = gateway(&[fake.address()], |_, _| {}).await;
    let connect = clean(4, "c").bytes();
    let mut c = TcpStream::connect(host.address()).await.unwrap();
    c.write_all(&connect).await.unwrap();
    let mut stream = fake.serve(&connect, 4).await;
    read(&mut c, 4).await;
    c.write_all(&[0xc0, 0]).await.unwrap();
    c.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, [0xc0, 0], "the end goes on to the upstream");
    stream.write_all(&[0xd0, 0]).await.unwrap();
    drop(stream);
    assert_eq!(rest(&mut c).await, [0xd0, 0]);
    host.sees("client.disconnected c Closed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_does_not_read_holds_its_client_back() {
    let fake = Fake::listen().await;
    let host = gateway(&[fake.address()], |_, _| {}).await;
    let connect = clean(4, "c").bytes();
    let mut c = TcpStream::connect(host.address()).await.unwrap();
    c.write_all(&connect).await.unwrap();
    let mut stream = fake.serve(&connect, 4).await;
    read(&mut c, 4).await;
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
    let connect = clean(4, "slow").bytes();
    let mut c = TcpStream::connect(host.address()).await.unwrap();
    c.write_all(&connect).await.unwrap();
    let mut stream = fake.serve(&connect, 4).await;
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
async fn extended_authentication_passes() {
    let fake = Fake::listen().await;
    let host = gateway(&[fake.address()], |_, _| {}).await;
    let connect = Connect {
        properties: [vec![0x15], client::text("SCRAM")].concat(),
        ..clean(5, "c")
    }
    .bytes();
    let mut c = TcpStream::connect(host.address()).await.unwrap();
    c.write_all(&connect).await.unwrap();
    let mut stream = fake.accept().await;
    assert_eq!(read(&mut stream, connect.len()).await, connect);
    let auth = packet(0xf0, &[&[0x18, 8, 0x15][..], &client::text("SCRAM")].concat());
    for _ in 0..2 {
        stream.write_all(&auth).await.unwrap();
        assert_eq!(read(&mut c, auth.len()).await, auth);
        c.write_all(&auth).await.unwrap();
        assert_eq!(read(&mut stream, auth.len()).await, auth);
    }
    stream.write_all(&[0x20, 3, 0, 0, 0]).await.unwrap();
    assert_eq!(read(&mut c, 5).await, [0x20, 3, 0, 0, 0]);
    host.sees("client.connected c 0 new").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_upstream_learns_the_address_of_the_client() {
    let fake = Fake::listen().await;
    let host = gateway(&[fake.address()], |gateway, _| gateway.proxy_protocol = true).await;
    let mut c = TcpStream::connect(host.address()).await.unwrap();
    c.write_all(&clean(4, "c").bytes()).await.unwrap();
    let mut stream = fake.accept().await;
    let header = read(&mut stream, 28).await;
    assert_eq!(header[..16], *b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
    assert_eq!(header[16..24], [127, 0, 0, 1, 127, 0, 0, 1]);
    assert_eq!(header[24..26], c.local_addr().unwrap().port().to_be_bytes());
    assert_eq!(header[26..28], host.address().port().to_be_bytes());
    assert_eq!(read(&mut stream, 1).await, [0x10]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_share_an_id_wait_for_each_other() {
    let fake = Fake::listen().await;
    let host = gateway(&[fake.address()], |gateway, _| gateway.connect_timeout = DEADLINE).await;
    let connect = clean(5, "c").bytes();
    let mut first = TcpStream::connect(host.address()).await.unwrap();
    first.write_all(&connect).await.unwrap();
    let mut one = fake.accept().await;
    read(&mut one, connect.len()).await;
    let mut second = TcpStream::connect(host.address()).await.unwrap();
    second.write_all(&connect).await.unwrap();
    host.until(|events| lines_of(events, "c").len() == 2).await;
    one.write_all(&[0x20, 3, 0, 0, 0]).await.unwrap();
    read(&mut first, 5).await;
    let mut two = fake.serve(&connect, 5).await;
    one.write_all(&[0xe0, 1, 142]).await.unwrap();
    drop(one);
    assert_eq!(rest(&mut first).await, [0xe0, 1, 142]);
    read(&mut second, 5).await;
    two.write_all(&[0xd0, 0]).await.unwrap();
    let connected = |events: &[Arc<Event>]| {
        lines_of(events, "c")
            .iter()
            .filter(|line| line.contains("connected c 0"))
            .count()
            == 2
    };
    let events = host.until(connected).await;
    assert_eq!(
        lines_of(&events, "c")[6..],
        [
            "client.disconnected c Discarded 142",
            "session.discarded c",
            "client.authenticated c 0 anonymous",
            "session.created c",
            "client.connack c 0 new",
            "client.connected c 0 new",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_one_connection_and_its_end_is_told() {
    use crate::broker::gateway::Broker;
    use crate::broker::gateway::machine::{Facts, Machine};
    use crate::broker::gateway::shared::Teller;
    use crate::hooks::{Bus, Interest, Interests, QueueLimits};

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
    let broker = Broker::start(&settings(Limits::default()), &gateway, Some(bus))
        .await
        .unwrap();
    let mut bystander = clean(4, "by").join(broker.address()).await;

    let shared = Arc::clone(&broker.shared);
    let task = tokio::spawn(async move {
        let guard = shared.begin();
        let facts = Facts {
            number: guard.number,
            peer: ([127, 0, 0, 1], 1).into(),
            local: shared.address,
            listener: "tcp:default".into(),
        };
        let connect = clean(4, "c").bytes();
        let connect = crate::broker::gateway::packet::connect(&connect[2..]).unwrap();
        let teller = Teller::new(&shared);
        let mut machine = Machine::connect(facts, connect, &teller);
        machine.connack(&Default::default(), &teller);
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
    assert_eq!(broker.clients().len(), 1);
}
