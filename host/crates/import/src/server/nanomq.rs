//! Access control of NanoMQ: `auth`, with users, rules and a web service.
//!
//! With `allow_anonymous = true`, NanoMQ checks no password; hookhost checks those that clients show.

use hookhost_settings::{Section, Setting, Table, Value};

use super::authentication::anonymous;
use super::plugins::{name_and_password, push_users};
use super::service::is_enabled;
use super::web_service::web_service;
use super::{Part, ServerSettings, text};

pub(super) fn read(tree: &mut Table, server: &mut ServerSettings) {
    let Some(setting) = tree.remove("auth") else { return };
    let place = setting.place.clone();
    let Value::Table(mut auth) = setting.value else {
        return server
            .authentication
            .lose(&place, "is not supported: it should be a block");
    };
    let (users, lines) = (auth.remove("password"), auth.remove("users"));
    if server.authentication.is_on(auth.remove("enable")) != Some(false) {
        passwords(users, lines, &mut server.authentication);
    }
    if let Some(http) = auth.remove("http_auth") {
        let place = http.place.clone();
        let has_users = server.authentication.settings.contains_key("authentication");
        web_service(http, server);
        let sources = server
            .authentication
            .settings
            .get("authentication")
            .map(|setting| &setting.value);
        if has_users && matches!(sources, Some(Value::List(sources)) if sources.len() > 1) {
            server.authentication.lose(
                &place,
                "is not supported beside users with passwords: NanoMQ asks both, and hookhost the first that knows the client",
            );
        }
    }
    if let Some(setting) = auth.remove("allow_anonymous") {
        anonymous(&mut server.authentication, &setting, "NanoMQ");
    }
    let (no_match, deny_action) = (auth.remove("no_match"), auth.remove("deny_action"));
    let acl = auth.remove("acl");
    auth.remove("cache");
    rules(&mut server.rules, acl, no_match, deny_action);
    for (_, setting) in auth {
        server
            .authentication
            .lose(&setting.place, "is not supported: hookhost does not know this key");
    }
}

/// Users with plain passwords: a table, or the lines of older files.
fn passwords(table: Option<Setting>, lines: Option<Setting>, part: &mut Part) {
    let Some(place) = table.as_ref().or(lines.as_ref()).map(|setting| setting.place.clone()) else {
        return;
    };
    let mut users = Vec::new();
    if let Some(setting) = table {
        let read = part.item(setting, |fields| {
            let report = fields.report();
            let user = |(name, setting): (String, Setting)| Some((name, report.check(setting.written())?));
            Some(fields.rest().into_iter().filter_map(user).collect::<Vec<_>>())
        });
        users.extend(read.unwrap_or_default());
    }
    if let Some(setting) = lines {
        let read = part.item(setting, |fields| {
            let user = |(_, mut user): (String, Section<'_>)| name_and_password(&mut user, "login");
            fields.sections().into_iter().map(user).collect::<Option<Vec<_>>>()
        });
        users.extend(read.unwrap_or_default());
    }
    if !users.is_empty() {
        push_users(part, &place, users);
    }
}

fn rules(part: &mut Part, acl: Option<Setting>, no_match: Option<Setting>, deny_action: Option<Setting>) {
    if let Some(setting) = acl {
        let list = part.item(setting, |fields| {
            let is_enabled = is_enabled(fields);
            let rules = fields.take("rules")?;
            is_enabled.then_some(rules)
        });
        match list.map(Setting::into_list) {
            Some(Ok(list)) => {
                for setting in list {
                    let place = setting.place.clone();
                    if let Some(rule) = part.item(setting, rule) {
                        part.push_at(&["access", "rule"], &place, Value::Table(rule));
                    }
                }
            }
            Some(Err(problem)) => part.lost.push(problem),
            None => {}
        }
    }
    let has_rules = part.settings.contains_key("access");
    let default = no_match.map(|setting| (setting.place.clone(), setting.value.written().unwrap_or_default()));
    if let Some((place, default)) = default.filter(|(_, default)| has_rules || default != "allow") {
        part.set(&["access", "default"], &place, Value::Text(default));
    } else if let Some(place) = part.settings.get("access").map(|setting| setting.place.clone()) {
        // NanoMQ's default.
        part.set(&["access", "default"], &place, Value::Text("allow".to_owned()));
    }
    if let Some(setting) = deny_action {
        let action = setting.value.written().unwrap_or_default();
        part.set(&["access", "deny_action"], &setting.place, Value::Text(action));
    }
}

/// `{permit, username, clientid, ipaddr, action, topics}`. `#` means all users or clients.
fn rule(fields: &mut Section<'_>) -> Option<Table> {
    let mut rule = Table::new();
    for (theirs, ours) in [
        ("permit", "permit"),
        ("username", "username"),
        ("user", "username"),
        ("clientid", "clientid"),
        ("ipaddr", "address"),
        ("action", "action"),
    ] {
        let Some((place, value)) = text(fields, theirs) else {
            continue;
        };
        let value = match (theirs, value.as_str()) {
            ("username" | "user" | "clientid", "#") => continue,
            ("action", "pubsub") => "all".to_owned(),
            _ => value,
        };
        if rule
            .insert(ours.to_owned(), Setting::new(place.clone(), Value::Text(value)))
            .is_some()
        {
            fields.problem(place.problem("is given twice"));
        }
    }
    if let Some(setting) = fields.take("topics") {
        let (topics, problems) = setting.texts(true, |text| Ok(text.to_owned()));
        problems.into_iter().for_each(|problem| fields.problem(problem));
        let topics = Value::texts(&setting.place, topics);
        rule.insert("topics".to_owned(), Setting::new(setting.place, topics));
    }
    Some(rule)
}
