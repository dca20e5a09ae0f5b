//! The web services of EMQX 4 and NanoMQ: `auth.http` and `http_auth`.

use hookhost_settings::{Section, Setting, Table, Value};

use super::authentication::timeout;
use super::service::{percent_placeholders, request};
use super::{Part, ServerSettings};

/// `auth.http.…` of EMQX 4, and `http_auth` of NanoMQ: a request for logins and one for topics. The status decides.
///
/// hookhost ignores the request about superusers: rules apply to them, too.
pub(super) fn web_service(setting: Setting, server: &mut ServerSettings) {
    let place = setting.place.clone();
    let Value::Table(mut table) = setting.value else {
        return server.authentication.lose(&place, "is not supported");
    };
    if server.authentication.is_on(table.remove("enable")) == Some(false) {
        return;
    }
    let (login, topics) = (table.remove("auth_req"), table.remove("acl_req"));
    if login.is_none() && topics.is_none() {
        let text = "needs auth_req or acl_req: hookhost does not know the default URLs of that broker";
        server.authentication.lose(&place, text);
    }
    if let Some(superuser) = table.remove("super_req") {
        server.rules.warn(
            &superuser.place,
            "is not used: access rules apply to all clients, also to superusers",
        );
    }
    // The rest is for both requests.
    let common = Setting::new(place.clone(), Value::Table(table));
    let times = server.authentication.item(common, times).unwrap_or_default();
    let service = |part: &mut Part, setting: Setting, on_error: &str| {
        part.item(setting, |fields| {
            let place = fields.place().clone();
            let mut service = request(fields, "params", percent_placeholders)?;
            service.extend(times.clone());
            for (key, value) in [("answers", "status"), ("on_error", on_error)] {
                service.insert(
                    key.to_owned(),
                    Setting::new(place.clone(), Value::Text(value.to_owned())),
                );
            }
            // EMQX 4 and NanoMQ send forms.
            let form = || Setting::new(place.clone(), Value::Text("form".to_owned()));
            service.entry("encoding".to_owned()).or_insert_with(form);
            Some(service)
        })
    };
    if let Some(setting) = login {
        let place = setting.place.clone();
        if let Some(mut source) = service(&mut server.authentication, setting, "refuse") {
            source.insert(
                "source".to_owned(),
                Setting::new(place.clone(), Value::Text("http".to_owned())),
            );
            server.authentication.push("authentication", &place, source);
        }
    }
    if let Some(setting) = topics {
        let place = setting.place.clone();
        if let Some(service) = service(&mut server.rules, setting, "deny") {
            server.rules.set(&["access", "http"], &place, Value::Table(service));
        }
    }
}

/// The times for both requests.
fn times(fields: &mut Section<'_>) -> Option<Table> {
    let report = fields.report();
    let mut times = Table::new();
    for (theirs, ours) in [
        ("timeout", "timeout"),
        ("request_timeout", "timeout"),
        ("connect_timeout", "connect_timeout"),
    ] {
        if let Some(setting) = fields.take(theirs)
            && let Some(time) = report.check(timeout(&setting))
        {
            times.insert(ours.to_owned(), Setting::new(setting.place, Value::Text(time)));
        }
    }
    for key in [
        "pool_size",
        "enable_pipelining",
        "request",
        "retry_times",
        "retry_interval",
        "retry_backoff",
    ] {
        fields.take(key);
    }
    Some(times)
}
