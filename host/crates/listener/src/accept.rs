//! Opens listeners and accepts on them.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookhost_event::ByteString;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::admission::{Admission, ConnectionRate, Permit};
use super::advice::advice;
use super::counters::Counters;
use super::handshake::ListenerContext;
use super::peer::Peer;
use super::settings::{Address, Kind, ListenerSettings, SocketSettings};
use super::socket::{BindError, Socket};
use super::stream::ClientStream;
use super::tls::TlsFiles;

/// How long accepting waits after an error, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often such errors are logged.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// A client whose layers below MQTT are open. Its connection counts until this is dropped.
pub struct Handshaken {
    /// What the client sends and reads.
    pub stream: ClientStream,
    /// What is known of it.
    pub peer: Peer,
    /// Keeps it counted.
    pub permit: ConnectionPermit,
}

/// Counts a connection against the limits until it is dropped.
pub struct ConnectionPermit(#[expect(dead_code, reason = "counts while it lives")] Permit);

/// A listener that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerState {
    /// Its name.
    pub name: ByteString,
    /// Its kind.
    pub kind: Kind,
    /// Where it listens, with the port that the system chose.
    pub address: Address,
}

/// Open listeners that do not accept yet. Clients can connect and wait.
pub struct Listeners {
    list: Vec<(Socket, ListenerContext, ListenerState)>,
    admission: Arc<Admission>,
    counters: Arc<Counters>,
    settings: Arc<SocketSettings>,
}

/// Listeners that accept. Dropping it closes them; accepted connections go on.
pub struct Serving {
    tasks: Vec<JoinHandle<()>>,
    states: Vec<ListenerState>,
    tls: Vec<TlsFiles>,
    counters: Arc<Counters>,
}

impl Listeners {
    /// Opens all listeners, or none. Has to be called in a tokio runtime. Blocks while it reads files.
    ///
    /// # Errors
    ///
    /// [`BindError`] for the first listener that does not open.
    pub fn bind(listeners: &[ListenerSettings], settings: &SocketSettings) -> Result<Listeners, BindError> {
        let settings = Arc::new(settings.clone());
        let counters = Arc::new(Counters::default());
        let mut list = Vec::new();
        for listener in listeners {
            let name = || listener.name.to_string();
            let alpn: &[u8] = if listener.kind.has_websocket() {
                b"http/1.1"
            } else {
                b"mqtt"
            };
            let tls = listener
                .tls
                .as_ref()
                .map(|tls| TlsFiles::open(&listener.name, tls, alpn))
                .transpose();
            let tls = tls.map_err(|source| BindError::Tls { name: name(), source })?;
            let bound = Socket::bind(&listener.address, listener.mode, &settings);
            let (socket, address) = bound.map_err(|source| BindError::Address {
                name: name(),
                address: listener.address.clone(),
                source,
            })?;
            let context = ListenerContext {
                name: listener.name.clone(),
                kind: listener.kind,
                path: listener.path.clone(),
                proxies: listener.proxies.clone(),
                tls,
                settings: Arc::clone(&settings),
                counters: Arc::clone(&counters),
            };
            let state = ListenerState {
                name: listener.name.clone(),
                kind: listener.kind,
                address,
            };
            list.push((socket, context, state));
        }
        Ok(Listeners {
            list,
            admission: Arc::new(Admission::new(
                settings.max_connections,
                settings.max_connections_per_address,
            )),
            counters,
            settings,
        })
    }

    /// The listeners, in the order of their settings.
    pub fn states(&self) -> Vec<ListenerState> {
        self.list.iter().map(|(_, _, state)| state.clone()).collect()
    }

    /// Accepts from now on. `serve` runs in the task of each client whose layers below MQTT are open.
    pub fn serve<F>(self, serve: impl Fn(Handshaken) -> F + Clone + Send + Sync + 'static) -> Serving
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let states = self.states();
        let tls = self
            .list
            .iter()
            .filter_map(|(_, context, _)| context.tls.clone())
            .collect();
        let tasks = self.list.into_iter().map(|(socket, context, _)| {
            let accepting = Accepting {
                socket,
                context: Arc::new(context),
                admission: Arc::clone(&self.admission),
                counters: Arc::clone(&self.counters),
                // Each listener has the whole rate: a flood on one of them leaves the others alone.
                rate: ConnectionRate::new(self.settings.max_connection_rate),
            };
            tokio::spawn(accepting.run(serve.clone()))
        });
        Serving {
            tasks: tasks.collect(),
            states,
            tls,
            counters: self.counters,
        }
    }
}

impl Serving {
    /// The listeners, in the order of their settings.
    pub fn states(&self) -> &[ListenerState] {
        &self.states
    }

    /// The TLS files of the listeners that have some.
    pub fn tls_files(&self) -> Vec<TlsFiles> {
        self.tls.clone()
    }

    /// Counters since the start, by name.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.counters.all()
    }

    /// Closes the listeners and waits until their addresses are free.
    pub async fn close(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            if let Err(error) = task.await
                && error.is_panic()
            {
                tracing::error!(%error, "a listener has panicked");
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// One listener at work.
struct Accepting {
    socket: Socket,
    context: Arc<ListenerContext>,
    admission: Arc<Admission>,
    counters: Arc<Counters>,
    rate: ConnectionRate,
}

impl Accepting {
    /// Accepts without end.
    async fn run<F>(mut self, serve: impl Fn(Handshaken) -> F + Clone + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let start = Instant::now();
        let mut logged: Option<Instant> = None;
        loop {
            let accepted = match self.socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    Counters::add(&self.counters.accept_errors);
                    if logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
                        logged = Some(Instant::now());
                        let name = &self.context.name;
                        tracing::warn!(listener = %name, %error, "cannot accept a connection{}", advice(&error));
                    }
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // Above the limit a connection is closed: it is dropped here.
            match self.admission.admit() {
                Err(_) => Counters::add(&self.counters.refused_total),
                Ok(mut permit) => {
                    Counters::add(&self.counters.accepted);
                    let (context, serve) = (Arc::clone(&self.context), serve.clone());
                    tokio::spawn(async move {
                        // Boxed, so that a client's task does not keep the space of its handshake.
                        let opened = Box::pin(context.open(accepted, &mut permit)).await;
                        drop(context);
                        if let Ok((stream, peer)) = opened {
                            let permit = ConnectionPermit(permit);
                            serve(Handshaken { stream, peer, permit }).await;
                        }
                    });
                }
            }
            let wait = self.rate.take(start.elapsed());
            if wait >= Duration::from_millis(1) {
                Counters::add(&self.counters.rate_waits);
                sleep(wait).await;
            }
        }
    }
}
