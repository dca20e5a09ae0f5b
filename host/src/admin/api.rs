//! Routes and handlers of the API. Requests have no bodies. The API does not read a body that arrives.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRef, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router, middleware};
use serde::Deserialize;

use super::guard::{self, Guard};
use super::{Running, activity, clients, configuration, dashboard, delivery, monitoring, session, shape};
use crate::reload;
use hookhost_broker::{EngineHandle, NotRunning};
use hookhost_hooks::OfferError;
use hookhost_modules::{Handle, ModuleState, ReplayError};

/// Entries of an answer without `limit`.
const DEFAULT_ENTRIES: usize = 100;
/// Highest `limit`.
const MAX_ENTRIES: usize = 1_000;

/// An error answer.
#[derive(Debug)]
pub(super) struct Error {
    status: StatusCode,
    text: String,
}

/// Which entries of the quarantine to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    module: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

/// Which entries of the quarantine to replay or drop: those of a module, or all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    module: Option<String>,
    #[serde(default)]
    all: bool,
}

pub(super) type Answer<T> = Result<Json<T>, Error>;
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;
pub(super) type Named<T> = Result<Path<T>, PathRejection>;

/// The whole API.
pub(super) fn router(running: Running, guard: Guard) -> Router {
    let of_broker = Router::new()
        .route("/broker", get(broker))
        .route("/clients/{id}", delete(kick))
        .with_state(running.clients.clone());
    let sessions = session::routes(guard.sessions());
    let of_host = monitoring::routes(&running)
        .merge(activity::routes(running.activity.clone()))
        .merge(clients::routes(running.clients.clone()))
        .merge(configuration::routes(running.reload.clone()));
    let probes = monitoring::probes(&running);
    let (reload, configuration) = (running.reload.clone(), running.reload.clone());
    let api = Router::new()
        .route("/health", get(health))
        .route(
            "/modules",
            get(move |running| std::future::ready(list(running, &configuration))),
        )
        // A module may be called "rescan".
        .route(
            "/modules/rescan",
            post(move || rescan(reload)).get(async |running| show(running, Ok(Path("rescan".to_owned()))).await),
        )
        .route("/modules/{name}", get(show))
        .route("/quarantine", get(quarantine).delete(drop_all))
        .route("/quarantine/replay", post(replay_all))
        .route("/quarantine/{id}", get(entry).delete(drop_one))
        .route("/quarantine/{id}/replay", post(replay_one))
        .merge(delivery::router())
        .with_state(running)
        .merge(of_broker)
        .merge(of_host)
        .merge(sessions);
    Router::new()
        .nest("/api/v1", api)
        .merge(probes)
        .merge(dashboard::routes())
        .fallback(async || {
            Error::new(
                StatusCode::NOT_FOUND,
                "no such path; the dashboard is at /, the API below /api/v1",
            )
        })
        .method_not_allowed_fallback(async || {
            Error::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path does not support this method; the Allow header lists the methods",
            )
        })
        .layer(middleware::from_fn_with_state(Arc::new(guard), guard::layer))
}

async fn health() -> Json<shape::Health> {
    Json(shape::Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

fn list(State(running): State<Running>, configuration: &reload::Handle) -> Json<shape::Modules> {
    let modules = running.modules.states().into_iter();
    Json(shape::Modules {
        modules: modules.map(|state| of_module(&running, state)).collect(),
        left_out: configuration.left_out(),
    })
}

fn of_module(running: &Running, state: ModuleState) -> shape::Module {
    let dead = running.monitor.dead_of(&state.name);
    shape::Module::new(state, dead)
}

async fn show(State(running): State<Running>, name: Named<String>) -> Answer<shape::Module> {
    let Path(name) = name?;
    match running.modules.state(&name) {
        Some(state) => Ok(Json(of_module(&running, state))),
        None => Err(Error::not_found(format!("there is no module {name:?}"))),
    }
}

async fn rescan(reload: reload::Handle) -> Answer<shape::Rescan> {
    // Compiling a module takes seconds.
    let found = tokio::task::spawn_blocking(move || reload.rescan()).await;
    match found {
        Ok(found) => Ok(Json(found.into())),
        Err(_) => Err(Error::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the rescan failed, or the host is stopping",
        )),
    }
}

async fn broker(State(clients): State<EngineHandle>) -> Answer<shape::Broker> {
    match clients.state().await {
        Ok(state) => Ok(Json(state.into())),
        Err(error @ NotRunning) => Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

async fn kick(State(clients): State<EngineHandle>, id: Named<String>) -> Answer<shape::Kicked> {
    let Path(id) = id?;
    match clients.disconnect(id.clone()).await {
        Ok(true) => Ok(Json(shape::Kicked { kicked: id })),
        Ok(false) => Err(Error::not_found(format!("there is no client {id:?}"))),
        Err(error @ NotRunning) => Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

async fn quarantine(State(modules): State<Handle>, asked: Asked<Listing>) -> Answer<shape::Quarantine> {
    let Query(Listing { module, before, limit }) = asked?;
    let limit = self::limit(limit)?;
    let mut entries = modules.quarantined(module.as_deref(), before, limit + 1);
    let more = entries.len() > limit;
    entries.truncate(limit);
    Ok(Json(shape::Quarantine {
        entries: entries.iter().map(shape::Quarantined::brief).collect(),
        more,
    }))
}

/// How many entries to return.
///
/// # Errors
///
/// An error answer if the number is out of range.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Error> {
    let limit = asked.unwrap_or(DEFAULT_ENTRIES);
    if (1..=MAX_ENTRIES).contains(&limit) {
        return Ok(limit);
    }
    let text = format!("limit should be between 1 and {MAX_ENTRIES}");
    Err(Error::new(StatusCode::BAD_REQUEST, text))
}

async fn entry(State(modules): State<Handle>, id: Named<u64>) -> Answer<shape::Quarantined> {
    let Path(id) = id?;
    match modules.entry(id) {
        Some(entry) => Ok(Json(shape::Quarantined::whole(&entry))),
        None => Err(ReplayError::Unknown(id).into()),
    }
}

async fn replay_one(State(modules): State<Handle>, id: Named<u64>) -> Answer<shape::Replayed> {
    let Path(id) = id?;
    modules.replay(id)?;
    Ok(Json(shape::Replayed {
        replayed: vec![id],
        left: Vec::new(),
    }))
}

async fn replay_all(State(modules): State<Handle>, selection: Asked<Selection>) -> Answer<shape::Replayed> {
    let ids = ids(&modules, selection)?;
    let mut answer = shape::Replayed {
        replayed: Vec::new(),
        left: Vec::new(),
    };
    for id in ids {
        match modules.replay(id) {
            Ok(_) => answer.replayed.push(id),
            // Another request has replayed or dropped it.
            Err(ReplayError::Unknown(_)) => {}
            Err(error) => answer.left.push(shape::Left {
                id,
                error: error.to_string(),
            }),
        }
    }
    Ok(Json(answer))
}

async fn drop_one(State(modules): State<Handle>, id: Named<u64>) -> Answer<shape::Dropped> {
    let Path(id) = id?;
    if modules.discard(id) {
        Ok(Json(shape::Dropped { dropped: vec![id] }))
    } else {
        Err(ReplayError::Unknown(id).into())
    }
}

async fn drop_all(State(modules): State<Handle>, selection: Asked<Selection>) -> Answer<shape::Dropped> {
    let mut dropped = ids(&modules, selection)?;
    dropped.retain(|id| modules.discard(*id));
    Ok(Json(shape::Dropped { dropped }))
}

/// The selected entries at this moment, oldest first. An event that fails again gets a new entry, which is not
/// selected.
fn ids(modules: &Handle, selection: Asked<Selection>) -> Result<Vec<u64>, Error> {
    let Query(selection) = selection?;
    match (selection.module, selection.all) {
        (Some(module), false) => Ok(modules.entries_of(Some(&module))),
        (None, true) => Ok(modules.entries_of(None)),
        _ => {
            let text = "select events with module=NAME or all=true";
            Err(Error::new(StatusCode::BAD_REQUEST, text))
        }
    }
}

impl FromRef<Running> for Handle {
    fn from_ref(running: &Running) -> Handle {
        running.modules.clone()
    }
}

impl Error {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Error {
        Error {
            status,
            text: text.into(),
        }
    }

    fn not_found(text: impl Into<String>) -> Error {
        Error::new(StatusCode::NOT_FOUND, text)
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<ReplayError> for Error {
    fn from(error: ReplayError) -> Error {
        let status = match error {
            ReplayError::Unknown(_) => StatusCode::NOT_FOUND,
            ReplayError::Queue(OfferError::Full) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::CONFLICT,
        };
        Error::new(status, error.to_string())
    }
}

impl From<QueryRejection> for Error {
    fn from(rejection: QueryRejection) -> Error {
        Error::new(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl From<PathRejection> for Error {
    fn from(rejection: PathRejection) -> Error {
        Error::new(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        (self.status, Json(shape::Failure { error: self.text })).into_response()
    }
}
