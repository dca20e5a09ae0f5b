//! The host under test: the real binary on ports that the system chooses, with its own directory.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Log, Process};
use crate::{PATIENCE, binary};

/// The settings for starting a host.
pub struct Setup {
    command: Command,
    dir: TempDir,
}

/// The binary with a clean environment, so that variables of the caller do not configure it. The cache of compiled
/// modules is shared, so that only the first host compiles them.
pub fn command(dir: &Path) -> Command {
    let mut command = Command::new(binary::hookhost());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if [
            "HOOKHOST_",
            "RMQTT_",
            "EMQX_",
            "NANOMQ_",
            // With backtraces the host would read the symbols of its binary, about 80 MB, into its memory.
            "RUST_BACKTRACE",
            "RUST_LIB_BACKTRACE",
            "RUST_LOG",
            "HTTP_PROXY",
            "http_proxy",
            "NO_COLOR",
        ]
        .iter()
        .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command.current_dir(dir).env("XDG_CACHE_HOME", cache());
    command
}

/// The folder of compiled modules that the tests share.
pub fn cache() -> std::path::PathBuf {
    binary::profile_dir().join("tmp-cache")
}

impl Setup {
    /// `hookhost run --listen 127.0.0.1:0 --admin 127.0.0.1:0` in a fresh directory.
    pub fn new() -> Setup {
        let dir = TempDir::with_prefix("hookhost-test-").expect("a temporary directory");
        let mut command = command(dir.path());
        command.args(["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        Setup { command, dir }
    }

    /// The host's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Setup {
        self.command.arg(arg);
        self
    }

    /// Adds `--webhook-url`.
    pub fn url(self, url: &str) -> Setup {
        self.arg("--webhook-url").arg(url)
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Setup {
        self.command.env(name, value);
        self
    }

    /// Writes a webhook configuration in RMQTT's format and passes it with `--webhook-config`.
    pub fn webhook_config(self, toml: &str) -> Setup {
        self.webhook_file("rmqtt-web-hook.toml", toml)
    }

    /// Writes a webhook configuration of any broker and passes it with `--webhook-config`.
    pub fn webhook_file(self, name: &str, text: &str) -> Setup {
        let path = self.dir().join(name);
        std::fs::write(&path, text).expect("the directory is ours");
        self.arg("--webhook-config").arg(path)
    }

    /// Writes a configuration file of hookhost and passes it with `--config`.
    pub fn config(self, toml: &str) -> Setup {
        let path = self.dir().join("hookhost.toml");
        std::fs::write(&path, toml).expect("the directory is ours");
        self.arg("--config").arg(path)
    }

    /// Creates a modules folder and passes it with `--modules`.
    pub fn modules(self) -> Setup {
        let path = self.dir().join("modules");
        std::fs::create_dir_all(&path).expect("the directory is ours");
        self.arg("--modules").arg(path)
    }

    /// Writes a file into the modules folder, before the start.
    pub fn module_file(self, name: &str, content: impl AsRef<[u8]>) -> Setup {
        std::fs::write(self.dir().join("modules").join(name), content).expect("the modules folder exists");
        self
    }

    /// Records the events of the host, for [`Host::recorded`].
    pub fn recording(self) -> Setup {
        self.arg("--record").arg("/dev/stdout")
    }

    /// Runs the host to its end, for a start that is refused.
    pub async fn ended(self) -> Ended {
        let ended = ended(self.command).await;
        drop(self.dir);
        ended
    }

    /// Starts the host and waits until it reports that it is ready.
    pub async fn start(self) -> Host {
        let process = Process::start(self.command);
        let ready = process
            .stderr
            .wait("line `ready mqtt=ADDR`", PATIENCE, |line| field(line, "mqtt").is_some())
            .await;
        let address = |name| {
            field(&ready, name)
                .and_then(|address| address.trim_matches('"').trim_start_matches("https://").parse().ok())
        };
        Host {
            process,
            address: address("mqtt").unwrap_or_else(|| panic!("no address: {ready}")),
            admin: address("admin"),
            dir: self.dir,
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Setup::new()
    }
}

/// A field of the ready line.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, fields) = line.split_once("ready ")?;
    let value = |field: &'a str| field.strip_prefix(name)?.strip_prefix('=');
    fields.split_whitespace().find_map(value)
}

/// A running host. When the test fails, the host's log is printed.
pub struct Host {
    /// The process.
    pub process: Process,
    /// The address for MQTT.
    pub address: SocketAddr,
    /// The address of its admin API; `None` if the API is off.
    pub admin: Option<SocketAddr>,
    dir: TempDir,
}

/// The result of a command.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a command to its end.
pub async fn ended(mut command: Command) -> Ended {
    let output =
        tokio::task::spawn_blocking(move || command.stdin(std::process::Stdio::null()).output().expect("it starts"));
    let output = match tokio::time::timeout(PATIENCE, output).await {
        Ok(output) => output.expect("it was waited for"),
        Err(_) => panic!("still running after {PATIENCE:?}"),
    };
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Host {
    /// A host that sends every event to one URL.
    pub async fn with_url(url: &str) -> Host {
        Setup::new().url(url).start().await
    }

    /// Runs a command for this host, such as `["modules", "rescan"]`. Panics unless it succeeds. Returns its standard
    /// output.
    pub async fn ask(&self, args: &[&str]) -> String {
        let ended = self.try_ask(args).await;
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        ended.stdout
    }

    /// As [`Host::ask`], with any result.
    pub async fn try_ask(&self, args: &[&str]) -> Ended {
        let mut command = command(self.dir());
        let admin = self.admin.expect("the admin API is on");
        command.args(args).env("HOOKHOST_ADMIN", admin.to_string());
        ended(command).await
    }

    /// The number of requests that wait for delivery or are being sent.
    pub async fn waiting_requests(&self) -> u64 {
        let answer: Value = serde_json::from_str(&self.ask(&["destinations", "--json"]).await).expect("it is JSON");
        answer["all"]["waiting"]["requests"].as_u64().expect("a number")
    }

    /// The events of a hook that `wanted` accepts, once there are this many. The host has been [set up](Setup::recording)
    /// to record.
    pub async fn recorded(&self, hook: &str, count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let event = |line: &str| {
            let event = serde_json::from_str::<Value>(line).ok()?;
            (event["hook"] == hook && wanted(&event)).then_some(event)
        };
        let lines = &self.process.stdout;
        let found = lines.wait_for_all(count, hook, PATIENCE, |line| event(line).is_some());
        found.await.iter().filter_map(|line| event(line)).collect()
    }

    /// The host's log.
    pub fn log(&self) -> &Log {
        &self.process.stderr
    }

    /// The host's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Path of a file in the modules folder.
    pub fn module_path(&self, name: &str) -> PathBuf {
        self.dir().join("modules").join(name)
    }

    /// Puts a file into the modules folder in one step: writes it beside its place, then renames it.
    pub fn drop_module(&self, name: &str, content: impl AsRef<[u8]>) {
        let hidden = self.dir().join("incoming");
        std::fs::write(&hidden, content).expect("the directory is ours");
        std::fs::rename(hidden, self.module_path(name)).expect("the modules folder exists");
    }

    /// Removes a file from the modules folder.
    pub fn remove_module(&self, name: &str) {
        std::fs::remove_file(self.module_path(name)).expect("the file is there");
    }

    /// Resident memory in kilobytes.
    pub fn resident(&self) -> u64 {
        self.process.memory("VmRSS")
    }

    /// Sends SIGTERM and waits for the end. Panics unless the exit code is 0. Returns the duration.
    pub async fn stop(&mut self) -> Duration {
        let start = std::time::Instant::now();
        self.process.signal(Signal::TERM);
        let code = self.process.wait(PATIENCE).await;
        assert_eq!(code, Some(0), "exit code after SIGTERM");
        start.elapsed()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the host ---\n{}\n--- end of the log ---", self.log().tail());
        }
    }
}
