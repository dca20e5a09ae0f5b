//! Turns RMQTT's hooks about CONNECT and authentication into events, and answers the latter.

use bytestring::ByteString;

use ::rmqtt::hook::HookResult;
use ::rmqtt::types::{AuthResult, ConnectInfo};

use super::connect;
use super::handler::{EventSource, completed, connect_extras};
use crate::certificate_names;
use hookhost_access::{ClientAccess, Login, Refusal, Verdict};
use hookhost_event::{Authentication, Detail, Hook};

impl EventSource {
    pub(super) async fn connect(&self, info: &ConnectInfo) {
        self.sessions.announce(info.client_id(), info.clean_start());
        let client = self.client_behind(info.id());
        self.emitter
            .emit_with_extras(Hook::ClientConnect, None, || {
                let connection = self.connection(info);
                (Detail::ClientConnect(connection), connect_extras(client.as_deref()))
            })
            .await;
        if let Some(code) = connect::refusal(info, &self.limits) {
            self.refuse(info, code).await;
        }
    }

    async fn refuse(&self, info: &ConnectInfo, code: u8) {
        self.is_answered(info);
        let client = self.client_behind(info.id());
        self.emitter
            .emit_with_extras(Hook::ClientConnack, None, || {
                let mut connack = connect::refused(info, &self.peer(info.id()), &self.limits, code);
                connack.connection = completed(connack.connection, client.as_deref());
                (Detail::ClientConnack(connack), connect_extras(client.as_deref()))
            })
            .await;
    }

    /// Decides whether a client may connect, and emits the decision. That of a client without a user name comes with its
    /// session, if it is accepted.
    pub(super) async fn authenticate(&self, info: &ConnectInfo) -> HookResult {
        let key = info.id();
        let peer = self.peer(key);
        let login = Login {
            client_id: info.client_id(),
            username: info.username().map(|name| &**name),
            password: info.password().map(|password| &**password),
            address: peer.address.map(|address| address.ip()),
            protocol: info.proto_ver(),
            certificate: certificate_names(&peer),
            will: connect::will(info),
        };
        match self.access.authenticate(login).await {
            Verdict::Accepted(access) => {
                if let Some(client) = self.clients.of(key) {
                    // A client authenticates once.
                    drop(client.access.set(access.clone()));
                }
                if info.username().is_some() {
                    self.authenticated(info, &access).await;
                }
                if let Some(code) = connect::late_refusal(info, &self.limits) {
                    self.refuse(info, code).await;
                }
                self.sessions.accept(key, access);
                // Superusers, too: RMQTT would not call the hooks of authorisation for them.
                HookResult::AuthResult(AuthResult::Allow(false, None))
            }
            Verdict::Refused { refusal, source } => {
                // RMQTT has no other codes.
                let (code, result) = match refusal {
                    Refusal::BadCredentials => (134, AuthResult::BadUsernameOrPassword),
                    Refusal::NotAuthorized | Refusal::Busy | Refusal::Unavailable => (135, AuthResult::NotAuthorized),
                };
                self.decided(info, code, false, false, source).await;
                self.refuse(info, code).await;
                HookResult::AuthResult(result)
            }
        }
    }

    /// Emits that a client was accepted.
    pub(super) async fn authenticated(&self, info: &ConnectInfo, access: &ClientAccess) {
        self.decided(info, 0, access.is_anonymous(), access.is_superuser(), access.source())
            .await;
    }

    async fn decided(&self, info: &ConnectInfo, code: u8, anonymous: bool, superuser: bool, source: &'static str) {
        self.emitter
            .emit(Hook::ClientAuthenticated, None, || {
                Detail::ClientAuthenticated(Authentication {
                    connection: self.connection(info),
                    code,
                    anonymous,
                    superuser,
                    source: ByteString::from_static(source),
                })
            })
            .await;
    }
}
