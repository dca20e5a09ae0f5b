//! Asking the engine from other threads, perhaps before it has started.
//!
//! [`remote`] gives both ends: [`Clients`] for whoever asks, and [`Questions`] for whoever has the engine. Questions are
//! answered one after the other; a few wait, and whoever asks more waits, too.

use tokio::sync::{mpsc, oneshot};

use super::Running;

/// Questions that wait.
const WAITING: usize = 64;

/// The clients of an engine. Clones ask the same one.
#[derive(Debug, Clone)]
pub struct Clients(mpsc::Sender<Disconnect>);

/// What was asked and is not answered yet.
#[derive(Debug)]
pub struct Questions(mpsc::Receiver<Disconnect>);

/// There is no engine: it has not started or has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker is not running")]
pub struct NotRunning;

#[derive(Debug)]
struct Disconnect {
    client_id: String,
    answer: oneshot::Sender<bool>,
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
        let (answer, answered) = oneshot::channel();
        let question = Disconnect { client_id, answer };
        self.0.send(question).await.map_err(|_| NotRunning)?;
        answered.await.map_err(|_| NotRunning)
    }
}

impl Questions {
    /// Has an engine answer for as long as this is polled; never ends.
    pub async fn answer(&mut self, engine: &Running) {
        while let Some(Disconnect { client_id, answer }) = self.0.recv().await {
            // Whoever asked may be gone.
            answer.send(engine.disconnect(&client_id).await).ok();
        }
        std::future::pending().await
    }
}
