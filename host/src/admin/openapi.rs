//! The OpenAPI document of the API: `/openapi.json`.
//!
//! The routers collect it: a handler names its path, parameters and answers in `#[utoipa::path]`, and the same
//! annotation makes the route. The types of the answers are those of `shape`. [`document`] completes what the
//! annotations would repeat: refusals of the guard, names and groups of operations. Pure.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use super::guard;
use super::shape::Failure;
use crate::version;

/// The path of the document.
pub(super) const PATH: &str = "/openapi.json";

/// Paths below which an operation belongs to the group of the next segment.
const BASE: &str = "/api/v1/";

/// An error answer with a status: [`Failure`].
pub(super) enum Fails<const STATUS: u16> {}

impl<const STATUS: u16> IntoResponses for Fails<STATUS> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let schema = Ref::from_schema_name(Failure::name());
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new()
            .description(reason(STATUS))
            .content("application/json", content)
            .build();
        BTreeMap::from([(STATUS.to_string(), response.into())])
    }
}

/// Why an operation answers with an error status.
fn reason(status: u16) -> &'static str {
    match status {
        400 => "The request is invalid; the text says what is wrong",
        401 => "The request needs a valid token or session",
        403 => "The role does not allow the request, or a page of another site made it",
        404 => "There is nothing with this name or number",
        408 => "The body does not arrive in time",
        409 => "The state of the host does not allow the change; the text says why",
        412 => "It has changed since the tag of If-Match was read",
        413 => "The body is too large",
        500 => "The host failed, or is stopping",
        503 => "The host cannot do it now; try again later",
        _ => "An error",
    }
}

/// The whole document.
pub(super) fn document(collected: &OpenApi) -> Value {
    let mut document = object(serde_json::to_value(collected).ok());
    let info = json!({
        "title": "hookhost",
        "version": version::VERSION,
        "description": "The admin API. Operations that change something need the role admin.",
    });
    document.insert("info".to_owned(), info);
    let mut components = object(document.remove("components"));
    let security = json!({
        "token": {"type": "http", "scheme": "bearer", "description": "The token of the host; not needed if it has none"},
        "session": {"type": "apiKey", "in": "cookie", "name": "hookhost_session", "description": "A session of a browser"},
    });
    components.insert("securitySchemes".to_owned(), security);
    // The schema of refusals: the guard answers with them, and no annotation names it.
    let mut refusals = vec![(Failure::name().into_owned(), Failure::schema())];
    Failure::schemas(&mut refusals);
    let mut schemas = object(components.remove("schemas"));
    schemas.extend(refusals.into_iter().map(|(name, schema)| (name, json!(schema))));
    components.insert("schemas".to_owned(), schemas.into());
    document.insert("components".to_owned(), components.into());
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            if let Some(operation) = operation.as_object_mut() {
                complete(path, method, operation);
            }
        }
    }
    let mut document = document.into();
    remove_formats(&mut document);
    document
}

/// An object, or an empty one.
fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// Removes the formats of numbers without a sign: those of OpenAPI have one, so half of the numbers would be invalid.
fn remove_formats(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.get("minimum") == Some(&json!(0)) {
                object.remove("format");
            }
            object.values_mut().for_each(remove_formats);
        }
        Value::Array(list) => list.iter_mut().for_each(remove_formats),
        _ => {}
    }
}

/// Completes an operation: its name, its group, who may use it, and what the guard answers.
fn complete(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let name = path
        .trim_start_matches(BASE)
        .replace(|c: char| !c.is_alphanumeric(), " ");
    let words: Vec<&str> = std::iter::once(method).chain(name.split_whitespace()).collect();
    operation.insert("operationId".to_owned(), json!(words.join("_")));
    let group = match path.strip_prefix(BASE) {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None => "monitoring",
    };
    operation.insert("tags".to_owned(), json!([group]));
    for parameter in operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        // A parameter that is left out is not a parameter with the value null.
        let Some(kinds) = parameter.pointer_mut("/schema/type") else {
            continue;
        };
        if let Some(kind) = kinds.as_array().and_then(|kinds| kinds.first()).cloned() {
            *kinds = kind;
        }
    }
    // Every operation below `/api/v1` fails with 500 if the host is stopping.
    let refusals: &[StatusCode] = if guard::is_open(path) {
        &[StatusCode::FORBIDDEN]
    } else {
        operation.insert("security".to_owned(), json!([{}, {"token": []}, {"session": []}]));
        &[
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::INTERNAL_SERVER_ERROR,
        ]
    };
    let mut responses = object(operation.remove("responses"));
    let schema = format!("#/components/schemas/{}", Failure::name());
    for status in refusals {
        let refusal = json!({
            "description": reason(status.as_u16()),
            "content": {"application/json": {"schema": {"$ref": schema}}},
        });
        responses.insert(status.as_str().to_owned(), refusal);
    }
    operation.insert("responses".to_owned(), responses.into());
}
