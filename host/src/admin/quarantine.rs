//! Handlers of the quarantine.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Answer, Asked, Error, Named, limit};
use super::openapi::Fails;
use super::{Running, shape};
use hookhost_modules::{Handle, ReplayError};

/// The routes below `/api/v1`.
pub(super) fn routes() -> OpenApiRouter<Running> {
    OpenApiRouter::default()
        .routes(routes!(quarantine, drop_all))
        .routes(routes!(replay_all))
        .routes(routes!(entry, drop_one))
        .routes(routes!(replay_one))
}

/// Which entries of the quarantine to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Listing {
    /// Only events of this module.
    module: Option<String>,
    /// Only entries with smaller numbers.
    before: Option<u64>,
    /// At most this many; 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Which entries of the quarantine to replay or drop: those of a module, or all.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Selection {
    /// The events of this module.
    module: Option<String>,
    /// The events of all modules.
    #[serde(default)]
    all: bool,
}

/// Lists events that modules could not handle, newest first.
#[utoipa::path(get, path = "/quarantine", params(Listing), responses((status = 200, body = shape::Quarantine), Fails<400>))]
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

/// Shows an event and why it was quarantined.
#[utoipa::path(get, path = "/quarantine/{id}", params(("id" = u64, Path, description = "Its number in the quarantine")),
    responses((status = 200, body = shape::Quarantined), Fails<400>, Fails<404>))]
async fn entry(State(modules): State<Handle>, id: Named<u64>) -> Answer<shape::Quarantined> {
    let Path(id) = id?;
    match modules.entry(id) {
        Some(entry) => Ok(Json(shape::Quarantined::whole(&entry))),
        None => Err(ReplayError::Unknown(id).into()),
    }
}

/// Passes an event to its module again.
#[utoipa::path(post, path = "/quarantine/{id}/replay", params(("id" = u64, Path, description = "Its number in the quarantine")),
    responses((status = 200, body = shape::Replayed), Fails<400>, Fails<404>, Fails<409>, Fails<503>))]
async fn replay_one(State(modules): State<Handle>, id: Named<u64>) -> Answer<shape::Replayed> {
    let Path(id) = id?;
    modules.replay(id)?;
    Ok(Json(shape::Replayed {
        replayed: vec![id],
        left: Vec::new(),
    }))
}

/// Passes the events of a module, or all, to their modules again, oldest first.
#[utoipa::path(post, path = "/quarantine/replay", params(Selection),
    responses((status = 200, body = shape::Replayed), Fails<400>))]
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

/// Deletes an event.
#[utoipa::path(delete, path = "/quarantine/{id}", params(("id" = u64, Path, description = "Its number in the quarantine")),
    responses((status = 200, body = shape::Dropped), Fails<400>, Fails<404>))]
async fn drop_one(State(modules): State<Handle>, id: Named<u64>) -> Answer<shape::Dropped> {
    let Path(id) = id?;
    if modules.discard(id) {
        Ok(Json(shape::Dropped::all(vec![id])))
    } else {
        Err(ReplayError::Unknown(id).into())
    }
}

/// Deletes the events of a module, or all.
#[utoipa::path(delete, path = "/quarantine", params(Selection), responses((status = 200, body = shape::Dropped), Fails<400>))]
async fn drop_all(State(modules): State<Handle>, selection: Asked<Selection>) -> Answer<shape::Dropped> {
    let mut dropped = ids(&modules, selection)?;
    dropped.retain(|id| modules.discard(*id));
    Ok(Json(shape::Dropped::all(dropped)))
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
