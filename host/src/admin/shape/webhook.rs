//! Webhooks and their tests.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::webhooks::{self, ListedWebhook};
use hookhost_delivery::{Probe, shown};
use hookhost_event::{Event, json};
use hookhost_modules::trial::{TrialRequest, TrialResult};

/// `GET /webhooks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Webhooks {
    /// Webhooks by name, then rules of the configuration.
    pub webhooks: Vec<Webhook>,
    /// How many match the search.
    pub total: usize,
    /// Whether others follow.
    pub more: bool,
    /// The file or the bucket of NATS that keeps the webhooks; `null` if they are lost at a restart.
    pub file: Option<String>,
}

/// A webhook, or a rule of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// The name; for a rule its key.
    pub name: String,
    /// Whether events cause requests.
    pub enabled: bool,
    /// Whether a configuration file defines it, so that it cannot be changed here.
    pub read_only: bool,
    /// Where it is defined.
    pub source: String,
    /// The entity tag of the settings.
    pub etag: String,
    /// The settings, with `******` in place of secrets.
    pub settings: Value,
    /// Why this host does not use a webhook that several hosts share; empty if it does.
    pub problems: Vec<String>,
}

impl From<&ListedWebhook> for Webhook {
    fn from(webhook: &ListedWebhook) -> Webhook {
        Webhook {
            name: webhook.name.clone(),
            enabled: webhook.is_enabled,
            read_only: !webhook.can_change,
            source: webhook.source.clone(),
            etag: webhook.etag(),
            settings: webhook.shown_settings(),
            problems: webhook.problems.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A change of webhooks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangedWebhooks {
    /// The webhooks as they are now; a removed webhook is left out.
    pub webhooks: Vec<Webhook>,
    /// The names of removed webhooks.
    pub removed: Vec<String>,
    /// The file or the bucket of NATS that keeps the webhooks; `null` if they are lost at a restart.
    pub file: Option<String>,
}

/// A mistake in the settings of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// The webhook.
    pub webhook: String,
    /// The setting, such as `topics[0]`; empty for the whole webhook.
    pub field: String,
    /// What is wrong.
    pub text: String,
}

impl From<webhooks::FieldProblem> for FieldProblem {
    fn from(problem: webhooks::FieldProblem) -> FieldProblem {
        let webhooks::FieldProblem { webhook, field, text } = problem;
        FieldProblem { webhook, field, text }
    }
}

/// `POST /webhooks/NAME/test`: what happened to a sample event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookTest {
    /// Whether there was at least one request, and the receiver accepted all of them.
    pub ok: bool,
    /// The sample event.
    pub event: Value,
    /// What the rules returned, such as `deliver`.
    pub outcome: String,
    /// The text about it.
    pub text: Option<String>,
    /// The requests and their answers.
    pub requests: Vec<TestedRequest>,
}

/// A request of a webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TriedRequest {
    /// The method.
    pub method: String,
    /// The URL; for a rule of the configuration without user, password, query and fragment.
    pub url: String,
    /// The headers that the rule sets, as pairs, with `******` in place of secrets. The destination adds others.
    pub headers: Vec<(String, String)>,
    /// The body, if it is text.
    pub body: Option<String>,
    /// The body as base64 otherwise.
    pub body_base64: Option<String>,
    /// Why the host would not send it.
    pub refused: Option<String>,
}

/// A request that was sent, with its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestedRequest {
    /// The request.
    #[serde(flatten)]
    pub request: TriedRequest,
    /// The status of the answer; `null` without an answer.
    pub status: Option<u16>,
    /// The beginning of the answer, unless its status is 2xx.
    pub answer: String,
    /// The time until the answer.
    pub took_ms: u64,
    /// Why it failed: `dns`, `refused`, `tls`, `timeout`, `status`, `invalid` or `connection`; `null` if it did not.
    pub failure: Option<String>,
    /// The same in words.
    pub reason: Option<String>,
}

/// `POST /event-trials`: the requests that webhooks would send for an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventTrial {
    /// The event.
    pub event: Value,
    /// The webhooks and rules whose events and topics fit, in order.
    pub webhooks: Vec<WebhookTrial>,
    /// Whether more webhooks fit than were tried.
    pub more: bool,
}

/// What one webhook would do with an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookTrial {
    /// The name of the webhook or rule.
    pub name: String,
    /// Where it is defined.
    pub source: String,
    /// What the rules returned, such as `deliver` or `ignore`.
    pub outcome: String,
    /// The text about it.
    pub text: Option<String>,
    /// The requests that it would send.
    pub requests: Vec<TriedRequest>,
}

impl TriedRequest {
    /// A request of a webhook as it may be shown.
    fn new(request: &TrialRequest) -> TriedRequest {
        use base64::Engine as _;
        let body = request.body_text().map(str::to_owned);
        let encoded = || base64::engine::general_purpose::STANDARD.encode(&request.body);
        let header = |(name, value): &(String, String)| (name.clone(), webhooks::shown_header(name, value).to_owned());
        TriedRequest {
            method: request.method.to_owned(),
            url: request.url.clone(),
            headers: request.headers.iter().map(header).collect(),
            body_base64: body.is_none().then(encoded),
            body,
            refused: request.refused.clone(),
        }
    }

    /// A request of a rule as it may be shown: its URL may contain credentials.
    fn of_rule(request: &TrialRequest) -> TriedRequest {
        TriedRequest {
            url: shown(&request.url),
            ..TriedRequest::new(request)
        }
    }
}

impl WebhookTest {
    pub(in super::super) fn new(event: &Event, result: &TrialResult, probes: &[Probe]) -> WebhookTest {
        let (outcome, text) = webhooks::outcome(result);
        let requests = result.outcome.requests().iter().zip(probes);
        let requests: Vec<TestedRequest> = requests
            .map(|(request, probe)| TestedRequest {
                request: TriedRequest::new(request),
                status: probe.status,
                answer: String::from_utf8_lossy(&probe.answer).into_owned(),
                took_ms: u64::try_from(probe.took.as_millis()).unwrap_or(u64::MAX),
                failure: probe.failure.as_ref().map(|failure| failure.kind.name().to_owned()),
                reason: probe.failure.as_ref().map(ToString::to_string),
            })
            .collect();
        WebhookTest {
            ok: !requests.is_empty() && requests.iter().all(|request| request.failure.is_none()),
            event: event_json(event),
            outcome: outcome.to_owned(),
            text: text.map(str::to_owned),
            requests,
        }
    }
}

impl WebhookTrial {
    pub(in super::super) fn new(webhook: &ListedWebhook, result: &TrialResult) -> WebhookTrial {
        let (outcome, text) = webhooks::outcome(result);
        let request = match webhook.rule_event() {
            Some(_) => TriedRequest::of_rule,
            None => TriedRequest::new,
        };
        WebhookTrial {
            name: webhook.name.clone(),
            source: webhook.source.clone(),
            outcome: outcome.to_owned(),
            text: text.map(str::to_owned),
            requests: result.outcome.requests().iter().map(request).collect(),
        }
    }
}

/// An event in the form of `docs/events.md`.
pub(in super::super) fn event_json(event: &Event) -> Value {
    // The text is always JSON.
    serde_json::from_str(&json::write(event)).unwrap_or_default()
}
