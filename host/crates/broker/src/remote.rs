//! Access to the engine from other threads, possibly before it has started.
//!
//! [`engine_handle`] creates both ends: an [`EngineHandle`] for callers, and [`EngineRequests`] for the owner of the
//! engine, which answers them one after the other; only messages are published at the same time. Some requests wait;
//! callers beyond that wait too.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use super::{ClientState, EngineState, HostMessage, PublishError, Running};

/// Maximum number of waiting requests.
const MAX_WAITING: usize = 64;

/// A handle to the engine. Clones refer to the same engine.
#[derive(Debug, Clone)]
pub struct EngineHandle(mpsc::Sender<EngineRequest>);

/// The requests to the engine that are not answered yet.
#[derive(Debug)]
pub struct EngineRequests(mpsc::Receiver<EngineRequest>);

/// There is no engine: it has not started or has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker is not running")]
pub struct NotRunning;

#[derive(Debug)]
enum EngineRequest {
    Disconnect {
        client_id: String,
        answer: oneshot::Sender<bool>,
    },
    State(oneshot::Sender<EngineState>),
    Clients(oneshot::Sender<Vec<ClientState>>),
    Publish {
        message: HostMessage,
        answer: oneshot::Sender<Result<(), PublishError>>,
    },
}

/// Creates a handle and the receiving end of its requests.
pub fn engine_handle() -> (EngineHandle, EngineRequests) {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    (EngineHandle(sender), EngineRequests(receiver))
}

impl EngineHandle {
    /// Ends a client's connection and session; returns whether there was a session. Waits until the engine has started.
    ///
    /// # Errors
    ///
    /// [`NotRunning`] if the engine stops before it has answered.
    pub async fn disconnect(&self, client_id: String) -> Result<bool, NotRunning> {
        self.ask(|answer| EngineRequest::Disconnect { client_id, answer }).await
    }

    /// The state of the engine. Waits until it has started.
    ///
    /// # Errors
    ///
    /// [`NotRunning`] if the engine stops before it has answered.
    pub async fn state(&self) -> Result<EngineState, NotRunning> {
        self.ask(EngineRequest::State).await
    }

    /// All sessions, of connected and disconnected clients, in no particular order. Waits until the engine has started.
    /// Takes longer the more sessions there are.
    ///
    /// # Errors
    ///
    /// [`NotRunning`] if the engine stops before it has answered.
    pub async fn clients(&self) -> Result<Vec<ClientState>, NotRunning> {
        self.ask(EngineRequest::Clients).await
    }

    /// Publishes a message; see [`Running::publish`]. Waits until the engine has started.
    ///
    /// # Errors
    ///
    /// [`NotRunning`] if the engine stops before it has answered; inside, those of [`Running::publish`].
    pub async fn publish(&self, message: HostMessage) -> Result<Result<(), PublishError>, NotRunning> {
        self.ask(|answer| EngineRequest::Publish { message, answer }).await
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> EngineRequest) -> Result<T, NotRunning> {
        let (answer, answered) = oneshot::channel();
        self.0.send(question(answer)).await.map_err(|_| NotRunning)?;
        answered.await.map_err(|_| NotRunning)
    }
}

impl EngineRequests {
    /// Answers requests with this engine for as long as the future is polled; never returns.
    pub async fn answer(&mut self, engine: &Running) {
        let mut publishing = FuturesUnordered::new();
        loop {
            // The requester may have stopped waiting for the answer.
            tokio::select! {
                Some(()) = publishing.next(), if !publishing.is_empty() => {}
                Some(question) = self.0.recv(), if publishing.len() < MAX_WAITING => match question {
                    EngineRequest::Disconnect { client_id, answer } => {
                        answer.send(engine.disconnect(&client_id).await).ok();
                    }
                    EngineRequest::State(answer) => drop(answer.send(engine.state().await)),
                    EngineRequest::Clients(answer) => drop(answer.send(engine.clients().await)),
                    EngineRequest::Publish { message, answer } => publishing.push(async move {
                        answer.send(engine.publish(message).await).ok();
                    }),
                },
                else => std::future::pending().await,
            }
        }
    }
}
