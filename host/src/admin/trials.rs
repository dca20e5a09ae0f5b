//! Handlers of trials: the requests that webhooks would send for an event. They send nothing.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Answer, Asked, Error, Sent, blocking};
use super::guard::Admitted;
use super::openapi::Fails;
use super::token::Role;
use super::webhook_body::{NamedWebhook, json};
use super::webhooks::draft;
use super::{Running, shape};
use crate::webhooks::{self, ListedWebhook, TestError};
use hookhost_event::{Event, Hook, Id, json as event_form};
use hookhost_modules::ReloadableSettings;
use hookhost_modules::trial::TrialOutcome;
use hookhost_shared::topic::TopicFilter;

/// Limit of the webhooks that are tried: each takes a few milliseconds.
const MAX_TRIED: usize = 100;

/// The routes below `/api/v1`.
pub(super) fn routes() -> OpenApiRouter<Running> {
    OpenApiRouter::default()
        .routes(routes!(sample))
        .routes(routes!(try_event))
}

/// What the sample is about.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The event, such as `message_publish`.
    event: Option<String>,
    /// A topic filter that the topic of the event should match.
    topic: Option<String>,
}

/// A sample event, in the form of `docs/events.md`.
#[utoipa::path(get, path = "/event-samples", params(Wanted), responses((status = 200, body = Object), Fails<400>))]
async fn sample(asked: Asked<Wanted>) -> Answer<Value> {
    let Query(Wanted { event, topic }) = asked?;
    let mut settings = Map::new();
    if let Some(event) = event {
        if !webhooks::is_event(&event) {
            let text = format!("event: there is no event {event:?}; an event is called like message_publish");
            return Err(Error::new(StatusCode::BAD_REQUEST, text));
        }
        settings.insert("events".to_owned(), json!([event]));
    }
    if let Some(topic) = topic.filter(|topic| !topic.is_empty()) {
        settings.insert("topics".to_owned(), json!([topic]));
    }
    Ok(Json(shape::event_json(&webhooks::sample(&Value::Object(settings)))))
}

/// The body of a trial: an event, and the webhook that a person is editing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Trial {
    /// The event, in the form of `docs/events.md`.
    #[schema(value_type = Object)]
    event: Value,
    /// A webhook that need not be saved.
    #[schema(value_type = Option<NamedWebhook>)]
    webhook: Option<Value>,
}

/// Shows the requests that webhooks and rules would send for an event. Sends nothing.
///
/// A viewer may try saved webhooks only: the settings of a draft name files, and errors would tell which of them exist.
#[utoipa::path(post, path = "/event-trials", request_body = Trial,
    responses((status = 200, body = shape::EventTrial), Fails<400>, Fails<413>, Fails<500>))]
async fn try_event(
    State(running): State<Running>,
    Extension(admitted): Extension<Admitted>,
    body: Sent,
) -> Answer<shape::EventTrial> {
    let refused = |text: String| Error::new(StatusCode::BAD_REQUEST, text);
    let Trial { event, webhook } =
        serde_json::from_value(json(&body?)?).map_err(|error| refused(format!("the body is not a trial: {error}")))?;
    let event = event_form::read(&event.to_string(), Id(1));
    let event = event.map_err(|problem| refused(format!("event: {}: {}", problem.key, problem.text)))?;
    if webhook.is_some() && admitted.role == Role::Viewer {
        let text = "webhook: a viewer may try saved webhooks only; leave it out";
        return Err(Error::new(StatusCode::FORBIDDEN, text));
    }
    let draft = webhook.map(|webhook| draft(&running, webhook)).transpose()?;
    blocking(move || tried(&running, event, draft)).await?.map(Json)
}

/// Tries the draft first, then the webhooks and rules that want the event.
fn tried(running: &Running, event: Event, draft: Option<(String, Value)>) -> Result<shape::EventTrial, Error> {
    let all = running.reload.webhooks();
    let is_draft = |webhook: &ListedWebhook| draft.as_ref().is_some_and(|(name, _)| *name == webhook.name);
    let fitting =
        |webhook: &&ListedWebhook| webhook.is_enabled && webhook.problems.is_empty() && fits(&webhook.settings, &event);
    let mut saved = all.list.iter().filter(|webhook| !is_draft(webhook)).filter(fitting);
    let mut trials = Vec::new();
    if let Some((name, settings)) = &draft {
        let known = all.list.iter().find(|webhook| webhook.name == *name);
        let draft = ListedWebhook {
            name: name.clone(),
            is_enabled: true,
            can_change: true,
            source: known.map_or("not saved".to_owned(), |known| known.source.clone()),
            settings: settings.clone().into(),
            revision: None,
            problems: Vec::new(),
        };
        let result = webhooks::try_event(&running.modules, of(running, &draft)?, event.clone())?;
        trials.push(shape::WebhookTrial::new(&draft, &result));
    }
    let room = MAX_TRIED - trials.len();
    for webhook in saved.by_ref().take(room) {
        let result = webhooks::try_event(&running.modules, of(running, webhook)?, event.clone())?;
        // Its events and topics fit, but its format does not have this event.
        if result.outcome != TrialOutcome::NotWanted {
            trials.push(shape::WebhookTrial::new(webhook, &result));
        }
    }
    Ok(shape::EventTrial {
        event: shape::event_json(&event),
        webhooks: trials,
        more: saved.next().is_some(),
    })
}

/// The settings of the built-in module with this webhook or rule alone.
fn of(running: &Running, webhook: &ListedWebhook) -> Result<ReloadableSettings, TestError> {
    let Some(event) = webhook.rule_event() else {
        return webhooks::alone(&running.reload, &webhook.name, &webhook.settings);
    };
    let mut rule = webhook.settings.as_object().cloned().unwrap_or_default();
    rule.remove("events");
    Ok(ReloadableSettings {
        webhook_config: running.reload.with_variables(json!({ "rule": { event: [rule] } })),
        places: Default::default(),
        receivers: running.modules.receivers(),
    })
}

/// Whether a webhook may be for an event, by its events and topics. Its format may still not have the event.
fn fits(settings: &Value, event: &Event) -> bool {
    let detail = &event.detail;
    let texts = |key: &str| {
        settings
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    };
    // Formats report some events under the key of another one.
    let is_message = |name: &str| name.starts_with("message_") || name == "offline_message";
    let kind = detail.hook().contract_name().starts_with("message-");
    let has_events = settings.get("events").is_some();
    let fits_event = !has_events || texts("events").any(|name| name == "other" || is_message(name) == kind);
    let mut topics = texts("topics").peekable();
    let fits_topic = match detail.subject() {
        Some(subject) if topics.peek().is_some() && detail.hook() == Hook::MessagePublish => {
            topics.any(|topic| topic.parse::<TopicFilter>().is_ok_and(|filter| filter.matches(subject)))
        }
        _ => true,
    };
    fits_event && fits_topic
}
