//! mosquitto, if it is installed: an independent broker.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::PATIENCE;
use crate::process::Process;

/// A mosquitto on its own port.
pub struct Mosquitto {
    /// The process.
    pub process: Process,
    /// The address on which it listens.
    pub address: SocketAddr,
    _dir: TempDir,
}

impl Mosquitto {
    /// Starts it with these lines in its configuration, after `listener PORT 127.0.0.1`. Returns `None`, with a visible
    /// message, if it is not installed.
    pub async fn start(lines: &str) -> Option<Mosquitto> {
        let program = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let Some(program) = program else {
            eprintln!(
                "SKIPPED: mosquitto is not installed, so nothing is tested against it (apt-get install mosquitto)"
            );
            return None;
        };
        // It cannot choose a port itself. If another program takes the port first, the process ends, and the next port
        // is tried.
        for _ in 0..10 {
            let address = free().await;
            let dir = TempDir::with_prefix("hookhost-mosquitto-").expect("a temporary directory");
            let config = dir.path().join("mosquitto.conf");
            // As root it would change to a user without access to the files of the test.
            let text = format!(
                "user root\nlistener {} 127.0.0.1\nallow_anonymous true\n{lines}\n",
                address.port()
            );
            std::fs::write(&config, text).expect("the directory is ours");
            let mut command = Command::new(program);
            command.arg("-c").arg(&config);
            let mut process = Process::start(command);
            // It reports in its log when it listens.
            let running = process.stderr.find(PATIENCE, |line| line.ends_with(" running"));
            if running.await.is_some() {
                return Some(Mosquitto {
                    process,
                    address,
                    _dir: dir,
                });
            }
            process.wait(PATIENCE).await;
            eprintln!("mosquitto did not start at {address}:\n{}", process.stderr.tail());
        }
        panic!("mosquitto does not start");
    }
}

/// An address without a listener.
async fn free() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("a bound socket has an address")
}
