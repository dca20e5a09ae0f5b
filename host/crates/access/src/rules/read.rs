//! Rules as TOML: `[[rule]]` tables, in a file of their own or below `[access]`.
//!
//! | key | meaning |
//! | --- | --- |
//! | `permit` | `allow` or `deny` |
//! | `action` | `publish`, `subscribe` or `all`; default `all` |
//! | `topics` | filters with placeholders; default all topics |
//! | `equal_topics` | texts that the topic or filter must be equal to, wildcards included |
//! | `username`, `clientid` | one text or a list; the rule is about clients with one of them |
//! | `address` | addresses or networks such as `10.0.0.0/8` |
//! | `protocol` | one or a list of 3, 4, 5; the rule is about clients with this version of MQTT |
//! | `qos` | one or a list of 0, 1, 2; default all |
//! | `retain` | `true` or `false`; default both; only for publishes |

use std::net::IpAddr;
use std::path::Path;

use hookhost_settings::{Place, Problem, Report, Section, Setting, UnknownKeys, Value, document};
use ipnet::IpNet;

use super::acl_file::{AclFileError, is_acl_file, parse_acl_file};
use super::{Actions, Permission, QosSet, Rule, TextMatch, TopicPattern, Who};

/// Reads a file of rules: TOML, or the `acl.conf` of EMQX, which begins with a brace.
///
/// # Errors
///
/// All problems, with their lines.
pub fn read_file(path: &Path, text: &str) -> Result<Vec<Rule>, Vec<Problem>> {
    if is_acl_file(text) {
        return parse_acl_file(text)
            .map_err(|AclFileError { line, text }| vec![Place::line(path, line, "rule").problem(text)]);
    }
    let (table, errors) = document::parse(path, text);
    if !errors.is_empty() {
        return Err(errors);
    }
    let report = Report::new(UnknownKeys::Problem);
    let mut root = Section::root(&report, Place::file(path), table);
    let rules = root
        .take("rule")
        .map(|setting| read_rules(&report, setting))
        .unwrap_or_default();
    drop(root);
    let problems = report.finish().problems;
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

/// Reads a list of rules. Invalid ones are reported and left out.
pub fn read_rules(report: &Report, setting: Setting) -> Vec<Rule> {
    let list = report.check(setting.into_list()).unwrap_or_default();
    let sections = list.into_iter().filter_map(|setting| Section::of(report, setting));
    sections.filter_map(rule).collect()
}

fn rule(mut at: Section<'_>) -> Option<Rule> {
    let permit = at.choice(
        "permit",
        None,
        &[("allow", Some(Permission::Allow)), ("deny", Some(Permission::Deny))],
    );
    let actions = [
        ("publish", Actions::Publish),
        ("subscribe", Actions::Subscribe),
        ("all", Actions::All),
    ];
    let actions = at.choice("action", Actions::All, &actions);
    let who = who(&mut at);
    let filters = list_of(&mut at, "topics", |text| {
        TopicPattern::filter(text).map_err(|error| error.to_string())
    });
    let equal = list_of(&mut at, "equal_topics", |text| Ok(TopicPattern::literal(text)));
    let topics = match (filters, equal) {
        (None, None) => None,
        (filters, equal) => Some(filters.into_iter().chain(equal).flatten().collect()),
    };
    let qos = at.optional("qos", qos).map_or(QosSet::ALL, |(_, qos)| qos);
    let retain = at.optional("retain", Setting::boolean).map(|(_, retain)| retain);
    let Some(permission) = permit else {
        if !at.is_given("permit") {
            at.problem(at.place().problem("needs permit = \"allow\" or permit = \"deny\""));
        }
        return None;
    };
    Some(Rule {
        permission,
        who,
        actions,
        qos,
        retain,
        topics,
    })
}

/// The clients that a rule is about: the keys `username`, `clientid`, `address` and `protocol`. All of them must match.
pub(crate) fn who(at: &mut Section<'_>) -> Who {
    let versions = at.optional("protocol", |setting| {
        let one = |setting: &Setting| setting.integer::<u8>(3..=5).map(Who::Protocol);
        match &setting.value {
            Value::List(list) => list.iter().map(one).collect::<Result<_, _>>().map(Who::Or),
            _ => one(setting),
        }
    });
    let parts = [
        one_of(at, "username", |text| Ok(Who::Username(TextMatch::Equal(text.into())))),
        one_of(at, "clientid", |text| Ok(Who::ClientId(TextMatch::Equal(text.into())))),
        one_of(at, "address", |text| network(text).map(Who::Address)),
        versions.map(|(_, versions)| versions),
    ];
    let mut parts: Vec<Who> = parts.into_iter().flatten().collect();
    match parts.len() {
        0 => Who::Everybody,
        1 => parts.remove(0),
        _ => Who::And(parts),
    }
}

/// Texts of a key, one or a list.
fn list_of<T>(at: &mut Section<'_>, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
    let report = at.report();
    let (_, values) = at.optional(key, |setting| {
        // A text may contain blanks, so one text is one element.
        let (values, problems) = match &setting.value {
            Value::Text(_) | Value::Untyped(_) => match setting.parse(&read) {
                Ok(value) => (vec![value], Vec::new()),
                Err(problem) => (Vec::new(), vec![problem]),
            },
            _ => setting.texts(false, &read),
        };
        problems.into_iter().for_each(|problem| report.add_problem(problem));
        Ok(values)
    })?;
    Some(values)
}

fn one_of(at: &mut Section<'_>, key: &str, read: impl Fn(&str) -> Result<Who, String>) -> Option<Who> {
    let mut values = list_of(at, key, read)?;
    Some(if values.len() == 1 {
        values.remove(0)
    } else {
        Who::Or(values)
    })
}

/// An address, or a network with the length of its prefix.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let address = |_| text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(address)
        .map_err(|_| format!("has the address {text:?}; it should be an address or a network such as \"10.0.0.0/8\""))
}

fn qos(setting: &Setting) -> Result<QosSet, Problem> {
    let one = |setting: &Setting| setting.integer::<u8>(0..=2);
    match &setting.value {
        Value::List(list) => list
            .iter()
            .try_fold(QosSet::NONE, |set, one_setting| Ok(set.with(one(one_setting)?))),
        _ => Ok(QosSet::NONE.with(one(setting)?)),
    }
}
