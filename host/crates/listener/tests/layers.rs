//! Listeners with real sockets: each kind of client gets in with what is known of it, and those that are silent, slow or
//! wrong hold up nobody.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::time::{Duration, Instant};

use common::{Authority, Door, echo, settings, sockets, tcp, tls, websocket, wss};
use futures::{SinkExt, StreamExt};
use hookhost_listener::{Address, ClientCertificates, Kind, ListenerSettings, Listeners, SocketSettings, TlsVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

const DEADLINE: Duration = Duration::from_secs(60);
/// Timeouts that a test waits for.
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn plain_tcp() {
    let door = Door::open(settings(Kind::Tcp), sockets());
    let client = tcp(door.address()).await;
    let from = client.local_addr().unwrap();
    echo(client).await;
    let peer = door.peer().await;
    assert_eq!(
        (peer.address, peer.proxy, peer.local),
        (Some(from), None, Some(door.address()))
    );
    assert_eq!((&*peer.listener, peer.kind), ("test", Kind::Tcp));
    assert_eq!(peer.tls, None);
}

#[tokio::test]
async fn a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mqtt.sock");
    let listener = ListenerSettings {
        address: Address::Unix(path.clone()),
        mode: 0o600,
        ..settings(Kind::Unix)
    };
    // The socket of a process that was killed does not hinder the next one.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut door = Door::open(listener.clone(), sockets());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    echo(UnixStream::connect(&path).await.unwrap()).await;
    let peer = door.peer().await;
    assert_eq!((peer.address, peer.local, peer.kind), (None, None, Kind::Unix));
    // One that is in use stays.
    assert!(Listeners::bind(std::slice::from_ref(&listener), &sockets()).is_err());
    door.close().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn tls_in_both_versions() {
    let authority = Authority::new();
    let door = Door::open(authority.listener(Kind::Tls), sockets());
    for (version, expected) in [(&rustls::version::TLS12, "1.2"), (&rustls::version::TLS13, "1.3")] {
        let client = authority.client().versions(&[version]).alpn(b"mqtt");
        echo(tls(door.address(), "broker.test", client).await.unwrap()).await;
        let session = door.peer().await.tls.unwrap();
        assert_eq!(
            (session.version, session.server_name.as_deref()),
            (expected, Some("broker.test"))
        );
        assert_eq!(session.certificate, None);
    }
    let other = authority.client().alpn(b"h2");
    assert!(
        tls(door.address(), "broker.test", other).await.is_err(),
        "another protocol"
    );
    let mut strict = authority.listener(Kind::Tls);
    strict.tls.as_mut().unwrap().min_version = TlsVersion::V1_3;
    let door = Door::open(strict, sockets());
    let old = authority.client().versions(&[&rustls::version::TLS12]);
    assert!(tls(door.address(), "broker.test", old).await.is_err());
}

#[tokio::test]
async fn clients_certificates() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let (good, revoked) = (authority.issue("device-7"), authority.issue("device-8"));
    authority.revoke(&revoked);
    for asked in [ClientCertificates::Optional, ClientCertificates::Required] {
        let door = Door::open(authority.listener_with_clients(asked), sockets());
        let client = authority.client().certificate(&good);
        echo(tls(door.address(), "broker.test", client).await.unwrap()).await;
        let shown = door.peer().await.certificate().unwrap().clone();
        assert_eq!(shown.common_name.as_deref(), Some("device-7"));
        assert_eq!(shown.der, good.der());
        for (bad, why) in [
            (authority.client().certificate(&revoked), "revoked"),
            (
                authority.client().certificate(&stranger.issue("device-7")),
                "of another authority",
            ),
            (
                authority.client().certificate(&authority.issue_expired("device-7")),
                "expired",
            ),
        ] {
            assert!(refused(tls(door.address(), "broker.test", bad).await).await, "{why}");
        }
        let without = tls(door.address(), "broker.test", authority.client()).await;
        if asked == ClientCertificates::Required {
            assert!(refused(without).await);
        } else {
            echo(without.unwrap()).await;
            assert_eq!(door.peer().await.certificate(), None);
        }
        // The client may have finished its handshake before the server has refused it.
        door.counts(
            "tls_handshakes_failed",
            if asked == ClientCertificates::Required { 4 } else { 3 },
        )
        .await;
    }
}

/// Whether a TLS connection was refused: at once, or when the client reads.
async fn refused(connected: std::io::Result<common::TlsClient>) -> bool {
    match connected {
        Err(_) => true,
        Ok(mut stream) => {
            let _gone = stream.write_all(b"x").await;
            stream.read_u8().await.is_err()
        }
    }
}

#[tokio::test]
async fn a_server_name_chooses_the_certificate() {
    let authority = Authority::new();
    let mut listener = authority.listener(Kind::Tls);
    let other = authority.server_files("*.other.test");
    listener.tls.as_mut().unwrap().certificates.push(other);
    let door = Door::open(listener, sockets());
    for name in ["broker.test", "a.other.test"] {
        // The client checks the name in the certificate.
        echo(tls(door.address(), name, authority.client()).await.unwrap()).await;
    }
    assert!(tls(door.address(), "a.b.other.test", authority.client()).await.is_err());
}

#[tokio::test]
async fn new_files_are_for_new_connections() {
    let (old, new) = (Authority::new(), Authority::new());
    let listener = old.listener(Kind::Tls);
    let door = Door::open(listener.clone(), sockets());
    let mut first = tls(door.address(), "broker.test", old.client()).await.unwrap();
    let files = door.tls_files();
    assert_eq!(files.reload(), Ok(false));
    // A key that does not belong to the certificate changes nothing.
    let pair = &listener.tls.as_ref().unwrap().certificates[0];
    let replacement = new.server_files("broker.test");
    std::fs::copy(&replacement.certificate, &pair.certificate).unwrap();
    let error = files.reload().unwrap_err();
    assert_eq!(error.key, "key");
    echo(tls(door.address(), "broker.test", old.client()).await.unwrap()).await;
    std::fs::copy(&replacement.key, &pair.key).unwrap();
    assert_eq!(files.reload(), Ok(true));
    assert!(tls(door.address(), "broker.test", old.client()).await.is_err());
    echo(tls(door.address(), "broker.test", new.client()).await.unwrap()).await;
    first.write_all(b"x").await.unwrap();
    assert_eq!(
        first.read_u8().await.unwrap(),
        b'x',
        "an established connection goes on"
    );
}

#[tokio::test]
async fn binary_messages_are_one_stream_of_bytes() {
    let door = Door::open(settings(Kind::WebSocket), sockets());
    let mut client = websocket(door.address(), "/mqtt", Some("a, mqtt")).await.unwrap();
    client.send(Message::Binary(vec![1, 2].into())).await.unwrap();
    client.send(Message::Binary(vec![].into())).await.unwrap();
    client.send(Message::Ping(vec![].into())).await.unwrap();
    client.send(Message::Pong(vec![9].into())).await.unwrap();
    // One message in three fragments.
    let kinds = [
        OpCode::Data(Data::Binary),
        OpCode::Data(Data::Continue),
        OpCode::Data(Data::Continue),
    ];
    for (index, kind) in kinds.into_iter().enumerate() {
        let header = FrameHeader {
            is_final: index == 2,
            opcode: kind,
            mask: Some([1, 2, 3, 4]),
            ..FrameHeader::default()
        };
        let frame = Frame::from_payload(header, vec![3 + index as u8].into());
        client.send(Message::Frame(frame)).await.unwrap();
    }
    let (mut bytes, mut pongs) = (Vec::new(), 0);
    while bytes.len() < 5 || pongs < 1 {
        match client.next().await.unwrap().unwrap() {
            Message::Binary(payload) => bytes.extend(payload),
            Message::Pong(_) => pongs += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((bytes, pongs), (vec![1, 2, 3, 4, 5], 1));
    assert_eq!(door.peer().await.kind, Kind::WebSocket);
    client.close(None).await.unwrap();
    while let Some(Ok(_)) = client.next().await {}
}

#[tokio::test]
async fn messages_that_mqtt_does_not_have_are_refused_with_their_code() {
    let door = Door::open(
        settings(Kind::WebSocket),
        SocketSettings {
            max_message_bytes: 1000,
            ..sockets()
        },
    );
    for (message, code) in [
        (Message::Text("hello".into()), CloseCode::Unsupported),
        (Message::Binary(vec![0; 1001].into()), CloseCode::Size),
    ] {
        let mut client = websocket(door.address(), "/mqtt", Some("mqtt")).await.unwrap();
        client.send(message).await.unwrap();
        let Some(Ok(Message::Close(Some(frame)))) = client.next().await else {
            panic!("no close frame")
        };
        assert_eq!(frame.code, code);
    }
}

#[tokio::test]
async fn upgrades_that_are_refused_get_a_response() {
    let door = Door::open(settings(Kind::WebSocket), sockets());
    for (path, subprotocol, status) in [
        ("/other", Some("mqtt"), 404),
        ("/mqtt", Some("wamp"), 400),
        ("/mqtt", None, 400),
    ] {
        let error = websocket(door.address(), path, subprotocol).await.unwrap_err();
        let tokio_tungstenite::tungstenite::Error::Http(response) = error else {
            panic!("{error:?}")
        };
        assert_eq!(response.status().as_u16(), status, "{path} {subprotocol:?}");
    }
    for junk in [
        &b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0"[..],
        b"POST /mqtt HTTP/1.1\r\n\r\n",
        &[0xff; 2000],
    ] {
        let mut client = tcp(door.address()).await;
        client.write_all(junk).await.unwrap();
        closes(&mut client).await;
    }
    door.counts("websocket_upgrades_failed", 6).await;
}

#[tokio::test]
async fn a_secure_websocket() {
    let authority = Authority::new();
    let door = Door::open(authority.listener(Kind::SecureWebSocket), sockets());
    let stream = tls(door.address(), "broker.test", authority.client().alpn(b"http/1.1"))
        .await
        .unwrap();
    let mut client = wss(stream).await.unwrap();
    client.send(Message::Binary(vec![7; 100_000].into())).await.unwrap();
    let mut received = 0;
    while received < 100_000 {
        if let Message::Binary(payload) = client.next().await.unwrap().unwrap() {
            received += payload.len();
        }
    }
    let peer = door.peer().await;
    assert_eq!((peer.kind, peer.tls.is_some()), (Kind::SecureWebSocket, true));
}

#[tokio::test]
async fn proxies_name_clients_and_strangers_do_not() {
    const HEADER: &[u8] = b"PROXY TCP4 10.1.2.3 127.0.0.1 50000 1883\r\n";
    let listener = ListenerSettings {
        proxies: vec!["127.0.0.1/32".parse().unwrap()],
        ..settings(Kind::Tcp)
    };
    let door = Door::open(listener, sockets());
    let mut client = tcp(door.address()).await;
    let (first, second) = HEADER.split_at(7);
    client.write_all(first).await.unwrap();
    // A second connection gets in while the header of the first one is incomplete.
    let mut other = tcp(door.address()).await;
    other.write_all(&[HEADER, b"x"].concat()).await.unwrap();
    assert_eq!(other.read_u8().await.unwrap(), b'x');
    door.peer().await;
    client.write_all(second).await.unwrap();
    client.write_all(b"x").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'x');
    let peer = door.peer().await;
    assert_eq!(
        (peer.address, peer.proxy),
        ("10.1.2.3:50000".parse().ok(), client.local_addr().ok())
    );
    // A proxy has to send a header.
    let mut silent = tcp(door.address()).await;
    silent.write_all(b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c").await.unwrap();
    closes(&mut silent).await;
    door.counts("proxy_headers_invalid", 1).await;

    // To others the header is what it is: no MQTT.
    let listener = ListenerSettings {
        proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..settings(Kind::Tcp)
    };
    let door = Door::open(listener, sockets());
    let mut stranger = tcp(door.address()).await;
    stranger.write_all(HEADER).await.unwrap();
    let mut bytes = vec![0; HEADER.len()];
    stranger.read_exact(&mut bytes).await.unwrap();
    assert_eq!(bytes, HEADER, "the engine gets it, and refuses it");
    assert_eq!(door.peer().await.address, stranger.local_addr().ok());
}

#[tokio::test]
async fn who_is_silent_or_slow_in_any_layer_is_closed_and_holds_up_nobody() {
    let authority = Authority::new();
    let short = SocketSettings {
        first_byte_timeout: SHORT,
        tls_handshake_timeout: SHORT,
        websocket_timeout: SHORT,
        ..sockets()
    };
    let proxied = |listener| ListenerSettings {
        proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..listener
    };
    let request = b"GET /mqtt HTTP/1.1\r\nHost: x\r\n";
    for (listener, sent) in [
        (settings(Kind::Tcp), &b""[..]),
        (authority.listener(Kind::Tls), b""),
        (authority.listener(Kind::Tls), b"\x16\x03\x01"),
        (settings(Kind::WebSocket), b""),
        (settings(Kind::WebSocket), request),
        (proxied(settings(Kind::Tcp)), b"PROXY TCP4"),
    ] {
        let door = Door::open(listener, short.clone());
        let start = Instant::now();
        let mut slow = Vec::new();
        for _ in 0..50 {
            let mut client = tcp(door.address()).await;
            client.write_all(sent).await.unwrap();
            slow.push(client);
        }
        for client in &mut slow {
            closes(client).await;
        }
        assert!(start.elapsed() >= SHORT);
        door.counts("handshakes_timed_out", 50).await;
    }
    // After TLS the upgrade has its own time.
    let door = Door::open(authority.listener(Kind::SecureWebSocket), short);
    let mut client = tls(door.address(), "broker.test", authority.client()).await.unwrap();
    client.write_all(request).await.unwrap();
    assert!(tokio::time::timeout(DEADLINE, client.read_u8()).await.unwrap().is_err());
}

#[tokio::test]
async fn connections_above_a_limit_are_closed_at_once() {
    let limited = SocketSettings {
        max_connections: 3,
        max_connections_per_address: 2,
        ..sockets()
    };
    let door = Door::open(settings(Kind::Tcp), limited);
    let (mut one, two) = (tcp(door.address()).await, tcp(door.address()).await);
    one.write_all(b"x").await.unwrap();
    one.read_u8().await.unwrap();
    let address = door.address();
    let from = |last: u8| async move {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, last], 0).into()).unwrap();
        socket.connect(address).await.unwrap()
    };
    door.counts("accepted", 2).await;
    closes(&mut tcp(door.address()).await).await;
    let mut third = from(2).await;
    third.write_all(b"x").await.unwrap();
    third.read_u8().await.unwrap();
    closes(&mut from(3).await).await;
    door.counts("connections_refused_per_address", 1).await;
    door.counts("connections_refused", 1).await;
    drop((one, two));
    // Their places are free again.
    loop {
        let mut client = from(4).await;
        if client.write_all(b"x").await.is_ok() && client.read_u8().await.is_ok() {
            break;
        }
    }
}

/// Waits until the other side has closed.
async fn closes(client: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end, too.
    let _end = tokio::time::timeout(DEADLINE, client.read_to_end(&mut rest))
        .await
        .unwrap();
}
