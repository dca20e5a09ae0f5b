//! A broker with a plain and a TLS listener, and the host with a WebSocket listener, too.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use hookhost_tests::binary;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::mosquitto::Mosquitto;
use hookhost_tests::tls::{Authority, Subject};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

use super::link::Transport;

/// User name and password of [`Broker::with_password`].
pub(super) const USER: (&str, &str) = ("bench", "not a secret");

/// Which program is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Host,
    Mosquitto,
}

impl Kind {
    /// Its name in the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Host => "host",
            Kind::Mosquitto => "mosquitto",
        }
    }
}

enum Running {
    Host(Host),
    Mosquitto(Mosquitto),
}

/// A running broker.
pub(super) struct Broker {
    running: Running,
    tls: SocketAddr,
    /// Only of the host: mosquitto of some distributions cannot.
    websocket: Option<SocketAddr>,
    connector: TlsConnector,
    _certificates: TempDir,
}

impl Broker {
    /// Starts a broker; `None` if it is not installed.
    pub(super) async fn start(kind: Kind) -> anyhow::Result<Option<Broker>> {
        let (certificates, connector) = certificates()?;
        let running = match kind {
            Kind::Host => Running::Host(host(certificates.path(), "").await),
            Kind::Mosquitto => {
                let port = free()?;
                let dir = certificates.path().display();
                let lines = format!(
                    "max_queued_messages 0\npersistence false\nlistener {port} 127.0.0.1\ncertfile {dir}/server.pem\nkeyfile {dir}/server.key\n"
                );
                let Some(mosquitto) = Mosquitto::start(&lines).await else {
                    return Ok(None);
                };
                return Ok(Some(Broker {
                    running: Running::Mosquitto(mosquitto),
                    tls: local(port),
                    websocket: None,
                    connector,
                    _certificates: certificates,
                }));
            }
        };
        Broker::of_host(running, connector, certificates).map(Some)
    }

    /// A host that accepts only the user [`USER`].
    pub(super) async fn with_password() -> anyhow::Result<Broker> {
        let (certificates, connector) = certificates()?;
        let users = certificates.path().join("users");
        let mut child = std::process::Command::new(binary::hookhost())
            .args(["users", "add", "--file"])
            .arg(&users)
            .arg(USER.0)
            .stdin(std::process::Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("the pipe was asked for")?;
        std::io::Write::write_all(&mut stdin, format!("{}\n", USER.1).as_bytes())?;
        drop(stdin);
        ensure!(child.wait()?.success(), "the user cannot be added");
        let source = format!(
            "[[authentication]]\nsource = \"password\"\nfile = {:?}\n",
            users.display().to_string()
        );
        let running = Running::Host(host(certificates.path(), &source).await);
        Broker::of_host(running, connector, certificates)
    }

    fn of_host(running: Running, connector: TlsConnector, certificates: TempDir) -> anyhow::Result<Broker> {
        let Running::Host(host) = &running else {
            anyhow::bail!("only hosts have named listeners");
        };
        let lines = host.log().lines();
        let address = |name: &str| -> anyhow::Result<SocketAddr> {
            let line = lines
                .iter()
                .find(|line| line.contains(&format!("listening name=\"{name}\"")));
            let (_, address) = line
                .and_then(|line| line.rsplit_once("address="))
                .context("no listener")?;
            Ok(address.trim().parse()?)
        };
        Ok(Broker {
            tls: address("tls")?,
            websocket: Some(address("web")?),
            running,
            connector,
            _certificates: certificates,
        })
    }

    /// The plain listener.
    pub(super) fn tcp(&self) -> Transport {
        Transport::Tcp(self.address())
    }

    /// All listeners.
    pub(super) fn transports(&self) -> Vec<Transport> {
        let mut transports = vec![self.tcp(), Transport::Tls(self.tls, self.connector.clone())];
        transports.extend(self.websocket.map(Transport::WebSocket));
        transports
    }

    fn address(&self) -> SocketAddr {
        match &self.running {
            Running::Host(host) => host.address,
            Running::Mosquitto(mosquitto) => mosquitto.address,
        }
    }

    /// Resident memory in KiB.
    pub(super) fn resident(&self) -> u64 {
        match &self.running {
            Running::Host(host) => host.resident(),
            Running::Mosquitto(mosquitto) => mosquitto.process.memory("VmRSS"),
        }
    }
}

/// A host with a rule that matches nothing.
async fn host(certificates: &Path, more: &str) -> Host {
    let file = |name: &str| certificates.join(name).display().to_string();
    let config = format!(
        "[webhook]\nurls = [\"http://127.0.0.1:9/\"]\n[webhook.rule]\nmessage_publish = [{{ action = \"x\", topics = [\"nothing/here\"] }}]\n\
         [[listener]]\nname = \"tls\"\nkind = \"tls\"\naddress = \"127.0.0.1:0\"\ncertificate = {:?}\nkey = {:?}\n\
         [[listener]]\nname = \"web\"\nkind = \"ws\"\naddress = \"127.0.0.1:0\"\n{more}",
        file("server.pem"),
        file("server.key"),
    );
    Setup::new().config(&config).start().await
}

/// Files of a server's certificate, and a client that trusts it.
fn certificates() -> anyhow::Result<(TempDir, TlsConnector)> {
    let dir = TempDir::with_prefix("hookhost-bench-")?;
    let authority = Authority::new("bench");
    let server = authority.issue(Subject::Local);
    std::fs::write(dir.path().join("server.pem"), &server.certificate)?;
    std::fs::write(dir.path().join("server.key"), &server.key)?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((dir, TlsConnector::from(Arc::new(config))))
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A port without a listener.
fn free() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind(local(0))?.local_addr()?.port())
}
