//! Sockets that listen: opening them, and accepting one connection.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use super::TlsFileError;
use super::advice::advice;
use super::settings::{Address, SocketSettings};

/// Why a listener does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address cannot be listened on.
    #[error("listener {name}: cannot listen on {address}{}", advice(source))]
    Address {
        /// Name of the listener.
        name: String,
        /// The address in its settings.
        address: Address,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A file of its TLS settings cannot be used.
    #[error("listener {name}: {source}")]
    Tls {
        /// Name of the listener.
        name: String,
        /// Which file, and why.
        source: TlsFileError,
    },
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) enum Socket {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A Unix socket, and its file, which is removed with it.
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "removes the file when it is dropped")] SocketFile,
    ),
}

/// A connection as it is accepted.
pub(crate) enum Accepted {
    /// A TCP connection and where it comes from.
    Tcp(TcpStream, SocketAddr),
    /// A connection of a Unix socket.
    Unix(UnixStream),
}

impl Socket {
    /// Listens. Returns the socket and its address, with the port that the system chose.
    pub(crate) fn bind(address: &Address, mode: u32, settings: &SocketSettings) -> io::Result<(Socket, Address)> {
        match address {
            Address::Network(address) => {
                let listener = tcp(*address, settings)?;
                let address = Address::Network(listener.local_addr()?);
                Ok((Socket::Tcp(listener), address))
            }
            Address::Unix(path) => {
                remove_stale(path)?;
                let listener = UnixListener::bind(path)?;
                let file = SocketFile(path.clone());
                fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
                Ok((Socket::Unix(listener, file), address.clone()))
            }
        }
    }

    /// Waits for a connection.
    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Socket::Tcp(listener) => listener
                .accept()
                .await
                .map(|(stream, from)| Accepted::Tcp(stream, from)),
            Socket::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
        }
    }
}

fn tcp(address: SocketAddr, settings: &SocketSettings) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(settings.reuse_address)?;
    socket.set_reuseport(settings.reuse_port)?;
    // Accepted sockets inherit it.
    socket.set_keepalive(settings.tcp_keepalive)?;
    socket.bind(address)?;
    socket.listen(settings.backlog)
}

/// The file of a Unix socket; removed when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may have been removed already.
        drop(fs::remove_file(&self.0));
    }
}

/// Removes the socket file that a killed process has left behind; a file that is no socket, or one on which a process
/// listens, stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let is_refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if is_socket && StdUnixStream::connect(path).is_err_and(is_refused) {
        fs::remove_file(path)?;
    }
    Ok(())
}
