//! RMQTT's plugins that check clients. RMQTT asks them in the order `rmqtt-auth-http`, `rmqtt-auth-jwt`, `rmqtt-acl`.
//!
//! | plugin | RMQTT loads it | in hookhost |
//! | --- | --- | --- |
//! | `rmqtt-auth-http` | if `plugins.default_startups` lists it | [`http`]: `[[authentication]]` and `[access.http]` |
//! | `rmqtt-auth-jwt` | if `plugins.default_startups` lists it | [`jwt`]: `[[authentication]]` |
//! | `rmqtt-acl` | unless `plugins.disabled_default_startups` lists it | [`acl`]: `[[access.rule]]`; without the other two also users |
//!
//! Each plugin has a file of its own beside `rmqtt-web-hook.toml`. The lists are in `rmqtt.toml`, usually in the folder
//! above. Without `rmqtt.toml`, hookhost imports `rmqtt-acl.toml` if it is there, and warns about the other two files,
//! because it cannot know whether RMQTT loads these plugins.
//!
//! Variables such as `RMQTT_PLUGIN_RMQTT_AUTH_JWT_HMAC_SECRET` override the keys of a plugin's file.
//!
//! RMQTT asks no plugin about a client without a user name if its listener has `allow_anonymous`.

mod acl;
mod http;
mod jwt;

use std::io;
use std::path::Path;

use hookhost_settings::{Place, Section, Setting, Table, Value, document, find};

use super::authentication::ADD_USERS;
use super::{Part, ServerSettings};
use crate::Sources;
use crate::checks::untyped;
use crate::env_file::Variable;

const ACL: &str = "rmqtt-acl";
const HTTP: &str = "rmqtt-auth-http";
const JWT: &str = "rmqtt-auth-jwt";

/// What `rmqtt.toml` says.
struct Main {
    place: Place,
    /// The plugins that it lists.
    startups: Vec<String>,
    /// The plugins that RMQTT loads by default and that this file turns off.
    disabled: Vec<String>,
    /// The strictest `allow_anonymous` of all listeners, with its place. RMQTT's default is false.
    allow_anonymous: Option<(Place, bool)>,
}

/// Reads the files of the plugins that RMQTT loads, and takes their variables out of `variables`.
pub(super) fn read(server: &mut ServerSettings, sources: &Sources<'_>, variables: &mut Vec<Variable>) {
    let Some((file, _)) = sources.file else { return };
    let folder = file.parent().unwrap_or(Path::new(""));
    let path = folder.join("../rmqtt.toml");
    sources.included.borrow_mut().push(path.clone());
    let bytes = match (sources.files)(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return without_main(folder, server, sources, variables);
        }
        Err(error) => return lose(&Place::file(path.clone()), &format!("cannot be read: {error}"), server),
    };
    let main = main(&path, &String::from_utf8_lossy(&bytes), server);
    let is_listed = |plugin: &str| main.startups.iter().any(|listed| listed == plugin);
    let (has_http, has_jwt) = (is_listed(HTTP), is_listed(JWT));
    let mut deny_actions = Vec::new();
    if has_http && let Some(mut file) = plugin_file(folder, HTTP, server, sources, true) {
        take_variables(HTTP, &mut file, variables);
        deny_actions.push(http::read(file, server));
    }
    if has_jwt && let Some(mut file) = plugin_file(folder, JWT, server, sources, true) {
        take_variables(JWT, &mut file, variables);
        deny_actions.push(jwt::read(file, &mut server.authentication));
    }
    // Without http_auth_req, rmqtt-auth-http leaves CONNECT to the other plugins.
    let checks = &server.authentication;
    let is_checked = has_jwt || checks.settings.contains_key("authentication") || !checks.lost.is_empty();
    let has_acl = is_listed(ACL) || !main.disabled.iter().any(|plugin| plugin == ACL);
    if has_acl {
        // Without this file, RMQTT has rules of its own.
        let mut file = plugin_file(folder, ACL, server, sources, false).unwrap_or_else(|| {
            let place = Place::file(folder.join("rmqtt-acl.toml"));
            Setting::new(place, Value::Table(Table::new()))
        });
        take_variables(ACL, &mut file, variables);
        let anonymous = main.allow_anonymous.as_ref();
        deny_actions.push(acl::read(file, server, is_checked, anonymous));
    }
    if is_checked || !has_acl {
        anonymous(&main, is_checked, &mut server.authentication);
    }
    set_deny_action(deny_actions.into_iter().flatten().collect(), &mut server.rules);
}

fn without_main(folder: &Path, server: &mut ServerSettings, sources: &Sources<'_>, variables: &mut Vec<Variable>) {
    for plugin in [HTTP, JWT] {
        let path = folder.join(format!("{plugin}.toml"));
        sources.included.borrow_mut().push(path.clone());
        if (sources.files)(&path).is_ok() {
            let text = format!(
                "is not imported, because rmqtt.toml is not in the folder above: if RMQTT loads {plugin}, put rmqtt.toml \
                 there, or write its users and rules as [[authentication]] and [access]"
            );
            server.authentication.warn(&Place::file(path), text);
        }
    }
    if let Some(mut file) = plugin_file(folder, ACL, server, sources, false) {
        take_variables(ACL, &mut file, variables);
        let deny_action = acl::read(file, server, false, None);
        set_deny_action(deny_action.into_iter().collect(), &mut server.rules);
    }
}

/// `rmqtt.toml`. Mistakes in it are lost restrictions, because it may list plugins.
fn main(path: &Path, text: &str, server: &mut ServerSettings) -> Main {
    let (table, errors) = document::parse(path, text);
    server.rules.lost.extend(errors);
    let mut names = |key: &str| {
        let setting = find(&table, &["plugins", key])?;
        let (names, problems) = setting.texts(true, |plugin| Ok(plugin.trim().to_owned()));
        server.rules.lost.extend(problems);
        Some((setting.place.clone(), names))
    };
    let (place, startups) = names("default_startups").unwrap_or((Place::file(path), Vec::new()));
    let (_, disabled) = names("disabled_default_startups").unwrap_or((place.clone(), Vec::new()));
    let mut allow_anonymous: Option<(Place, bool)> = None;
    for listener in listeners(&table) {
        let switch = listener.get("allow_anonymous").map(|setting| {
            let allowed = server.authentication.is_on(Some(setting.clone()));
            (setting.place.clone(), allowed.unwrap_or(false))
        });
        let (place, allowed) = switch.unwrap_or((place.clone(), false));
        if allow_anonymous.as_ref().is_none_or(|(_, earlier)| *earlier && !allowed) {
            allow_anonymous = Some((place, allowed));
        }
    }
    Main {
        place,
        startups,
        disabled,
        allow_anonymous,
    }
}

/// The listeners of `rmqtt.toml` that RMQTT opens for MQTT over TCP, TLS or WebSocket.
fn listeners(table: &Table) -> Vec<&Table> {
    let mut listeners = Vec::new();
    let Some(Setting {
        value: Value::Table(kinds),
        ..
    }) = table.get("listener")
    else {
        return listeners;
    };
    for kind in kinds.values() {
        let Value::Table(named) = &kind.value else { continue };
        for listener in named.values() {
            if let Value::Table(listener) = &listener.value
                && listener
                    .get("enable")
                    .is_none_or(|enable| enable.boolean() != Ok(false))
            {
                listeners.push(listener);
            }
        }
    }
    listeners
}

/// What a file says about users and rules is lost.
fn lose(place: &Place, text: &str, server: &mut ServerSettings) {
    server.authentication.lose(place, text.to_owned());
    server.rules.lose(place, text.to_owned());
}

/// The file of a plugin. Its restrictions are lost if it cannot be read, or if it is required and missing.
fn plugin_file(
    folder: &Path,
    plugin: &str,
    server: &mut ServerSettings,
    sources: &Sources<'_>,
    is_required: bool,
) -> Option<Setting> {
    let path = folder.join(format!("{plugin}.toml"));
    sources.included.borrow_mut().push(path.clone());
    let place = Place::file(path.clone());
    match (sources.files)(&path) {
        Ok(bytes) => {
            let (table, errors) = document::parse(&path, &String::from_utf8_lossy(&bytes));
            server.rules.lost.extend(errors);
            Some(Setting::new(place, Value::Table(table)))
        }
        Err(error) => {
            if is_required || error.kind() != io::ErrorKind::NotFound {
                lose(
                    &place,
                    &format!("cannot be read: {error}; RMQTT loads {plugin}"),
                    server,
                );
            }
            None
        }
    }
}

/// Moves the variables of a plugin into the table of its file. A variable is a key of the file in upper case; RMQTT has none
/// for keys of inner tables. An empty variable is not given.
fn take_variables(plugin: &str, file: &mut Setting, variables: &mut Vec<Variable>) {
    let prefix = format!("RMQTT_PLUGIN_{}_", plugin.to_ascii_uppercase().replace('-', "_"));
    let Value::Table(keys) = &mut file.value else { return };
    variables.retain(|variable| {
        let name = variable.name.to_ascii_uppercase();
        let Some(key) = name.strip_prefix(&prefix) else {
            return true;
        };
        if !variable.value.trim().is_empty() {
            let value = untyped(variable.place.clone(), variable.value.trim());
            keys.insert(key.to_ascii_lowercase(), value);
        }
        false
    });
}

/// `mqtt.allow_anonymous`, if plugins check clients, or if nothing does.
fn anonymous(main: &Main, is_checked: bool, part: &mut Part) {
    let (place, is_allowed) = main.allow_anonymous.clone().unwrap_or((main.place.clone(), false));
    if is_checked || is_allowed {
        part.set(&["mqtt", "allow_anonymous"], &place, Value::Boolean(is_allowed));
    } else {
        let text = format!(
            "RMQTT refuses every client, because allow_anonymous is false and no plugin checks clients: {ADD_USERS}"
        );
        part.lose(&place, text);
    }
}

/// `disconnect_if_pub_rejected` of a plugin, whose default is true, with its place.
fn deny_action(fields: &mut Section<'_>) -> (Place, bool) {
    let place = fields.given("disconnect_if_pub_rejected");
    let place = place.map_or_else(|| fields.place().clone(), |setting| setting.place.clone());
    (place, fields.boolean("disconnect_if_pub_rejected", true))
}

/// hookhost has one setting for all plugins, so the strictest value counts.
fn set_deny_action(actions: Vec<(Place, bool)>, part: &mut Part) {
    let strictest = actions.iter().find(|(_, disconnects)| *disconnects).or(actions.first());
    if let Some((place, disconnects)) = strictest {
        let action = if *disconnects { "disconnect" } else { "ignore" };
        part.set(&["access", "deny_action"], place, Value::Text(action.to_owned()));
    }
}

/// `priority`: the order in which RMQTT asks its plugins. Another order than the default one is a problem.
fn priority(fields: &mut Section<'_>, default: i64) {
    let Some(setting) = fields.take("priority") else { return };
    if setting.integer(i64::MIN..=i64::MAX) != Ok(default) {
        let text = format!(
            "is not supported: hookhost asks RMQTT's plugins in their default order, with priority {default} here"
        );
        fields.problem(setting.place.problem(text));
    }
}
