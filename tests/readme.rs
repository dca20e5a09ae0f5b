//! The commands of README.md, in their order, as somebody who reads it for the first time enters them.
//!
//! The test reads the blocks of the page, so that page and program cannot differ. What it changes: the addresses, which
//! other tests may use at the same time; and the example is built where the other tests build it. The test fails if the page has a block that
//! it does not run. It needs `mosquitto_pub`, and says so if it is not installed.

use std::collections::VecDeque;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use hookhost_tests::process::Process;
use hookhost_tests::{PATIENCE, binary, host, http};
use tempfile::TempDir;

/// A fenced block: its language and its text.
struct Block {
    language: String,
    text: String,
}

fn blocks(page: &str) -> VecDeque<Block> {
    let mut blocks = VecDeque::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            blocks.push_back(Block {
                language: language.to_owned(),
                text: text.join("\n"),
            });
        }
    }
    blocks
}

/// The folder `hookhost` of the page after its first block, and the addresses of what runs.
struct Reader {
    dir: TempDir,
    blocks: VecDeque<Block>,
    mqtt: String,
    admin: String,
    sink: String,
}

impl Reader {
    fn new(page: &str) -> Reader {
        let dir = TempDir::with_prefix("hookhost-readme-").unwrap();
        let at = |path: &str| dir.path().join(path);
        for folder in ["target/release", "bin", "examples/target/wasm32-wasip2/release"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        symlink(binary::hookhost(), at("target/release/hookhost")).unwrap();
        let example = binary::workspace().join("examples/report-on-change");
        symlink(example, at("examples/report-on-change")).unwrap();
        // The page uses the port that mosquitto's clients use.
        let wrapper =
            "#!/bin/sh\nexec /usr/bin/env PATH=\"$REAL_PATH\" mosquitto_pub -h 127.0.0.1 -p \"$MQTT_PORT\" \"$@\"\n";
        std::fs::write(at("bin/mosquitto_pub"), wrapper).unwrap();
        std::fs::set_permissions(at("bin/mosquitto_pub"), PermissionsExt::from_mode(0o755)).unwrap();
        Reader {
            dir,
            blocks: blocks(page),
            mqtt: String::new(),
            admin: String::new(),
            sink: String::new(),
        }
    }

    /// The next block, which must be of this language.
    fn next(&mut self, language: &str) -> String {
        let block = self.blocks.pop_front().expect("the page has another block");
        assert_eq!(block.language, language, "{}", block.text);
        block.text
    }

    /// A shell command in the folder.
    fn shell(&self, text: &str) -> Command {
        let (known, path) = (host::command(self.dir.path()), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.args(["-euc", text]).current_dir(self.dir.path());
        for (name, value) in known.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let port = self.mqtt.rsplit(':').next().unwrap_or_default();
        command.env("PATH", format!("{}/bin:{path}", self.dir.path().display()));
        command.env("REAL_PATH", path).env("MQTT_PORT", port);
        command.env("HOOKHOST_ADMIN", &self.admin);
        command
            .env("HOOKHOST_MQTT__LISTEN", "127.0.0.1:0")
            .env("HOOKHOST_ADMIN__LISTEN", "127.0.0.1:0");
        // As on a terminal.
        command.env("HOOKHOST_DELIVERY__STDOUT", "text");
        command
    }

    fn run(&self, text: &str) -> Output {
        let output = self.shell(text).output().unwrap();
        assert!(
            output.status.success(),
            "{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    /// Starts a command that runs until it is stopped.
    fn start(&self, text: &str) -> Process {
        Process::start(self.shell(&format!("exec {text}")))
    }

    /// Starts a host, and remembers its addresses.
    async fn start_host(&mut self, text: &str) -> Process {
        let process = self.start(text);
        let is_ready = |line: &str| line.contains("ready mqtt=");
        let line = process.stderr.wait("the ready line", PATIENCE, is_ready).await;
        let field = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=")).unwrap();
            rest.split_whitespace().next().unwrap().trim_matches('"').to_owned()
        };
        (self.mqtt, self.admin) = (field("mqtt"), field("admin"));
        process
    }

    /// The text of a file with the address of the sink that runs, in place of the one of the page.
    fn set_sink(&self, text: &str) -> String {
        assert!(text.contains("127.0.0.1:5656"), "{text}");
        text.replace("127.0.0.1:5656", &self.sink)
    }
}

/// How many requests a sink has printed that begin so.
fn requests(sink: &Process, begin: &str) -> usize {
    let lines = sink.stdout.lines();
    lines.iter().filter(|line| line.starts_with(begin)).count()
}

/// Ends a process. Not with SIGINT, which a shell that starts the tests in the background lets them ignore.
async fn stop(mut process: Process) {
    process.signal(rustix::process::Signal::TERM);
    process.wait(PATIENCE).await;
}

#[tokio::test]
async fn the_commands_of_the_page_do_what_it_says() {
    if !Command::new("mosquitto_pub")
        .arg("--help")
        .output()
        .is_ok_and(|output| !output.stdout.is_empty())
    {
        return eprintln!("SKIPPED: mosquitto_pub is not installed (apt-get install mosquitto-clients)");
    }
    let page = std::fs::read_to_string(binary::workspace().join("README.md")).unwrap();
    let mut reader = Reader::new(&page);

    // Build, run, test: the harness has done it.
    assert!(reader.next("sh").contains("cargo run --release"));
    assert!(reader.next("sh").starts_with("cargo test "));

    // See your first event.
    let command = reader.next("sh");
    let host = reader.start_host(&command).await;
    let publish = reader.next("sh");
    reader.run(&publish);
    let shown = reader.next("text");
    let (_, expected) = shown.split_once("  ").unwrap();
    let is_shown = |line: &str| line.split_once("  ").is_some_and(|(_, line)| line == expected);
    host.stdout.wait(expected, PATIENCE, is_shown).await;

    // A rule.
    let rule = reader.next("toml");
    let command = reader.next("sh");
    let sink = reader.start(&format!("{command} --listen 127.0.0.1:0"));
    let line = sink
        .stdout
        .wait("its address", PATIENCE, |line| line.contains("http://"))
        .await;
    reader.sink = line.split_once("http://").unwrap().1.trim_end_matches('/').to_owned();
    std::fs::write(reader.dir.path().join("hookhost.toml"), reader.set_sink(&rule)).unwrap();
    stop(host).await;
    let commands = reader.next("sh");
    let (check, run) = commands.split_once('\n').unwrap();
    reader.run(check);
    let host = reader.start_host(run).await;
    let publish = reader.next("sh");
    reader.run(&publish);
    let shown = reader.next("text");
    // The first line has the port of the host.
    let (_, expected) = shown.split_once('\n').unwrap();
    sink.stdout.wait("the body", PATIENCE, |line| line == "}").await;
    let printed = sink.stdout.lines().join("\n");
    assert!(printed.contains(expected), "{printed}");
    assert_eq!(requests(&sink, "POST /alarm "), 1, "{printed}");

    // A module.
    let commands = reader.next("sh");
    stop(host).await;
    let (build, rest) = commands.split_once('\n').unwrap();
    let (copy, run) = rest.rsplit_once('\n').unwrap();
    assert!(build.ends_with("-p report-on-change"), "{build}");
    let built = reader
        .dir
        .path()
        .join("examples/target/wasm32-wasip2/release/report_on_change.wasm");
    symlink(binary::rust_example("report-on-change"), built).unwrap();
    reader.run(copy);
    let settings = reader.dir.path().join("modules/report-on-change.toml");
    let text = reader.set_sink(&std::fs::read_to_string(&settings).unwrap());
    std::fs::write(&settings, text).unwrap();
    let host = reader.start_host(run).await;
    let publish = reader.next("sh");
    reader.run(&publish);
    let is_change = |line: &str| line.starts_with("POST /changes ");
    sink.stdout.wait_for_all(2, "requests", PATIENCE, is_change).await;

    // Operate it: the commands of the table.
    let (_, table) = page.split_once("## Operate it").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let commands: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `hookhost ")?.split_once('`'))
        .map(|(command, _)| command)
        .collect();
    assert!(commands.len() >= 5, "{commands:?}");
    for command in commands {
        match command {
            "tap" => stop(reader.start("target/release/hookhost tap")).await,
            "trace EVENT_ID" => {
                let admin = reader.admin.parse().unwrap();
                let deliveries = http::ask(admin, "GET /api/v1/deliveries", "").await.json();
                let event = deliveries["deliveries"][0]["event"].as_str().unwrap();
                let output = reader.run(&format!("target/release/hookhost trace {event}"));
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(text.contains("state: delivered"), "{text}");
            }
            command => drop(reader.run(&format!("target/release/hookhost {command}"))),
        }
    }
    let left: Vec<&str> = reader.blocks.iter().map(|block| block.text.as_str()).collect();
    assert_eq!(left, [""; 0], "the page has more blocks than this test runs");
    stop(host).await;
    stop(sink).await;
}

/// Each page that README.md names exists.
#[test]
fn every_link_of_the_page_leads_to_a_file() {
    let page = std::fs::read_to_string(binary::workspace().join("README.md")).unwrap();
    let links = page.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let files = links
        .map(|(link, _)| link.split('#').next().unwrap())
        .filter(|link| !link.starts_with("http"));
    let files: Vec<&str> = files.collect();
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let path: &Path = &binary::workspace().join(file);
        assert!(path.exists(), "{file}");
    }
}
