//! A client that connects, and what authentication decides about it.

use std::fmt;
use std::net::IpAddr;

use crate::ClientAccess;

/// Who a client is, for rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Client id; empty if the client leaves it to the broker.
    pub client_id: String,
    /// User name, if there is one.
    pub username: Option<String>,
    /// The client's address, if known.
    pub address: Option<IpAddr>,
    /// The version of MQTT in CONNECT: 3 (3.1), 4 (3.1.1) or 5.
    pub protocol: u8,
}

impl Identity {
    /// The client's address; an IPv4 address that is mapped into IPv6 is IPv4 here.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address.map(|address| address.to_canonical())
    }
}

/// The names in a client's certificate.
#[derive(Debug, Clone, Copy, Default)]
pub struct CertificateNames<'a> {
    /// Common name of its subject.
    pub common_name: Option<&'a str>,
    /// First DNS name of its subject alternative name.
    pub dns: Option<&'a str>,
    /// First e-mail address of its subject alternative name.
    pub email: Option<&'a str>,
    /// First URI of its subject alternative name.
    pub uri: Option<&'a str>,
}

/// What a client shows in CONNECT.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// Client id; empty if the client leaves it to the broker.
    pub client_id: &'a str,
    /// User name, if there is one.
    pub username: Option<&'a str>,
    /// Password, if there is one. It may contain any bytes.
    pub password: Option<&'a [u8]>,
    /// The client's address, if known.
    pub address: Option<IpAddr>,
    /// The version of MQTT in CONNECT: 3 (3.1), 4 (3.1.1) or 5.
    pub protocol: u8,
    /// The names in the certificate that the client has shown and that is valid.
    pub certificate: Option<CertificateNames<'a>>,
    /// Topic, QoS and retain flag of the will. A client whose will it may not publish is refused, because the broker
    /// publishes wills without asking.
    pub will: Option<(&'a str, u8, bool)>,
}

/// Without the password.
impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .field("has_password", &self.password.is_some())
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Login<'_> {
    /// Whether the client shows a user name or a password.
    pub fn has_credentials(&self) -> bool {
        self.username.is_some() || self.password.is_some()
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity {
            client_id: self.client_id.to_owned(),
            username: self.username.map(str::to_owned),
            address: self.address,
            protocol: self.protocol,
        }
    }
}

/// What authentication decides.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// The client may connect.
    Accepted(ClientAccess),
    /// The client may not connect.
    Refused {
        /// Why, as far as the client learns it.
        refusal: Refusal,
        /// The source that decided; `default` if no source knows the client.
        source: &'static str,
    },
}

/// Why a client may not connect. It does not say which part of the credentials was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// User name or password are wrong.
    BadCredentials,
    /// The client shows no credentials, or may not connect with them.
    NotAuthorized,
    /// Too many logins wait for a check.
    Busy,
    /// A web service that has to decide does not answer.
    Unavailable,
}

impl Refusal {
    /// The reason code of MQTT 5: 134, 135, 136 or 137.
    pub fn code(self) -> u8 {
        match self {
            Refusal::BadCredentials => 134,
            Refusal::NotAuthorized => 135,
            Refusal::Unavailable => 136,
            Refusal::Busy => 137,
        }
    }
}
