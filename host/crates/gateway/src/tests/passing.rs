//! What goes on to the upstream and back, byte by byte: unchanged, in order, and with the address of the client if that is
//! wanted.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::client::{Connect, clean, packet};
use super::fake::{Fake, gateway, joined, read, rest};
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_goes_on_unchanged() {
    let fake = Fake::listen().await;
    let host = gateway(&[fake.address()], |_, _| {}).await;
    let (mut c, mut stream) = joined(&host, &fake, &clean(5, "c")).await;
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
    let (mut c, mut stream) = joined(&host, &fake, &clean(4, "c")).await;
    c.write_all(&[0xc0, 0]).await.unwrap();
    c.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, [0xc0, 0], "the end goes on to the upstream");
    stream.write_all(&[0xd0, 0]).await.unwrap();
    drop(stream);
    assert_eq!(rest(&mut c).await, [0xd0, 0]);
    host.sees("client.disconnected c Closed").await;
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
    let connect = clean(5, "c");
    let bytes = connect.bytes();
    let mut first = TcpStream::connect(host.address()).await.unwrap();
    first.write_all(&bytes).await.unwrap();
    let mut one = fake.accept().await;
    read(&mut one, bytes.len()).await;
    let mut second = TcpStream::connect(host.address()).await.unwrap();
    second.write_all(&bytes).await.unwrap();
    host.until(|events| lines_of(events, "c").len() == 2).await;
    one.write_all(&[0x20, 3, 0, 0, 0]).await.unwrap();
    read(&mut first, 5).await;
    let mut two = fake.serve(&connect).await;
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
