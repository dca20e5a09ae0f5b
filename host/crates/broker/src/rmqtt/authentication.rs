//! Turns RMQTT's hooks about CONNECT and authentication into events.

use std::sync::atomic::Ordering;

use bytestring::ByteString;

use ::rmqtt::hook::HookResult;
use ::rmqtt::types::{AuthResult, ConnectInfo};

use super::handler::EventSource;
use super::translate;
use hookhost_event::{Authentication, Detail, Hook};

impl EventSource {
    pub(super) async fn connect(&self, info: &ConnectInfo) {
        self.sessions.announce(info.client_id(), info.clean_start());
        self.emitter
            .emit(Hook::ClientConnect, None, || {
                Detail::ClientConnect(self.connection(info))
            })
            .await;
        let limits = &self.limits;
        let code = translate::refusal(info, limits).or_else(|| {
            self.skips_authentication(info)
                .then(|| translate::late_refusal(info, limits))
                .flatten()
        });
        if let Some(code) = code {
            self.refuse(info, code).await;
        }
    }

    /// Whether this client is accepted without authentication.
    pub(super) fn skips_authentication(&self, info: &ConnectInfo) -> bool {
        info.username().is_none() && self.limits.allow_anonymous
    }

    async fn refuse(&self, info: &ConnectInfo, code: u8) {
        self.is_answered(info);
        self.emitter
            .emit(Hook::ClientConnack, None, || {
                Detail::ClientConnack(translate::refused(info, &self.peer(info.id()), &self.limits, code))
            })
            .await;
    }

    /// Emits the decision of authentication.
    pub(super) async fn authenticate(&self, info: &ConnectInfo, decision: Option<&HookResult>) {
        let (code, superuser, judged) = match decision {
            Some(HookResult::AuthResult(AuthResult::Allow(superuser, _))) => (0, *superuser, true),
            Some(HookResult::AuthResult(AuthResult::BadUsernameOrPassword)) => (134, false, true),
            Some(HookResult::AuthResult(AuthResult::NotAuthorized)) => (135, false, true),
            _ if self.limits.allow_anonymous => (0, false, false),
            _ => (135, false, false),
        };
        if superuser {
            self.superusers.store(true, Ordering::Relaxed);
        }
        self.authenticated(info, code, superuser, judged).await;
        let code = Some(code).filter(|code| *code > 0);
        if let Some(code) = code.or_else(|| translate::late_refusal(info, &self.limits)) {
            self.refuse(info, code).await;
        }
    }

    pub(super) async fn authenticated(&self, info: &ConnectInfo, code: u8, superuser: bool, judged: bool) {
        self.emitter
            .emit(Hook::ClientAuthenticated, None, || {
                Detail::ClientAuthenticated(Authentication {
                    connection: self.connection(info),
                    code,
                    anonymous: !judged && code == 0,
                    superuser,
                    source: ByteString::from_static(if judged { "rmqtt" } else { "default" }),
                })
            })
            .await;
    }
}
