//! CONNECT and CONNACK: how a connection begins and what it finds.
//!
//! Everything but client-connect is told when CONNACK passes, in the order of the broker in process: first what became
//! of the client's former connection and session, then what this one has got.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use super::*;
use crate::packet::Connack as Answer;
use crate::sessions::{Live, Presence};
use hookhost_event::{Authentication, Connack, Disconnection, EndReason, Session, Termination, Transport};

/// What a connection knows before its client has said anything.
#[derive(Debug, Clone)]
pub(in super::super) struct Facts {
    /// Its number, greater than that of every connection before it.
    pub(in super::super) number: u64,
    /// Where the client connects from.
    pub(in super::super) peer: SocketAddr,
    /// Where the gateway listens.
    pub(in super::super) local: SocketAddr,
    /// Name of the listener.
    pub(in super::super) listener: ByteString,
}

impl Machine {
    /// A client has sent CONNECT.
    pub(in super::super) fn connect(facts: Facts, connect: Connect, host: &impl Host) -> Machine {
        let connection = Connection {
            client: Client {
                id: connect.client_id.clone(),
                username: connect.username.clone(),
                peer: Some(facts.peer),
                protocol_version: connect.version,
                node: None,
                attributes: Vec::new(),
            },
            listener: facts.listener,
            transport: Transport::Tcp,
            local: Some(facts.local),
            protocol_name: ByteString::from_static(if connect.version == 3 { "MQIsdp" } else { "MQTT" }),
            bridge: connect.bridge,
            keep_alive: connect.keep_alive,
            clean_start: connect.clean_start,
            session_expiry: connect.session_expiry,
            receive_maximum: connect.receive_maximum,
            mountpoint: None,
            certificate: None,
            properties: connect.properties.clone(),
        };
        if host.wants(Hook::ClientConnect, None) {
            host.tell(Detail::ClientConnect(connection.clone()));
        }
        Machine {
            number: facts.number,
            phase: Phase::Opening,
            connection,
            connected_at: None,
            session_created_at: None,
            memory: host.sessions().memory(),
            handle: Arc::default(),
            will: None,
            will_id: None,
            longest: usize::MAX,
            keep_alive: connect.keep_alive,
            client_aliases: Aliases::default(),
            upstream_aliases: Aliases::new(connect.topic_alias_maximum),
            asked: Box::new(connect),
            subscribing: HashMap::new(),
            unsubscribing: HashMap::new(),
            unanswered: HashMap::new(),
            budget: Budget(KEPT),
            last_found: 0,
            leaving: None,
            fault: None,
        }
    }

    /// CONNECT goes to the upstream now: from here on this connection may replace another one of its client.
    pub(in super::super) fn announce(&self, host: &impl Host) {
        if !self.asked.client_id.is_empty() {
            host.sessions().announce(&self.asked.client_id, self.number);
        }
    }

    /// How to reach the task of this connection.
    pub(in super::super) fn handle(&self) -> Arc<Handle> {
        Arc::clone(&self.handle)
    }

    /// The gateway refuses the connection, with a code of MQTT 5.
    pub(in super::super) fn refuse(&mut self, code: u8, host: &impl Host) {
        let answer = Answer {
            code,
            ..Answer::default()
        };
        self.refused(&answer, host);
    }

    /// The client has gone before it was answered.
    pub(in super::super) fn give_up(&mut self, host: &impl Host) {
        if self.phase == Phase::Opening {
            self.phase = Phase::Over;
            self.retract(host);
        }
    }

    /// The upstream answers CONNECT.
    pub(in super::super) fn connack(&mut self, answer: &Answer, host: &impl Host) {
        if self.phase != Phase::Opening {
            host.count(Counted::Unexpected);
            return;
        }
        if answer.code == 0 {
            self.accepted(answer, host);
        } else {
            self.refused(answer, host);
        }
    }

    fn refused(&mut self, answer: &Answer, host: &impl Host) {
        self.phase = Phase::Over;
        // What the upstream says about who the client is, and not about anything else.
        if matches!(answer.code, 134 | 135 | 138 | 140) {
            self.authenticated(answer.code, host);
        }
        if host.wants(Hook::ClientConnack, None) {
            host.tell(Detail::ClientConnack(Connack {
                connection: self.connection.clone(),
                code: answer.code,
                session_present: false,
                connected_at: None,
                properties: answer.properties.clone(),
            }));
        }
        self.retract(host);
    }

    fn authenticated(&self, code: u8, host: &impl Host) {
        if host.wants(Hook::ClientAuthenticated, None) {
            host.tell(Detail::ClientAuthenticated(Authentication {
                connection: self.connection.clone(),
                code,
                anonymous: code == 0 && !self.asked.has_credentials,
                superuser: false,
                source: ByteString::from_static("upstream"),
            }));
        }
    }

    fn accepted(&mut self, answer: &Answer, host: &impl Host) {
        let now = host.now();
        self.phase = Phase::Open;
        self.connected_at = Some(now);
        if let Some(id) = answer
            .assigned_client_id
            .as_ref()
            .filter(|_| self.connection.client.id.is_empty())
        {
            self.connection.client.id = id.clone();
        }
        if let Some(expiry) = answer.session_expiry {
            self.connection.session_expiry = expiry;
        }
        self.keep_alive = answer.keep_alive.unwrap_or(self.asked.keep_alive);
        self.client_aliases = Aliases::new(answer.topic_alias_maximum);
        self.longest = answer
            .maximum_packet_size
            .map_or(usize::MAX, |longest| longest as usize);
        self.will = self.will(host);

        let client_id = self.connection.client.id.clone();
        let former = host.sessions().find(&client_id, self.number);
        // MQTT 3.1 does not say whether a session was found; with 3.1.1 and 5 the upstream knows best.
        let resumed = if self.version() == 3 {
            !self.asked.clean_start && former.is_some()
        } else {
            answer.session_present
        };
        if let Some(former) = former.filter(|_| resumed) {
            self.memory = former.memory;
            self.session_created_at = former.created_at;
        } else if !resumed {
            self.session_created_at = Some(now);
        }
        self.handle
            .subscriptions
            .store(self.memory().subscriptions(), Ordering::Relaxed);
        let live = Live {
            created_at: self.session_created_at,
            connected_at: self.connected_at,
            will: self.will.clone(),
            ..Live::new(
                self.number,
                Arc::new(self.connection.clone()),
                Arc::clone(&self.handle),
                Arc::clone(&self.memory),
            )
        };
        let (old, _moment) = host.sessions().open(live);
        let named = self.connection.client.username.is_some();
        if named {
            self.authenticated(0, host);
        }
        if let Some(old) = old {
            self.replaced(&old, resumed, host);
        }
        if !named {
            self.authenticated(0, host);
        }
        let session = || Session {
            client: self.client(),
            created_at: self.session_created_at,
        };
        if resumed {
            if host.wants(Hook::SessionResumed, None) {
                host.tell(Detail::SessionResumed(session()));
            }
        } else if host.wants(Hook::SessionCreated, None) {
            host.tell(Detail::SessionCreated(session()));
        }
        let connack = || Connack {
            connection: self.connection.clone(),
            code: 0,
            session_present: resumed,
            connected_at: self.connected_at,
            properties: answer.properties.clone(),
        };
        if host.wants(Hook::ClientConnack, None) {
            host.tell(Detail::ClientConnack(connack()));
        }
        if host.wants(Hook::ClientConnected, None) {
            host.tell(Detail::ClientConnected(connack()));
        }
    }

    /// The will as the message that it may become.
    fn will(&self, host: &impl Host) -> Option<Arc<Message>> {
        let will = self.asked.will.as_ref()?;
        Some(Arc::new(Message {
            id: self.will_id.unwrap_or_else(|| host.id()),
            publisher: self.client(),
            origin: Origin::Will,
            topic: will.topic.clone(),
            payload: will.payload.clone(),
            qos: will.qos,
            retain: will.retain,
            dup: false,
            packet_id: None,
            received_at: host.now(),
            properties: will.properties.clone(),
        }))
    }

    /// What became of the session that the client had, and of the connection that held it.
    fn replaced(&self, old: &Live, resumed: bool, host: &impl Host) {
        let mut was_away = matches!(old.presence, Presence::Away(_));
        if let Some((end, session_expiry)) = old.leaving.clone() {
            // It had left by itself, and only its socket was still there.
            disconnected(old, end.clone(), host);
            if session_expiry == 0 {
                terminated(old, end, host);
                return;
            }
            was_away = true;
        }
        if !was_away {
            let properties = match &old.presence {
                Presence::Left(end) => end.properties.clone(),
                _ => None,
            };
            let reason = if resumed {
                EndReason::TakenOver
            } else {
                EndReason::Discarded
            };
            let end = End {
                reason,
                code: Some(142),
                text: None,
                properties,
            };
            ended(old, end, host);
        }
        let session = || Session {
            client: old.connection.client.clone(),
            created_at: old.created_at,
        };
        if resumed {
            if !was_away && host.wants(Hook::SessionTakenOver, None) {
                host.tell(Detail::SessionTakenOver(session()));
            }
        } else if !was_away || self.asked.clean_start {
            if host.wants(Hook::SessionDiscarded, None) {
                host.tell(Detail::SessionDiscarded(session()));
            }
        } else {
            // Nobody threw it away, and the upstream has it no more.
            terminated(old, expired(), host);
        }
    }

    /// Takes back that this connection may replace another one.
    fn retract(&self, host: &impl Host) {
        if self.asked.client_id.is_empty() {
            return;
        }
        let now = host.now();
        let Some((old, _moment)) = host.sessions().retract(&self.asked.client_id, self.number, now) else {
            return;
        };
        let Presence::Left(end) = old.presence.clone() else {
            return;
        };
        let session_is_over = old.connection.session_expiry == 0;
        ended(&old, end.clone(), host);
        if session_is_over {
            terminated(&old, end, host);
        }
    }
}

/// The end of a session whose time is up.
pub(in super::super) fn expired() -> End {
    End {
        reason: EndReason::Expired,
        code: None,
        text: None,
        properties: None,
    }
}

/// Tells the end of a connection whose own machine is lost.
pub(in super::super) fn failed(live: &Live, host: &impl Host) {
    let now = host.now();
    let expiry = live.connection.session_expiry;
    let client_id = &live.connection.client.id;
    let Some(_moment) = host.sessions().close(client_id, live.number, None, expiry, now) else {
        return;
    };
    let end = End {
        reason: EndReason::InternalError,
        code: Some(131),
        text: None,
        properties: None,
    };
    ended(live, end.clone(), host);
    if expiry == 0 {
        terminated(live, end, host);
    }
}

/// Tells the end of a session.
pub(in super::super) fn terminated(live: &Live, end: End, host: &impl Host) {
    if host.wants(Hook::SessionTerminated, None) {
        host.tell(Detail::SessionTerminated(Termination {
            session: Session {
                client: live.connection.client.clone(),
                created_at: live.created_at,
            },
            end,
        }));
    }
}

/// Tells the end of another connection.
fn ended(old: &Live, end: End, host: &impl Host) {
    if let Some(will) = &old.will {
        super::ending::publish_will(will, host);
    }
    disconnected(old, end, host);
}

fn disconnected(old: &Live, end: End, host: &impl Host) {
    if host.wants(Hook::ClientDisconnected, None) {
        let disconnected_at = host.now();
        host.tell(Detail::ClientDisconnected(Disconnection {
            connection: Connection::clone(&old.connection),
            end,
            connected_at: old.connected_at,
            disconnected_at,
        }));
    }
}
