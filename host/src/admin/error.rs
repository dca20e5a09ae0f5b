//! Error answers, and what handlers share.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::shape;
use crate::webhooks::{ChangeError, TestError};
use hookhost_hooks::OfferError;
use hookhost_modules::{ReplayError, RollBackError};

/// Entries of an answer without `limit`.
const DEFAULT_ENTRIES: usize = 100;
/// Highest `limit`.
const MAX_ENTRIES: usize = 1_000;

/// An error answer.
#[derive(Debug)]
pub(super) struct Error {
    status: StatusCode,
    text: String,
    problems: Vec<shape::FieldProblem>,
}

pub(super) type Answer<T> = Result<Json<T>, Error>;
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;
pub(super) type Named<T> = Result<Path<T>, PathRejection>;
pub(super) type Sent = Result<Bytes, BytesRejection>;

/// Runs work that takes time, or waits for the disk, on another thread.
///
/// # Errors
///
/// An error answer if it panics, or if the host is stopping.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let failed = |_| {
        let text = "the request failed, or the host is stopping";
        Error::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)
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

impl Error {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Error {
        Error {
            status,
            text: text.into(),
            problems: Vec::new(),
        }
    }

    /// With the mistakes in the settings that the request contains.
    pub(super) fn with_problems(self, problems: Vec<shape::FieldProblem>) -> Error {
        Error { problems, ..self }
    }

    pub(super) fn not_found(text: impl Into<String>) -> Error {
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

impl From<RollBackError> for Error {
    fn from(error: RollBackError) -> Error {
        let status = match error {
            RollBackError::NotRunning(_) => StatusCode::NOT_FOUND,
            RollBackError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::CONFLICT,
        };
        Error::new(status, error.to_string())
    }
}

impl From<ChangeError> for Error {
    fn from(error: ChangeError) -> Error {
        let status = match &error {
            ChangeError::Unknown(_) => StatusCode::NOT_FOUND,
            ChangeError::Invalid(_) => StatusCode::BAD_REQUEST,
            ChangeError::Changed(_) => StatusCode::PRECONDITION_FAILED,
            ChangeError::Write(_) => StatusCode::INTERNAL_SERVER_ERROR,
            ChangeError::Stopping | ChangeError::Unreachable(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::CONFLICT,
        };
        let text = error.to_string();
        let problems = match error {
            ChangeError::Invalid(problems) => problems.into_iter().map(Into::into).collect(),
            _ => Vec::new(),
        };
        Error::new(status, text).with_problems(problems)
    }
}

impl From<TestError> for Error {
    fn from(error: TestError) -> Error {
        match error {
            TestError::Invalid(problems) => ChangeError::Invalid(problems).into(),
            error => Error::new(StatusCode::BAD_REQUEST, error.to_string()),
        }
    }
}

impl From<QueryRejection> for Error {
    fn from(rejection: QueryRejection) -> Error {
        Error::new(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl From<BytesRejection> for Error {
    fn from(rejection: BytesRejection) -> Error {
        Error::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Error {
    fn from(rejection: PathRejection) -> Error {
        Error::new(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let failure = shape::Failure {
            error: self.text,
            problems: self.problems,
        };
        (self.status, Json(failure)).into_response()
    }
}
