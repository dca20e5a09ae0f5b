//! The settings in effect, and where they come from.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};

use super::shape;
use crate::reload;

/// The routes below `/api/v1`.
pub(super) fn routes(reload: reload::Handle) -> Router {
    Router::new().route("/configuration", get(show)).with_state(reload)
}

async fn show(State(reload): State<reload::Handle>) -> Json<shape::Configuration> {
    Json(shape::Configuration {
        settings: reload.given().into_iter().map(Into::into).collect(),
        left_out: reload.left_out(),
    })
}
