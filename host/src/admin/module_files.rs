//! Handlers that upload, disable and enable modules.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use futures::{Stream, StreamExt};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Answer, Error, Named, blocking};
use super::openapi::Fails;
use super::{Running, shape};
use crate::module_files::{MAX_WASM_BYTES, ModuleFileError, ModuleFiles, NewModule};

/// Limit of the uploads at the same time. Each may write a large file.
const MAX_UPLOADS: usize = 4;
/// How long the next part of a body may take. An upload that stalls must not keep others out.
const PART_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for the rest of a body that is refused, which is read before the answer.
const REST_TIMEOUT: Duration = Duration::from_secs(5);

static UPLOADS: Semaphore = Semaphore::const_new(MAX_UPLOADS);

/// The routes below `/api/v1`. Every path below `/modules` may be the name of a module.
pub(super) fn routes() -> OpenApiRouter<Running> {
    OpenApiRouter::default()
        .routes(routes!(upload))
        .routes(routes!(enable))
        .routes(routes!(disable))
}

/// Puts a module into the modules folder, in place of one with this name, and scans the folder.
///
/// The answer says whether the module loads. If it does not, the previous one keeps running. If several hosts share a bucket
/// with modules, the module is put there, and the hosts load it one after the other, after the answer.
#[utoipa::path(put, path = "/module-files/{name}", params(("name" = String, Path, description = "The name of the module")),
    request_body(content = Vec<u8>, description = "The WebAssembly component", content_type = "application/wasm"),
    responses((status = 200, body = shape::Rescan), Fails<400>, Fails<408>, Fails<409>, Fails<413>, Fails<500>, Fails<503>))]
async fn upload(State(running): State<Running>, name: Named<String>, body: Body) -> Answer<shape::Rescan> {
    let Path(name) = name?;
    let files = running.module_files.clone();
    let mut parts = body.into_data_stream();
    if let Err(error) = receive(files, name, &mut parts).await {
        // A client that still sends would not see the answer.
        let mut left = MAX_WASM_BYTES;
        while left > 0
            && let Ok(Some(part)) = next_part(&mut parts, REST_TIMEOUT).await
        {
            left = left.saturating_sub(part.len() as u64);
        }
        return Err(error);
    }
    rescan(running).await
}

/// Writes the body into the folder.
async fn receive(
    files: ModuleFiles,
    name: String,
    parts: &mut (impl Stream<Item = Result<Bytes, axum::Error>> + Unpin),
) -> Result<(), Error> {
    let busy = |_| {
        let text = format!("{MAX_UPLOADS} modules are being uploaded; try again when one of them has ended");
        Error::new(StatusCode::SERVICE_UNAVAILABLE, text)
    };
    let _permit = UPLOADS.try_acquire().map_err(busy)?;
    let mut module: NewModule = blocking(move || files.create(&name)).await??;
    while let Some(part) = next_part(parts, PART_TIMEOUT).await? {
        module = blocking(move || module.write(&part).map(|()| module)).await??;
    }
    Ok(blocking(move || module.finish()).await??)
}

/// The next part of a body; `None` at its end.
async fn next_part(
    parts: &mut (impl Stream<Item = Result<Bytes, axum::Error>> + Unpin),
    limit: Duration,
) -> Result<Option<Bytes>, Error> {
    match timeout(limit, parts.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(part))) => Ok(Some(part)),
        Ok(Some(Err(_))) => Err(Error::new(StatusCode::BAD_REQUEST, "the body has ended too early")),
        Err(_) => {
            let text = format!("nothing of the body has arrived for {limit:?}");
            Err(Error::new(StatusCode::REQUEST_TIMEOUT, text))
        }
    }
}

/// Enables a disabled module.
#[utoipa::path(post, path = "/module-files/{name}/enable", params(("name" = String, Path, description = "The name of the module")),
    responses((status = 200, body = shape::Rescan), Fails<400>, Fails<404>, Fails<409>, Fails<500>, Fails<503>))]
async fn enable(State(running): State<Running>, name: Named<String>) -> Answer<shape::Rescan> {
    change(running, name, true).await
}

/// Disables a module: it handles the rest of its queue, and its files stay in the folder under other names.
#[utoipa::path(post, path = "/module-files/{name}/disable", params(("name" = String, Path, description = "The name of the module")),
    responses((status = 200, body = shape::Rescan), Fails<400>, Fails<404>, Fails<409>, Fails<500>, Fails<503>))]
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
            ModuleFileError::Bucket(_) => StatusCode::SERVICE_UNAVAILABLE,
            ModuleFileError::Write { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Error::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn a_body_that_stalls_is_given_up() {
        let part = Ok(Bytes::from_static(b"x"));
        let mut parts = stream::iter([part]).chain(stream::pending());
        let limit = Duration::from_millis(10);
        assert_eq!(
            next_part(&mut parts, limit).await.ok(),
            Some(Some(Bytes::from_static(b"x")))
        );
        let error = next_part(&mut parts, limit).await.err().unwrap();
        assert_eq!(
            axum::response::IntoResponse::into_response(error).status(),
            StatusCode::REQUEST_TIMEOUT
        );
    }
}
