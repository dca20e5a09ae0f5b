//! The routes of the API, and the handlers of modules and the broker.

use std::sync::Arc;

use axum::extract::{FromRef, Path, State};
use axum::http::{StatusCode, header};
use axum::routing::get;
use axum::{Json, Router, middleware};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Answer, Error, Named, blocking};
use super::guard::Guard;
use super::openapi::{self, Fails};
use super::{
    Running, activity, clients, configuration, dashboard, delivery, events, hosts, layer, module_files, monitoring,
    quarantine, session, shape, trials, webhooks,
};
use hookhost_broker::{EngineHandle, NotRunning};
use hookhost_modules::{Handle, ModuleState};

/// The whole API. `is_secure`: it uses TLS.
pub(super) fn router(running: Running, guard: Guard, is_secure: bool) -> Router {
    let of_broker = OpenApiRouter::default()
        .routes(routes!(broker))
        .with_state(running.clients.clone());
    let sessions = session::routes(guard.sessions(), is_secure);
    let of_host = monitoring::routes(&running)
        .merge(activity::routes(running.activity.clone()))
        .merge(clients::routes(running.clients.clone()))
        .merge(configuration::routes(running.reload.clone()))
        .merge(hosts::routes(running.shared.clone()));
    let probes = monitoring::probes(&running);
    let api = OpenApiRouter::default()
        .routes(routes!(health))
        .routes(routes!(list))
        .routes(routes!(show_rescan, rescan))
        .routes(routes!(show))
        .routes(routes!(roll_back))
        .merge(quarantine::routes())
        .merge(delivery::router())
        .merge(webhooks::routes())
        .merge(trials::routes())
        .merge(events::routes())
        .merge(module_files::routes())
        .with_state(running)
        .merge(of_broker)
        .merge(of_host)
        .merge(sessions);
    let (api, collected) = OpenApiRouter::default()
        .nest("/api/v1", api)
        .merge(probes)
        .split_for_parts();
    let document = openapi::document(&collected).to_string();
    let document = async move || ([(header::CONTENT_TYPE, "application/json")], document);
    api.route(openapi::PATH, get(document))
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

/// The version of the host, while it runs.
#[utoipa::path(get, path = "/health", responses((status = 200, body = shape::Health)))]
async fn health() -> Json<shape::Health> {
    Json(shape::Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// The modules, by name.
#[utoipa::path(get, path = "/modules", responses((status = 200, body = shape::Modules), Fails<500>))]
async fn list(State(running): State<Running>) -> Answer<shape::Modules> {
    let files = running.module_files.clone();
    let disabled = blocking(move || files.disabled()).await?;
    let modules = running.modules.states().into_iter();
    Ok(Json(shape::Modules {
        modules: modules.map(|state| of_module(&running, state)).collect(),
        left_out: running.reload.left_out(),
        disabled,
    }))
}

fn of_module(running: &Running, state: ModuleState) -> shape::Module {
    let dead = running.monitor.dead_of(&state.name);
    shape::Module::new(state, dead)
}

/// A module may be called "rescan".
#[utoipa::path(get, path = "/modules/rescan", responses((status = 200, body = shape::Module), Fails<404>))]
async fn show_rescan(running: State<Running>) -> Answer<shape::Module> {
    show(running, Ok(Path("rescan".to_owned()))).await
}

/// The state of a module.
#[utoipa::path(get, path = "/modules/{name}", params(("name" = String, Path, description = "The name of the module")),
    responses((status = 200, body = shape::Module), Fails<400>, Fails<404>))]
async fn show(State(running): State<Running>, name: Named<String>) -> Answer<shape::Module> {
    let Path(name) = name?;
    match running.modules.state(&name) {
        Some(state) => Ok(Json(of_module(&running, state))),
        None => Err(Error::not_found(format!("there is no module {name:?}"))),
    }
}

/// Rolls a module back to its previous generation. Its files stay, and are loaded again when they change or at a rescan.
#[utoipa::path(post, path = "/modules/{name}/roll-back", params(("name" = String, Path, description = "The name of the module")),
    responses((status = 200, body = shape::RolledBack), Fails<400>, Fails<404>, Fails<409>))]
async fn roll_back(State(running): State<Running>, name: Named<String>) -> Answer<shape::RolledBack> {
    let Path(name) = name?;
    let (modules, asked) = (running.modules.clone(), name.clone());
    let generation = blocking(move || modules.roll_back(&asked)).await??;
    Ok(Json(shape::RolledBack { name, generation }))
}

/// Reads the configuration and scans the modules folder now.
#[utoipa::path(post, path = "/modules/rescan", responses((status = 200, body = shape::Rescan), Fails<500>))]
async fn rescan(State(running): State<Running>) -> Answer<shape::Rescan> {
    // Compiling a module takes seconds.
    let found = blocking(move || running.reload.rescan()).await?;
    Ok(Json(found.into()))
}

/// The broker engine, its listeners and counters.
#[utoipa::path(get, path = "/broker", responses((status = 200, body = shape::Broker), Fails<503>))]
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
