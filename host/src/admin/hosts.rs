//! The hosts that share the outbox.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Answer, Error};
use super::openapi::Fails;
use super::shape;
use hookhost_jetstream::SharedOutbox;

/// The routes below `/api/v1`. `outbox` is the outbox that hosts share, if there is one.
pub(super) fn routes(outbox: Option<SharedOutbox>) -> OpenApiRouter {
    OpenApiRouter::default().routes(routes!(list)).with_state(outbox)
}

/// The hosts that share the outbox, with what they have last reported, by name.
#[utoipa::path(get, path = "/hosts", responses((status = 200, body = shape::Hosts), Fails<503>))]
async fn list(State(outbox): State<Option<SharedOutbox>>) -> Answer<shape::Hosts> {
    let Some(outbox) = outbox else {
        return Ok(Json(shape::Hosts { hosts: Vec::new() }));
    };
    match outbox.hosts().await {
        Ok(hosts) => {
            let mut hosts: Vec<shape::Host> = hosts.into_iter().map(Into::into).collect();
            hosts.sort_by(|one, other| (one.name(), &one.id).cmp(&(other.name(), &other.id)));
            Ok(Json(shape::Hosts { hosts }))
        }
        Err(error) => {
            let text = format!("the hosts that share the outbox cannot be read from NATS: {error}");
            Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, text))
        }
    }
}
