//! Texts with placeholders for a client, in claims of tokens and in requests to web services.

use crate::Login;
use crate::rules::{Action, Operation};

/// What a placeholder is replaced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    ClientId,
    Username,
    Password,
    PeerHost,
    Protocol,
    Action,
    Access,
    Topic,
    Qos,
    Retain,
}

/// The placeholders, `${NAME}`.
const PLACEHOLDERS: [(&str, Placeholder); 12] = [
    ("clientid", Placeholder::ClientId),
    ("client_id", Placeholder::ClientId),
    ("username", Placeholder::Username),
    ("password", Placeholder::Password),
    ("peerhost", Placeholder::PeerHost),
    ("ipaddress", Placeholder::PeerHost),
    ("protocol", Placeholder::Protocol),
    ("action", Placeholder::Action),
    ("access", Placeholder::Access),
    ("topic", Placeholder::Topic),
    ("qos", Placeholder::Qos),
    ("retain", Placeholder::Retain),
];

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(Placeholder),
}

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

impl std::str::FromStr for Template {
    type Err = String;

    /// Refuses unknown placeholders and those without an end.
    fn from_str(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or("has a placeholder without }")?;
            let known = PLACEHOLDERS.iter().find(|(known, _)| *known == name);
            let Some((_, placeholder)) = known else {
                let names: Vec<&str> = PLACEHOLDERS.iter().map(|(name, _)| *name).collect();
                return Err(format!(
                    "has the unknown placeholder ${{{name}}}; known are {}",
                    names.join(", ")
                ));
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Placeholder(*placeholder));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Template(parts))
    }
}

impl Template {
    /// The bytes for a login, or for an operation of the client. Missing values are empty.
    pub(crate) fn fill(&self, login: &Login<'_>, operation: Option<&Operation<'_>>) -> Vec<u8> {
        self.fill_with(login, operation, |value| value.to_vec())
    }

    /// The same; `encode` is applied to what replaces a placeholder.
    pub(crate) fn fill_with(
        &self,
        login: &Login<'_>,
        operation: Option<&Operation<'_>>,
        encode: impl Fn(&[u8]) -> Vec<u8>,
    ) -> Vec<u8> {
        let mut filled = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.extend_from_slice(text.as_bytes()),
                Part::Placeholder(placeholder) => filled.extend(encode(&value(*placeholder, login, operation))),
            }
        }
        filled
    }

    /// The text for a login; `None` if it is not UTF-8.
    pub(crate) fn fill_text(&self, login: &Login<'_>) -> Option<String> {
        String::from_utf8(self.fill(login, None)).ok()
    }
}

fn value(placeholder: Placeholder, login: &Login<'_>, operation: Option<&Operation<'_>>) -> Vec<u8> {
    let of = |text: Option<&str>| text.unwrap_or_default().as_bytes().to_vec();
    match placeholder {
        Placeholder::ClientId => of(Some(login.client_id)),
        Placeholder::Username => of(login.username),
        Placeholder::Password => login.password.unwrap_or_default().to_vec(),
        Placeholder::PeerHost => login
            .address
            .map(|address| address.to_string().into_bytes())
            .unwrap_or_default(),
        Placeholder::Protocol => login.protocol.to_string().into_bytes(),
        Placeholder::Action => of(operation.map(|operation| operation.action.name())),
        // As in EMQX 4 and NanoMQ.
        Placeholder::Access => of(operation.map(|operation| match operation.action {
            Action::Subscribe => "1",
            Action::Publish => "2",
        })),
        Placeholder::Topic => of(operation.map(|operation| operation.topic)),
        Placeholder::Qos => operation
            .map(|operation| operation.qos.to_string().into_bytes())
            .unwrap_or_default(),
        Placeholder::Retain => operation
            .map(|operation| operation.retain.to_string().into_bytes())
            .unwrap_or_default(),
    }
}
