//! `mqtts://` upstreams: whom the gateway trusts, what it shows, and that bytes pass.

use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::client::{Client, clean, packet};
use super::*;
use crate::settings::UpstreamTls;
use hookhost_broker::StartError;

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "..", "tests", "certs", name]
        .iter()
        .collect()
}

/// A server that wants a certificate of its clients.
struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Server {
    async fn listen() -> Server {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(file("ca.pem")).unwrap())
            .unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_file(file("server.pem")).unwrap()],
                PrivateKeyDer::from_pem_file(file("server.key")).unwrap(),
            )
            .unwrap();
        Server {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    async fn accept(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let (stream, _) = self.listener.accept().await?;
        self.acceptor.accept(stream).await
    }
}

async fn gateway(address: SocketAddr, change: impl FnOnce(&mut UpstreamTls)) -> Host {
    let upstream = Upstream {
        tls: true,
        ..at(address)
    };
    let mut gateway = GatewaySettings::new(vec![upstream]);
    gateway.connect_timeout = DEADLINE;
    gateway.tls = UpstreamTls {
        ca: Some(file("ca.pem")),
        certificate: Some(file("client.pem")),
        key: Some(file("client.key")),
        server_name: Some("broker.test".to_owned()),
    };
    change(&mut gateway.tls);
    through(Limits::default(), gateway).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_pass_both_ways_and_the_name_and_the_certificate_are_shown() {
    let server = Server::listen().await;
    let host = gateway(server.address(), |_| {}).await;
    let connect = clean(4, "c").bytes();
    let mut c = TcpStream::connect(host.address()).await.unwrap();
    c.write_all(&connect).await.unwrap();
    let mut stream = server.accept().await.unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(session.server_name(), Some("broker.test"));
    assert_eq!(session.peer_certificates().map(<[_]>::len), Some(1));
    let mut bytes = vec![0; connect.len()];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(bytes, connect);
    stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
    stream.flush().await.unwrap();
    let mut connack = [0; 4];
    c.read_exact(&mut connack).await.unwrap();
    // More than any buffer holds, while nobody reads at first.
    let one = packet(0x30, &[b"\0\x01t".as_slice(), &[b'x'; 60_000]].concat());
    let all = one.repeat(300);
    let (mut from_client, mut to_client) = c.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(stream);
    let up = tokio::spawn({
        let all = all.clone();
        async move {
            to_client.write_all(&all).await.unwrap();
            to_client
        }
    });
    let down = tokio::spawn({
        let all = all.clone();
        async move {
            to_server.write_all(&all).await.unwrap();
            to_server.flush().await.unwrap();
            to_server
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut got = [vec![0; all.len()], vec![0; all.len()]];
    let [at_server, at_client] = &mut got;
    let (one, two) = tokio::join!(from_server.read_exact(at_server), from_client.read_exact(at_client));
    one.unwrap();
    two.unwrap();
    assert!(got.iter().all(|got| *got == all));
    let _open = (up.await.unwrap(), down.await.unwrap());
    let delivered = |events: &[Arc<Event>]| {
        events
            .iter()
            .filter(|event| event.detail.hook() == Hook::MessageDelivered)
            .count()
    };
    host.until(|events| delivered(events) == 300).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_trusted_is_not_used() {
    for wrong in [
        (|tls| tls.server_name = Some("elsewhere.test".to_owned())) as fn(&mut UpstreamTls),
        |tls| tls.ca = Some(file("client.pem")),
        |tls| (tls.certificate, tls.key) = (None, None),
    ] {
        let server = Server::listen().await;
        let host = gateway(server.address(), wrong).await;
        let serving = tokio::spawn(async move { server.accept().await.is_err() });
        let mut c = Client::raw(host.address(), 5).await;
        c.write(&clean(5, "c").bytes()).await;
        assert_eq!(c.read().await, (0x20, vec![0, 0x88, 0]));
        assert!(serving.await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_is_the_name_if_none_is_given() {
    let server = Server::listen().await;
    let host = gateway(server.address(), |tls| tls.server_name = None).await;
    let mut c = Client::raw(host.address(), 5).await;
    c.write(&clean(5, "c").bytes()).await;
    assert!(
        server.accept().await.is_ok(),
        "the certificate is for 127.0.0.1 as well"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_none_keep_the_host_from_starting() {
    for (change, word) in [
        (
            (|tls| tls.ca = Some("/nowhere".into())) as fn(&mut UpstreamTls),
            "ca: /nowhere cannot be read",
        ),
        (
            |tls| tls.ca = Some(file("client.key")),
            "client.key holds no certificate",
        ),
        (|tls| tls.key = Some(file("ca.pem")), "ca.pem holds no private key"),
        (|tls| tls.key = Some(file("server.key")), "does not fit the certificate"),
        (
            |tls| tls.server_name = Some("no name".to_owned()),
            "server_name is neither",
        ),
    ] {
        let upstream = Upstream {
            tls: true,
            host: "127.0.0.1".to_owned(),
            port: 1,
        };
        let mut gateway = GatewaySettings::new(vec![upstream]);
        gateway.tls.certificate = Some(file("client.pem"));
        gateway.tls.key = Some(file("client.key"));
        change(&mut gateway.tls);
        match crate::start(
            &settings(Limits::default()),
            &gateway,
            &UpstreamControl::new(gateway.upstreams.clone()),
            None,
        )
        .await
        {
            Err(StartError::Engine(text)) => assert!(text.contains(word), "{text}"),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it starts without {word}"),
        }
    }
}
