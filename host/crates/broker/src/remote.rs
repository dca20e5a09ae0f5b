//! Asking the engine from other threads, perhaps before it has started.
//!
//! [`remote`] gives both ends: [`Clients`] for whoever asks, and [`Questions`] for whoever has the engine. Questions are
//! answered one after the other; a few wait, and whoever asks more waits, too.

use tokio::sync::{mpsc, oneshot};

use super::{EngineState, Running};

/// Questions that wait.
const WAITING: usize = 64;

/// An engine and its clients, for whoever has a question. Clones ask the same one.
#[derive(Debug, Clone)]
pub struct Clients(mpsc::Sender<Question>);

/// What was asked and is not answered yet.
#[derive(Debug)]
pub struct Questions(mpsc::Receiver<Question>);

/// There is no engine: it has not started or has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker is not running")]
pub struct NotRunning;

#[derive(Debug)]
enum Question {
    Disconnect {
        client_id: String,
        answer: oneshot::Sender<bool>,
    },
    State(oneshot::Sender<EngineState>),
}

/// Both ends.
pub fn remote() -> (Clients, Questions) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Clients(sender), Questions(receiver))
}

impl Clients {
    /// Ends a client's connection and session; whether there was a session. Waits until the engine has started.
    ///
    /// # Errors
    ///
    /// [`NotRunning`] if the engine stops before it has answered.
    pub async fn disconnect(&self, client_id: String) -> Result<bool, NotRunning> {
        self.ask(|answer| Question::Disconnect { client_id, answer }).await
    }

    /// How the engine is doing. Waits until it has started.
    ///
    /// # Errors
    ///
    /// [`NotRunning`] if the engine stops before it has answered.
    pub async fn state(&self) -> Result<EngineState, NotRunning> {
        self.ask(Question::State).await
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, NotRunning> {
        let (answer, answered) = oneshot::channel();
        self.0.send(question(answer)).await.map_err(|_| NotRunning)?;
        answered.await.map_err(|_| NotRunning)
    }
}

impl Questions {
    /// Has an engine answer for as long as this is polled; never ends.
    pub async fn answer(&mut self, engine: &Running) {
        while let Some(question) = self.0.recv().await {
            // Whoever asked may be gone.
            match question {
                Question::Disconnect { client_id, answer } => drop(answer.send(engine.disconnect(&client_id).await)),
                Question::State(answer) => drop(answer.send(engine.state().await)),
            }
        }
        std::future::pending().await
    }
}
