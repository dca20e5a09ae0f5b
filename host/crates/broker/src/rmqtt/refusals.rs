//! Refuses a CONNECT without RMQTT, or passes on RMQTT's refusal: sends CONNACK and emits the events that no hook causes.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use hookhost_event::{Client, Connack, Connection, Detail, Hook};
use hookhost_listener::{ClientStream, Peer};
use hookhost_relay::linger;
use hookhost_relay::packet::{self, Connect};

use super::connect;
use super::connect_start::ConnectStart;
use super::front::Front;
use crate::conventions::{INVALID_CLIENT_ID, UNSUPPORTED_VERSION};

/// How long a refusal may take to the client.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

impl Front {
    /// Answers a CONNECT that cannot be read, if its protocol and version can be.
    pub(super) async fn refuse_unreadable(&self, client: ClientStream, peer: &Peer, body: &[u8], code: u8) {
        let Some(start) = ConnectStart::read(body) else { return };
        let connection = || Connection {
            client: Client {
                peer: peer.address,
                protocol_version: start.level,
                ..start.client(body)
            },
            listener: peer.listener.clone(),
            transport: peer.transport(),
            local: peer.local,
            protocol_name: start.name.into(),
            keep_alive: start.keep_alive,
            clean_start: start.clean_start,
            // The properties of MQTT 5 cannot be read, so the default of the standard counts.
            session_expiry: connect::session_expiry(start.clean_start, (start.level == 5).then_some(0), &self.limits),
            certificate: peer.event_certificate(),
            ..Connection::default()
        };
        self.refuse_unseen(client, start.level, code, connection).await;
    }

    /// Refuses a CONNECT that MQTT forbids and RMQTT would accept.
    pub(super) async fn refuse_forbidden(&self, client: ClientStream, peer: &Peer, connect: &Connect, code: u8) {
        let connection = || connect::refused_connection(connect, peer, &self.limits);
        self.refuse_unseen(client, connect.version, code, connection).await;
    }

    /// Refuses a CONNECT that RMQTT does not get. The broker whose conventions the engine follows decides which events
    /// there are; `connection` is what they say.
    async fn refuse_unseen(
        &self,
        client: ClientStream,
        version: u8,
        code: u8,
        connection: impl FnOnce() -> Connection,
    ) {
        // Before MQTT 5 a malformed CONNECT is not answered. An unknown version is, as 3.1.1 demands.
        if version != 5 && !matches!(code, UNSUPPORTED_VERSION | INVALID_CLIENT_ID) {
            return;
        }
        let conventions = self.source.conventions;
        let connection = conventions.reports_refusal(code).then(connection);
        if let Some(connection) = connection
            .as_ref()
            .filter(|_| conventions.reports_refused_connect(code))
        {
            let detail = || Detail::ClientConnect(connection.clone());
            self.source.emitter.emit(Hook::ClientConnect, None, detail).await;
        }
        self.refuse(client, version, code, connection).await;
    }

    /// Refuses a client with a reason code of MQTT 5. `connection`: what the event of the refusal says; `None`: there is no
    /// event.
    pub(super) async fn refuse(&self, client: ClientStream, version: u8, code: u8, connection: Option<Connection>) {
        self.write_refusal(client, &packet::refusal(version, code), code, connection)
            .await;
    }

    /// Sends a CONNACK that refuses. `connection`: as for [`refuse`](Front::refuse).
    pub(super) async fn write_refusal(
        &self,
        mut client: ClientStream,
        connack: &[u8],
        code: u8,
        connection: Option<Connection>,
    ) {
        if let Some(connection) = connection {
            self.source
                .emitter
                .emit(Hook::ClientConnack, None, || {
                    Detail::ClientConnack(Connack {
                        connection,
                        code,
                        session_present: false,
                        connected_at: None,
                        properties: None,
                    })
                })
                .await;
        }
        let writing = async {
            client.write_all(connack).await?;
            client.flush().await
        };
        if let Ok(Ok(())) = timeout(REFUSAL_TIMEOUT, writing).await {
            linger(&mut client).await;
        }
    }
}
