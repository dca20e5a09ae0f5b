//! The client of the API, for the command line.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use super::shape::Failure;

/// Timeout of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of an answer. It is long because a rescan compiles modules.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// Size limit of an answer in bytes: a thousand entries with texts of 4 KiB, or an event with the largest payload.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A client for one host.
#[derive(Clone)]
pub struct Client {
    address: String,
    token: Option<String>,
    /// The entity tag of the next request.
    etag: Option<String>,
}

/// A request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection cannot be made.
    #[error(
        "cannot reach a host at {address}; is it running, and is this the address of its admin API? --admin ADDR sets another one"
    )]
    Connect {
        /// The address.
        address: String,
        /// The reason.
        source: io::Error,
    },
    /// The address or the token holds invalid characters.
    #[error("{0} cannot be part of a request")]
    Unsendable(&'static str),
    /// The connection failed, or the answer is not HTTP.
    #[error("no answer from the host at {address}")]
    Exchange {
        /// The address.
        address: String,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The host answered with an error.
    #[error("{text}")]
    Refused {
        /// The status of the answer.
        status: StatusCode,
        /// Its text.
        text: String,
    },
    /// The answer does not come from a hookhost of this version.
    #[error("the server at {address} is not hookhost, or has another version: {reason}")]
    Strange {
        /// The address.
        address: String,
        /// The reason.
        reason: String,
    },
}

impl Client {
    /// A client for the API at an address, `HOST:PORT`, with the token of the API if there is one. Connects at each
    /// request.
    pub fn new(address: &str, token: Option<String>) -> Client {
        let address = address.trim().trim_start_matches("http://").trim_end_matches('/');
        Client {
            address: address.to_owned(),
            token,
            etag: None,
        }
    }

    /// Sends a request for a path below `/api/v1`. Blocks.
    ///
    /// # Errors
    ///
    /// [`Error`] unless the answer has a status of success.
    pub fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Error> {
        self.ask_with(method, path, Bytes::new())
    }

    /// As [`ask_with`](Client::ask_with), if what the path names still has an entity tag.
    ///
    /// # Errors
    ///
    /// [`Error`] unless the answer has a status of success.
    pub fn ask_if<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes, etag: &str) -> Result<T, Error> {
        let client = Client {
            etag: Some(etag.to_owned()),
            ..self.clone()
        };
        client.ask_with(method, path, body)
    }

    /// As [`ask`](Client::ask), with a body.
    ///
    /// # Errors
    ///
    /// [`Error`] unless the answer has a status of success.
    pub fn ask_with<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| self.failed(source))?;
        let (status, body) = runtime.block_on(self.exchange(method, path, body))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| self.strange(error));
        }
        Err(self.refused(status, &body))
    }

    /// Follows a path below `/api/v1` whose answer is one JSON value on each line, and passes each on as it arrives. Blocks
    /// until the host ends the answer.
    ///
    /// # Errors
    ///
    /// [`Error`] unless the answer has a status of success; and the first error of `each`.
    pub fn follow<T: DeserializeOwned>(
        &self,
        path: &str,
        mut each: impl FnMut(T) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| self.failed(source))?;
        runtime.block_on(async {
            let mut body = match timely(self, self.send(Method::GET, path, Bytes::new())).await? {
                response if response.status().is_success() => response.into_body(),
                response => {
                    let (status, body) = self.whole(response).await?;
                    return Err(self.refused(status, &body).into());
                }
            };
            let mut pending = Vec::new();
            while let Some(frame) = body.frame().await {
                let Ok(data) = frame.map_err(|error| self.failed(error))?.into_data() else {
                    continue;
                };
                pending.extend_from_slice(&data);
                while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = pending.drain(..=end).collect();
                    each(serde_json::from_slice(&line).map_err(|error| self.strange(error))?)?;
                }
            }
            Ok(())
        })
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), Error> {
        let answer = async { self.whole(self.send(method, path, body).await?).await };
        timely(self, answer).await
    }

    /// Connects and sends a request. Returns when the head of the answer is there.
    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Error> {
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.address)).await {
            Ok(stream) => stream,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let stream = stream.map_err(|source| Error::Connect {
            address: self.address.clone(),
            source,
        })?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::HOST, &self.address)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, body.len());
        if let Some(token) = &self.token {
            let value = header::HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.map_err(|_| Error::Unsendable("the token"))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(etag) = &self.etag {
            request = request.header(header::IF_MATCH, format!("\"{etag}\""));
        }
        let request = request
            .body(Full::new(body))
            .map_err(|_| Error::Unsendable("the address"))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.failed(error))?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| self.failed(error))
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<(StatusCode, Bytes), Error> {
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        Ok((status, body.map_err(|error| self.failed(error))?.to_bytes()))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Error {
        match serde_json::from_slice(body) {
            Ok(Failure { error: text, .. }) => Error::Refused { status, text },
            Err(_) => self.strange(status),
        }
    }

    fn failed(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Exchange {
            address: self.address.clone(),
            source: source.into(),
        }
    }

    fn strange(&self, reason: impl std::fmt::Display) -> Error {
        Error::Strange {
            address: self.address.clone(),
            reason: reason.to_string(),
        }
    }
}

/// Waits for an answer, at most [`ANSWER_TIMEOUT`].
async fn timely<T>(client: &Client, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answered) => answered,
        Err(_) => Err(client.failed(io::Error::from(io::ErrorKind::TimedOut))),
    }
}

/// Without the token.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
