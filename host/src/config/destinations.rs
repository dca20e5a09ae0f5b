//! `[destinations.NAME]`: receivers with their own credentials, signatures, TLS and delivery settings.
//!
//! A secret is in the configuration file (`bearer`), in a separate file (`bearer_file`) or in the environment
//! (`bearer_env`). Files and environment are read with the rest of the configuration, so that all problems are found
//! before anything starts. No problem repeats a secret.

mod headers;
mod oauth2;
mod sources;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::{Host, Url};

use hookhost_delivery::{Destination, Destinations, HttpVersion, Secret, SigningKey, Terms, Tls, UrlPrefix};
use hookhost_settings::{Place, Section, Setting};

use super::name;
use super::sections::terms;
use headers::Headers;
use sources::variable;

pub(super) use headers::{KEYS as HEADER_KEYS, read as headers};
pub(super) use sources::{Sources, secret, text_of_file};

/// All destinations. `defaults` are the settings of `[delivery]`.
pub(super) fn read(mut at: Section<'_>, defaults: &Terms, sources: Sources<'_>) -> Destinations {
    let mut list: Vec<Destination> = Vec::new();
    for (name, section) in at.sections() {
        let mut reading = Reading { at: section, sources };
        if let Err(text) = name::check(&name) {
            reading.at.problem(reading.at.place().problem(text));
        }
        list.extend(reading.destination(&name, defaults));
    }
    list.into_iter().collect()
}

/// A destination for requests that name it. It is not chosen by URL.
pub(super) fn private(section: Section<'_>, name: &str, defaults: &Terms, sources: Sources<'_>) -> Option<Destination> {
    let destination = Reading { at: section, sources }.destination(name, defaults)?;
    Some(Destination {
        is_private: true,
        ..destination
    })
}

struct Reading<'r, 's> {
    at: Section<'r>,
    sources: Sources<'s>,
}

impl Reading<'_, '_> {
    fn destination(&mut self, name: &str, terms_of_all: &Terms) -> Option<Destination> {
        let place = self.at.place().clone();
        let urls = self.urls(&place);
        let terms = terms(&mut self.at, terms_of_all);
        let mut headers = headers::read(&mut self.at, self.sources);
        if let Some(authorization) = self.authorization() {
            self.put(&mut headers, "authorization", authorization);
        }
        let signing = self.signing();
        if !signing.is_empty() && headers.iter().any(|(name, _)| name.starts_with("webhook-")) {
            for key in headers::KEYS {
                self.at.problem_of(key, "should have no webhook-…: signatures set them");
            }
        }
        let oauth2 = self.oauth2();
        if oauth2.is_some() && headers.iter().any(|(name, _)| name == "authorization") {
            let text = "should not be set together with an authorization by `basic`, `bearer` or a header";
            self.at.problem(place.below("oauth2").problem(text));
        }
        let tls = self.tls(&urls);
        self.check_http(&terms, &tls, &urls, &place);
        let unix = self.unix(&terms, &urls);
        let first = urls.first()?;
        let in_clear = urls
            .iter()
            .find(|url| url.url().scheme() == "http" && !is_local(url.url()));
        if in_clear.is_some() && unix.is_none() && (!headers.is_empty() || oauth2.is_some()) {
            let text = "sends its headers unencrypted, credentials too: its URL does not begin with https:";
            self.at.warning(place.problem(text));
        }
        if tls != Tls::default() && urls.iter().all(|url| url.url().scheme() == "http") {
            let text = format!("has a `tls` without effect: {} does not begin with https:", first.url());
            self.at.warning(place.problem(text));
        }
        if !tls.verify {
            let text =
                "does not check the receiver's certificate: anybody on the network path can read and change requests";
            self.at.warning(place.problem(text));
        }
        Some(Destination {
            name: name.into(),
            is_private: false,
            urls,
            headers,
            signing,
            oauth2: oauth2.map(Arc::new),
            tls,
            unix,
            terms,
        })
    }

    /// Checks that the options of HTTP fit together.
    fn check_http(&mut self, terms: &Terms, tls: &Tls, urls: &[UrlPrefix], place: &Place) {
        let is_http2 = terms.http.version == HttpVersion::Http2;
        let has_plain_url = urls.iter().any(|url| url.url().scheme() == "http");
        if is_http2 && terms.http.proxy.is_some() && has_plain_url {
            let text = "cannot reach its http: URLs over HTTP/2 and a proxy: set `proxy = \"off\"` or `http_version = \"1.1\"`";
            self.at.problem(place.problem(text));
        }
        if is_http2 && tls.server_name.is_some() {
            let text = "cannot use `tls.server_name` with HTTP/2, which would send this name in place of the host";
            self.at.problem(place.problem(text));
        }
    }

    /// The Unix socket of a destination.
    fn unix(&mut self, terms: &Terms, urls: &[UrlPrefix]) -> Option<PathBuf> {
        let path = self.at.path("unix")?;
        if !path.is_absolute() {
            self.at
                .problem_of("unix", "should be an absolute path, such as \"/run/hooks.sock\"");
        }
        if cfg!(not(unix)) {
            self.at.problem_of("unix", "is not supported on this system");
        }
        if urls.iter().any(|url| url.url().scheme() != "http") {
            self.at.problem_of("unix", "needs `urls` that begin with http:");
        }
        if terms.http.proxy.is_some() || terms.http.version == HttpVersion::Http2 {
            let text = "needs `http_version = \"1.1\"` and `proxy = \"off\"`";
            self.at.problem_of("unix", text);
        }
        Some(path)
    }

    fn urls(&mut self, place: &Place) -> Vec<UrlPrefix> {
        let prefix = |text: &str| UrlPrefix::parse(text).map_err(|error| error.to_string());
        let Some((_, urls)) = self.at.list("urls", prefix) else {
            let text =
                "needs `urls`: the beginnings of the URLs that it is for, such as [\"https://example.com/hooks\"]";
            self.at.problem(place.problem(text));
            return Vec::new();
        };
        if self.at.given("urls").is_some_and(Setting::is_empty) {
            let text = "should be at least one beginning of a URL, such as https://example.com/hooks";
            self.at.problem_of("urls", text);
        }
        urls
    }

    fn put(&mut self, headers: &mut Headers, name: &str, value: Secret) {
        if headers.iter().any(|(known, _)| known == name) {
            let text = format!("has `{name}`, which `basic` or `bearer` set");
            for key in headers::KEYS {
                self.at.problem_of(key, &text);
            }
        }
        headers.push((name.to_owned(), value));
    }

    /// The `authorization` header of `basic` or `bearer`.
    fn authorization(&mut self) -> Option<Secret> {
        let bearer = secret(&mut self.at, self.sources, "bearer", |token| {
            match token.bytes().all(|byte| byte.is_ascii_graphic()) {
                true => Ok(format!("Bearer {token}")),
                false => Err("should be a token: letters, digits and signs, without blanks".to_owned()),
            }
        });
        let mut at = self.at.section("basic");
        let user = at.optional("user", |setting| {
            setting.parse(|user| match user {
                _ if user.contains(':') => Err("should have no colon: it ends the user's name".to_owned()),
                _ if user.contains(char::is_control) => Err("should have no control characters".to_owned()),
                user => Ok(user.to_owned()),
            })
        });
        let password = secret(&mut at, self.sources, "password", |password| Ok(password.to_owned()));
        let keys = ["password", "password_file", "password_env"];
        let basic = match (user, password) {
            (Some((_, user)), Some(password)) => {
                let pair = format!("{user}:{}", password.expose());
                Some(Secret::new(format!("Basic {}", STANDARD.encode(pair))))
            }
            (Some((place, _)), None) => {
                // A password that cannot be read is already reported.
                if !keys.iter().any(|key| at.is_given(key)) {
                    at.problem(place.problem("needs `password`, `password_file` or `password_env` beside it"));
                }
                None
            }
            (None, Some(_)) if !at.is_given("user") => {
                for key in keys {
                    at.problem_of(key, "needs `user` beside it");
                }
                None
            }
            (None, _) => None,
        };
        if basic.is_some() && bearer.is_some() {
            at.problem_of(
                "user",
                "should not be set together with `bearer`: a request has one authorization",
            );
        }
        basic.or(bearer)
    }

    /// The keys of `sign.secrets`, `sign.secret_files` and `sign.secret_envs`.
    fn signing(&mut self) -> Vec<SigningKey> {
        let Sources { files, environment } = self.sources;
        let mut at = self.at.section("sign");
        let parse = |text: &str| SigningKey::parse(text).map_err(|error| error.to_string());
        let lists = [
            at.list("secrets", parse),
            at.list("secret_files", |path| parse(&text_of_file(files, path)?)),
            at.list("secret_envs", |name| parse(&variable(environment, name)?)),
        ];
        lists.into_iter().flatten().flat_map(|(_, keys)| keys).collect()
    }
}

/// Whether requests to the URL stay on this machine.
pub(super) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
