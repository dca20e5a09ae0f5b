//! `rmqtt-acl.toml`: rules in order, as `[[access.rule]]`. Without a plugin that checks clients, its rules about CONNECT also
//! decide who may connect.
//!
//! | in a rule | in hookhost |
//! | --- | --- |
//! | `user`, `clientid`, `ipaddr`, `protocol` | `username`, `clientid`, `address`, `protocol` |
//! | about CONNECT, with `user` and `password` only, and the last rule refuses everybody else | a user of `source = "password"` |
//! | other rules about CONNECT, unless all clients are accepted | `source = "rules"` |
//! | topics with `%c` and `%u`, `eq` | `topics`, `equal_topics` |
//! | `superuser` | not used: rules apply to all clients |
//!
//! Lost are rules about topics with a password that the client may not have shown. A rule about CONNECT is about a client; its
//! topics do not matter then.

use std::net::IpAddr;
use std::path::Path;

use hookhost_settings::{Place, Problem, Section, Setting, Table, Value, document};

use super::super::authentication::ADD_USERS;
use super::super::plugins::push_users;
use super::super::{Part, ServerSettings, put, source};
use super::{deny_action, priority};

/// The rules of RMQTT if the file has none.
const DEFAULT_RULES: &str = r##"
rules = [
    ["allow", { user = "dashboard" }, "subscribe", ["$SYS/#"]],
    ["allow", { ipaddr = "127.0.0.1" }, "pubsub", ["$SYS/#", "#"]],
    ["deny", "all", "subscribe", ["$SYS/#", { eq = "#" }]],
    ["allow", "all"],
]
"##;

/// Whom a rule is about. All conditions must hold.
#[derive(Debug, Default, PartialEq)]
struct Conditions {
    user: Option<String>,
    password: Option<String>,
    clientid: Option<String>,
    address: Option<String>,
    protocol: Option<u8>,
}

impl Conditions {
    fn is_everybody(&self) -> bool {
        *self == Conditions::default()
    }

    /// User name and password, if they are the only conditions.
    fn login(&self) -> Option<(&str, &str)> {
        let has_more = self.clientid.is_some() || self.address.is_some() || self.protocol.is_some();
        let login = self.user.as_deref().zip(self.password.as_deref());
        login.filter(|_| !has_more)
    }
}

struct Rule {
    place: Place,
    permits: bool,
    conditions: Conditions,
    is_about_connect: bool,
    /// `publish`, `subscribe` or `all`.
    action: Option<&'static str>,
    /// The texts of filters, and texts that are compared; `None` for all topics.
    topics: Option<(Vec<String>, Vec<String>)>,
}

/// Reads the file. `is_checked` says whether another plugin checks clients. Returns what happens after a denied publish.
pub(super) fn read(
    file: Setting,
    server: &mut ServerSettings,
    is_checked: bool,
    anonymous: Option<&(Place, bool)>,
) -> Option<(Place, bool)> {
    let place = file.place.clone();
    let (action, rules) = server.rules.item(file, |fields| {
        let action = deny_action(fields);
        priority(fields, 10);
        let rules = fields.take("rules").or_else(|| {
            let (mut table, _) = document::parse(Path::new(&place.to_string()), DEFAULT_RULES);
            let mut rules = table.remove("rules")?;
            rules.set_place(&place);
            Some(rules)
        })?;
        let list = fields.report().check(rules.into_list())?;
        let read = |setting| fields.report().check(rule(setting, fields));
        Some((action, list.into_iter().filter_map(read).collect::<Vec<_>>()))
    })?;
    let users = match is_checked {
        true => Vec::new(),
        false => connect(&place, &rules, anonymous, &mut server.authentication),
    };
    for rule in &rules {
        topics(rule, &users, &mut server.rules);
    }
    let part = &mut server.rules;
    // What no rule matches is denied.
    part.set(&["access", "default"], &place, Value::Text("deny".to_owned()));
    let has_service = hookhost_settings::find(&part.settings, &["access", "http"]).is_some();
    if !has_service {
        part.set(&["access", "denied_subscription_code"], &place, Value::Integer(128));
    }
    Some(action)
}

/// `["allow", {user = "u"}, "subscribe", ["a/#", {eq = "#"}]]`
fn rule(setting: Setting, fields: &Section<'_>) -> Result<Rule, Problem> {
    let place = setting.place.clone();
    let mut parts = setting.into_list()?.into_iter();
    let word = |part: Option<Setting>, expected: &str| match part {
        Some(part) => match part.as_text() {
            Some(text) => Ok((part.place.clone(), text.to_ascii_lowercase())),
            None => Err(part.mismatch(expected)),
        },
        None => Err(place.problem(format!("needs {expected}"))),
    };
    let (at, access) = word(parts.next(), "\"allow\" or \"deny\"")?;
    let permits = match access.as_str() {
        "allow" => true,
        "deny" => false,
        _ => return Err(at.problem("should be \"allow\" or \"deny\"")),
    };
    let who = parts
        .next()
        .ok_or_else(|| place.problem("needs the clients that it is about, such as \"all\""))?;
    let conditions = conditions(who, permits, fields)?;
    let (is_about_connect, action) = match parts.next() {
        None => (true, Some("all")),
        Some(part) => match word(Some(part), "a text")? {
            (_, word) if word == "connect" => (true, None),
            (_, word) if word == "all" => (true, Some("all")),
            (_, word) if word == "pubsub" => (false, Some("all")),
            (_, word) if word == "publish" => (false, Some("publish")),
            (_, word) if word == "subscribe" => (false, Some("subscribe")),
            (at, _) => return Err(at.problem("should be connect, publish, subscribe, pubsub or all")),
        },
    };
    Ok(Rule {
        topics: parts.next().map(filters).transpose()?,
        place,
        permits,
        conditions,
        is_about_connect,
        action,
    })
}

fn conditions(setting: Setting, permits: bool, fields: &Section<'_>) -> Result<Conditions, Problem> {
    if let Some(text) = setting.as_text() {
        return match text.eq_ignore_ascii_case("all") {
            true => Ok(Conditions::default()),
            false => Err(setting.mismatch("\"all\", or a table such as { user = \"u\" }")),
        };
    }
    let Value::Table(mut table) = setting.value else {
        return Err(setting.mismatch("\"all\", or a table such as { user = \"u\" }"));
    };
    let mut take = |key: &str| match table.remove(key) {
        None => Ok(None),
        // Conditions of other types do not count in RMQTT.
        Some(setting) if setting.as_text().is_none() => Err(setting.mismatch("a text")),
        Some(setting) => setting.written().map(Some),
    };
    let mut conditions = Conditions {
        user: take("user")?,
        password: take("password")?,
        clientid: take("clientid")?,
        address: take("ipaddr")?,
        protocol: None,
    };
    if let Some(protocol) = table.remove("protocol") {
        conditions.protocol = Some(protocol.integer(3..=5)?);
    }
    if !permits || conditions.user.is_none() {
        // RMQTT does not compare it then.
        conditions.password = None;
    }
    // RMQTT compares whole addresses as texts.
    if let Some(address) = conditions
        .address
        .as_ref()
        .filter(|text| text.parse::<IpAddr>().is_err())
    {
        let text = format!("has the address {address:?}; RMQTT compares it with a whole address such as \"10.0.0.1\"");
        return Err(setting.place.problem(text));
    }
    if let Some(superuser) = table.remove("superuser")
        && superuser.boolean()?
    {
        let text = "is not used: access rules apply to all clients, also to superusers";
        fields.warning(superuser.place.problem(text));
    }
    match table.into_iter().next() {
        Some((key, setting)) => Err(setting
            .place
            .problem(format!("is not supported: unknown condition {key}"))),
        None => Ok(conditions),
    }
}

fn filters(setting: Setting) -> Result<(Vec<String>, Vec<String>), Problem> {
    let (mut filters, mut equal) = (Vec::new(), Vec::new());
    for topic in setting.into_list()? {
        let place = topic.place.clone();
        let (list, text) = match topic.value {
            Value::Table(mut table) => match table.remove("eq") {
                Some(text) => (&mut equal, text.written()?),
                None => return Err(place.problem("needs eq")),
            },
            value => (&mut filters, Setting::new(place.clone(), value).written()?),
        };
        // hookhost would replace them; RMQTT does not.
        if text.contains("${clientid}") || text.contains("${username}") {
            return Err(place.problem("has a placeholder that RMQTT does not have; its placeholders are %c and %u"));
        }
        list.push(text);
    }
    Ok((filters, equal))
}

/// Who may connect, by the rules about CONNECT. Returns the users that cannot connect without their passwords.
fn connect(place: &Place, rules: &[Rule], anonymous: Option<&(Place, bool)>, part: &mut Part) -> Vec<(String, String)> {
    let rules: Vec<&Rule> = rules.iter().filter(|rule| rule.is_about_connect).collect();
    let count = rules.iter().position(|rule| rule.conditions.is_everybody());
    let rules = rules
        .get(..count.map_or(rules.len(), |last| last + 1))
        .unwrap_or_default();
    let is_open = count.is_some() && rules.last().is_some_and(|last| last.permits);
    if is_open && rules.iter().all(|rule| rule.permits) {
        return Vec::new();
    }
    let (switch, is_allowed) = anonymous.map_or((place, false), |(place, is_allowed)| (place, *is_allowed));
    part.set(&["mqtt", "allow_anonymous"], switch, Value::Boolean(is_allowed));
    let users = users(rules);
    let is_about_users = |rule: &&Rule| match rule.permits {
        true => rule.conditions.login().is_some(),
        false => rule.conditions.is_everybody(),
    };
    if !rules.iter().any(|rule| rule.permits) {
        let text = format!("RMQTT accepts no client by these rules, and no plugin checks clients: {ADD_USERS}");
        part.lose(place, text);
    } else if rules.iter().all(is_about_users) && !users.is_empty() {
        push_users(part, place, users.clone());
    } else {
        let list = rules.iter().map(|rule| {
            let mut table = subject(rule);
            if let Some(password) = &rule.conditions.password {
                put(&mut table, "password", &rule.place, Value::Text(password.clone()));
            }
            Setting::new(rule.place.clone(), Value::Table(table))
        });
        let mut source = source("rules", place);
        put(&mut source, "rule", place, Value::List(list.collect()));
        part.push("authentication", place, source);
    }
    users
}

/// The users that only one password lets connect; none if a client can connect without a password.
fn users(rules: &[&Rule]) -> Vec<(String, String)> {
    let mut users: Vec<(String, String)> = Vec::new();
    let mut ambiguous = Vec::new();
    for rule in rules.iter().filter(|rule| rule.permits) {
        let (Some(user), Some(password)) = (&rule.conditions.user, &rule.conditions.password) else {
            return Vec::new();
        };
        match users.iter().find(|(name, _)| name == user) {
            Some((_, other)) if other != password => ambiguous.push(user),
            Some(_) => {}
            None => users.push((user.clone(), password.clone())),
        }
    }
    users.retain(|(name, _)| !ambiguous.contains(&name));
    users
}

/// What a rule decides, and about which clients.
fn subject(rule: &Rule) -> Table {
    let conditions = &rule.conditions;
    let mut table = Table::new();
    let permit = if rule.permits { "allow" } else { "deny" };
    put(&mut table, "permit", &rule.place, Value::Text(permit.to_owned()));
    for (key, value) in [
        ("username", &conditions.user),
        ("clientid", &conditions.clientid),
        ("address", &conditions.address),
    ] {
        if let Some(text) = value {
            put(&mut table, key, &rule.place, Value::texts(&rule.place, [text.clone()]));
        }
    }
    if let Some(version) = conditions.protocol {
        put(&mut table, "protocol", &rule.place, Value::Integer(version.into()));
    }
    table
}

/// What a rule says about publishing and subscribing.
fn topics(rule: &Rule, users: &[(String, String)], part: &mut Part) {
    let Some(action) = rule.action else { return };
    if rule
        .topics
        .as_ref()
        .is_some_and(|(filters, equal)| filters.is_empty() && equal.is_empty())
    {
        return;
    }
    let conditions = &rule.conditions;
    if let (Some(user), Some(password)) = (&conditions.user, &conditions.password)
        && !users.contains(&(user.clone(), password.clone()))
    {
        let text = format!("is not supported: {user} can connect without this password; {ADD_USERS}");
        return part.lose(&rule.place, text);
    }
    let texts = |texts: &[String]| Value::texts(&rule.place, texts.iter().cloned());
    let mut table = subject(rule);
    put(&mut table, "action", &rule.place, Value::Text(action.to_owned()));
    if let Some((filters, equal)) = &rule.topics {
        for (key, list) in [("topics", filters), ("equal_topics", equal)] {
            if !list.is_empty() {
                put(&mut table, key, &rule.place, texts(list));
            }
        }
    }
    part.push_at(&["access", "rule"], &rule.place, Value::Table(table));
}
