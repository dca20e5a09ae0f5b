//! Plays a client script against the real binary, step by step.
//!
//! A step is over when the expected number of requests has come and no other followed for [`QUIET`]. A request that comes
//! still later counts for the next step, and the test fails.

use std::collections::HashMap;
use std::time::Duration;

use hookhost_tests::Version;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::packet::{Connect, Publish};
use hookhost_tests::sink::Sink;

use crate::client::Client;
use crate::mask::{self, masked};
use crate::recording::{Recording, head};

/// How long a step waits for requests that nobody expects.
const QUIET: Duration = Duration::from_millis(40);

/// How long a step waits for requests that are missing.
const MISSING: Duration = Duration::from_secs(4);

/// A host with the configuration of a recording, its receiver, and the clients.
pub(crate) struct Run {
    /// The host.
    pub(crate) host: Host,
    /// Connected clients, by the names that the script gives them.
    clients: HashMap<&'static str, Client>,
    /// Connections that stay open until the end.
    pub(crate) open: Vec<Client>,
    sink: Sink,
    recording: Recording,
    /// Requests that belong to earlier steps.
    seen: usize,
    /// The steps so far, with their bodies.
    steps: Vec<(String, Vec<String>)>,
}

impl Run {
    /// Starts the host. `file` is the name of the recording's configuration file; `settings` is the `hookhost.toml` beside it.
    pub(crate) async fn start(file: &str, settings: &str, recording: Recording) -> Run {
        let sink = Sink::start().await;
        let config = recording.config.replace("@SINK@", &sink.port().to_string());
        Run {
            host: Setup::new().config(settings).webhook_file(file, &config).start().await,
            clients: HashMap::new(),
            open: Vec::new(),
            sink,
            recording,
            seen: 0,
            steps: Vec::new(),
        }
    }

    /// Connects a client, which has this name from now on. A client that had the name is left alone, as a library
    /// leaves a connection that the broker takes over.
    pub(crate) async fn connect(&mut self, name: &'static str, connect: &Connect) {
        let client = Client::connect(self.host.address, connect).await;
        self.open.extend(self.clients.insert(name, client));
    }

    /// The client with this name.
    pub(crate) fn client(&mut self, name: &str) -> &mut Client {
        self.clients.get_mut(name).unwrap_or_else(|| panic!("no client {name}"))
    }

    /// The client with this name, to end its connection.
    pub(crate) fn take(&mut self, name: &str) -> Client {
        self.clients.remove(name).unwrap_or_else(|| panic!("no client {name}"))
    }

    /// Publishes and waits for the last acknowledgement.
    pub(crate) async fn publish(&mut self, client: &str, publish: Publish<'_>) {
        self.client(client).publish(publish).await;
    }

    /// Ends a step: waits for its requests.
    pub(crate) async fn end(&mut self, step: &str) {
        let enough = self.seen + self.recording.expected(step).len();
        let mut arrivals = self.sink.arrivals();
        // Missing requests show in the comparison at the end.
        drop(tokio::time::timeout(MISSING, arrivals.wait_for(|arrived| *arrived >= enough)).await);
        while tokio::time::timeout(QUIET, arrivals.changed()).await.is_ok() {}
        let requests = self.sink.requests();
        let bodies = requests[self.seen..]
            .iter()
            .map(|request| masked(mask::compared(step, &request.body)));
        self.steps.push((step.to_owned(), bodies.collect()));
        self.seen = requests.len();
    }

    /// Compares everything that came with what is expected.
    pub(crate) fn finish(self) {
        let requests = self.sink.requests();
        let mut heads: Vec<String> = requests
            .iter()
            .map(|request| head(&request.method, &request.path, &request.headers))
            .collect();
        heads.sort();
        heads.dedup();
        let mistakes = self.recording.compare(&self.steps, &heads);
        let count = self.steps.len();
        let text = mistakes.join("\n\n");
        assert!(
            mistakes.is_empty(),
            "{} of {count} steps are not as expected\n\n{text}",
            mistakes.len()
        );
    }
}

/// A message without flags and properties.
pub(crate) fn message<'a>(topic: &'a str, qos: u8, payload: &'a [u8]) -> Publish<'a> {
    Publish {
        topic: topic.as_bytes(),
        qos,
        id: 0,
        retain: false,
        dup: false,
        properties: &[],
        payload,
    }
}

/// A CONNECT of this protocol level: 3, 4 or 5.
pub(crate) fn client(level: u8, id: &str) -> Connect {
    let version = if level == 5 { Version::V5 } else { Version::V311 };
    Connect {
        protocol: if level == 3 { "MQIsdp" } else { "MQTT" },
        level,
        ..Connect::new(version, id)
    }
}
