//! Handlers of the quarantine.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;

use super::error::{Answer, Asked, Error, Named, limit};
use super::{Running, shape};
use hookhost_modules::{Handle, ReplayError};

/// The routes below `/api/v1`.
pub(super) fn routes() -> Router<Running> {
    Router::new()
        .route("/quarantine", get(quarantine).delete(drop_all))
        .route("/quarantine/replay", post(replay_all))
        .route("/quarantine/{id}", get(entry).delete(drop_one))
        .route("/quarantine/{id}/replay", post(replay_one))
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
