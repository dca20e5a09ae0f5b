//! The client of the API, for the command line.

use std::time::Duration;

use hookhost_delivery::{Tls, http_client};
use hyper::body::Bytes;
use hyper::{Method, StatusCode, header};
use reqwest::Response;
use serde::de::DeserializeOwned;

use super::shape::Failure;

/// Timeout of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of an answer. It is long because a rescan compiles modules.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// Size limit of an answer in bytes: a thousand entries with texts of 4 KiB, or an event with the largest payload.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A client for one host. Connects at each request.
#[derive(Clone)]
pub struct Client {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    address: String,
    token: Option<String>,
    tls: Tls,
    /// The entity tag of the next request.
    etag: Option<String>,
}

/// A request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection cannot be made.
    #[error(
        "cannot reach a host at {address}; is it running, and is this the address of its admin API? --admin ADDR sets another \
         one{}",
        authority_hint(address)
    )]
    Connect {
        /// The address.
        address: String,
        /// The reason.
        source: reqwest::Error,
    },
    /// No request can be made of the address, the token or the TLS settings.
    #[error("{0} cannot be part of a request")]
    Unsendable(&'static str),
    /// The connection failed, or the answer is not HTTP.
    #[error("no answer from the host at {address}{}", certificate_hint(address))]
    Exchange {
        /// The address.
        address: String,
        /// The reason.
        source: anyhow::Error,
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

/// What may help if no connection to this address can be made.
fn authority_hint(address: &str) -> &'static str {
    if is_https(address) {
        ", and --ca-file FILE the authority of its certificate"
    } else {
        ""
    }
}

/// What may help if this address does not answer: an API that asks for a client certificate ends connections without one.
fn certificate_hint(address: &str) -> &'static str {
    if is_https(address) {
        "; if it asks for a client certificate, --cert-file and --key-file give one"
    } else {
        ""
    }
}

fn is_https(address: &str) -> bool {
    address.starts_with("https://")
}

impl Client {
    /// A client for the API at an address, `HOST:PORT` or a URL with `http:` or `https:`, with the token of the API if there
    /// is one. `tls` is for `https:`.
    pub fn new(address: &str, token: Option<String>, tls: Tls) -> Client {
        let address = address.trim().trim_end_matches('/');
        let scheme = if address.contains("://") { "" } else { "http://" };
        Client {
            address: format!("{scheme}{address}"),
            token,
            tls,
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
            let mut response = timely(self, self.send(Method::GET, path, Bytes::new())).await?;
            if !response.status().is_success() {
                let (status, body) = timely(self, self.whole(response)).await?;
                return Err(self.refused(status, &body).into());
            }
            let mut pending = Vec::new();
            while let Some(data) = response.chunk().await.map_err(|error| self.failed(error))? {
                pending.extend_from_slice(&data);
                while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = pending.drain(..=end).collect();
                    // The host sends an empty line if there is nothing else.
                    if line == b"\n" {
                        continue;
                    }
                    each(serde_json::from_slice(&line).map_err(|error| self.strange(error))?)?;
                }
            }
            Ok(())
        })
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Vec<u8>), Error> {
        let answer = async { self.whole(self.send(method, path, body).await?).await };
        timely(self, answer).await
    }

    /// Connects and sends a request. Returns when the head of the answer is there.
    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response, Error> {
        let client = http_client(&self.tls, CONNECT_TIMEOUT).map_err(|text| self.failed(anyhow::Error::msg(text)))?;
        let mut request = client
            .request(method, format!("{}/api/v1{path}", self.address))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(etag) = &self.etag {
            request = request.header(header::IF_MATCH, format!("\"{etag}\""));
        }
        request.send().await.map_err(|source| match source {
            source if source.is_builder() => Error::Unsendable("the address or the token"),
            source if source.is_connect() => Error::Connect {
                address: self.address.clone(),
                source: source.without_url(),
            },
            source => self.failed(source.without_url()),
        })
    }

    /// Reads the rest of an answer.
    async fn whole(&self, mut response: Response) -> Result<(StatusCode, Vec<u8>), Error> {
        let (status, mut body) = (response.status(), Vec::new());
        while let Some(part) = response.chunk().await.map_err(|error| self.failed(error))? {
            body.extend_from_slice(&part);
            if body.len() > MAX_ANSWER_BYTES {
                return Err(self.strange("its answer is too long"));
            }
        }
        Ok((status, body))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Error {
        match serde_json::from_slice(body) {
            Ok(Failure { error: text, .. }) => Error::Refused { status, text },
            Err(_) => self.strange(status),
        }
    }

    fn failed(&self, source: impl Into<anyhow::Error>) -> Error {
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
        Err(_) => Err(client.failed(std::io::Error::from(std::io::ErrorKind::TimedOut))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_with_tls_get_hints_about_certificates() {
        for (address, has_hint) in [("127.0.0.1:1", false), ("http://h:1", false), ("https://h:1", true)] {
            let client = Client::new(address, None, Tls::default());
            let text = client
                .failed(std::io::Error::from(std::io::ErrorKind::TimedOut))
                .to_string();
            assert_eq!(text.contains("--cert-file"), has_hint, "{text}");
            assert_eq!(!authority_hint(&client.address).is_empty(), has_hint);
        }
    }
}
