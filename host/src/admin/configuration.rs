//! The settings in effect, and where they come from.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::shape;
use crate::reload;

/// The routes below `/api/v1`.
pub(super) fn routes(reload: reload::Handle) -> OpenApiRouter {
    OpenApiRouter::default().routes(routes!(show)).with_state(reload)
}

/// Shows the settings that were given, and where.
#[utoipa::path(get, path = "/configuration", responses((status = 200, body = shape::Configuration)))]
async fn show(State(reload): State<reload::Handle>) -> Json<shape::Configuration> {
    Json(shape::Configuration {
        settings: reload.given().into_iter().map(Into::into).collect(),
        left_out: reload.left_out(),
    })
}
