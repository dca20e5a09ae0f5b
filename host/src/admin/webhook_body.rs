//! The bodies of requests about webhooks.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::error::Error;

/// A webhook: its name, and its settings as `docs/webhooks.md` describes them.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NamedWebhook {
    name: String,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

/// One webhook, or a list.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the body, whose parts are read one by one")]
pub(super) enum OneOrMany {
    /// One.
    One(NamedWebhook),
    /// All of them are created, or none.
    Many(Vec<NamedWebhook>),
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
pub(super) fn named(body: Value) -> Result<(String, Map<String, Value>), Error> {
    let webhook = serde_json::from_value(Value::Object(object(body)?));
    let NamedWebhook { name, settings } =
        webhook.map_err(|_| Error::new(StatusCode::BAD_REQUEST, "name should be the name of the webhook"))?;
    Ok((name, settings))
}

pub(super) fn object(body: Value) -> Result<Map<String, Value>, Error> {
    match body {
        Value::Object(object) => Ok(object),
        _ => Err(Error::new(
            StatusCode::BAD_REQUEST,
            "the body should be the settings of a webhook: an object",
        )),
    }
}
