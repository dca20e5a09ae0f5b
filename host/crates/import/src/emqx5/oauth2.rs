//! `oauth2` of a connector: the access token that EMQX 6.3 fetches and puts into the header `authorization`.

use hookhost_settings::{Section, Setting, Table, Value, format_duration};

use super::super::checks::{self, switch};
use super::super::{HOUR, MILLISECOND};

/// Reads the table as `oauth2` of a destination; `None` if it is not enabled or not valid, which is reported: without
/// the token, other requests would be sent.
pub(super) fn read(fields: &mut Section<'_>) -> Option<Setting> {
    let mut oauth = fields.section_if_given("oauth2")?;
    let report = oauth.report();
    let place = oauth.place().clone();
    let enabled = oauth.take("enable").and_then(|setting| report.check(switch(&setting)));
    let mut texts = ["grant_type", "token_endpoint", "client_id", "client_secret", "scope"].map(|key| {
        let setting = oauth.take(key)?;
        let text = report.check(setting.written())?;
        (!text.is_empty()).then_some((setting.place, text))
    });
    let timeout = oauth.take("timeout").and_then(|setting| {
        let duration = report.check(setting.milliseconds(MILLISECOND..=HOUR))?;
        Some(Setting::new(setting.place, Value::Text(format_duration(duration))))
    });
    oauth.ignore(&[(
        "ssl",
        "the certificate of the token endpoint is verified with the platform's certificate authorities; oauth2.ca of a \
         destination sets others",
    )]);
    // EMQX's default is `true`.
    if enabled == Some(false) {
        return None;
    }
    let [grant_type, endpoint, id, secret, scope] = &mut texts;
    if let Some((place, grant_type)) = grant_type
        && grant_type != "client_credentials"
    {
        report.problem(place, "should be client_credentials");
        return None;
    }
    for (key, value) in [
        ("token_endpoint", &endpoint),
        ("client_id", &id),
        ("client_secret", &secret),
    ] {
        if value.is_none() {
            report.problem(&place, format!("needs {key}"));
        }
    }
    let mut table = Table::new();
    let mut put = |key: &str, (place, text)| table.insert(key.to_owned(), Setting::new(place, Value::Text(text)));
    let (at, url) = endpoint.take()?;
    let url = checks::http_url(report, &at, &url)?;
    put("token_url", (at, url));
    put("client_id", id.take()?);
    let (at, secret) = secret.take()?;
    match secret.strip_prefix("file://") {
        Some(path) => put("client_secret_file", (at, path.to_owned())),
        None => put("client_secret", (at, secret)),
    };
    scope.take().map(|scope| put("scope", scope));
    // EMQX sends both in the body.
    put("client_auth", (place.clone(), "body".to_owned()));
    table.extend(timeout.map(|timeout| ("timeout".to_owned(), timeout)));
    Some(Setting::new(place, Value::Table(table)))
}
