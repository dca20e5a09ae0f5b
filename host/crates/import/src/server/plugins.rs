//! Access control of EMQX 4: `allow_anonymous`, `acl_nomatch`, `acl_file`, and the settings of its plugins for users, tokens
//! and web services.
//!
//! With `allow_anonymous = true`, EMQX 4 accepts clients that no plugin knows; hookhost accepts those without credentials.

use hookhost_settings::{Place, Section, Setting, Table, Value, find, remove};

use super::authentication::{anonymous, timeout};
use super::service::{percent_placeholders, request, rules_file};
use super::{Part, ServerSettings, text};
use crate::Sources;
use crate::checks::switch;

/// `acl_deny_action` and others can be set for each zone of listeners.
const ZONES: [&str; 2] = ["external", "internal"];

pub(super) fn emqx4(tree: &mut Table, server: &mut ServerSettings, sources: &Sources<'_>) {
    if let Some(setting) = tree.remove("auth") {
        plugins(setting, server);
    }
    let is_strict = |setting: &Setting| {
        matches!(
            setting.as_text().map(str::trim),
            Some("false" | "off" | "deny" | "disconnect")
        )
    };
    // The strictest value of all zones counts, because hookhost has no zones.
    let mut strictest = |key: &str| {
        let mut all: Vec<Setting> = ZONES
            .iter()
            .filter_map(|zone| remove(tree, &["zone", zone, key]))
            .collect();
        all.extend(tree.remove(key));
        let strict = all.iter().position(is_strict);
        let last = all.len().checked_sub(1)?;
        Some(all.swap_remove(strict.unwrap_or(last)))
    };
    if let Some(setting) = strictest("allow_anonymous") {
        anonymous(&mut server.authentication, &setting, "EMQX 4");
    }
    let nomatch = strictest("acl_nomatch");
    let deny_action = strictest("acl_deny_action");
    let file = strictest("acl_file");
    for key in [
        "enable_acl",
        "bypass_auth_plugins",
        "enable_acl_cache",
        "acl_cache_max_size",
        "acl_cache_ttl",
    ] {
        strictest(key);
    }
    let file = file.map(|setting| {
        let path = setting.as_text().map(|path| rules_file(path, sources));
        Setting::new(setting.place.clone(), path.map_or(setting.value, Value::Text))
    });
    rules(&mut server.rules, nomatch, deny_action, file);
}

fn rules(part: &mut Part, nomatch: Option<Setting>, deny_action: Option<Setting>, file: Option<Setting>) {
    let written = |setting: Setting| Some((setting.place.clone(), setting.as_text()?.trim().to_owned()));
    if let Some((place, path)) = file.and_then(written) {
        part.set(&["access", "file"], &place, Value::Text(path));
    }
    // Plugins decide before the file.
    if let (Some(http), Some(_)) = (
        find(&part.settings, &["access", "http"]),
        find(&part.settings, &["access", "file"]),
    ) {
        let place = http.place.clone();
        let order = Value::texts(&place, ["http", "file"].map(str::to_owned));
        part.set(&["access", "order"], &place, order);
    }
    let has_rules = part.settings.contains_key("access");
    match nomatch.and_then(written) {
        Some((place, default)) if has_rules || default != "allow" => {
            part.set(&["access", "default"], &place, Value::Text(default));
        }
        _ => {}
    }
    if let Some((place, action)) = deny_action.and_then(written) {
        part.set(&["access", "deny_action"], &place, Value::Text(action));
    }
}

/// `auth.PLUGIN.…`
fn plugins(setting: Setting, server: &mut ServerSettings) {
    let place = setting.place.clone();
    let Value::Table(mut plugins) = setting.value else {
        return server.authentication.lose(&place, "is not supported");
    };
    if let Some(users) = plugins.remove("user") {
        users_of_plugin(users, &mut server.authentication);
    }
    if let Some(jwt) = plugins.remove("jwt") {
        let place = jwt.place.clone();
        for source in server
            .authentication
            .item(jwt, |fields| Some(tokens(fields)))
            .into_iter()
            .flatten()
        {
            server.authentication.push("authentication", &place, source);
        }
    }
    if let Some(http) = plugins.remove("http") {
        web_service(http, server);
    }
    for (name, setting) in plugins {
        let text = format!(
            "is not supported: hookhost cannot check clients by the plugin emqx_auth_{name}; use an own [[authentication]]"
        );
        server.authentication.lose(&setting.place, text);
    }
}

/// `auth.user.N.username` and `password`
fn users_of_plugin(setting: Setting, part: &mut Part) {
    let place = setting.place.clone();
    let users = part.item(setting, |fields| {
        // The passwords here are plain; hookhost hashes them itself.
        fields.take("password_hash");
        let mut users = Vec::new();
        for (_, mut user) in fields.sections() {
            let (name, password) = (text(&mut user, "username"), text(&mut user, "password"));
            users.push((name?.1, password?.1));
        }
        Some(users)
    });
    if let Some(users) = users.filter(|users| !users.is_empty()) {
        push_users(part, &place, users);
    }
}

/// Adds users with their plain passwords as a source.
pub(super) fn push_users(part: &mut Part, place: &Place, users: Vec<(String, String)>) {
    let source = Table::from([
        (
            "source".to_owned(),
            Setting::new(place.clone(), Value::Text("password".to_owned())),
        ),
        (
            "users".to_owned(),
            Setting::new(place.clone(), Value::text_table(place, users)),
        ),
    ]);
    part.push("authentication", place, source);
}

/// `auth.jwt.…`: a source for each kind of key.
fn tokens(fields: &mut Section<'_>) -> Vec<Table> {
    let report = fields.report();
    let place = fields.place().clone();
    let from = text(fields, "from");
    let acl_claim = text(fields, "acl_claim_name");
    let keys = [("secret", "secret"), ("pubkey", "public_key"), ("jwks", "jwks_url")];
    let keys = keys.map(|(theirs, ours)| Some((ours, text(fields, theirs)?)));
    let refresh = text(fields, "jwks.refresh_interval");
    fields.take("signature_format");
    let verifies = fields.take("verify_claims").and_then(|setting| match &setting.value {
        Value::Table(_) => {
            let table = Section::of(report, setting)?.rest();
            Some(table.into_iter().collect::<Vec<_>>())
        }
        _ => report
            .check(switch(&setting))
            .filter(|verifies| !verifies)
            .map(|_| Vec::new()),
    });
    // Claims are lines below `verify_claims`, which is a switch itself.
    let others: Vec<(String, Setting)> = fields.rest().into_iter().collect();
    let mut claims = Vec::new();
    for (key, setting) in others {
        match key.strip_prefix("verify_claims.") {
            Some(name) => claims.push((name.to_owned(), setting)),
            None => report.problem(&setting.place, "is not supported"),
        }
    }
    match verifies {
        Some(list) if list.is_empty() => claims.clear(),
        Some(list) => claims = list,
        None => {}
    }
    let claim = |(name, setting): (String, Setting)| {
        let text = report.check(setting.written())?;
        Some((
            name,
            report.check(percent_placeholders(&text).map_err(|problem| setting.place.problem(problem)))?,
        ))
    };
    let claims: Vec<(String, String)> = claims.into_iter().filter_map(claim).collect();
    let source = |(ours, (key_place, key)): (&str, (Place, String))| {
        let mut source = Table::new();
        let mut put = |key: &str, place: &Place, value: Value| {
            source.insert(key.to_owned(), Setting::new(place.clone(), value));
        };
        put("source", &place, Value::Text("jwt".to_owned()));
        put(ours, &key_place, Value::Text(key));
        if let Some((place, from)) = &from {
            put("from", place, Value::Text(from.clone()));
        }
        if let Some((place, claim)) = &acl_claim {
            put("acl_claim", place, Value::Text(claim.clone()));
        }
        if let Some((place, refresh)) = refresh.as_ref().filter(|_| ours == "jwks_url") {
            put("jwks_refresh", place, Value::Text(refresh.clone()));
        }
        if !claims.is_empty() {
            put("claims", &place, Value::text_table(&place, claims.clone()));
        }
        source
    };
    keys.into_iter().flatten().map(source).collect()
}

/// `auth.http.…` of EMQX 4, and `http_auth` of NanoMQ: a request for logins and one for topics. The status decides.
///
/// The request about superusers is not carried out: rules apply to them, too.
pub(super) fn web_service(setting: Setting, server: &mut ServerSettings) {
    let place = setting.place.clone();
    let Value::Table(mut table) = setting.value else {
        return server.authentication.lose(&place, "is not supported");
    };
    let is_off = table
        .remove("enable")
        .is_some_and(|setting| matches!(switch(&setting), Ok(false)));
    if is_off {
        return;
    }
    let (login, topics) = (table.remove("auth_req"), table.remove("acl_req"));
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
