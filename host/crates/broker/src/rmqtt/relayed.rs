//! The clients behind the relay: which client is behind which connection to RMQTT.
//!
//! RMQTT listens on a loopback port, and each client reaches it through a connection of the relay, which has a source
//! address of its own. RMQTT's hooks know this address as the client's; here is the [`Peer`] that it stands for. A
//! connection from an address that is not here comes from another program on this machine and is refused.
//!
//! Source addresses are counted through 127.64.0.0/10 and the ports of clients, so an address comes again only after
//! 10^11 connections, and the number of connections is not limited by the ports of one address.
//!
//! An entry lives as long as its relay. What a hook needs later is in the session's record.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::relayed_client::RelayedClient;
use super::sent::SentConnect;
use ::rmqtt::types::Id as ClientKey;
use bytestring::ByteString;
use hookhost_listener::{Kind, Peer};

const SHARDS: usize = 64;
/// The network of the source addresses, without its first address.
const FIRST_HOST: u32 = u32::from_be_bytes([127, 64, 0, 1]);
/// How many addresses of it are used.
const HOSTS: u64 = (1 << 22) - 2;
/// The ports that systems give to clients, so that no service listens on one.
const FIRST_PORT: u16 = 32_768;
const PORTS: u64 = 28_232;

/// Whether an address is one that the relay may use.
pub(super) fn is_relay_address(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V4(address) => {
            let host = u32::from(*address.ip());
            host >= FIRST_HOST && u64::from(host - FIRST_HOST) < HOSTS
        }
        SocketAddr::V6(_) => false,
    }
}

/// The source address with this number.
fn source_address(number: u64) -> SocketAddr {
    // Both fit by their moduli.
    let port = FIRST_PORT + (number % PORTS) as u16;
    let host = FIRST_HOST + (number / PORTS % HOSTS) as u32;
    (Ipv4Addr::from(host), port).into()
}

type Shard = HashMap<SocketAddr, Arc<RelayedClient>>;

/// The clients behind the relay, by the source address of their connection to RMQTT.
pub(super) struct RelayedClients {
    shards: Vec<Mutex<Shard>>,
    next: AtomicU64,
    open: AtomicUsize,
    closed: Notify,
}

/// A client's place in [`RelayedClients`], until this is dropped.
pub(super) struct Relayed {
    clients: Arc<RelayedClients>,
    /// The source address of the connection to RMQTT.
    pub(super) address: SocketAddr,
    /// The client.
    pub(super) client: Arc<RelayedClient>,
}

impl RelayedClients {
    /// No client yet.
    pub(super) fn new() -> RelayedClients {
        RelayedClients {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            next: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            closed: Notify::new(),
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the index is a remainder by the number of shards, which is not 0"
    )]
    fn shard(&self, address: SocketAddr) -> MutexGuard<'_, Shard> {
        self.shards[usize::from(address.port()) % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a client with a new source address.
    pub(super) fn add(self: &Arc<RelayedClients>, peer: Peer, connect: SentConnect) -> Relayed {
        let address = source_address(self.next.fetch_add(1, Ordering::Relaxed));
        let client = Arc::new(RelayedClient::new(peer, connect));
        self.shard(address).insert(address, Arc::clone(&client));
        self.open.fetch_add(1, Ordering::Relaxed);
        Relayed {
            clients: Arc::clone(self),
            address,
            client,
        }
    }

    /// The client behind a connection that RMQTT has accepted.
    pub(super) fn of(&self, key: &ClientKey) -> Option<Arc<RelayedClient>> {
        let address = key.remote_addr.filter(|address| is_relay_address(*address))?;
        self.shard(address).get(&address).cloned()
    }

    /// Waits until no client is left.
    pub(super) async fn empty(&self) {
        loop {
            let closed = self.closed.notified();
            tokio::pin!(closed);
            closed.as_mut().enable();
            if self.open.load(Ordering::Acquire) == 0 {
                return;
            }
            closed.await;
        }
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        self.clients.shard(self.address).remove(&self.address);
        if self.clients.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.clients.closed.notify_waiters();
        }
    }
}

/// Where the client of a connection comes from; `client` is the one behind the relay, if it is known.
pub(super) fn peer(key: &ClientKey, client: Option<&RelayedClient>) -> Peer {
    match client {
        Some(client) => client.peer.clone(),
        // Messages keep the key of a client with its own address.
        None => Peer {
            address: key.remote_addr.filter(|address| !is_relay_address(*address)),
            proxy: None,
            local: key.local_addr,
            listener: ByteString::new(),
            kind: Kind::Tcp,
            tls: None,
        },
    }
}

/// The key with the client's own address in place of the relay's; `client` is the one behind the relay, if it is known.
pub(super) fn with_own_address(key: &ClientKey, client: Option<&RelayedClient>) -> ClientKey {
    match (key.remote_addr, client) {
        (Some(address), Some(client)) if is_relay_address(address) => client.sender(key),
        (Some(address), None) if is_relay_address(address) => ClientKey::new(
            key.node_id,
            key.lid,
            None,
            None,
            key.client_id.clone(),
            key.username.clone(),
        ),
        _ => key.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer {
            address: address.parse().ok(),
            proxy: None,
            local: "10.0.0.1:1883".parse().ok(),
            listener: "l".into(),
            kind: Kind::Tcp,
            tls: None,
        }
    }

    fn key(address: SocketAddr) -> ClientKey {
        ClientKey::new(1, 1, None, Some(address), "c".into(), Some("u".into()))
    }

    #[test]
    fn each_connection_has_an_address_of_its_own_in_the_network_of_the_relay() {
        for number in [0, 1, PORTS - 1, PORTS, PORTS * HOSTS - 1, PORTS * HOSTS] {
            let address = source_address(number);
            assert!(is_relay_address(address), "{address}");
            assert!((32_768..=60_999).contains(&address.port()), "{address}");
        }
        assert_eq!(source_address(0), "127.64.0.1:32768".parse().unwrap());
        assert_eq!(source_address(PORTS + 1), "127.64.0.2:32769".parse().unwrap());
        assert_eq!(
            source_address(PORTS * HOSTS - 1),
            "127.127.255.254:60999".parse().unwrap()
        );
        for other in [
            "127.0.0.1:40000",
            "127.128.0.0:40000",
            "127.64.0.0:40000",
            "10.0.0.5:1",
            "[::1]:40000",
        ] {
            assert!(!is_relay_address(other.parse().unwrap()), "{other}");
        }
    }

    #[tokio::test]
    async fn a_client_is_found_as_long_as_its_relay_lives() {
        let clients = Arc::new(RelayedClients::new());
        let relayed = clients.add(peer("10.0.0.5:50000"), SentConnect::default());
        let key = key(relayed.address);
        let found = clients.of(&key).unwrap();
        assert_eq!(found.peer, relayed.client.peer);
        let sender = with_own_address(&key, Some(&found));
        assert_eq!(
            (sender.remote_addr, &*sender.client_id),
            ("10.0.0.5:50000".parse().ok(), "c")
        );
        assert!(found.is_sender(&sender) && !found.is_sender(&key));
        assert_eq!(with_own_address(&sender, None), sender);
        assert_eq!(with_own_address(&key, None).remote_addr, None);
        drop(relayed);
        assert!(clients.of(&key).is_none());
        clients.empty().await;
    }
}
