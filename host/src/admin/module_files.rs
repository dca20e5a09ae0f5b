//! Handlers that upload, disable and enable modules.

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use futures::StreamExt;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Answer, Error, Named, blocking};
use super::openapi::Fails;
use super::{Running, shape};
use crate::module_files::{MAX_WASM_BYTES, ModuleFileError, NewModule};

/// The routes below `/api/v1`. Every path below `/modules` may be the name of a module.
pub(super) fn routes() -> OpenApiRouter<Running> {
    OpenApiRouter::default()
        .routes(routes!(upload))
        .routes(routes!(enable))
        .routes(routes!(disable))
}

/// Puts a module into the modules folder, in place of one with this name, and scans the folder.
///
/// The answer says whether the module loads. If it does not, the previous one keeps running.
#[utoipa::path(put, path = "/module-files/{name}", params(("name" = String, Path, description = "The name of the module")),
    request_body(content = Vec<u8>, description = "The WebAssembly component", content_type = "application/wasm"),
    responses((status = 200, body = shape::Rescan), Fails<400>, Fails<409>, Fails<413>, Fails<500>))]
async fn upload(State(running): State<Running>, name: Named<String>, body: Body) -> Answer<shape::Rescan> {
    let Path(name) = name?;
    let files = running.module_files.clone();
    let module = blocking(move || files.create(&name)).await??;
    let mut parts = body.into_data_stream();
    if let Err(error) = receive(module, &mut parts).await {
        // A client that still sends would not see the answer.
        let mut left = MAX_WASM_BYTES;
        while left > 0
            && let Some(Ok(part)) = parts.next().await
        {
            left = left.saturating_sub(part.len() as u64);
        }
        return Err(error);
    }
    rescan(running).await
}

/// Writes the body into the folder.
async fn receive(mut module: NewModule, parts: &mut BodyDataStream) -> Result<(), Error> {
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| Error::new(StatusCode::BAD_REQUEST, "the body has ended too early"))?;
        module = blocking(move || module.write(&part).map(|()| module)).await??;
    }
    Ok(blocking(move || module.finish()).await??)
}

/// Enables a disabled module.
#[utoipa::path(post, path = "/module-files/{name}/enable", params(("name" = String, Path, description = "The name of the module")),
    responses((status = 200, body = shape::Rescan), Fails<400>, Fails<404>, Fails<409>, Fails<500>))]
async fn enable(State(running): State<Running>, name: Named<String>) -> Answer<shape::Rescan> {
    change(running, name, true).await
}

/// Disables a module: it handles the rest of its queue, and its files stay in the folder under other names.
#[utoipa::path(post, path = "/module-files/{name}/disable", params(("name" = String, Path, description = "The name of the module")),
    responses((status = 200, body = shape::Rescan), Fails<400>, Fails<404>, Fails<409>, Fails<500>))]
async fn disable(State(running): State<Running>, name: Named<String>) -> Answer<shape::Rescan> {
    change(running, name, false).await
}

async fn change(running: Running, name: Named<String>, is_enabled: bool) -> Answer<shape::Rescan> {
    let Path(name) = name?;
    let files = running.module_files.clone();
    blocking(move || files.enable(&name, is_enabled)).await??;
    rescan(running).await
}

/// As after any other change of the folder.
async fn rescan(running: Running) -> Answer<shape::Rescan> {
    let found = blocking(move || running.reload.rescan()).await?;
    Ok(Json(found.into()))
}

impl From<ModuleFileError> for Error {
    fn from(error: ModuleFileError) -> Error {
        let status = match error {
            ModuleFileError::Name | ModuleFileError::NotWasm => StatusCode::BAD_REQUEST,
            ModuleFileError::Missing(_) => StatusCode::NOT_FOUND,
            ModuleFileError::NoFolder | ModuleFileError::Exists(_) => StatusCode::CONFLICT,
            ModuleFileError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ModuleFileError::Write { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Error::new(status, error.to_string())
    }
}
