//! A host that sends every event to one sink, and literal expectations of the webhooks of each client.
//!
//! The host guarantees order per client, so the tests compare webhooks per client: those about it and the messages that
//! it published. Each expectation continues where the previous one ended. [`Scene::finish`] lets the host flush and
//! stop, so an unexpected webhook always shows.

use std::collections::HashMap;
use std::sync::Arc;

use crate::host::{Host, Setup};
use crate::sink::{Received, Sink};
use crate::{PATIENCE, Version, body};

/// Host, sink and the position of the comparison.
pub struct Scene {
    /// The host.
    pub host: Host,
    /// The receiver of its webhooks.
    pub sink: Sink,
    seen: HashMap<String, usize>,
}

impl Scene {
    /// A host with `--webhook-url`: the rules for all events.
    pub async fn start() -> Scene {
        Scene::with(Setup::new()).await
    }

    /// The same with other settings.
    pub async fn with(setup: Setup) -> Scene {
        let sink = Sink::start().await;
        let host = setup.url(&sink.url("/hook")).start().await;
        Scene {
            host,
            sink,
            seen: HashMap::new(),
        }
    }

    /// Waits for the next webhooks of a client and compares them with the lines of a text, each a body with
    /// placeholders (see [`body`]) and these abbreviations for what differs between the versions:
    ///
    /// | text | 3.1.1 | 5.0 |
    /// | --- | --- | --- |
    /// | `$ver` | `4` | `5` |
    /// | `$proto` | `"proto_ver":4,"clean_session"` | `"proto_ver":5,"clean_start"` |
    /// | `$opts` | | `,"no_local":false,"retain_as_published":false,"retain_handling":0` |
    /// | `$bye` | `Disconnect(V3),RemoteClose` | `Disconnect(V5(Disconnect { … })),RemoteClose` |
    pub async fn expect(&mut self, version: Version, client: &str, text: &str) -> Vec<Arc<Received>> {
        let expected = lines(version, text);
        let seen = self.seen.get(client).copied().unwrap_or_default();
        let enough = seen + expected.len();
        let of = |requests: &[Arc<Received>]| of_client(requests, client);
        let what = format!("{} webhooks of {client} after the first {seen}", expected.len());
        let requests = of(&self
            .sink
            .wait_until(&what, PATIENCE, |requests| of(requests).len() >= enough)
            .await);
        let new = requests[seen..enough].to_vec();
        let got: Vec<_> = new.iter().map(|request| body::normalised(&request.body)).collect();
        body::check(client, &got, &expected);
        self.seen.insert(client.to_owned(), enough);
        new
    }

    /// Skips the next webhooks of a client, which must be of these actions.
    pub async fn skip(&mut self, client: &str, actions: &[&str]) {
        let seen = self.seen.get(client).copied().unwrap_or_default();
        let enough = seen + actions.len();
        let what = format!("{actions:?} of {client} after the first {seen} webhooks");
        let all = self
            .sink
            .wait_until(&what, PATIENCE, |all| of_client(all, client).len() >= enough)
            .await;
        let got: Vec<_> = of_client(&all, client)[seen..enough]
            .iter()
            .map(|request| request.json())
            .collect();
        let got: Vec<_> = got.iter().map(body::name).collect();
        assert_eq!(got, actions, "the webhooks of {client}");
        self.seen.insert(client.to_owned(), enough);
    }

    /// Skips the webhooks of a clean connect of a client.
    pub async fn skip_connect(&mut self, client: &str) {
        self.skip(
            client,
            &[
                "client_connect",
                "session_created",
                "client_connack",
                "client_connected",
            ],
        )
        .await;
    }

    /// Skips the webhooks of the end of a clean session.
    pub async fn skip_end(&mut self, client: &str) {
        self.skip(client, &["client_disconnected", "session_terminated"]).await;
    }

    /// Stops the host, which flushes. Panics if there is any unexpected webhook.
    pub async fn finish(mut self) {
        self.host.stop().await;
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut more = Vec::new();
        for request in self.sink.requests() {
            let client = body::subject(&request.json()).to_owned();
            let count = counts.entry(client.clone()).or_default();
            *count += 1;
            if *count > self.seen.get(&client).copied().unwrap_or_default() {
                more.push(request.body.clone());
            }
        }
        assert!(more.is_empty(), "webhooks that nobody expected:\n{}", more.join("\n"));
    }
}

fn of_client(requests: &[Arc<Received>], client: &str) -> Vec<Arc<Received>> {
    requests
        .iter()
        .filter(|request| body::subject(&request.json()) == client)
        .cloned()
        .collect()
}

/// The lines of a text with the abbreviations of [`Scene::expect`] expanded.
pub fn lines(version: Version, text: &str) -> Vec<String> {
    let (proto, opts, bye) = match version {
        Version::V311 => (r#""proto_ver":4,"clean_session""#, "", "Disconnect(V3),RemoteClose"),
        Version::V5 => (
            r#""proto_ver":5,"clean_start""#,
            r#","no_local":false,"retain_as_published":false,"retain_handling":0"#,
            concat!(
                "Disconnect(V5(Disconnect { reason_code: NormalDisconnection, session_expiry_interval_secs: None, ",
                "server_reference: None, reason_string: None, user_properties: [] })),RemoteClose"
            ),
        ),
    };
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            line.replace("$proto", proto)
                .replace("$ver", &version.level().to_string())
                .replace("$opts", opts)
                .replace("$bye", bye)
        })
        .collect()
}
