//! Restrictions of clients that no reader has taken.
//!
//! Some of what is left of a configuration may restrict clients: make them authenticate, or allow them some topics only.
//! [`Restrictions::add_to`] makes one line of all of them, because a client that the broker refuses would be accepted here.
//!
//! The names are those of EMQX 4 and 5, NanoMQ and RMQTT, in lower case and joined by dots.

use std::collections::BTreeSet;

use hookhost_settings::{Place, Problem, Setting, Table, Value};

use super::ServerSettings;
use crate::hocon;

/// The beginnings of variables.
const PREFIXES: [&str; 2] = ["EMQX_", "NANOMQ_"];

/// Names that the line lists; of more it gives the number.
const MAX_NAMES: usize = 6;

/// The settings that restrict clients.
#[derive(Debug, Default)]
pub(super) struct Restrictions {
    restrictions: Vec<Restriction>,
    /// Names with `enable = false`; what is below them restricts nothing.
    disabled: BTreeSet<String>,
}

/// A setting that restricts clients.
#[derive(Debug)]
struct Restriction {
    name: String,
    kind: Kind,
    /// Where it is; the key is what the line shows.
    place: Place,
}

/// What a setting restricts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Which clients may connect.
    Clients,
    /// Which topics clients may use.
    Topics,
    /// Both.
    Both,
}

impl Restrictions {
    /// Adds a variable of the environment or of a file of variables, whichever program it is for.
    pub(super) fn variable(&mut self, name: &str, value: &str, place: &Place) {
        let upper = name.to_ascii_uppercase();
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        if upper.starts_with("RMQTT_PLUGIN_RMQTT_AUTH") || upper.starts_with("RMQTT_PLUGIN_RMQTT_ACL") {
            let kind = if upper.contains("_ACL") {
                Kind::Topics
            } else {
                Kind::Both
            };
            self.restrict(upper.to_ascii_lowercase(), kind, place.clone());
            return;
        }
        let known = PREFIXES.iter().find_map(|prefix| upper.strip_prefix(prefix));
        let Some(path) = known else { return };
        let path = path.replace("__", ".").to_ascii_lowercase();
        match hocon::read_value(place, value) {
            Some(mut setting) => {
                setting.set_place(place);
                self.setting(&path, &setting, &Place::clone);
            }
            None => self.value(&path, value, place.clone()),
        }
    }

    /// Reads the parts that are left.
    pub(super) fn parts(&mut self, parts: &Table) {
        for (name, setting) in parts {
            // The part is enough for the reader of the line; a variable is named as a whole.
            let is_variable = |place: &Place| PREFIXES.iter().any(|prefix| place.key.starts_with(prefix));
            let shown = |place: &Place| match is_variable(place) {
                true => place.clone(),
                false => Place {
                    key: name.clone(),
                    ..place.clone()
                },
            };
            self.setting(&name.to_ascii_lowercase(), setting, &shown);
        }
    }

    fn setting(&mut self, name: &str, setting: &Setting, shown: &dyn Fn(&Place) -> Place) {
        match &setting.value {
            Value::Table(table) => {
                for (key, setting) in table {
                    self.setting(&format!("{name}.{}", key.to_ascii_lowercase()), setting, shown);
                }
            }
            // Elements have the names that they have in variables.
            Value::List(list) => {
                for (index, setting) in list.iter().enumerate() {
                    self.setting(&format!("{name}.{}", index + 1), setting, shown);
                }
            }
            value => {
                if let Some(text) = value.written() {
                    self.value(name, text.trim(), shown(&setting.place));
                }
            }
        }
    }

    fn value(&mut self, name: &str, value: &str, place: Place) {
        let is_off = matches!(value, "false" | "off" | "no");
        if let Some(above) = name.strip_suffix(".enable").filter(|_| is_off) {
            self.disabled.insert(above.to_owned());
        } else if let Some(kind) = restricts(name, value, is_off) {
            self.restrict(name.to_owned(), kind, place);
        }
    }

    fn restrict(&mut self, name: String, kind: Kind, place: Place) {
        self.restrictions.push(Restriction { name, kind, place });
    }

    /// Adds a line about these restrictions to the parts that they belong to.
    pub(super) fn add_to(&self, server: &mut ServerSettings) {
        let Some((problem, clients, topics)) = self.problem() else {
            return;
        };
        if clients {
            server.authentication.lost.push(problem.clone());
        }
        if topics {
            server.rules.lost.push(problem);
        }
    }

    /// One line about all settings that restrict clients, and whether they are about logins and about topics; `None` if there
    /// are none.
    fn problem(&self) -> Option<(Problem, bool, bool)> {
        let is_below = |name: &str, above: &str| name.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'));
        let is_enabled = |one: &&Restriction| !self.disabled.iter().any(|above| is_below(&one.name, above));
        let restrictions: Vec<&Restriction> = self.restrictions.iter().filter(is_enabled).collect();
        let first = restrictions.iter().map(|one| &one.place).min()?.clone();
        let names: BTreeSet<&str> = restrictions.iter().map(|one| one.place.key.as_str()).collect();
        let mut shown = names.iter().take(MAX_NAMES).copied().collect::<Vec<_>>().join(", ");
        if names.len() > MAX_NAMES {
            shown.push_str(&format!(" and {} more", names.len() - MAX_NAMES));
        }
        let has = |kind| {
            restrictions
                .iter()
                .any(|one| one.kind == kind || one.kind == Kind::Both)
        };
        let (clients, topics) = (has(Kind::Clients), has(Kind::Topics));
        let open = match (clients, topics) {
            (true, true) => {
                "accepts every client, with any password or none, and lets it publish and subscribe to every topic"
            }
            (true, false) => "accepts every client, with any password or none",
            _ => "lets every client publish and subscribe to every topic",
        };
        let be = if names.len() == 1 { "is" } else { "are" };
        let place = Place { key: shown, ..first };
        Some((
            place.problem(format!("{be} not supported: hookhost {open}")),
            clients,
            topics,
        ))
    }
}

/// What a setting with this name and value restricts.
fn restricts(name: &str, value: &str, is_off: bool) -> Option<Kind> {
    let parts: Vec<&str> = name.split('.').collect();
    let last = *parts.last()?;
    let denies = value.eq_ignore_ascii_case("deny");
    match parts.as_slice() {
        [.., "allow_anonymous"] => is_off.then_some(Kind::Clients),
        [.., "acl_nomatch"] | ["auth" | "authorization", "no_match"] => denies.then_some(Kind::Topics),
        ["acl_file"] => Some(Kind::Topics),
        // Rules about user names would be about other clients.
        [.., "peer_cert_as_username"] => (!is_off && value != "disabled" && value != "undefined").then_some(Kind::Both),
        ["loaded_plugins"] => value.contains("emqx_auth").then_some(Kind::Both),
        // Rules with addresses that may connect.
        ["listener" | "listeners", .., "access" | "access_rules", _]
        | ["listener" | "listeners", .., "access_rules"] => value.contains("deny").then_some(Kind::Clients),
        ["authentication", ..] => Some(Kind::Clients),
        ["listeners", ..] => parts.contains(&"authentication").then_some(Kind::Clients),
        ["authorization", "sources", ..] => Some(Kind::Topics),
        ["authorization", ..] => None,
        // NanoMQ, and its older lines `acl.rule.1 = {"permit": …}`.
        ["auth", "acl", ..] | ["acl", ..] => {
            let permits = last == "permit" || value.contains("permit");
            (permits && value.contains("deny")).then_some(Kind::Topics)
        }
        ["auth", "cache" | "deny_action", ..]
        | [
            "auth",
            "http_auth" | "http",
            "timeout" | "connect_timeout" | "pool_size",
        ] => None,
        ["auth", "password" | "user" | "client", ..] => Some(Kind::Clients),
        // `auth.1.login`
        ["auth", number, _] if number.bytes().all(|byte| byte.is_ascii_digit()) => Some(Kind::Clients),
        ["auth", _, ..] => Some(Kind::Both),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const CLIENTS: &str = "accepts every client, with any password or none";
    const TOPICS: &str = "lets every client publish and subscribe to every topic";
    const BOTH: &str =
        "accepts every client, with any password or none, and lets it publish and subscribe to every topic";

    /// The place and what is open of the line about some variables.
    fn of_variables(variables: &[(&str, &str)]) -> Option<(String, String)> {
        let mut access = Restrictions::default();
        for (name, value) in variables {
            access.variable(name, value, &Place::variable(*name));
        }
        shown(access)
    }

    fn shown(access: Restrictions) -> Option<(String, String)> {
        let (problem, ..) = access.problem()?;
        let open = problem.text.split("hookhost ").nth(1).unwrap();
        Some((problem.place.to_string(), open.to_owned()))
    }

    #[test]
    fn variables_that_restrict_clients() {
        for (name, value, open) in [
            ("EMQX_ALLOW_ANONYMOUS", "false", Some(CLIENTS)),
            ("EMQX_ALLOW_ANONYMOUS", "true", None),
            ("EMQX_ACL_NOMATCH", "deny", Some(TOPICS)),
            ("EMQX_ACL_NOMATCH", "allow", None),
            ("EMQX_LOADED_PLUGINS", "emqx_management,emqx_auth_http", Some(BOTH)),
            ("EMQX_LOADED_PLUGINS", "emqx_management,emqx_web_hook", None),
            ("EMQX_AUTH__USER__1__USERNAME", "alice", Some(CLIENTS)),
            ("EMQX_AUTH__MYSQL__SERVER", "db:3306", Some(BOTH)),
            ("EMQX_AUTHENTICATION__1__MECHANISM", "jwt", Some(CLIENTS)),
            ("EMQX_AUTHENTICATION", "[{mechanism = jwt}]", Some(CLIENTS)),
            ("EMQX_AUTHENTICATION", "[]", None),
            ("EMQX_AUTHENTICATION", "[{mechanism = jwt, enable = false}]", None),
            ("EMQX_AUTHORIZATION__NO_MATCH", "deny", Some(TOPICS)),
            ("EMQX_AUTHORIZATION__NO_MATCH", "allow", None),
            ("EMQX_AUTHORIZATION__CACHE__ENABLE", "true", None),
            ("EMQX_AUTHORIZATION__SOURCES__2__URL", "http://h/", Some(TOPICS)),
            (
                "EMQX_LISTENERS__TCP__DEFAULT__ACCESS_RULES",
                "[\"deny all\"]",
                Some(CLIENTS),
            ),
            ("EMQX_LISTENERS__TCP__DEFAULT__ACCESS_RULES", "[\"allow all\"]", None),
            ("EMQX_LISTENERS__TCP__DEFAULT__BIND", "1883", None),
            ("NANOMQ_ALLOW_ANONYMOUS", "false", Some(CLIENTS)),
            ("RMQTT_PLUGIN_RMQTT_ACL_RULES", "x", Some(TOPICS)),
            ("RMQTT_PLUGIN_RMQTT_WEB_HOOK_URLS", "x", None),
            ("ALLOW_ANONYMOUS", "false", None),
        ] {
            let expected = open.map(|open| (format!("environment: {name}"), open.to_owned()));
            assert_eq!(of_variables(&[(name, value)]), expected, "{name}={value}");
        }
        assert_eq!(
            of_variables(&[
                ("EMQX_AUTHENTICATION__1__MECHANISM", "jwt"),
                ("EMQX_AUTHENTICATION__1__ENABLE", "false")
            ]),
            None
        );
        let many = of_variables(&[("EMQX_ALLOW_ANONYMOUS", "false"), ("EMQX_ACL_NOMATCH", "deny")]);
        let names = "environment: EMQX_ACL_NOMATCH, EMQX_ALLOW_ANONYMOUS".to_owned();
        assert_eq!(many, Some((names, BOTH.to_owned())));
    }

    #[test]
    fn parts_of_files_that_restrict_clients() {
        for (text, expected) in [
            (
                "authentication = [{mechanism = jwt}]",
                Some(("authentication", CLIENTS)),
            ),
            ("authentication = []", None),
            ("authorization {no_match = allow, sources = []}", None),
            ("authorization {no_match = deny}", Some(("authorization", TOPICS))),
            (
                "authorization.sources = [{type = file}]\nauthentication {mechanism = jwt}",
                Some(("authentication, authorization", BOTH)),
            ),
            ("authorization.sources = [{type = file, enable = false}]", None),
            (
                "listeners.tcp.default.authentication = [{mechanism = jwt}]",
                Some(("listeners", CLIENTS)),
            ),
            ("listeners.tcp.default.bind = 1883", None),
            // NanoMQ
            (
                "auth {allow_anonymous = true, no_match = allow, deny_action = ignore}",
                None,
            ),
            ("auth {allow_anonymous = false}", Some(("auth", CLIENTS))),
            ("auth {password {admin = public}}", Some(("auth", CLIENTS))),
            ("auth {acl {rules = [{permit = allow}]}}", None),
            (
                "auth {acl {rules = [{permit = deny, username = bob}]}}",
                Some(("auth", TOPICS)),
            ),
            (
                "auth {http_auth {auth_req {url = \"http://h/\"}}}",
                Some(("auth", BOTH)),
            ),
        ] {
            let place = Place::line(Path::new("f"), 1, "");
            let Value::Table(parts) = hocon::read_value(&place, &format!("{{{text}}}")).unwrap().value else {
                panic!("a table: {text}")
            };
            let mut access = Restrictions::default();
            access.parts(&parts);
            let expected = expected.map(|(key, open)| (format!("f:1: {key}"), open.to_owned()));
            assert_eq!(shown(access), expected, "{text}");
        }
    }
}
