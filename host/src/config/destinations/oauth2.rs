//! `oauth2` of a destination: where and how access tokens are fetched.

use std::time::Duration;

use hookhost_delivery::{Certificates, ClientAuth, OAuth2};
use hookhost_settings::Value;
use url::Url;

use super::super::sections::{HOUR, MILLISECOND};
use super::sources::{Sources, bytes_of_file, secret};
use super::{Reading, is_local};

/// Timeout of a token request, as in EMQX.
const DEFAULT_TOKEN_TIMEOUT: Duration = Duration::from_secs(5);

impl Reading<'_, '_> {
    /// Where and how access tokens are fetched.
    pub(super) fn oauth2(&mut self) -> Option<OAuth2> {
        let Sources { files, .. } = self.sources;
        let mut at = self.at.section_if_given("oauth2")?;
        let place = at.place().clone();
        let token_url = at.optional("token_url", |setting| setting.parse(token_url));
        let client_id = at.optional("client_id", |setting| {
            setting.parse(|text| match text {
                "" => Err("is empty".to_owned()),
                text if text.contains(char::is_control) => Err("should have no control characters".to_owned()),
                text => Ok(text.to_owned()),
            })
        });
        let client_secret = secret(&mut at, self.sources, "client_secret", |text| Ok(text.to_owned()));
        let scope = at.text("scope", None, |text| {
            Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
        });
        let client_auth = at.choice("client_auth", ClientAuth::default(), &ClientAuth::NAMES);
        let timeout = at.duration("timeout", DEFAULT_TOKEN_TIMEOUT, MILLISECOND..=HOUR);
        let ca = at.optional("ca", |setting| {
            let pem = |path: &str| bytes_of_file(files, path);
            setting.parse(|path| Certificates::parse(&pem(path)?).map_err(|error| format!("{path} {error}")))
        });
        let mut parameters = Vec::new();
        let report = at.report();
        if let Some(setting) = at.whole_table("parameters") {
            match &setting.value {
                Value::Table(table) => parameters.extend(table.iter().filter_map(|(name, setting)| {
                    let value = report.check(setting.parse(|text| Ok(text.to_owned())))?;
                    Some((name.clone(), value))
                })),
                _ => report.add_problem(setting.mismatch("a table of names and values")),
            }
        }
        let secret_keys = ["client_secret", "client_secret_file", "client_secret_env"];
        for (key, is_given) in [
            ("token_url", at.is_given("token_url")),
            ("client_id", at.is_given("client_id")),
            ("client_secret", secret_keys.iter().any(|key| at.is_given(key))),
        ] {
            if !is_given {
                at.problem(place.problem(format!("needs `{key}`")));
            }
        }
        let (url_place, token_url) = token_url?;
        if let Ok(url) = Url::parse(&token_url)
            && url.scheme() == "http"
            && !is_local(&url)
        {
            let text = "sends the client secret unencrypted: it does not begin with https:";
            at.warning(url_place.problem(text));
        }
        Some(OAuth2 {
            token_url,
            client_id: client_id?.1,
            client_secret: client_secret?,
            scope,
            parameters,
            client_auth,
            ca: ca.map(|(_, ca)| ca),
            timeout,
        })
    }
}

/// Checks the URL of a token endpoint. The error does not repeat it.
fn token_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text.trim()).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or("should be a URL such as \"https://id.example.com/oauth2/token\"")?;
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !is_bare {
        return Err("should have no user, password or fragment: use client_id and client_secret".to_owned());
    }
    Ok(url.into())
}
