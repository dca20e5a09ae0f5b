//! The routes of the API, and the handlers of modules and the broker.

use std::sync::Arc;

use axum::extract::{FromRef, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};

use super::error::{Answer, Error, Named};
use super::guard::Guard;
use super::{
    Running, activity, clients, configuration, dashboard, delivery, layer, monitoring, quarantine, session, shape,
    trials, webhooks,
};
use crate::reload;
use hookhost_broker::{EngineHandle, NotRunning};
use hookhost_modules::{Handle, ModuleState};

/// The whole API. `is_secure`: it uses TLS.
pub(super) fn router(running: Running, guard: Guard, is_secure: bool) -> Router {
    let of_broker = Router::new()
        .route("/broker", get(broker))
        .with_state(running.clients.clone());
    let sessions = session::routes(guard.sessions(), is_secure);
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
        .merge(quarantine::routes())
        .merge(delivery::router())
        .merge(webhooks::routes())
        .merge(trials::routes())
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
        .layer(middleware::from_fn_with_state(Arc::new(guard), layer::layer))
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

impl FromRef<Running> for Handle {
    fn from_ref(running: &Running) -> Handle {
        running.modules.clone()
    }
}
