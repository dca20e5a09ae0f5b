//! `[destinations.NAME]`: receivers with credentials, signatures, TLS and terms of their own.
//!
//! A secret stands in the file (`bearer`), in a file of its own (`bearer_file`) or in the environment (`bearer_env`).
//! Files and environment are read now, with the rest of the configuration, so that everything that is wrong with them is
//! found before anything starts; no problem repeats what they hold.

use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::{Host, Url};

use super::Environment;
use super::sections::terms;
use hookhost_delivery::{
    Certificates, Destination, Destinations, Identity, PrivateKey, Secret, ServerName, SigningKey, Terms, Tls,
    UrlPrefix, check_header, check_tls,
};
use hookhost_settings::document::{Node, Value};
use hookhost_settings::reader::{Given, Place, Reader, Section};

/// Reads a whole file; an error says why it cannot be read.
pub type Files<'a> = dyn Fn(&Path) -> io::Result<Vec<u8>> + 'a;

/// What a secret may be read from.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) files: &'a Files<'a>,
    pub(super) environment: &'a Environment,
}

/// All destinations; `defaults` are the terms of `[delivery]`.
pub(super) fn read(reader: &mut Reader, defaults: &Terms, sources: Sources<'_>) -> Destinations {
    let mut list: Vec<Destination> = Vec::new();
    for (name, place) in reader.names("destinations") {
        let mut reading = Reading {
            at: reader.section(format!("destinations.{name}")),
            sources,
        };
        if let Some(destination) = reading.destination(&name, &place, defaults, &list) {
            list.push(destination);
        }
    }
    list.into_iter().collect()
}

struct Reading<'r, 's> {
    at: Section<'r>,
    sources: Sources<'s>,
}

/// Headers with the keys that they come from.
type Headers = Vec<(String, Secret)>;

impl Reading<'_, '_> {
    fn destination(
        &mut self,
        name: &str,
        place: &Place,
        terms_of_all: &Terms,
        others: &[Destination],
    ) -> Option<Destination> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            let text = "is no name of a destination: 1 to 64 letters, digits, '_' and '-' are";
            self.at.problem(place.problem(text));
        }
        let urls = self.urls(place, others);
        let terms = terms(&mut self.at, terms_of_all);
        let mut headers = self.headers();
        if let Some(authorization) = self.authorization() {
            self.put(&mut headers, "authorization", authorization);
        }
        let signing = self.signing();
        if !signing.is_empty() && headers.iter().any(|(name, _)| name.starts_with("webhook-")) {
            self.at
                .problem_of("headers", "should have no webhook-…: signatures set them");
        }
        let tls = self.tls(&urls);
        let first = urls.first()?;
        let in_clear = urls
            .iter()
            .find(|url| url.url().scheme() == "http" && !is_local(url.url()));
        if in_clear.is_some() && !headers.is_empty() {
            self.at
                .warning(place.problem("sends its headers, credentials too, unencrypted: its URL is no https:"));
        }
        if tls != Tls::default() && urls.iter().all(|url| url.url().scheme() == "http") {
            self.at
                .warning(place.problem(format!("has a `tls` without effect: {} is no https:", first.url())));
        }
        if !tls.verify {
            let text =
                "does not check the receiver's certificate: whoever is on the way can read and change what is sent";
            self.at.warning(place.problem(text));
        }
        Some(Destination {
            name: name.into(),
            urls,
            headers,
            signing,
            tls,
            terms,
        })
    }

    fn urls(&mut self, place: &Place, others: &[Destination]) -> Vec<UrlPrefix> {
        let prefix = |text: &str| {
            let prefix = UrlPrefix::parse(text).map_err(|error| error.to_string())?;
            match others.iter().find(|other| other.urls.contains(&prefix)) {
                Some(other) => Err(format!("is the beginning of the URLs of `{}` already", other.name)),
                None => Ok(prefix),
            }
        };
        match self.at.list("urls", prefix) {
            Some((_, urls)) => {
                // One that was wrong is a problem already.
                let any_given = self.at.given("urls").is_some_and(|(_, given)| !given.is_empty());
                if urls.is_empty() && !any_given {
                    self.at.problem_of(
                        "urls",
                        "should be at least one beginning of a URL, such as https://example.com/hooks",
                    );
                }
                urls
            }
            None => {
                let text =
                    "needs `urls`: what the URLs begin with that it is for, such as [\"https://example.com/hooks\"]";
                self.at.problem(place.problem(text));
                Vec::new()
            }
        }
    }

    /// `headers`, `header_files` and `header_envs`.
    fn headers(&mut self) -> Headers {
        let mut headers = Headers::new();
        let Sources { files, environment } = self.sources;
        self.table_of_headers("headers", &mut headers, |text| Ok(text.to_owned()));
        self.table_of_headers("header_files", &mut headers, |path| text_of_file(files, path));
        self.table_of_headers("header_envs", &mut headers, |name| variable(environment, name));
        headers
    }

    fn table_of_headers(&mut self, key: &str, headers: &mut Headers, value: impl Fn(&str) -> Result<String, String>) {
        let Some((place, Given::Node(node))) = self.at.table(key) else {
            return;
        };
        let Value::Table(table) = node.value else {
            return self.at.problem(place.problem("should be a table of names and values"));
        };
        for (name, Node { line, value: node }) in table {
            let place = place.inside(&format!(".{name}"), line);
            let checked = match &node {
                Value::Text(text) => value(text).and_then(|value| {
                    check_header(&name, &value)?;
                    Ok(value)
                }),
                other => Err(format!("should be a string, not {}", other.kind())),
            };
            let name = name.to_ascii_lowercase();
            match checked {
                Err(text) => self.at.problem(place.problem(text)),
                Ok(_) if headers.iter().any(|(known, _)| *known == name) => {
                    self.at.problem(place.problem("is a header that is given already"));
                }
                Ok(value) => headers.push((name, Secret::new(value))),
            }
        }
    }

    fn put(&mut self, headers: &mut Headers, name: &str, value: Secret) {
        if headers.iter().any(|(known, _)| known == name) {
            let text = format!("has `{name}`, which `basic` or `bearer` set");
            for key in ["headers", "header_files", "header_envs"] {
                self.at.problem_of(key, &text);
            }
        }
        headers.push((name.to_owned(), value));
    }

    /// Of `basic` or `bearer`.
    fn authorization(&mut self) -> Option<Secret> {
        let bearer = self.secret("bearer", |token| {
            match token.bytes().all(|byte| byte.is_ascii_graphic()) {
                true => Ok(format!("Bearer {token}")),
                false => Err("should be a token: letters, digits and signs, without blanks".to_owned()),
            }
        });
        let user = self.at.text_at("basic.user", |user| match user {
            _ if user.contains(':') => Err("should have no colon: it ends the user's name".to_owned()),
            _ if user.contains(char::is_control) => Err("should have no control characters".to_owned()),
            user => Ok(user.to_owned()),
        });
        let password = self.secret("basic.password", |password| Ok(password.to_owned()));
        let basic = match (user, password) {
            (Some((_, user)), Some(password)) => {
                let pair = format!("{user}:{}", password.expose());
                Some(Secret::new(format!("Basic {}", STANDARD.encode(pair))))
            }
            (Some((place, _)), None) => {
                // A password that cannot be read is a problem already.
                let keys = ["basic.password", "basic.password_file", "basic.password_env"];
                if !keys.iter().any(|key| self.at.is_given(key)) {
                    self.at
                        .problem(place.problem("needs `password`, `password_file` or `password_env` beside it"));
                }
                None
            }
            (None, Some(_)) if !self.at.is_given("basic.user") => {
                for key in ["basic.password", "basic.password_file", "basic.password_env"] {
                    self.at.problem_of(key, "needs `user` beside it");
                }
                None
            }
            (None, _) => None,
        };
        if basic.is_some() && bearer.is_some() {
            self.at.problem_of(
                "basic.user",
                "should not stand beside `bearer`: a request has one authorization",
            );
        }
        basic.or(bearer)
    }

    /// A secret by `KEY`, `KEY_file` or `KEY_env`, turned into what `form` makes of it.
    fn secret(&mut self, key: &str, form: impl Fn(&str) -> Result<String, String>) -> Option<Secret> {
        let Sources { files, environment } = self.sources;
        let shape = |text: String| match text.as_str() {
            "" => Err("is empty".to_owned()),
            text if text.contains(char::is_control) => Err("should have no control characters".to_owned()),
            text => form(text).map(Secret::new),
        };
        let own = self.at.text_at(key, |text| shape(text.to_owned()));
        let file = self
            .at
            .text_at(&format!("{key}_file"), |path| text_of_file(files, path).and_then(shape));
        let variable = self.at.text_at(&format!("{key}_env"), |name| {
            variable(environment, name).and_then(shape)
        });
        let mut found = [own, file, variable].into_iter().flatten();
        let (_, secret) = found.next()?;
        for (place, _) in found {
            self.at
                .problem(place.problem(format!("should stand alone: `{key}` is given in another way too")));
        }
        Some(secret)
    }

    /// Of `sign.secrets`, `sign.secret_files` and `sign.secret_envs`.
    fn signing(&mut self) -> Vec<SigningKey> {
        let Sources { files, environment } = self.sources;
        let parse = |text: &str| SigningKey::parse(text).map_err(|error| error.to_string());
        let lists = [
            self.at.list("sign.secrets", parse),
            self.at
                .list("sign.secret_files", |path| parse(&text_of_file(files, path)?)),
            self.at
                .list("sign.secret_envs", |name| parse(&variable(environment, name)?)),
        ];
        lists.into_iter().flatten().flat_map(|(_, keys)| keys).collect()
    }

    fn tls(&mut self, urls: &[UrlPrefix]) -> Tls {
        let Sources { files, .. } = self.sources;
        let pem = |path: &str| bytes_of_file(files, path);
        let of_file = |path: &str, error: String| format!("{path} {error}");
        let ca = self.at.text_at("tls.ca", |path| {
            Certificates::parse(&pem(path)?).map_err(|error| of_file(path, error.to_string()))
        });
        let certificates = self.at.text_at("tls.certificate", |path| {
            Certificates::parse(&pem(path)?).map_err(|error| of_file(path, error.to_string()))
        });
        let key = self.at.text_at("tls.key", |path| {
            PrivateKey::parse(&pem(path)?).map_err(|error| of_file(path, error.to_string()))
        });
        for (one, other) in [("certificate", "key"), ("key", "certificate")] {
            if !self.at.is_given(&format!("tls.{other}")) {
                self.at
                    .problem_of(&format!("tls.{one}"), &format!("needs `{other}` beside it"));
            }
        }
        let verify = self.at.boolean("tls.verify", true);
        let name = self.at.text_at("tls.server_name", |text| match Host::parse(text) {
            Ok(Host::Domain(name)) => Ok(name),
            _ => Err("should be the name of a host, as it stands in the receiver's certificate".to_owned()),
        });
        let server_name = name.and_then(|(place, name)| {
            let mut hosts = urls.iter().filter_map(|url| url.url().host());
            let first = hosts.next()?;
            if hosts.any(|host| host != first) {
                self.at
                    .problem(place.problem("needs `urls` with one and the same host"));
            }
            let host = match first {
                Host::Domain(name) => name.to_owned(),
                Host::Ipv4(address) => address.to_string(),
                Host::Ipv6(address) => address.to_string(),
            };
            Some(ServerName { name, host })
        });
        let mut tls = Tls {
            ca: None,
            identity: None,
            verify,
            server_name,
        };
        if let Some((place, ca)) = ca {
            let own = Tls {
                ca: Some(ca),
                ..Tls::default()
            };
            self.check(&place, &own);
            tls.ca = own.ca;
        }
        if let (Some((place, certificates)), Some((_, key))) = (certificates, key) {
            let own = Tls {
                identity: Some(Identity { certificates, key }),
                // Of no interest here; it would load the platform's authorities, which need not be there.
                verify: false,
                ..Tls::default()
            };
            self.check(&place, &own);
            tls.identity = own.identity;
        }
        tls
    }

    fn check(&mut self, place: &Place, tls: &Tls) {
        if let Err(error) = check_tls(tls) {
            self.at.problem(place.problem(format!("cannot be used: {error}")));
        }
    }
}

/// A file's text without blanks and line ends around it.
fn text_of_file(files: &Files<'_>, path: &str) -> Result<String, String> {
    let text = String::from_utf8(bytes_of_file(files, path)?).map_err(|_| format!("cannot read {path}: not UTF-8"))?;
    match text.trim() {
        "" => Err(format!("names {path}, which is empty")),
        text => Ok(text.to_owned()),
    }
}

fn bytes_of_file(files: &Files<'_>, path: &str) -> Result<Vec<u8>, String> {
    match path {
        "" => Err("is empty".to_owned()),
        path => files(Path::new(path)).map_err(|error| format!("cannot read {path}: {error}")),
    }
}

fn variable(environment: &Environment, name: &str) -> Result<String, String> {
    match environment.get(name).map(|value| value.trim()) {
        None => Err(format!(
            "names the variable {name}, which the environment does not have"
        )),
        Some("") => Err(format!("names the variable {name}, which is empty")),
        Some(value) => Ok(value.to_owned()),
    }
}

/// Whether what is sent there stays on this machine.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
#[path = "destinations_tests.rs"]
mod tests;
