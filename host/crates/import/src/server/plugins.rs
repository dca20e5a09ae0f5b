//! Access control of EMQX 4: `allow_anonymous`, `acl_nomatch`, `acl_file`, and the settings of its plugins for users, tokens
//! and web services.
//!
//! With `allow_anonymous = true`, EMQX 4 accepts clients that no plugin knows; hookhost accepts those without credentials.

use hookhost_settings::{Place, Section, Setting, Table, Value, find, remove};

use super::authentication::anonymous;
use super::service::{is_on, percent_placeholders, resolved_path};
use super::web_service::web_service;
use super::{Part, ServerSettings, put, source, text};
use crate::Sources;

/// The zones of listeners. Each can have its own `allow_anonymous`, `acl_nomatch` and others.
const ZONES: [&str; 2] = ["external", "internal"];

/// The parts of `auth` that are imported, and the plugins that read them.
const PLUGINS: [(&str, &[&str]); 3] = [
    ("user", &["emqx_auth_mnesia", "emqx_auth_username"]),
    ("jwt", &["emqx_auth_jwt"]),
    ("http", &["emqx_auth_http"]),
];

pub(super) fn emqx4(tree: &mut Table, server: &mut ServerSettings, sources: &Sources<'_>) {
    let auth = tree.remove("auth");
    if let Some(setting) = tree.remove("loaded_plugins") {
        loaded_plugins(&setting, auth.as_ref(), server);
    }
    if let Some(setting) = auth {
        plugins(setting, server, sources);
    }
    // hookhost has no zones, so the strictest value of all zones counts: the first one that does not permit more.
    let mut strictest = |key: &str, permits_more: &[&str]| {
        let is_strict = |setting: &Setting| {
            !setting
                .as_text()
                .is_some_and(|text| permits_more.contains(&text.trim()))
        };
        let mut all: Vec<Setting> = ZONES
            .iter()
            .filter_map(|zone| remove(tree, &["zone", zone, key]))
            .collect();
        all.extend(tree.remove(key));
        let strict = all.iter().position(is_strict);
        let last = all.len().checked_sub(1)?;
        Some(all.swap_remove(strict.unwrap_or(last)))
    };
    if let Some(setting) = strictest("allow_anonymous", &["true", "on"]) {
        anonymous(&mut server.authentication, &setting, "EMQX 4");
    }
    let nomatch = strictest("acl_nomatch", &["allow"]);
    let deny_action = strictest("acl_deny_action", &["ignore"]);
    let file = strictest("acl_file", &[]);
    for key in [
        "enable_acl",
        "bypass_auth_plugins",
        "enable_acl_cache",
        "acl_cache_max_size",
        "acl_cache_ttl",
    ] {
        strictest(key, &[]);
    }
    let file = file.map(|setting| {
        let path = setting.as_text().map(|path| resolved_path(path, sources));
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

/// `EMQX_LOADED_PLUGINS`: the settings of each plugin that checks clients must be in `auth`.
fn loaded_plugins(setting: &Setting, auth: Option<&Setting>, server: &mut ServerSettings) {
    let has = |key: &str| matches!(auth.map(|auth| &auth.value), Some(Value::Table(auth)) if auth.contains_key(key));
    let is_imported = |plugin: &str| {
        PLUGINS
            .iter()
            .any(|(key, plugins)| plugins.contains(&plugin) && has(key))
    };
    let listed = setting.as_text().unwrap_or_default();
    let listed = listed.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for plugin in listed.filter(|plugin| plugin.starts_with("emqx_auth_") && !is_imported(plugin)) {
        let text = format!(
            "lists {plugin}, but this configuration does not contain its users and rules; use an own \
             [[authentication]] and [access]"
        );
        server.authentication.lose(&setting.place, &text);
        server.rules.lose(&setting.place, text);
    }
}

/// `auth.PLUGIN.…`
fn plugins(setting: Setting, server: &mut ServerSettings, sources: &Sources<'_>) {
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
            .item(jwt, |fields| Some(tokens(fields, sources)))
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
            users.push(name_and_password(&mut user, "username")?);
        }
        Some(users)
    });
    if let Some(users) = users.filter(|users| !users.is_empty()) {
        push_users(part, &place, users);
    }
}

/// The name below a key, and the password. Reports a user without one of them.
pub(super) fn name_and_password(user: &mut Section<'_>, name_key: &str) -> Option<(String, String)> {
    match (text(user, name_key), text(user, "password")) {
        (Some((_, name)), Some((_, password))) => Some((name, password)),
        _ => {
            let text = format!("needs {name_key} and password");
            user.problem(user.place().problem(text));
            None
        }
    }
}

/// Adds users with their plain passwords as a source.
pub(super) fn push_users(part: &mut Part, place: &Place, users: Vec<(String, String)>) {
    let mut source = source("password", place);
    put(&mut source, "users", place, Value::text_table(place, users));
    part.push("authentication", place, source);
}

/// `auth.jwt.…`: a source for each kind of key.
fn tokens(fields: &mut Section<'_>, sources: &Sources<'_>) -> Vec<Table> {
    let report = fields.report();
    let place = fields.place().clone();
    let from = text(fields, "from");
    let acl_claim = text(fields, "acl_claim_name");
    let keys = [("secret", "secret"), ("pubkey", "public_key"), ("jwks", "jwks_url")];
    let keys = keys.map(|(theirs, ours)| Some((ours, text(fields, theirs)?)));
    if keys.iter().all(Option::is_none) {
        report.problem(&place, "needs secret, pubkey or jwks: the key of the tokens");
    }
    let refresh = text(fields, "jwks.refresh_interval");
    fields.take("signature_format");
    let verifies = is_on(fields, "verify_claims") != Some(false);
    // `verify_claims.NAME`
    let claims = fields.section_if_given("claims").map(|mut claims| claims.rest());
    for (_, setting) in fields.rest() {
        report.problem(&setting.place, "is not supported");
    }
    let claims = claims.filter(|_| verifies).unwrap_or_default();
    let claim = |(name, setting): (String, Setting)| {
        let text = report.check(setting.written())?;
        Some((
            name,
            report.check(percent_placeholders(&text).map_err(|problem| setting.place.problem(problem)))?,
        ))
    };
    let claims: Vec<(String, String)> = claims.into_iter().filter_map(claim).collect();
    let element = |(ours, (key_place, key)): (&str, (Place, String))| {
        let mut source = source("jwt", &place);
        let key = match ours {
            "public_key" => resolved_path(&key, sources),
            _ => key,
        };
        put(&mut source, ours, &key_place, Value::Text(key));
        if let Some((place, from)) = &from {
            put(&mut source, "from", place, Value::Text(from.clone()));
        }
        if let Some((place, claim)) = &acl_claim {
            put(&mut source, "acl_claim", place, Value::Text(claim.clone()));
        }
        if let Some((place, refresh)) = refresh.as_ref().filter(|_| ours == "jwks_url") {
            put(&mut source, "jwks_refresh", place, Value::Text(refresh.clone()));
        }
        if !claims.is_empty() {
            put(&mut source, "claims", &place, Value::text_table(&place, claims.clone()));
        }
        source
    };
    keys.into_iter().flatten().map(element).collect()
}
