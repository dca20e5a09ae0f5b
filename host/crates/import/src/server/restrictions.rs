//! Restrictions of clients that no reader took.
//!
//! The remaining keys may restrict clients: demand authentication, or permit some topics only. [`Restrictions::add_to`]
//! reports all of them in one line, because hookhost would accept clients that the broker refuses.
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
    restricts: Restricts,
    /// Where it is; the key is what the line shows.
    place: Place,
}

/// What a setting restricts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Restricts {
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
            let restricts = if upper.contains("_ACL") {
                Restricts::Topics
            } else {
                Restricts::Both
            };
            self.restrict(upper.to_ascii_lowercase(), restricts, place.clone());
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
            // The line names a part, but whole variables, and whole keys of the parts that are not about access control.
            let is_variable = |place: &Place| PREFIXES.iter().any(|prefix| place.key.starts_with(prefix));
            let is_whole = matches!(name.as_str(), "mqtt" | "zone" | "zones");
            let shown = |place: &Place| match is_whole || is_variable(place) {
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
        } else if let Some(restricts) = restricts(name, value, is_off) {
            self.restrict(name.to_owned(), restricts, place);
        }
    }

    fn restrict(&mut self, name: String, restricts: Restricts, place: Place) {
        self.restrictions.push(Restriction { name, restricts, place });
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

    /// The line about all restrictions, and whether they are about logins and about topics. Returns `None` without
    /// restrictions.
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
        let has = |restricts| {
            restrictions
                .iter()
                .any(|one| one.restricts == restricts || one.restricts == Restricts::Both)
        };
        let (clients, topics) = (has(Restricts::Clients), has(Restricts::Topics));
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
fn restricts(name: &str, value: &str, is_off: bool) -> Option<Restricts> {
    let parts: Vec<&str> = name.split('.').collect();
    let last = *parts.last()?;
    let denies = value.eq_ignore_ascii_case("deny");
    match parts.as_slice() {
        [.., "allow_anonymous"] => is_off.then_some(Restricts::Clients),
        [.., "acl_nomatch"] | ["auth" | "authorization", "no_match"] => denies.then_some(Restricts::Topics),
        ["acl_file"] => Some(Restricts::Topics),
        // Rules about user names and client ids would be about other clients.
        [
            ..,
            "peer_cert_as_username" | "peer_cert_as_clientid" | "use_username_as_clientid",
        ] => (!is_off && !matches!(value, "" | "disabled" | "undefined")).then_some(Restricts::Both),
        // Clients of other mount points would receive the messages.
        ["zone", _, "mountpoint"] => (!value.is_empty()).then_some(Restricts::Topics),
        ["loaded_plugins"] => value.contains("emqx_auth").then_some(Restricts::Both),
        // Rules with addresses that may connect.
        ["listener" | "listeners", .., "access" | "access_rules", _]
        | ["listener" | "listeners", .., "access_rules"] => value.contains("deny").then_some(Restricts::Clients),
        ["authentication", ..] => Some(Restricts::Clients),
        ["listeners", ..] => parts.contains(&"authentication").then_some(Restricts::Clients),
        ["authorization", "sources", ..] => Some(Restricts::Topics),
        ["authorization", ..] => None,
        // NanoMQ, and its older lines `acl.rule.1 = {"permit": …}`.
        ["auth", "acl", ..] | ["acl", ..] => {
            let permits = last == "permit" || value.contains("permit");
            (permits && value.contains("deny")).then_some(Restricts::Topics)
        }
        ["auth", "cache" | "deny_action", ..]
        | [
            "auth",
            "http_auth" | "http",
            "timeout" | "connect_timeout" | "pool_size",
        ] => None,
        ["auth", "password" | "user" | "client", ..] => Some(Restricts::Clients),
        // `auth.1.login`
        ["auth", number, _] if number.bytes().all(|byte| byte.is_ascii_digit()) => Some(Restricts::Clients),
        ["auth", _, ..] => Some(Restricts::Both),
        _ => None,
    }
}

#[cfg(test)]
#[path = "restrictions_tests.rs"]
mod tests;
