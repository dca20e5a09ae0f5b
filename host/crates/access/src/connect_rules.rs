//! Rules about who may connect, in order: the source `rules` of `[[authentication]]`. The first rule that matches decides.
//!
//! | key of a rule | meaning |
//! | --- | --- |
//! | `permit` | `allow` or `deny` |
//! | `username`, `clientid`, `address`, `protocol` | as in a [rule about topics](crate::rules::read_rules) |
//! | `password` | the rule is about clients that show this password |

use std::fmt;

use hookhost_settings::{Section, Setting};

use crate::Login;
use crate::passwords::PasswordChecker;
use crate::rules::read::who;
use crate::rules::{Permission, Who};
use crate::users::StoredPassword;

/// Rules about who may connect.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ConnectRules(Vec<ConnectRule>);

/// A rule about who may connect.
#[derive(Clone, PartialEq)]
struct ConnectRule {
    permission: Permission,
    who: Who,
    /// The password that the client must show, if the rule has one.
    password: Option<StoredPassword>,
}

/// Without the password.
impl fmt::Debug for ConnectRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRule")
            .field("permission", &self.permission)
            .field("who", &self.who)
            .field("has_password", &self.password.is_some())
            .finish()
    }
}

impl ConnectRules {
    /// Reads the list `rule`. Reports invalid rules, and a list without rules.
    pub(crate) fn read(at: &mut Section<'_>) -> ConnectRules {
        let report = at.report();
        let list = at.take("rule").map(Setting::into_list);
        let list = list.and_then(|list| report.check(list)).unwrap_or_default();
        if list.is_empty() {
            at.problem(at.place().problem("needs [[authentication.rule]]"));
        }
        let sections = list.into_iter().filter_map(|setting| Section::of(report, setting));
        ConnectRules(sections.filter_map(rule).collect())
    }

    /// What the first matching rule decides about a client; `None` if no rule matches. Passwords are compared in constant
    /// time.
    pub(crate) fn decide(&self, login: &Login<'_>, passwords: &PasswordChecker) -> Option<Permission> {
        let identity = login.identity();
        let name = login.username.unwrap_or_default();
        let shows = |stored: &StoredPassword| {
            let shown = login.password;
            shown.is_some_and(|password| passwords.is_verified(name, stored, password))
        };
        let matches = |rule: &&ConnectRule| rule.who.includes(&identity) && rule.password.as_ref().is_none_or(shows);
        self.0.iter().find(matches).map(|rule| rule.permission)
    }

    /// Whether a rule accepts all clients that no rule before it matches.
    pub(crate) fn accept_strangers(&self) -> bool {
        let everybody = self
            .0
            .iter()
            .find(|rule| rule.who == Who::Everybody && rule.password.is_none());
        everybody.is_some_and(|rule| rule.permission == Permission::Allow)
    }
}

fn rule(mut at: Section<'_>) -> Option<ConnectRule> {
    let permissions = [("allow", Some(Permission::Allow)), ("deny", Some(Permission::Deny))];
    let permission = at.choice("permit", None, &permissions);
    if permission.is_none() && !at.is_given("permit") {
        at.problem(at.place().problem("needs permit = \"allow\" or permit = \"deny\""));
    }
    let who = who(&mut at);
    let password = at.optional("password", |setting| {
        let text = setting.text()?;
        // A check of a hash takes long, so its time would tell which user names exist.
        if text.starts_with("$argon2") {
            let problem = "should be plain text; hashes belong into the users of source = \"password\"";
            return Err(setting.place.problem(problem));
        }
        Ok(StoredPassword::Plain(text.as_bytes().into()))
    });
    Some(ConnectRule {
        permission: permission?,
        who,
        password: password.map(|(_, password)| password),
    })
}
