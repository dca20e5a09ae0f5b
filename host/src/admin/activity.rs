//! The last deliveries, and the live stream of outcomes and attempts.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Answer, Asked, Error, limit};
use super::openapi::Fails;
use super::shape;
use crate::status::now;
use hookhost_activity::{Activity, ActivityFilter, ActivityLog, AttemptQuery, Follower};

/// Followers at a time; each takes one of the connections of the server.
const MAX_FOLLOWERS: usize = 16;

/// The pause without entries after which a follower gets an empty line. A connection whose other end has disappeared is
/// noticed only when something is sent, and would keep its place forever.
const IDLE_LINE: Duration = Duration::from_secs(30);

/// The routes below `/api/v1`.
pub(super) fn routes(activity: ActivityLog) -> OpenApiRouter {
    let taps = Taps {
        log: activity.clone(),
        places: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
    };
    OpenApiRouter::default()
        .routes(routes!(deliveries))
        .with_state(activity)
        .merge(OpenApiRouter::default().routes(routes!(tap)).with_state(taps))
}

/// The state of the live streams.
#[derive(Clone)]
struct Taps {
    log: ActivityLog,
    places: Arc<Semaphore>,
}

/// Which events to follow.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Selection {
    /// A client id.
    client: Option<String>,
    /// A topic filter.
    topic: Option<String>,
    /// A hook such as `message-publish`, or the id of an event.
    event: Option<String>,
    /// A module.
    module: Option<String>,
    /// The name of a webhook: only attempts to deliver its requests.
    webhook: Option<String>,
}

/// Which deliveries to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeliveryQuery {
    /// A client id.
    client: Option<String>,
    /// A topic filter.
    topic: Option<String>,
    /// A hook such as `message-publish`, or the id of an event.
    event: Option<String>,
    /// A module.
    module: Option<String>,
    /// The name of a webhook.
    webhook: Option<String>,
    /// The HTTP status of the answer.
    #[param(maximum = 65535)]
    status: Option<u16>,
    /// Only attempts that failed.
    #[serde(default)]
    failed: bool,
    /// Only attempts with smaller numbers.
    before: Option<u64>,
    /// At most this many; 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

impl Selection {
    /// # Errors
    ///
    /// The topic is not a topic filter.
    fn filter(self) -> Result<ActivityFilter, Error> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let topic = given(self.topic).map(|topic| topic.parse()).transpose();
        let topic = topic
            .map_err(|error| Error::new(StatusCode::BAD_REQUEST, format!("topic is not a topic filter: {error}")))?;
        Ok(ActivityFilter {
            client: given(self.client),
            topic,
            event: given(self.event),
            module: given(self.module),
            destination: given(self.webhook).map(|name| format!("webhooks/{name}")),
        })
    }
}

/// Lists the last attempts to deliver requests, newest first.
#[utoipa::path(get, path = "/deliveries", params(DeliveryQuery), responses((status = 200, body = shape::Deliveries), Fails<400>))]
async fn deliveries(State(log): State<ActivityLog>, asked: Asked<DeliveryQuery>) -> Answer<shape::Deliveries> {
    let Query(query) = asked?;
    let limit = limit(query.limit)?;
    let DeliveryQuery {
        client,
        topic,
        event,
        module,
        webhook,
        status,
        failed,
        before,
        ..
    } = query;
    let query = AttemptQuery {
        filter: Selection {
            client,
            topic,
            event,
            module,
            webhook,
        }
        .filter()?,
        failed,
        status,
        before,
    };
    let mut found = log.attempts(&query, now().0, limit + 1);
    let more = found.len() > limit;
    found.truncate(limit);
    Ok(Json(shape::Deliveries {
        deliveries: found.iter().map(|entry| shape::Delivery::of(entry)).collect(),
        more,
    }))
}

/// Outcomes and attempts from now on, one JSON object on each line, until the reader disconnects. A line is empty if nothing
/// has happened for 30 seconds.
#[utoipa::path(get, path = "/tap", params(Selection),
    responses((status = 200, body = shape::TapLine, content_type = "application/x-ndjson"), Fails<400>, Fails<503>))]
async fn tap(State(Taps { log, places }): State<Taps>, asked: Asked<Selection>) -> Response {
    let filter = match asked
        .map_err(Error::from)
        .and_then(|Query(selection)| selection.filter())
    {
        Ok(filter) => filter,
        Err(error) => return error.into_response(),
    };
    let Ok(place) = places.try_acquire_owned() else {
        let text = format!("at most {MAX_FOLLOWERS} followers at a time");
        return Error::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let stream = TapStream {
        follower: log.follow(filter),
        idle_line: IDLE_LINE,
        _place: place,
    };
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(stream::unfold(stream, TapStream::next))).into_response()
}

struct TapStream {
    follower: Follower,
    /// After this time without a line, an empty one is written.
    idle_line: Duration,
    _place: OwnedSemaphorePermit,
}

impl TapStream {
    async fn next(mut self) -> Option<(Result<Bytes, serde_json::Error>, TapStream)> {
        let Ok(followed) = timeout(self.idle_line, self.follower.next()).await else {
            return Some((Ok(Bytes::from_static(b"\n")), self));
        };
        let followed = followed?;
        let mut lines = Vec::new();
        if followed.lost > 0 {
            lines.push(shape::TapLine::Lost { lines: followed.lost });
        }
        lines.push(match followed.activity {
            Activity::Outcome(entry) => shape::TapLine::Outcome(shape::Outcome::of(&entry)),
            Activity::Attempt(entry) => shape::TapLine::Attempt(shape::Delivery::of(&entry)),
        });
        let text: Result<Vec<String>, _> = lines.iter().map(serde_json::to_string).collect();
        Some((text.map(|lines| (lines.join("\n") + "\n").into()), self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_follower_of_nothing_gets_empty_lines() {
        let log = ActivityLog::new();
        let place = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let stream = TapStream {
            follower: log.follow(ActivityFilter::default()),
            idle_line: Duration::ZERO,
            _place: place,
        };
        let (line, mut stream) = stream.next().await.unwrap();
        assert_eq!(line.unwrap(), "\n");
        // The log ends with the host.
        drop(log);
        stream.idle_line = IDLE_LINE;
        assert!(stream.next().await.is_none());
    }
}
