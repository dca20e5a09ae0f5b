//! Requests to JetStream: its JSON API, and publishes that are acknowledged.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, HeaderMap, Message, RequestErrorKind};
use bytes::Bytes;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// How long a request may take. A server that answers later counts as one that does not answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// Codes of JetStream (`err_code`) that are expected.
pub(super) mod code {
    /// A consumer with this name does not exist.
    pub(in super::super) const NO_CONSUMER: u64 = 10_014;
    /// A stream has no message with this sequence.
    pub(in super::super) const NO_MESSAGE: u64 = 10_037;
    /// A stream has no message with this sequence that can be deleted.
    pub(in super::super) const NO_SEQUENCE: u64 = 10_043;
    /// A message cannot be deleted, or does not exist.
    pub(in super::super) const NOT_DELETED: u64 = 10_057;
    /// A stream with this name exists and has another configuration.
    pub(in super::super) const OTHER_STREAM: u64 = 10_058;
    /// A stream with this name does not exist.
    pub(in super::super) const NO_STREAM: u64 = 10_059;
    /// The last revision of the key is another one.
    pub(in super::super) const OTHER_REVISION: u64 = 10_071;
    /// A message of an atomic batch was stored before.
    pub(in super::super) const BATCH_IS_STORED: u64 = 10_201;
}

/// A request to JetStream has failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum ApiError {
    /// JetStream has refused the request.
    #[error("JetStream answers: {description} (error {code})")]
    Refused { code: u64, description: String },
    /// There was no answer in time, or there is no connection.
    #[error("no answer from NATS: {0}")]
    NoAnswer(String),
    /// The answer is not what this program expects.
    #[error("an answer of NATS cannot be read: {0}")]
    Unreadable(String),
}

impl ApiError {
    /// Returns the code of a refusal.
    pub(super) fn code(&self) -> Option<u64> {
        match self {
            ApiError::Refused { code, .. } => Some(*code),
            ApiError::NoAnswer(_) | ApiError::Unreadable(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct Refusal {
    err_code: u64,
    description: String,
}

/// Makes requests to JetStream.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) client: Client,
}

impl Api {
    /// Returns whether there is a connection.
    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Asks the JSON API: `subject` is the part after `$JS.API.`.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub(super) async fn ask(&self, subject: &str, body: &Value) -> Result<Value, ApiError> {
        let body = match body {
            Value::Null => Bytes::new(),
            body => body.to_string().into(),
        };
        self.request(format!("$JS.API.{subject}"), HeaderMap::new(), body).await
    }

    /// Publishes a message into a stream. Returns its sequence, which is the revision of a key.
    ///
    /// # Errors
    ///
    /// [`ApiError`]. After [`ApiError::NoAnswer`] the message may be stored.
    pub(super) async fn publish(&self, subject: String, headers: HeaderMap, body: Bytes) -> Result<u64, ApiError> {
        let answer = self.request(subject, headers, body).await?;
        let sequence = answer.get("seq").and_then(Value::as_u64);
        sequence.ok_or_else(|| ApiError::Unreadable("an acknowledgement without sequence".to_owned()))
    }

    async fn request(&self, subject: String, headers: HeaderMap, body: Bytes) -> Result<Value, ApiError> {
        let answer = self.exchange(subject, headers, body).await?;
        let unreadable = |error: serde_json::Error| ApiError::Unreadable(error.to_string());
        let value: Value = serde_json::from_slice(&answer.payload).map_err(unreadable)?;
        match value.get("error") {
            None => Ok(value),
            Some(error) => {
                let Refusal { err_code, description } = Refusal::deserialize(error).map_err(unreadable)?;
                Err(ApiError::Refused {
                    code: err_code,
                    description,
                })
            }
        }
    }

    /// Sends a request, and returns its answer.
    ///
    /// # Errors
    ///
    /// [`ApiError::NoAnswer`].
    pub(super) async fn exchange(&self, subject: String, headers: HeaderMap, body: Bytes) -> Result<Message, ApiError> {
        let request = async_nats::Request::new().payload(body).timeout(Some(TIMEOUT));
        let request = if headers.is_empty() {
            request
        } else {
            request.headers(headers)
        };
        // The time of the client begins when the request is on the wire.
        let answer = tokio::time::timeout(TIMEOUT, self.client.send_request(subject, request)).await;
        let answer = answer.map_err(|_| ApiError::NoAnswer("timed out".to_owned()))?;
        let answer = answer.map_err(|error| {
            ApiError::NoAnswer(match error.kind() {
                RequestErrorKind::NoResponders => "JetStream is not enabled, or has no leader at the moment".to_owned(),
                _ => error.to_string(),
            })
        })?;
        Ok(answer)
    }

    /// Reads several messages of a stream (NATS ADR-31). Returns them and the message that ends the answer; `None`: there
    /// are no such messages.
    ///
    /// # Errors
    ///
    /// [`ApiError::NoAnswer`].
    pub(super) async fn read_many(
        &self,
        stream: &str,
        question: &Value,
    ) -> Result<(Vec<Message>, Option<Message>), ApiError> {
        let no_answer = |text: &str| ApiError::NoAnswer(text.to_owned());
        let read = async {
            let inbox = self.client.new_inbox();
            let subscribed = self.client.subscribe(inbox.clone()).await;
            let mut answers = subscribed.map_err(|error| no_answer(&error.to_string()))?;
            let subject = format!("$JS.API.DIRECT.GET.{stream}");
            let sent = self
                .client
                .publish_with_reply(subject, inbox, question.to_string().into());
            sent.await.map_err(|error| no_answer(&error.to_string()))?;
            let mut messages = Vec::new();
            while let Some(message) = answers.next().await {
                match message.status.map(|status| status.as_u16()) {
                    None => messages.push(message),
                    Some(204) => return Ok((messages, Some(message))),
                    Some(404) => return Ok((messages, None)),
                    Some(status) => {
                        let text = message.description.unwrap_or_default();
                        return Err(no_answer(&format!("status {status} {text}")));
                    }
                }
            }
            Err(no_answer("the connection is closed"))
        };
        let result = tokio::time::timeout(TIMEOUT, read).await;
        result.unwrap_or_else(|_| Err(no_answer("timed out")))
    }
}

/// A header of a message.
pub(super) fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    Some(message.headers.as_ref()?.get(name)?.as_str())
}

/// The number in a header of a message.
pub(super) fn header_number(message: &Message, name: &str) -> Option<u64> {
    self::header(message, name)?.parse().ok()
}
