//! What a webhook would send for an event, and sending it once.
//!
//! The rules run in a trial: in the sandbox, with the limits of the built-in module, apart from the running one. Only
//! [`test`] sends something.

use std::sync::Arc;

use hookhost_contract::Method;
use hookhost_delivery::{DestinationSelector, FailureKind, Probe, ProbeFailure, ProbeRequest, Receivers, probe};
use hookhost_event::{Event, Id, json};
use hookhost_modules::trial::{TrialOutcome, TrialRequest, TrialResult};
use hookhost_modules::{self as modules, ReloadableSettings};
use hookhost_settings::error_line;
use hookhost_webhook::RuleKey;
use serde_json::{Value as Json, json};

use super::FieldProblem;
use super::change::of_fields;
use crate::reload;

/// The payload of the sample event: the one of EMQX's tutorial.
const PAYLOAD: &str = "{\"msg\": \"Hello Webhook\"}";
/// The topic of the sample event of a webhook without topics.
const TOPIC: &str = "t/1";
/// The id of the sample event.
const SAMPLE_ID: Id = Id(1);

/// The requests of a webhook for a sample event, with the answers of the receiver.
pub struct Tested {
    /// The event.
    pub event: Event,
    /// What the rules return for it.
    pub result: TrialResult,
    /// The answer to each request.
    pub probes: Vec<Probe>,
}

/// A webhook cannot be tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// The settings have errors.
    #[error("the settings of the webhook have errors")]
    Invalid(Vec<FieldProblem>),
    /// The module does not load with these settings.
    #[error("{0}")]
    Load(String),
}

/// The settings of the built-in module with one webhook alone.
///
/// # Errors
///
/// The mistakes in the settings.
pub fn alone(reload: &reload::Handle, name: &str, settings: &Json) -> Result<ReloadableSettings, TestError> {
    let alone = reload.webhook_alone(name, settings);
    alone.map_err(|problems| TestError::Invalid(of_fields(name, &problems)))
}

/// Runs rules for an event. Blocks.
///
/// # Errors
///
/// [`TestError`]
pub fn try_event(
    modules: &modules::Handle,
    settings: ReloadableSettings,
    event: Event,
) -> Result<TrialResult, TestError> {
    let trial = modules.webhook_trial(settings);
    let mut trial = trial.map_err(|error| TestError::Load(error_line(&error)))?;
    Ok(trial.handle(&Arc::new(event)))
}

/// Sends the requests of a webhook for its sample event, once. `where` is not evaluated, because the sample cannot fit every
/// condition. Blocks for as long as the receiver takes.
///
/// # Errors
///
/// [`TestError`]
pub fn test(
    reload: &reload::Handle,
    modules: &modules::Handle,
    name: &str,
    settings: &Json,
) -> Result<Tested, TestError> {
    let mut settings = settings.clone();
    if let Some(settings) = settings.as_object_mut() {
        settings.remove("where");
    }
    let event = sample(&settings);
    let alone = alone(reload, name, &settings)?;
    let receivers = Arc::clone(&alone.receivers);
    let result = try_event(modules, alone, event.clone())?;
    let probes = result
        .outcome
        .requests()
        .iter()
        .map(|request| send(request, &event, &receivers));
    Ok(Tested {
        probes: probes.collect(),
        event,
        result,
    })
}

/// Whether this is the name of an event in `events`.
pub fn is_event(name: &str) -> bool {
    RuleKey::from_name(name).is_some()
}

fn send(request: &TrialRequest, event: &Event, receivers: &Receivers) -> Probe {
    let failed = |text: &str| Probe {
        status: None,
        answer: Vec::new(),
        took: std::time::Duration::ZERO,
        failure: Some(ProbeFailure {
            kind: FailureKind::Invalid,
            text: text.to_owned(),
        }),
    };
    if let Some(refused) = &request.refused {
        return failed(refused);
    }
    if !request.url.starts_with("http") {
        return failed("only URLs that begin with http: or https: can be tested");
    }
    let Some(method) = Method::ALL.into_iter().find(|method| method.as_str() == request.method) else {
        return failed("the method is unknown");
    };
    let request = ProbeRequest {
        id: event.id.to_string(),
        method,
        url: request.url.clone(),
        via: request
            .destination
            .as_deref()
            .map_or(DestinationSelector::Url, |name| DestinationSelector::Named(name.into())),
        headers: request.headers.clone(),
        body: request.body.clone(),
    };
    probe(&request, receivers)
}

/// The sample event of a webhook: of its first event, on a topic that its first filter matches.
pub(crate) fn sample(settings: &Json) -> Event {
    let first = |key: &str| settings.get(key).and_then(|list| list.get(0)).and_then(Json::as_str);
    let key = first("events")
        .and_then(RuleKey::from_name)
        .unwrap_or(RuleKey::MessagePublish);
    let topic = first("topics").map_or(TOPIC.to_owned(), fitting);
    let client =
        json!({"id": "sample-client", "username": "sample-user", "peer": "127.0.0.1:50000", "protocol_version": 5});
    let connection = json!({"client": client});
    let message = json!({"publisher": client, "topic": topic, "payload": PAYLOAD});
    let delivery = json!({"receiver": client, "message": message});
    let (hook, record) = match key {
        RuleKey::ClientConnect => ("client-connect", json!({"connection": connection})),
        RuleKey::ClientConnack => ("client-connack", json!({"connack": {"connection": connection}})),
        RuleKey::ClientConnected => ("client-connected", json!({"connack": {"connection": connection}})),
        RuleKey::ClientDisconnected => (
            "client-disconnected",
            json!({"disconnection": {"connection": connection}}),
        ),
        RuleKey::ClientSubscribe => (
            "client-subscribe",
            json!({"subscription": {"client": client, "filter": topic}}),
        ),
        RuleKey::SessionSubscribed => (
            "session-subscribed",
            json!({"subscription": {"client": client, "filter": topic}}),
        ),
        RuleKey::ClientUnsubscribe => (
            "client-unsubscribe",
            json!({"unsubscription": {"client": client, "filter": topic}}),
        ),
        RuleKey::SessionUnsubscribed => (
            "session-unsubscribed",
            json!({"unsubscription": {"client": client, "filter": topic}}),
        ),
        RuleKey::SessionCreated => ("session-created", json!({"session": {"client": client}})),
        RuleKey::SessionResumed => ("session-resumed", json!({"session": {"client": client}})),
        RuleKey::SessionDiscarded => ("session-discarded", json!({"session": {"client": client}})),
        RuleKey::SessionTakenOver => ("session-taken-over", json!({"session": {"client": client}})),
        RuleKey::SessionTerminated => (
            "session-terminated",
            json!({"termination": {"session": {"client": client}}}),
        ),
        RuleKey::MessagePublish => ("message-publish", json!({"message": message})),
        RuleKey::MessageDelivered => ("message-delivered", json!({"delivery": delivery})),
        RuleKey::OfflineMessage => ("message-queued", json!({"delivery": delivery})),
        RuleKey::MessageAcked => ("message-acked", json!({"acknowledgement": {"delivery": delivery}})),
        RuleKey::MessageDropped => (
            "message-dropped",
            json!({"message_drop": {"message": message, "reason": "no-subscribers"}}),
        ),
        RuleKey::MessageRefused => (
            "message-refused",
            json!({"message_drop": {"message": message, "reason": "not-authorized"}}),
        ),
        RuleKey::DeliveryDropped => (
            "delivery-dropped",
            json!({"delivery_drop": {"delivery": delivery, "reason": "queue-full"}}),
        ),
        RuleKey::DeliveryLost => (
            "delivery-lost",
            json!({"delivery_loss": {"receiver": client, "filter": topic}}),
        ),
        RuleKey::ClientAuthenticated => (
            "client-authenticated",
            json!({"authentication": {"connection": connection}}),
        ),
        RuleKey::ClientAuthorized => (
            "client-authorized",
            json!({"authorization": {"client": client, "topic": topic}}),
        ),
        RuleKey::Other => (
            "other",
            json!({"other_event": {"name": "client.ping", "client": client}}),
        ),
    };
    let mut line = json!({"hook": hook, "at": chrono::Utc::now().timestamp_millis()});
    if let (Json::Object(line), Json::Object(record)) = (&mut line, record) {
        line.extend(record);
    }
    #[expect(clippy::expect_used, reason = "a test makes the sample of every event")]
    json::read(&line.to_string(), SAMPLE_ID).expect("a valid event")
}

/// A topic that a filter matches.
fn fitting(filter: &str) -> String {
    let filter = filter
        .strip_prefix("$share/")
        .map_or(filter, |rest| rest.split_once('/').map_or(rest, |(_, rest)| rest));
    let levels: Vec<&str> = filter
        .split('/')
        .map(|level| match level {
            "+" => "1",
            "#" => "test",
            level => level,
        })
        .collect();
    levels.join("/")
}

/// The kind of an outcome, and the text about it.
pub(crate) fn outcome(result: &TrialResult) -> (&'static str, Option<&str>) {
    let text = match &result.outcome {
        TrialOutcome::NotWanted => Some("no rule is for this event and topic"),
        TrialOutcome::Ignored => Some("no rule matches"),
        other => other.text(),
    };
    (result.outcome.name(), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_event::Hook;

    #[test]
    fn every_event_has_a_sample() {
        for key in RuleKey::ALL {
            let event = sample(&json!({"events": [key.name()], "topics": ["a/+/b/#"]}));
            let hook = event.detail.hook().contract_name().replace('-', "_");
            assert!(
                hook == key.name() || event.detail.hook() == Hook::MessageQueued,
                "{key:?}"
            );
            if let Some(topic) = event.detail.subject().filter(|_| key != RuleKey::Other) {
                assert_eq!(topic, "a/1/b/test", "{key:?}");
            }
        }
        let event = sample(&json!({}));
        assert_eq!(
            (event.detail.hook(), event.detail.subject()),
            (Hook::MessagePublish, Some("t/1"))
        );
    }
}
