//! Handlers that list, change and test webhooks.
//!
//! The body of a change is the settings of the webhook as JSON. A change with the header `If-Match` is refused if the
//! webhook no longer has that `ETag`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Answer, Asked, Error, Named, Sent, blocking, limit};
use super::openapi::Fails;
use super::webhook_body::{NamedWebhook, OneOrMany, json, named, object};
use super::{Running, shape};
use crate::webhooks::{self, Change, ChangeError, Edit, ListedWebhook, Tested};
use hookhost_delivery::shown;

/// Limit of the body of a request: enough for ten thousand webhooks.
const MAX_BODY_BYTES: usize = 32 << 20;

/// The routes below `/api/v1`.
pub(super) fn routes() -> OpenApiRouter<Running> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(show, replace, remove))
        .routes(routes!(enable))
        .routes(routes!(disable))
        .routes(routes!(test))
        // A webhook that does not exist yet. Every path below `/webhooks` may be the name of one.
        .routes(routes!(test_draft))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

/// Which webhooks to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Listing {
    /// A part of the name or the URL.
    search: Option<String>,
    /// Only those after this one.
    after: Option<String>,
    /// At most this many; 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// The header of a change that is based on settings that were read before.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes the header, which handlers read themselves")]
struct IfMatch {
    /// The tag of these settings, as `ETag` has it.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

/// Lists webhooks by name, then the rules of the configuration.
#[utoipa::path(get, path = "/webhooks", params(Listing), responses((status = 200, body = shape::Webhooks), Fails<400>))]
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

/// Shows the settings of a webhook.
#[utoipa::path(get, path = "/webhooks/{name}", params(("name" = String, Path, description = "The name of the webhook")),
    responses((status = 200, body = shape::Webhook, headers(("etag" = String, description = "The tag of the settings"))),
        Fails<400>, Fails<404>))]
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

/// Creates a webhook, or all webhooks of a list.
#[utoipa::path(post, path = "/webhooks", request_body = OneOrMany,
    responses((status = 200, body = shape::ChangedWebhooks), Fails<400>, Fails<409>, Fails<413>, Fails<500>, Fails<503>))]
async fn create(State(running): State<Running>, body: Sent) -> Answer<shape::ChangedWebhooks> {
    let list = match json(&body?)? {
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

/// Replaces all settings of a webhook; creates it if it does not exist.
#[utoipa::path(put, path = "/webhooks/{name}", params(("name" = String, Path, description = "The name of the webhook"), IfMatch),
    request_body(content = Object, description = "The settings", content_type = "application/json"),
    responses((status = 200, body = shape::ChangedWebhooks), Fails<400>, Fails<404>,
        Fails<409>, Fails<412>, Fails<413>, Fails<500>, Fails<503>))]
async fn replace(
    State(running): State<Running>,
    name: Named<String>,
    headers: HeaderMap,
    body: Sent,
) -> Answer<shape::ChangedWebhooks> {
    let settings = object(json(&body?)?)?;
    change(running, name, &headers, Edit::Replace(settings)).await
}

/// Removes a webhook.
#[utoipa::path(delete, path = "/webhooks/{name}", params(("name" = String, Path, description = "The name of the webhook"), IfMatch),
    responses((status = 200, body = shape::ChangedWebhooks), Fails<400>, Fails<404>,
        Fails<409>, Fails<412>, Fails<500>, Fails<503>))]
async fn remove(
    State(running): State<Running>,
    name: Named<String>,
    headers: HeaderMap,
) -> Answer<shape::ChangedWebhooks> {
    change(running, name, &headers, Edit::Remove).await
}

/// Enables a webhook.
#[utoipa::path(post, path = "/webhooks/{name}/enable", params(("name" = String, Path, description = "The name of the webhook"), IfMatch),
    responses((status = 200, body = shape::ChangedWebhooks), Fails<400>, Fails<404>,
        Fails<409>, Fails<412>, Fails<500>, Fails<503>))]
async fn enable(
    State(running): State<Running>,
    name: Named<String>,
    headers: HeaderMap,
) -> Answer<shape::ChangedWebhooks> {
    change(running, name, &headers, Edit::Enable(true)).await
}

/// Disables a webhook.
#[utoipa::path(post, path = "/webhooks/{name}/disable", params(("name" = String, Path, description = "The name of the webhook"), IfMatch),
    responses((status = 200, body = shape::ChangedWebhooks), Fails<400>, Fails<404>,
        Fails<409>, Fails<412>, Fails<500>, Fails<503>))]
async fn disable(
    State(running): State<Running>,
    name: Named<String>,
    headers: HeaderMap,
) -> Answer<shape::ChangedWebhooks> {
    change(running, name, &headers, Edit::Enable(false)).await
}

/// Sends a request for a sample event now.
#[utoipa::path(post, path = "/webhooks/{name}/test", params(("name" = String, Path, description = "The name of the webhook")),
    responses((status = 200, body = shape::WebhookTest), Fails<400>, Fails<404>, Fails<409>, Fails<500>))]
async fn test(State(running): State<Running>, name: Named<String>) -> Answer<shape::WebhookTest> {
    let Path(name) = name?;
    let webhook = known(&running, &name)?;
    if webhook.rule_event().is_some() {
        let text = "a rule of the configuration cannot be tested: create a webhook with its settings";
        return Err(Error::new(StatusCode::CONFLICT, text));
    }
    tested(running, name, Value::clone(&webhook.settings)).await
}

/// Sends a request of a webhook that is not saved.
#[utoipa::path(post, path = "/webhook-tests", request_body = NamedWebhook,
    responses((status = 200, body = shape::WebhookTest), Fails<400>, Fails<413>, Fails<500>))]
async fn test_draft(State(running): State<Running>, body: Sent) -> Answer<shape::WebhookTest> {
    let (name, settings) = draft(&running, json(&body?)?)?;
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
