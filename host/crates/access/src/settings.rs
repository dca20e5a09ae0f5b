//! `[[authentication]]` and `[access]`, checked, with the contents of the files that they name.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hookhost_settings::Place;

mod read;
mod services;

use crate::connect_rules::ConnectRules;
use crate::jwt::TokenRules;
use crate::keys::Keys;
use crate::rate::RateLimit;
use crate::rules::{Permission, RuleSet};
use crate::service::Service;
use crate::{CertificateNames, Users};

/// The default of `login_delay`.
const LOGIN_DELAY: Duration = Duration::from_secs(10);

/// Who may connect, and who may do what.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Sources of authentication in their order.
    pub(crate) sources: Vec<AuthenticationSource>,
    /// Whether clients without credentials are accepted. Without sources: whether all clients are.
    pub(crate) allow_anonymous: bool,
    /// The longest wait after failed logins.
    pub(crate) login_delay: Duration,
    /// The rules in `[[access.rule]]`.
    pub(crate) rules: RuleSet,
    /// The rules in the file of `access.file`.
    pub(crate) file_rules: RuleSet,
    /// The web service of `access.http`.
    pub(crate) service: Option<Box<Service>>,
    /// The sources of rules in their order.
    pub(crate) order: Vec<RuleSource>,
    /// What is decided if no rule matches.
    pub(crate) default: Permission,
    /// What happens to a publish that is denied.
    pub(crate) deny_action: DenyAction,
    /// The code in SUBACK of MQTT 5 for a filter that is denied: 135 or 128.
    pub(crate) denied_subscription_code: u8,
    /// How many messages one client may publish.
    pub(crate) publish_rate: Option<RateLimit>,
    /// How many bytes of topics and payloads one client may publish.
    pub(crate) publish_bytes: Option<RateLimit>,
    /// The files that were read.
    pub(crate) files: Vec<PathBuf>,
}

/// A source of authentication.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AuthenticationSource {
    /// User names and passwords.
    Password(Users),
    /// Tokens: their keys, and what they must say.
    Jwt(Keys, TokenRules),
    /// A web service.
    Http(Box<Service>),
    /// Rules about clients.
    Rules(ConnectRules),
    /// The certificate of the connection; this name in it is the user name.
    Certificate(CertificateField),
}

/// A name in a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertificateField {
    CommonName,
    Dns,
    Email,
    Uri,
}

impl CertificateField {
    const NAMES: [(&'static str, CertificateField); 4] = [
        ("cn", CertificateField::CommonName),
        ("dns", CertificateField::Dns),
        ("email", CertificateField::Email),
        ("uri", CertificateField::Uri),
    ];

    /// The name in a certificate, unless it is empty.
    pub(crate) fn of<'c>(self, certificate: &CertificateNames<'c>) -> Option<&'c str> {
        let name = match self {
            CertificateField::CommonName => certificate.common_name,
            CertificateField::Dns => certificate.dns,
            CertificateField::Email => certificate.email,
            CertificateField::Uri => certificate.uri,
        };
        name.filter(|name| !name.is_empty())
    }
}

impl AuthenticationSource {
    /// Its name in settings and events.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            AuthenticationSource::Password(_) => "password",
            AuthenticationSource::Jwt(..) => "jwt",
            AuthenticationSource::Http(_) => "http",
            AuthenticationSource::Certificate(_) => "certificate",
            AuthenticationSource::Rules(_) => "rules",
        }
    }

    /// Whether it accepts clients that it does not know anything about.
    pub(crate) fn accepts_strangers(&self) -> bool {
        matches!(self, AuthenticationSource::Rules(rules) if rules.accept_strangers())
    }
}

/// A source of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RuleSource {
    /// `[[access.rule]]`
    Rules,
    /// `access.file`
    File,
    /// `access.http`
    Http,
}

/// What happens to a publish that is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DenyAction {
    /// The client gets the answer that its version of MQTT has, and stays connected. The default.
    #[default]
    Ignore,
    /// The connection ends.
    Disconnect,
}

impl Default for Settings {
    /// Everybody may do everything.
    fn default() -> Settings {
        Settings {
            sources: Vec::new(),
            allow_anonymous: true,
            login_delay: LOGIN_DELAY,
            rules: RuleSet::default(),
            file_rules: RuleSet::default(),
            service: None,
            order: vec![RuleSource::Rules, RuleSource::File, RuleSource::Http],
            default: Permission::Allow,
            deny_action: DenyAction::Ignore,
            denied_subscription_code: 135,
            publish_rate: None,
            publish_bytes: None,
            files: Vec::new(),
        }
    }
}

/// The settings that the reader of access control needs from other sections.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `mqtt.allow_anonymous`, if it is given.
    pub allow_anonymous: Option<bool>,
    /// The addresses on which clients arrive, each with the place of its setting.
    pub listen: Vec<(Place, SocketAddr)>,
    /// Whether another broker decides who may connect and who may do what.
    pub is_relayed: bool,
}

impl Settings {
    /// Whether there are no rules, and the default is to allow.
    pub(crate) fn allows_everything(&self) -> bool {
        self.rules.is_empty()
            && self.file_rules.is_empty()
            && self.service.is_none()
            && self.default == Permission::Allow
    }

    /// Whether clients may publish only so fast.
    pub(crate) fn limits_publishes(&self) -> bool {
        self.publish_rate.is_some() || self.publish_bytes.is_some()
    }

    /// Whether every client is accepted, with any credentials.
    pub(crate) fn accepts_everybody(&self) -> bool {
        self.sources.is_empty() && self.allow_anonymous
    }

    /// Whether every client is refused: there are no sources, and anonymous clients are not allowed.
    pub fn refuses_everybody(&self) -> bool {
        self.sources.is_empty() && !self.allow_anonymous
    }

    /// The files that were read, which a reload has to watch.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// One line for the log and for `hookhost check`.
    pub fn summary(&self) -> String {
        let sources: Vec<&str> = self.sources.iter().map(AuthenticationSource::name).collect();
        let clients = match (sources.is_empty(), self.allow_anonymous) {
            (true, true) => "every client is accepted".to_owned(),
            (true, false) => "every client is refused".to_owned(),
            (false, true) => format!(
                "clients need no credentials, others are checked by {}",
                sources.join(", ")
            ),
            (false, false) => format!("clients are checked by {}", sources.join(", ")),
        };
        let service = if self.service.is_some() {
            " and a web service"
        } else {
            ""
        };
        let topics = match (self.rules.len() + self.file_rules.len(), self.default) {
            (0, Permission::Allow) if service.is_empty() => "all topics are allowed".to_owned(),
            (0, Permission::Deny) if service.is_empty() => "no topic is allowed".to_owned(),
            (count, default) => {
                let rules = if count == 1 { "rule" } else { "rules" };
                let others = if default == Permission::Allow {
                    "allowed"
                } else {
                    "denied"
                };
                format!("{count} access {rules}{service}, other topics are {others}")
            }
        };
        format!("{clients}; {topics}")
    }
}
