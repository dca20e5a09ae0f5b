//! CONNECT and CONNACK: how a connection begins and which session it finds.
//!
//! All events but client-connect are emitted when CONNACK passes, in the order of the broker in process: first the end
//! of the client's former connection and session, then what this connection has got.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::connection_state::ConnectionState;
use super::ended;
use super::session::ClientSession;
use super::step::Step;
use crate::packet::{ConnackPacket, Connect};
use crate::publisher_property::PublisherProperty;
use crate::session_state::SessionState;
use crate::sessions::{ConnectionHandle, SessionEntry};
use hookhost_access::{ClientAccess, Login};
use hookhost_broker::certificate_names;
use hookhost_event::{
    Authentication, ByteString, Connack, Connection, Detail, Hook, Id, Message, Millis, Origin, Session,
};
use hookhost_listener::Peer;

/// The source of a decision of the upstream, in events.
pub(crate) const UPSTREAM: &str = "upstream";

/// What is known of a connection before its client has sent anything.
#[derive(Debug, Clone)]
pub(crate) struct SocketInfo {
    /// The connection's number, greater than that of every connection before it.
    pub(crate) number: u64,
    /// Where the client comes from, and its TLS session.
    pub(crate) peer: Peer,
}

/// A connection whose CONNECT has passed and whose CONNACK has not.
pub(crate) struct Opening {
    number: u64,
    /// The connection as events show it.
    connection: Connection,
    /// What the client asked for.
    connect: Box<Connect>,
    /// Where the client comes from.
    peer: Peer,
    /// The will's id, if the CONNECT for the upstream names it.
    will_id: Option<Id>,
    /// What the host itself lets the client do.
    access: Option<ClientAccess>,
}

impl Opening {
    /// A client has sent CONNECT.
    pub(crate) fn new(socket: SocketInfo, connect: Connect, step: &mut Step<'_>) -> Opening {
        let connection = connect.connection(&socket.peer);
        step.emit(Hook::ClientConnect, None, || Detail::ClientConnect(connection.clone()));
        Opening {
            number: socket.number,
            connection,
            connect: Box::new(connect),
            peer: socket.peer,
            will_id: None,
            access: None,
        }
    }

    /// What the client shows of itself, for the authentication of the host itself.
    pub(crate) fn login(&self) -> Login<'_> {
        Login {
            client_id: &self.connection.client.id,
            username: self.connect.username.as_deref(),
            password: self.connect.password.as_ref().map(|password| &*password.0),
            address: self.connection.client.peer.map(|peer| peer.ip()),
            protocol: self.connect.version,
            certificate: certificate_names(&self.peer),
            will: self
                .connect
                .will
                .as_ref()
                .map(|will| (&*will.topic, will.qos, will.retain)),
        }
    }

    /// The host itself has accepted the client; the upstream may still refuse it.
    pub(crate) fn set_access(&mut self, access: ClientAccess) {
        let attributes = access.attributes().iter();
        let attributes = attributes.map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        self.connection.client.attributes = attributes.collect();
        self.access = Some(access);
    }

    /// The connection's number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The client's id; empty if the client leaves it to the upstream.
    pub(crate) fn client_id(&self) -> &ByteString {
        &self.connection.client.id
    }

    /// The protocol version: 3, 4 or 5.
    pub(crate) fn version(&self) -> u8 {
        self.connect.version
    }

    /// The property that the client's will has to carry; `None` without a will or without a client id.
    pub(crate) fn will_property(&mut self, step: &Step<'_>) -> Option<PublisherProperty> {
        let will = self
            .connect
            .will
            .as_ref()
            .filter(|_| !self.connection.client.id.is_empty())?;
        let id = step.new_id();
        self.will_id = Some(id);
        Some(PublisherProperty {
            id,
            publisher: self.connection.client.clone(),
            origin: Origin::Will,
            qos: will.qos,
            retain: will.retain,
            received_at: step.now,
        })
    }

    /// The upstream, or the gateway itself, refuses the connection. `source`: what has decided.
    pub(crate) fn refuse(&self, answer: &ConnackPacket, source: &'static str, step: &mut Step<'_>) {
        // These codes are about who the client is, the others are not.
        if matches!(answer.code, 134 | 135 | 138 | 140) {
            self.authenticated(answer.code, source, step);
        }
        step.emit(Hook::ClientConnack, None, || {
            Detail::ClientConnack(Connack {
                connection: self.connection.clone(),
                code: answer.code,
                session_present: false,
                connected_at: None,
                properties: answer.properties.clone(),
            })
        });
    }

    /// The connection after CONNACK has refused it: it ignores all packets.
    pub(crate) fn into_refused(self) -> ClientSession {
        let state = ConnectionState::new(self.number, self.connection, Arc::default(), Arc::default());
        ClientSession::refused(state, self.connect.keep_alive)
    }

    /// The upstream has accepted the connection: takes over what CONNACK decides. Until then the client id may be empty.
    pub(crate) fn negotiate(&mut self, answer: &ConnackPacket) {
        if let Some(id) = &answer.assigned_client_id
            && self.connection.client.id.is_empty()
        {
            self.connection.client.id = id.clone();
            if let Some(access) = &self.access {
                access.assign_client_id(id);
            }
        }
        if let Some(expiry) = answer.session_expiry {
            self.connection.session_expiry = expiry;
        }
    }

    /// The connection is open. `former`: the client's session before; `new_state`: for a new session.
    pub(crate) fn accept(
        self,
        answer: &ConnackPacket,
        former: Option<SessionEntry>,
        new_state: Arc<Mutex<SessionState>>,
        step: &Step<'_>,
    ) -> Accepted {
        let will = self.will(step);
        // MQTT 3.1 does not say whether a session was found; with 3.1.1 and 5 the upstream knows best.
        let resumed = if self.version() == 3 {
            !self.connect.clean_start && former.is_some()
        } else {
            answer.session_present
        };
        let (session, created_at) = match former.filter(|_| resumed) {
            Some(former) => (former.state, former.created_at),
            None => (new_state, (!resumed).then_some(step.now)),
        };
        let handle = Arc::new(ConnectionHandle::default());
        let state = ConnectionState::new(self.number, self.connection.clone(), session, handle);
        let subscriptions = state.session().subscriptions();
        state.handle.subscriptions.store(subscriptions, Ordering::Relaxed);
        Accepted {
            opening: self,
            state,
            will,
            resumed,
            created_at,
            connected_at: step.now,
        }
    }

    /// The will as the message that it may become.
    fn will(&self, step: &Step<'_>) -> Option<Arc<Message>> {
        let will = self.connect.will.as_ref()?;
        Some(Arc::new(Message {
            id: self.will_id.unwrap_or_else(|| step.new_id()),
            publisher: self.connection.client.clone(),
            origin: Origin::Will,
            topic: will.topic.clone(),
            payload: will.payload.clone(),
            qos: will.qos,
            retain: will.retain,
            dup: false,
            packet_id: None,
            received_at: step.now,
            properties: will.properties.clone(),
            republishes: 0,
        }))
    }

    /// The upstream has accepted the client, and the host itself did before.
    fn authenticated_by(&self) -> &'static str {
        match self.access.as_ref().map(ClientAccess::source) {
            None | Some("default") => UPSTREAM,
            Some(source) => source,
        }
    }

    fn authenticated(&self, code: u8, source: &'static str, step: &mut Step<'_>) {
        step.emit(Hook::ClientAuthenticated, None, || {
            Detail::ClientAuthenticated(Authentication {
                connection: self.connection.clone(),
                code,
                anonymous: code == 0 && !self.connect.has_credentials,
                superuser: self.access.as_ref().is_some_and(ClientAccess::is_superuser),
                source: ByteString::from_static(source),
            })
        });
    }
}

/// A connection that the upstream has accepted and that is not yet in the session table.
pub(crate) struct Accepted {
    opening: Opening,
    state: ConnectionState,
    will: Option<Arc<Message>>,
    /// Whether the upstream has found the client's session.
    resumed: bool,
    /// When the session was created, if that is known.
    created_at: Option<Millis>,
    connected_at: Millis,
}

impl Accepted {
    /// The entry for the session table.
    pub(crate) fn entry(&self) -> SessionEntry {
        SessionEntry {
            created_at: self.created_at,
            connected_at: Some(self.connected_at),
            will: self.will.clone(),
            ..SessionEntry::new(
                self.state.number,
                Arc::new(self.state.connection.clone()),
                Arc::clone(&self.state.handle),
                Arc::clone(&self.state.session),
            )
        }
    }

    /// The connection is in the session table, in place of `old`.
    pub(crate) fn open(self, answer: &ConnackPacket, old: Option<&SessionEntry>, step: &mut Step<'_>) -> ClientSession {
        let opening = &self.opening;
        let has_name = opening.connection.client.username.is_some();
        if has_name {
            opening.authenticated(0, opening.authenticated_by(), step);
        }
        if let Some(old) = old {
            ended::replaced(old, self.resumed, opening.connect.clean_start, step);
        }
        if !has_name {
            opening.authenticated(0, opening.authenticated_by(), step);
        }
        let session = || Session {
            client: self.state.client(),
            created_at: self.created_at,
        };
        if self.resumed {
            step.emit(Hook::SessionResumed, None, || Detail::SessionResumed(session()));
        } else {
            step.emit(Hook::SessionCreated, None, || Detail::SessionCreated(session()));
        }
        let connack = || Connack {
            connection: self.state.connection.clone(),
            code: 0,
            session_present: self.resumed,
            connected_at: Some(self.connected_at),
            properties: answer.properties.clone(),
        };
        step.emit(Hook::ClientConnack, None, || Detail::ClientConnack(connack()));
        step.emit(Hook::ClientConnected, None, || Detail::ClientConnected(connack()));
        let times = (self.connected_at, self.created_at);
        ClientSession::open(
            self.state,
            self.opening.access,
            &self.opening.connect,
            answer,
            times,
            self.will,
        )
    }
}
