//! `rmqtt-auth-http.toml`: a request for logins and one for topics. The text of the answer decides.

use hookhost_settings::{Place, Section, Setting, Table, Value};

use super::super::authentication::timeout;
use super::super::service::{is_on, percent_placeholders, request};
use super::super::web_service::{push_service, with_answers};
use super::super::{Part, ServerSettings, put};
use super::{deny_action, priority};

/// What both requests have in common.
struct Common {
    deny_action: (Place, bool),
    timeout: Option<Setting>,
    headers: Table,
    /// Whether a request without an answer denies.
    denies_after_error: bool,
    login: Option<Setting>,
    topics: Option<Setting>,
}

/// Reads the file. Returns what happens after a denied publish.
pub(super) fn read(file: Setting, server: &mut ServerSettings) -> Option<(Place, bool)> {
    let place = file.place.clone();
    let Some(common) = server.authentication.item(file, common) else {
        // The requests could not be read, so the one for topics is lost as well.
        server
            .rules
            .lose(&place, "is not supported: see the other errors of this file");
        return None;
    };
    if common.login.is_none() && common.topics.is_none() {
        server
            .authentication
            .warn(&place, "has neither http_auth_req nor http_acl_req");
    }
    if let Some(setting) = &common.login {
        let place = setting.place.clone();
        if let Some(service) = service(&mut server.authentication, setting, &common, "refuse") {
            push_service(&mut server.authentication, &place, service);
        }
    }
    if let Some(setting) = &common.topics {
        let place = setting.place.clone();
        if let Some(mut service) = service(&mut server.rules, setting, &common, "deny") {
            // RMQTT asks about every operation, unless an answer says otherwise.
            put(&mut service, "cache", &place, Value::Text("0s".to_owned()));
            server.rules.set(&["access", "http"], &place, Value::Table(service));
            let order = Value::texts(&place, ["http", "rules"].map(str::to_owned));
            server.rules.set(&["access", "order"], &place, order);
            // Without rmqtt-acl, RMQTT permits what the service leaves open.
            let default = Value::Text("allow".to_owned());
            server.rules.set(&["access", "default"], &place, default);
        }
    }
    Some(common.deny_action)
}

fn common(fields: &mut Section<'_>) -> Option<Common> {
    let report = fields.report();
    let deny_action = deny_action(fields);
    priority(fields, 100);
    // hookhost always ends the connection of a client whose login has expired.
    fields.take("disconnect_if_expiry");
    // RMQTT does not use it.
    fields.take("http_retry");
    let denies_after_error = is_on(fields, "deny_if_error") != Some(false);
    let timeout = fields.take("http_timeout").and_then(|setting| {
        let time = report.check(timeout(&setting))?;
        Some(Setting::new(setting.place, Value::Text(time)))
    });
    let headers = fields
        .section_if_given("http_headers")
        .map(|mut headers| headers.rest());
    Some(Common {
        deny_action,
        timeout,
        headers: headers.unwrap_or_default(),
        denies_after_error,
        login: fields.take("http_auth_req"),
        topics: fields.take("http_acl_req"),
    })
}

fn service(part: &mut Part, setting: &Setting, common: &Common, on_error: &str) -> Option<Table> {
    part.item(setting.clone(), |fields| {
        let place = fields.place().clone();
        let own = fields.section_if_given("headers").map(|mut headers| headers.rest());
        let mut headers = common.headers.clone();
        for (name, value) in own.into_iter().flatten() {
            headers.retain(|other, _| !other.eq_ignore_ascii_case(&name));
            headers.insert(name, value);
        }
        // hookhost sets this header itself.
        headers.retain(|name, _| !name.eq_ignore_ascii_case("connection"));
        let mut with_headers = Table::new();
        put(&mut with_headers, "headers", &place, Value::Table(headers));
        for key in ["url", "method", "params"] {
            with_headers.extend(fields.take(key).map(|setting| (key.to_owned(), setting)));
        }
        let mut fields = Section::of(fields.report(), Setting::new(place.clone(), Value::Table(with_headers)))?;
        let mut service = request(&mut fields, "params", placeholders)?;
        let on_error = if common.denies_after_error { on_error } else { "next" };
        with_answers(&mut service, &place, "body", on_error);
        if let Some(timeout) = &common.timeout {
            service.insert("timeout".to_owned(), timeout.clone());
        }
        Some(service)
    })
}

/// RMQTT replaces `%r` by a number.
fn placeholders(text: &str) -> Result<String, String> {
    percent_placeholders(&text.replace("%r", "${protocol}"))
}
