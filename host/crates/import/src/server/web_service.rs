//! The web services of EMQX 4 and NanoMQ: `auth.http` and `http_auth`.

use hookhost_settings::{Place, Section, Setting, Table, Value};

use super::authentication::timeout;
use super::service::{percent_placeholders, request};
use super::{Part, ServerSettings, put, source};

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
            with_answers(&mut service, &place, "status", on_error);
            Some(service)
        })
    };
    if let Some(setting) = login {
        let place = setting.place.clone();
        if let Some(service) = service(&mut server.authentication, setting, "refuse") {
            push_service(&mut server.authentication, &place, service);
        }
    }
    if let Some(setting) = topics {
        let place = setting.place.clone();
        if let Some(service) = service(&mut server.rules, setting, "deny") {
            server.rules.set(&["access", "http"], &place, Value::Table(service));
        }
    }
}

/// Sets what the answers of a service mean: the settings `answers` and `on_error`. Without a content type, EMQX 4, NanoMQ and
/// RMQTT send forms.
pub(super) fn with_answers(service: &mut Table, place: &Place, answers: &str, on_error: &str) {
    put(service, "answers", place, Value::Text(answers.to_owned()));
    put(service, "on_error", place, Value::Text(on_error.to_owned()));
    if !service.contains_key("encoding") {
        put(service, "encoding", place, Value::Text("form".to_owned()));
    }
}

/// Adds a service as a source of users.
pub(super) fn push_service(part: &mut Part, place: &Place, service: Table) {
    let mut source = source("http", place);
    source.extend(service);
    part.push("authentication", place, source);
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
