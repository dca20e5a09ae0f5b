//! What happened to one event: what modules did with it, the attempts to deliver its requests, and what is left of it.

use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use tracing::warn;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Answer, Error, Named, blocking};
use super::openapi::Fails;
use super::{Running, shape};
use crate::status::now;
use hookhost_activity::{ActivityFilter, AttemptQuery};
use hookhost_delivery::DeadLetterFilter;
use hookhost_event::{Id, Millis};
use hookhost_settings::error_line;

/// Limit of the attempts, of the dead letters and of the quarantined events in an answer.
const MAX_ENTRIES: usize = 1_000;

/// The routes below `/api/v1`.
pub(super) fn routes() -> OpenApiRouter<Running> {
    OpenApiRouter::default().routes(routes!(trace))
}

/// What happened to one event: modules, attempts, dead letters and quarantine.
#[utoipa::path(get, path = "/events/{id}",
    params(("id" = String, Path, description = "The id of the event: up to 32 hex digits", pattern = "^[0-9A-Fa-f]{1,32}$")),
    responses((status = 200, body = shape::EventTrace), Fails<400>, Fails<404>, Fails<500>))]
async fn trace(State(running): State<Running>, id: Named<String>) -> Answer<shape::EventTrace> {
    let Path(id) = id?;
    let invalid = |_| Error::new(StatusCode::BAD_REQUEST, "the id of an event is up to 32 hex digits");
    let id = Id::try_from(id).map_err(invalid)?;
    let trace = blocking(move || find(&running, id)).await?;
    let unknown = || {
        let text =
            format!("nothing is known about event {id}: no module asked for it, or it is one of the older events");
        Error::not_found(text)
    };
    trace.map(Json).ok_or_else(unknown)
}

fn find(running: &Running, id: Id) -> Option<shape::EventTrace> {
    let event = id.to_string();
    // Before the attempts: a request that ends meanwhile is among them.
    let waiting = running
        .monitor
        .destinations()
        .into_iter()
        .filter_map(|state| state.oldest)
        .min();
    // Their events are not known without reading them.
    let (waiting_for_nats, _) = running.monitor.waiting_for_nats();
    let handled = running.activity.outcomes_of(id);
    let query = AttemptQuery {
        filter: ActivityFilter {
            event: Some(event.clone()),
            ..ActivityFilter::default()
        },
        ..AttemptQuery::default()
    };
    let attempts = running.activity.attempts(&query, now().0, MAX_ENTRIES);
    let filter = DeadLetterFilter {
        event: Some(event.clone()),
        ..DeadLetterFilter::default()
    };
    let letters = running
        .letters
        .list(&filter, None, MAX_ENTRIES)
        .unwrap_or_else(|error| {
            warn!(error = error_line(&error), "a trace has no dead letters");
            Vec::new()
        });
    // One by one: all of them together may be large.
    let entries = running.modules.entries_of(None).into_iter();
    let quarantined: Vec<_> = entries
        .filter_map(|number| running.modules.entry(number))
        .filter(|entry| entry.event.id == id)
        .take(MAX_ENTRIES)
        .collect();
    let received = handled.first().map(|handled| handled.received);
    let received = received.or_else(|| quarantined.first().map(|entry| entry.event.at.0));
    let at = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis()
    };
    let may_wait = waiting_for_nats > 0
        || waiting.is_some_and(|oldest| received.is_none_or(|received| at(oldest) <= received.into()));
    shape::EventTrace::new(
        event,
        received.map(|at| shape::time(Millis(at))),
        handled.iter().map(shape::Handled::of).collect(),
        attempts.iter().rev().map(|entry| shape::Delivery::of(entry)).collect(),
        quarantined.iter().map(shape::Quarantined::brief).collect(),
        letters.iter().rev().map(shape::DeadLetter::brief).collect(),
        may_wait,
    )
}
