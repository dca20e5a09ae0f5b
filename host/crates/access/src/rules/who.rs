//! Which clients a rule is about.

use ipnet::IpNet;
use regex_lite::Regex;

use crate::Identity;

/// Which clients a rule is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Who {
    /// All clients.
    Everybody,
    /// Clients with a matching user name. A client without a user name never matches.
    Username(TextMatch),
    /// Clients with a matching client id.
    ClientId(TextMatch),
    /// Clients with an address in this network.
    Address(IpNet),
    /// Clients with this version of MQTT: 3 (3.1), 4 (3.1.1) or 5.
    Protocol(u8),
    /// Clients that all parts include.
    And(Vec<Who>),
    /// Clients that any part includes.
    Or(Vec<Who>),
}

impl Who {
    /// Whether it includes a client.
    pub(crate) fn includes(&self, client: &Identity) -> bool {
        match self {
            Who::Everybody => true,
            Who::Username(text) => client.username.as_deref().is_some_and(|name| text.matches(name)),
            Who::ClientId(text) => text.matches(&client.client_id),
            Who::Address(network) => client.address().is_some_and(|address| network.contains(&address)),
            Who::Protocol(version) => *version == client.protocol,
            Who::And(parts) => parts.iter().all(|part| part.includes(client)),
            Who::Or(parts) => parts.iter().any(|part| part.includes(client)),
        }
    }
}

/// A text to compare with.
#[derive(Debug, Clone)]
pub enum TextMatch {
    /// The same text.
    Equal(Box<str>),
    /// A regular expression that matches any part of the text.
    Regex(Regex),
}

impl TextMatch {
    fn matches(&self, text: &str) -> bool {
        match self {
            TextMatch::Equal(expected) => **expected == *text,
            TextMatch::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Regular expressions are equal if they are written the same.
impl PartialEq for TextMatch {
    fn eq(&self, other: &TextMatch) -> bool {
        match (self, other) {
            (TextMatch::Equal(one), TextMatch::Equal(other)) => one == other,
            (TextMatch::Regex(one), TextMatch::Regex(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}
