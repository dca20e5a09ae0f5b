//! Handlers that list, change and test webhooks.
//!
//! The body of a change is the settings of the webhook as JSON. A change with the header `If-Match` is refused if the
//! webhook no longer has that `ETag`.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::{Answer, Asked, Error, Named, limit};
use super::{Running, shape};
use crate::webhooks::{self, Change, ChangeError, Edit, ListedWebhook, TestError, Tested};
use hookhost_delivery::shown;

/// Limit of the body of a request: enough for ten thousand webhooks.
const MAX_BODY_BYTES: usize = 32 << 20;

/// The routes below `/api/v1`.
pub(super) fn routes() -> Router<Running> {
    Router::new()
        .route("/webhooks", get(list).post(create))
        .route("/webhooks/{name}", get(show).put(replace).delete(remove))
        .route("/webhooks/{name}/enable", post(enable))
        .route("/webhooks/{name}/disable", post(disable))
        .route("/webhooks/{name}/test", post(test))
        // A webhook that does not exist yet. Every path below `/webhooks` may be the name of one.
        .route("/webhook-tests", post(test_draft))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

/// Which webhooks to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    search: Option<String>,
    /// Only those behind this one.
    after: Option<String>,
    limit: Option<usize>,
}

async fn list(State(running): State<Running>, asked: Asked<Listing>) -> Answer<shape::Webhooks> {
    let Query(Listing { search, after, limit }) = asked?;
    let limit = self::limit(limit)?;
    let search = search.unwrap_or_default().to_lowercase();
    let all = running.reload.webhooks();
    let matches = |webhook: &&ListedWebhook| {
        let has = |text: &str| text.to_lowercase().contains(&search);
        let url = webhook.settings.get("url").and_then(Value::as_str);
        let urls = webhook.settings.get("urls").and_then(Value::as_array);
        let mut urls = urls.into_iter().flatten().filter_map(Value::as_str);
        // A search must not find what a URL does not show.
        has(&webhook.name) || url.is_some_and(has) || urls.any(|url| has(&shown(url)))
    };
    let found: Vec<&ListedWebhook> = all.list.iter().filter(matches).collect();
    let begin = match &after {
        None => 0,
        Some(after) => found
            .iter()
            .position(|webhook| webhook.name == *after)
            .map(|position| position + 1)
            .ok_or_else(|| Error::new(StatusCode::BAD_REQUEST, format!("after: there is no webhook {after:?}")))?,
    };
    let shown = found.iter().skip(begin).take(limit);
    Ok(Json(shape::Webhooks {
        webhooks: shown.map(|webhook| shape::Webhook::from(*webhook)).collect(),
        total: found.len(),
        more: found.len() > begin + limit,
        file: file(&running),
    }))
}

async fn show(State(running): State<Running>, name: Named<String>) -> Result<Response, Error> {
    let Path(name) = name?;
    let webhook = shape::Webhook::from(&known(&running, &name)?);
    let tag = format!("\"{}\"", webhook.etag);
    let mut response = Json(webhook).into_response();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

async fn create(State(running): State<Running>, body: Bytes) -> Answer<shape::ChangedWebhooks> {
    let list = match json(&body)? {
        Value::Array(list) => list,
        one => vec![one],
    };
    let mut changes = Vec::new();
    for webhook in list {
        let (name, settings) = named(webhook)?;
        changes.push(Change {
            name,
            if_match: None,
            edit: Edit::Create(settings),
        });
    }
    changed(running, changes).await
}

async fn replace(
    State(running): State<Running>,
    name: Named<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<shape::ChangedWebhooks> {
    let settings = object(json(&body)?)?;
    change(running, name, &headers, Edit::Replace(settings)).await
}

async fn remove(
    State(running): State<Running>,
    name: Named<String>,
    headers: HeaderMap,
) -> Answer<shape::ChangedWebhooks> {
    change(running, name, &headers, Edit::Remove).await
}

async fn enable(
    State(running): State<Running>,
    name: Named<String>,
    headers: HeaderMap,
) -> Answer<shape::ChangedWebhooks> {
    change(running, name, &headers, Edit::Enable(true)).await
}

async fn disable(
    State(running): State<Running>,
    name: Named<String>,
    headers: HeaderMap,
) -> Answer<shape::ChangedWebhooks> {
    change(running, name, &headers, Edit::Enable(false)).await
}

async fn test(State(running): State<Running>, name: Named<String>) -> Answer<shape::WebhookTest> {
    let Path(name) = name?;
    let webhook = known(&running, &name)?;
    if webhook.rule_event().is_some() {
        let text = "a rule of the configuration cannot be tested: create a webhook with its settings";
        return Err(Error::new(StatusCode::CONFLICT, text));
    }
    tested(running, name, Value::clone(&webhook.settings)).await
}

async fn test_draft(State(running): State<Running>, body: Bytes) -> Answer<shape::WebhookTest> {
    let (name, settings) = draft(&running, json(&body)?)?;
    tested(running, name, settings).await
}

/// A webhook that a person is editing: its settings, with the secrets that it keeps.
pub(super) fn draft(running: &Running, body: Value) -> Result<(String, Value), Error> {
    let (name, settings) = named(body)?;
    let known = running
        .reload
        .webhooks()
        .list
        .iter()
        .find(|webhook| webhook.name == name)
        .cloned();
    let known = known.as_ref().map(|webhook| &*webhook.settings);
    let settings = webhooks::edited(&name, settings, known);
    settings
        .map(|settings| (name, settings))
        .map_err(|problems| ChangeError::Invalid(problems).into())
}

async fn tested(running: Running, name: String, settings: Value) -> Answer<shape::WebhookTest> {
    let test = move || webhooks::test(&running.reload, &running.modules, &name, &settings);
    let Tested { event, result, probes } = blocking(test).await??;
    Ok(Json(shape::WebhookTest::new(&event, &result, &probes)))
}

async fn change(
    running: Running,
    name: Named<String>,
    headers: &HeaderMap,
    edit: Edit,
) -> Answer<shape::ChangedWebhooks> {
    let Path(name) = name?;
    let if_match = headers
        .get(header::IF_MATCH)
        .map(|tag| tag.to_str().unwrap_or_default());
    let change = Change {
        name,
        if_match: if_match
            .filter(|tag| *tag != "*")
            .map(|tag| tag.trim_matches('"').to_owned()),
        edit,
    };
    changed(running, vec![change]).await
}

async fn changed(running: Running, changes: Vec<Change>) -> Answer<shape::ChangedWebhooks> {
    let names: Vec<String> = changes.iter().map(|change| change.name.clone()).collect();
    let reload = running.reload.clone();
    blocking(move || reload.change_webhooks(changes)).await??;
    let all = running.reload.webhooks();
    let by_name: BTreeMap<&str, &ListedWebhook> = all
        .list
        .iter()
        .map(|webhook| (webhook.name.as_str(), webhook))
        .collect();
    let find = |name: &String| by_name.get(name.as_str()).copied();
    Ok(Json(shape::ChangedWebhooks {
        webhooks: names.iter().filter_map(find).map(Into::into).collect(),
        removed: names.iter().filter(|name| find(name).is_none()).cloned().collect(),
        file: file(&running),
    }))
}

fn known(running: &Running, name: &str) -> Result<ListedWebhook, Error> {
    let all = running.reload.webhooks();
    let found = all.list.iter().find(|webhook| webhook.name == name).cloned();
    found.ok_or_else(|| ChangeError::Unknown(name.to_owned()).into())
}

fn file(running: &Running) -> Option<String> {
    running.reload.webhooks().file.map(|file| file.display().to_string())
}

/// Runs something that takes time, on another thread.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let failed = |_| Error::new(StatusCode::INTERNAL_SERVER_ERROR, "it failed, or the host is stopping");
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

/// The body of a request.
pub(super) fn json(body: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(body).map_err(|error| {
        // The text of the error contains no values.
        let text = format!("the body is not JSON: line {}, column {}", error.line(), error.column());
        Error::new(StatusCode::BAD_REQUEST, text)
    })
}

/// The name of a webhook, and its settings.
fn named(body: Value) -> Result<(String, Map<String, Value>), Error> {
    let mut settings = object(body)?;
    match settings.remove("name") {
        Some(Value::String(name)) => Ok((name, settings)),
        _ => Err(Error::new(
            StatusCode::BAD_REQUEST,
            "name should be the name of the webhook",
        )),
    }
}

fn object(body: Value) -> Result<Map<String, Value>, Error> {
    match body {
        Value::Object(object) => Ok(object),
        _ => Err(Error::new(
            StatusCode::BAD_REQUEST,
            "the body should be the settings of a webhook: an object",
        )),
    }
}

impl From<ChangeError> for Error {
    fn from(error: ChangeError) -> Error {
        let status = match &error {
            ChangeError::Unknown(_) => StatusCode::NOT_FOUND,
            ChangeError::Invalid(_) => StatusCode::BAD_REQUEST,
            ChangeError::Changed(_) => StatusCode::PRECONDITION_FAILED,
            ChangeError::Write(_) => StatusCode::INTERNAL_SERVER_ERROR,
            ChangeError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::CONFLICT,
        };
        let text = error.to_string();
        let problems = match error {
            ChangeError::Invalid(problems) => problems.into_iter().map(Into::into).collect(),
            _ => Vec::new(),
        };
        Error::new(status, text).with_problems(problems)
    }
}

impl From<TestError> for Error {
    fn from(error: TestError) -> Error {
        match error {
            TestError::Invalid(problems) => ChangeError::Invalid(problems).into(),
            error => Error::new(StatusCode::BAD_REQUEST, error.to_string()),
        }
    }
}
