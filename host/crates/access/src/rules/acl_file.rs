//! The file `acl.conf` of EMQX 4 and 5: rules as Erlang terms, each with a full stop at its end.
//!
//! ```text
//! {allow, {user, "dashboard"}, subscribe, ["$SYS/#"]}.
//! {deny, all, subscribe, ["$SYS/#", {eq, "#"}]}.
//! {allow, all}.
//! ```
//!
//! | part | accepted |
//! | --- | --- |
//! | permission | `allow`, `deny` |
//! | who | `all`; `{user, …}`, `{username, …}`, `{client, …}`, `{clientid, …}` with a text, `all` or `{re, …}`; `{ipaddr, …}`, `{ipaddrs, […]}`; `{'and', […]}`, `{'or', […]}` |
//! | action | `publish`, `subscribe`, `pubsub`, `all`; `{ACTION, [{qos, …}, {retain, …}]}` |
//! | topics | texts with placeholders, and `{eq, …}` |

use ipnet::IpNet;
use regex_lite::Regex;

use super::{Actions, Permission, QosSet, Rule, TextMatch, TopicPattern, Who};

/// How deep terms may be nested.
const MAX_DEPTH: usize = 16;

/// Why a file is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text}")]
pub struct AclFileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, as the end of a sentence about the rule.
    pub text: String,
}

/// Whether a text looks like such a file: its first character outside of comments is a brace.
pub(super) fn is_acl_file(text: &str) -> bool {
    let lines = text.lines().map(str::trim_start);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('%'));
    lines.next().is_none_or(|line| line.starts_with('{'))
}

/// Reads the rules of a file.
///
/// # Errors
///
/// The first invalid rule, with its line. A rule that hookhost cannot carry out is invalid, so that no rule is lost.
pub fn parse_acl_file(text: &str) -> Result<Vec<Rule>, AclFileError> {
    let mut parser = Parser { text, at: 0 };
    let mut rules = Vec::new();
    while let Some(start) = parser.next_term() {
        let line = parser.line_of(start);
        let error = |text: String| AclFileError { line, text };
        let term = parser.term(0)?;
        if !parser.take(".") {
            return Err(parser.error("should end with a full stop"));
        }
        rules.push(rule(&term).map_err(error)?);
    }
    Ok(rules)
}

/// An Erlang term.
#[derive(Debug, Clone, PartialEq)]
enum Term {
    Atom(String),
    Text(String),
    Integer(i64),
    Tuple(Vec<Term>),
    List(Vec<Term>),
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn line_of(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or_default();
        1 + before.bytes().filter(|byte| *byte == b'\n').count()
    }

    fn error(&self, text: &str) -> AclFileError {
        AclFileError {
            line: self.line_of(self.at),
            text: text.to_owned(),
        }
    }

    /// Skips blanks and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            let blanks = rest.len() - trimmed.len();
            let comment = if trimmed.starts_with('%') {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else {
                0
            };
            if blanks + comment == 0 {
                return;
            }
            self.at += blanks + comment;
        }
    }

    /// Where the next term begins; `None` at the end of the text.
    fn next_term(&mut self) -> Option<usize> {
        self.skip();
        (self.at < self.text.len()).then_some(self.at)
    }

    /// Takes a token if it comes next.
    fn take(&mut self, token: &str) -> bool {
        self.skip();
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    fn term(&mut self, depth: usize) -> Result<Term, AclFileError> {
        if depth > MAX_DEPTH {
            return Err(self.error("is nested too deeply"));
        }
        if self.take("{") {
            return Ok(Term::Tuple(self.terms("}", depth)?));
        }
        if self.take("[") {
            return Ok(Term::List(self.terms("]", depth)?));
        }
        if self.take("<<") {
            let text = self.quoted('"')?;
            self.take("/utf8");
            if !self.take(">>") {
                return Err(self.error("should end a binary with >>"));
            }
            return Ok(Term::Text(text));
        }
        match self.rest().chars().next() {
            Some('"') => Ok(Term::Text(self.quoted('"')?)),
            Some('\'') => Ok(Term::Atom(self.quoted('\'')?)),
            Some(first) if first.is_ascii_alphabetic() => Ok(Term::Atom(self.word())),
            Some(first) if first.is_ascii_digit() || first == '-' => {
                let word = self.word();
                let number = word.parse().map_err(|_| self.error("has an invalid number"))?;
                Ok(Term::Integer(number))
            }
            _ => Err(self.error("should be a rule such as {allow, {user, \"alice\"}, publish, [\"a/#\"]}.")),
        }
    }

    fn word(&mut self) -> String {
        let rest = self.rest();
        let is_part = |part: char| part.is_ascii_alphanumeric() || matches!(part, '_' | '@' | '-');
        let word: String = rest.chars().take_while(|part| is_part(*part)).collect();
        self.at += word.len();
        word
    }

    fn terms(&mut self, end: &str, depth: usize) -> Result<Vec<Term>, AclFileError> {
        let mut terms = Vec::new();
        if self.take(end) {
            return Ok(terms);
        }
        loop {
            terms.push(self.term(depth + 1)?);
            if self.take(end) {
                return Ok(terms);
            }
            if !self.take(",") {
                return Err(self.error(&format!("should have `,` or `{end}` here")));
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, AclFileError> {
        let open = |parser: &Self| parser.error("has a text without a closing quote");
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        if chars.next().is_none_or(|(_, first)| first != quote) {
            return Err(self.error("should be a text"));
        }
        while let Some((at, char)) = chars.next() {
            match char {
                '\\' => {
                    let (_, escaped) = chars.next().ok_or_else(|| open(self))?;
                    text.push(match escaped {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        '"' | '\'' | '\\' => escaped,
                        _ => return Err(self.error("has an unknown escape in a text")),
                    });
                }
                char if char == quote => {
                    self.at += at + char.len_utf8();
                    return Ok(text);
                }
                char => text.push(char),
            }
        }
        Err(open(self))
    }
}

fn rule(term: &Term) -> Result<Rule, String> {
    let Term::Tuple(parts) = term else {
        return Err("should be in braces".to_owned());
    };
    let (permission, client, rest) = match parts.as_slice() {
        [permission, client, rest @ ..] if matches!(rest.len(), 0 | 2) => (permission, client, rest),
        _ => {
            return Err("should have two parts (permission, who) or four (permission, who, action, topics)".to_owned());
        }
    };
    let permission = match permission {
        Term::Atom(name) if name == "allow" => Permission::Allow,
        Term::Atom(name) if name == "deny" => Permission::Deny,
        _ => return Err("should begin with allow or deny".to_owned()),
    };
    let mut rule = Rule {
        permission,
        who: who(client)?,
        actions: Actions::All,
        qos: QosSet::ALL,
        retain: None,
        topics: None,
    };
    if let [action, topics] = rest {
        actions(&mut rule, action)?;
        let Term::List(topics) = topics else {
            return Err("should have its topics in square brackets".to_owned());
        };
        rule.topics = Some(topics.iter().map(topic).collect::<Result<_, _>>()?);
    }
    Ok(rule)
}

fn who(term: &Term) -> Result<Who, String> {
    let (name, value) = match term {
        Term::Atom(name) if name == "all" => return Ok(Who::Everybody),
        Term::Tuple(parts) => match parts.as_slice() {
            [Term::Atom(name), value] => (name.as_str(), value),
            _ => return Err("should name its clients as {user, \"alice\"}".to_owned()),
        },
        _ => return Err("should be about all, or clients such as {user, \"alice\"}".to_owned()),
    };
    let parts = |value: &Term| match value {
        Term::List(parts) => parts.iter().map(who).collect::<Result<Vec<Who>, String>>(),
        _ => Err(format!("should have a list after {name}")),
    };
    let is_all = matches!(value, Term::Atom(all) if all == "all");
    Ok(match name {
        "user" | "username" | "client" | "clientid" if is_all => Who::Everybody,
        "user" | "username" => Who::Username(text_match(name, value)?),
        "client" | "clientid" => Who::ClientId(text_match(name, value)?),
        "ipaddr" => Who::Address(network(value)?),
        "ipaddrs" => match value {
            Term::List(list) => Who::Or(
                list.iter()
                    .map(|one| Ok(Who::Address(network(one)?)))
                    .collect::<Result<_, String>>()?,
            ),
            _ => return Err("should have a list after ipaddrs".to_owned()),
        },
        "and" => Who::And(parts(value)?),
        "or" => Who::Or(parts(value)?),
        _ => return Err(format!("selects clients by {name}, which hookhost does not support")),
    })
}

fn text_match(name: &str, term: &Term) -> Result<TextMatch, String> {
    match term {
        Term::Text(text) => Ok(TextMatch::Equal(text.as_str().into())),
        Term::Tuple(parts) => match parts.as_slice() {
            [Term::Atom(re), Term::Text(regex)] if re == "re" => {
                let regex =
                    Regex::new(regex).map_err(|error| format!("has an unsupported regular expression: {error}"))?;
                Ok(TextMatch::Regex(regex))
            }
            _ => Err(format!("should have a text or {{re, \"…\"}} after {name}")),
        },
        _ => Err(format!("should have a text or {{re, \"…\"}} after {name}")),
    }
}

fn network(term: &Term) -> Result<IpNet, String> {
    let Term::Text(text) = term else {
        return Err("should have an address as a text".to_owned());
    };
    super::read::network(text)
}

fn actions(rule: &mut Rule, term: &Term) -> Result<(), String> {
    let (name, options) = match term {
        Term::Atom(name) => (name, &[][..]),
        Term::Tuple(parts) => match parts.as_slice() {
            [Term::Atom(name), Term::List(options)] => (name, options.as_slice()),
            _ => return Err("should have an action such as {publish, [{qos, 1}]}".to_owned()),
        },
        _ => return Err("should have the action publish, subscribe or all".to_owned()),
    };
    rule.actions = match name.as_str() {
        "publish" => Actions::Publish,
        "subscribe" => Actions::Subscribe,
        "pubsub" | "all" => Actions::All,
        _ => {
            return Err(format!(
                "has the unknown action {name}; known are publish, subscribe and all"
            ));
        }
    };
    for option in options {
        let Term::Tuple(parts) = option else {
            return Err("should have options such as {qos, 1}".to_owned());
        };
        match parts.as_slice() {
            [Term::Atom(name), value] if name == "qos" => rule.qos = qos(value)?,
            [Term::Atom(name), Term::Atom(value)] if name == "retain" => {
                rule.retain = match value.as_str() {
                    "true" => Some(true),
                    "false" => Some(false),
                    "all" => None,
                    _ => return Err("should have true, false or all after retain".to_owned()),
                };
            }
            _ => return Err("has an unknown option; known are qos and retain".to_owned()),
        }
    }
    Ok(())
}

fn qos(term: &Term) -> Result<QosSet, String> {
    let one = |term: &Term| match term {
        Term::Integer(qos) if (0..=2).contains(qos) => Ok(*qos as u8),
        _ => Err("should have 0, 1 or 2 after qos".to_owned()),
    };
    match term {
        Term::List(list) => list.iter().try_fold(QosSet::NONE, |set, term| Ok(set.with(one(term)?))),
        term => Ok(QosSet::NONE.with(one(term)?)),
    }
}

fn topic(term: &Term) -> Result<TopicPattern, String> {
    match term {
        Term::Text(text) => {
            TopicPattern::filter(text).map_err(|error| format!("has the topic {text:?}, which is invalid: {error}"))
        }
        Term::Tuple(parts) => match parts.as_slice() {
            [Term::Atom(eq), Term::Text(text)] if eq == "eq" => Ok(TopicPattern::literal(text)),
            _ => Err("should have topics as texts or as {eq, \"…\"}".to_owned()),
        },
        _ => Err("should have topics as texts or as {eq, \"…\"}".to_owned()),
    }
}
