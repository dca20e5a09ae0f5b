//! How the host does: metrics, health, readiness, the overview of the dashboard and its live stream, and the log filter.

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
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Answer, Asked, Error};
use super::openapi::Fails;
use super::{Running, metrics, shape};
use crate::logging::LogControl;
use crate::status::StatusReader;

/// Live streams of the overview at a time; each takes one of the connections of the server.
const MAX_STREAMS: usize = 16;
/// The time between two overviews in a stream.
const STREAM_INTERVAL: Duration = Duration::from_secs(2);
/// A stream ends after this time, and the browser opens another one. Streams of forgotten pages behind a proxy therefore
/// end.
const MAX_STREAM_TIME: Duration = Duration::from_secs(600);

/// The routes below `/api/v1`.
pub(super) fn routes(running: &Running) -> OpenApiRouter {
    let streams = Streams {
        status: running.status.clone(),
        places: Arc::new(Semaphore::new(MAX_STREAMS)),
    };
    let of_status = OpenApiRouter::default()
        .routes(routes!(overview))
        .with_state(running.status.clone());
    let of_streams = OpenApiRouter::default().routes(routes!(follow)).with_state(streams);
    let of_log = OpenApiRouter::default()
        .routes(routes!(log, set_log))
        .with_state(running.log.clone());
    of_status.merge(of_streams).merge(of_log)
}

/// The routes that monitoring systems use by convention.
pub(super) fn probes(running: &Running) -> OpenApiRouter {
    OpenApiRouter::default()
        .routes(routes!(alive))
        .routes(routes!(ready))
        .routes(routes!(scrape))
        .with_state(running.status.clone())
}

/// The state of the live streams.
#[derive(Clone)]
struct Streams {
    status: StatusReader,
    places: Arc<Semaphore>,
}

/// Answers while the process runs.
#[utoipa::path(get, path = "/healthz", responses((status = 200, body = String)))]
async fn alive() -> &'static str {
    "ok\n"
}

/// The metrics, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics",
    responses((status = 200, body = String), Fails<500>))]
async fn scrape(State(status): State<StatusReader>) -> Response {
    match metrics::text(status.read().await) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => Error::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Whether broker, outbox and all modules work.
#[utoipa::path(get, path = "/readyz",
    responses((status = 200, body = shape::Ready), (status = 503, description = "Something does not work", body = shape::Ready)))]
async fn ready(State(status): State<StatusReader>) -> (StatusCode, Json<shape::Ready>) {
    let problems = status.read().await.problems();
    let ready = problems.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(shape::Ready { ready, problems }))
}

/// The state of the whole host.
#[utoipa::path(get, path = "/overview", responses((status = 200, body = shape::Overview)))]
async fn overview(State(status): State<StatusReader>) -> Json<shape::Overview> {
    Json(status.read().await.into())
}

/// Overviews every two seconds as server-sent events, for at most 10 minutes.
#[utoipa::path(get, path = "/overview/stream",
    responses((status = 200, body = String, content_type = "text/event-stream"), Fails<503>))]
async fn follow(State(Streams { status, places }): State<Streams>) -> Response {
    let Ok(place) = places.try_acquire_owned() else {
        let text = format!("at most {MAX_STREAMS} live streams at a time; close another page of the dashboard");
        return Error::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let mut ticks = interval(STREAM_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stream = OverviewStream {
        status,
        ticks,
        end: Instant::now() + MAX_STREAM_TIME,
        _place: place,
    };
    let body = Body::from_stream(stream::unfold(stream, OverviewStream::next));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}

struct OverviewStream {
    status: StatusReader,
    ticks: Interval,
    end: Instant,
    _place: OwnedSemaphorePermit,
}

impl OverviewStream {
    async fn next(mut self) -> Option<(Result<Bytes, serde_json::Error>, OverviewStream)> {
        let at = self.ticks.tick().await;
        if at >= self.end {
            return None;
        }
        let overview = shape::Overview::from(self.status.read().await);
        // The JSON has no line feeds.
        let event = serde_json::to_string(&overview).map(|json| format!("data: {json}\n\n").into());
        Some((event, self))
    }
}

/// The new filter of the log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct NewFilter {
    /// The directives; empty for the default.
    filter: String,
}

/// Shows which lines the host logs.
#[utoipa::path(get, path = "/log", responses((status = 200, body = shape::Log)))]
async fn log(State(log): State<LogControl>) -> Json<shape::Log> {
    Json(shape::Log { filter: log.filter() })
}

/// Selects which lines the host logs, until it restarts.
#[utoipa::path(put, path = "/log", params(NewFilter), responses((status = 200, body = shape::Log), Fails<400>))]
async fn set_log(State(log): State<LogControl>, asked: Asked<NewFilter>) -> Answer<shape::Log> {
    let Query(NewFilter { filter }) = asked?;
    match log.set_filter(&filter) {
        Ok(()) => Ok(Json(shape::Log { filter: log.filter() })),
        Err(error) => Err(Error::new(StatusCode::BAD_REQUEST, error.to_string())),
    }
}
