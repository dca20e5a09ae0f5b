//! The sockets on which MQTT clients arrive: TCP, TLS, WebSocket, secure WebSocket and Unix sockets.
//!
//! A [`ListenerSettings`] describes one listener, `[[listener]]` in the configuration. [`Listeners::bind`] opens all of
//! them, and [`Listeners::serve`] accepts: each client gets a task of its own, in which the layers below MQTT are opened
//! (PROXY header, TLS, WebSocket). Then the engine's function gets the [`ClientStream`] and the [`Peer`]: everything
//! that is known of the client before its first MQTT packet.
//!
//! ```text
//! accept ─> admission ─> first byte ─> PROXY header ─> TLS ─> WebSocket ─> ClientStream + Peer ─> engine
//! ```
//!
//! - A client that is silent, slow or invalid does not delay other clients: each layer has a timeout, and only the
//!   client's own task waits. `admission` limits the number of connections in all, those of one address, and those accepted
//!   in a second.
//! - [`TlsFiles::reload`] reads certificates, keys, authorities and revocation lists again. New connections use
//!   them; established ones continue. If a file has an error, the previous files stay in use.
//! - Pure parts: `admission` (limits of connections), `proxy::parse`, `websocket::check_request`, `server_name` (selects a
//!   certificate by name), `certificate` (reads the subject).

mod accept;
mod admission;
mod advice;
mod certificate;
mod counters;
mod handshake;
mod peer;
mod proxy;
mod read;
mod server_name;
mod settings;
mod socket;
mod stream;
mod tls;
mod websocket;

pub use accept::{ConnectionPermit, Handshaken, ListenerState, Listeners, Serving};
pub use advice::advice;
pub use certificate::ClientCertificate;
pub use peer::{Peer, TlsSession};
pub use read::{read_listeners, read_tls};
pub use settings::{
    Address, CertificateFiles, ClientCertificates, Kind, ListenerSettings, SocketSettings, TlsSettings, TlsVersion,
};
pub use socket::BindError;
pub use stream::ClientStream;
pub use tls::{TlsFileError, TlsFiles};
