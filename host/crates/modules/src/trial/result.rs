//! The outcome of an event in a trial, and its JSON form.
//!
//! ```json
//! {"event":"…01","outcome":"deliver","requests":[{"method":"POST","url":"http://h/a","headers":[],"body":"x","ordering_key":"k7"}]}
//! ```

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use hookhost_contract::Request;
use hookhost_event::Id;

/// The outcome of one event.
#[derive(Debug, Clone)]
pub struct TrialResult {
    /// The event.
    pub event: Id,
    /// The outcome.
    pub outcome: TrialOutcome,
    /// The duration of the call, or of the second of two calls; `None` without a call.
    pub time: Option<Duration>,
    /// The fuel of the call, about one unit for each instruction, if the engine counts.
    pub fuel: Option<u64>,
    /// Whether a first call failed, so that a new instance was made.
    pub is_again: bool,
}

/// The outcome of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialOutcome {
    /// The module does not subscribe to such events and was not called.
    NotWanted,
    /// The module had nothing to send.
    Ignored,
    /// The module returned requests.
    Delivered(Vec<TrialRequest>),
    /// The module reported that it could not handle the event. A host puts it into the quarantine.
    Failed(String),
    /// The module trapped on it, twice. A host puts it into the quarantine.
    Trapped(String),
    /// The module timed out on it, twice. A host puts it into the quarantine.
    TimedOut(String),
    /// After a trap no new instance could be made. A host retries later.
    NoInstance(String),
}

/// A request, and what a host would do with it.
#[derive(Clone, PartialEq, Eq)]
pub struct TrialRequest {
    /// The HTTP method.
    pub method: &'static str,
    /// The URL. For a refused request: the URL that the module named.
    pub url: String,
    /// Header names and values in the order given.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// The ordering key; `None` if the module named none and the request is refused.
    pub ordering_key: Option<String>,
    /// The destination that the module named.
    pub destination: Option<String>,
    /// Further options by name.
    pub options: Vec<(String, String)>,
    /// Why a host would refuse to send it.
    pub refused: Option<String>,
}

/// Leaves out URL, header values and body: they may hold credentials and data of devices.
impl std::fmt::Debug for TrialRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrialRequest")
            .field("method", &self.method)
            .field("body_len", &self.body.len())
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

impl TrialResult {
    pub(super) fn without_call(event: Id, outcome: TrialOutcome) -> TrialResult {
        TrialResult {
            event,
            outcome,
            time: None,
            fuel: None,
            is_again: false,
        }
    }
}

impl TrialOutcome {
    /// The names of all outcomes in the JSON form.
    pub const NAMES: [&str; 7] = [
        "not-wanted",
        "ignore",
        "deliver",
        "fail",
        "trap",
        "timeout",
        "no-instance",
    ];

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            TrialOutcome::NotWanted => "not-wanted",
            TrialOutcome::Ignored => "ignore",
            TrialOutcome::Delivered(_) => "deliver",
            TrialOutcome::Failed(_) => "fail",
            TrialOutcome::Trapped(_) => "trap",
            TrialOutcome::TimedOut(_) => "timeout",
            TrialOutcome::NoInstance(_) => "no-instance",
        }
    }

    /// The message of the module or the host about it.
    pub fn text(&self) -> Option<&str> {
        match self {
            TrialOutcome::NotWanted | TrialOutcome::Ignored | TrialOutcome::Delivered(_) => None,
            TrialOutcome::Failed(text)
            | TrialOutcome::Trapped(text)
            | TrialOutcome::TimedOut(text)
            | TrialOutcome::NoInstance(text) => Some(text),
        }
    }

    /// The requests for the event.
    pub fn requests(&self) -> &[TrialRequest] {
        match self {
            TrialOutcome::Delivered(requests) => requests,
            _ => &[],
        }
    }

    /// Whether a host would not deliver the event, or a request for it.
    pub fn is_bad(&self) -> bool {
        self.text().is_some() || self.requests().iter().any(|request| request.refused.is_some())
    }
}

impl TrialRequest {
    pub(super) fn of(request: &Request) -> TrialRequest {
        TrialRequest {
            method: request.method.as_str(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            ordering_key: request.ordering_key.clone(),
            destination: request.destination.clone(),
            options: request.options.clone(),
            refused: None,
        }
    }

    /// The body, if it is text.
    pub fn body_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }
}

/// Without time and fuel: the part that is equal in every trial.
impl Serialize for TrialResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("event", &self.event.to_string())?;
        object.serialize_entry("outcome", self.outcome.name())?;
        if let Some(text) = self.outcome.text() {
            object.serialize_entry("text", text)?;
        }
        if let TrialOutcome::Delivered(requests) = &self.outcome {
            object.serialize_entry("requests", requests)?;
        }
        object.end()
    }
}

impl Serialize for TrialRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("method", self.method)?;
        object.serialize_entry("url", &self.url)?;
        object.serialize_entry("headers", &self.headers)?;
        match self.body_text() {
            Some(text) => object.serialize_entry("body", text)?,
            None => object.serialize_entry("body_base64", &STANDARD.encode(&self.body))?,
        }
        if let Some(key) = &self.ordering_key {
            object.serialize_entry("ordering_key", key)?;
        }
        if let Some(destination) = &self.destination {
            object.serialize_entry("destination", destination)?;
        }
        if !self.options.is_empty() {
            object.serialize_entry("options", &self.options)?;
        }
        if let Some(refused) = &self.refused {
            object.serialize_entry("refused", refused)?;
        }
        object.end()
    }
}
