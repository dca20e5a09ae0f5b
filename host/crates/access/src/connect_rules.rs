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

#[cfg(test)]
mod tests {
    use hookhost_settings::Place;

    use crate::{AccessControl, Login, Refusal, Settings, Surroundings, Verdict};

    const RULES: &str = "[[authentication]]\nsource = \"rules\"\n\
        [[authentication.rule]]\npermit = \"deny\"\naddress = \"10.0.7.0/24\"\n\
        [[authentication.rule]]\npermit = \"allow\"\nusername = \"bob\"\npassword = \"p\"\n\
        [[authentication.rule]]\npermit = \"allow\"\nclientid = [\"a\", \"b\"]\nprotocol = [4, 5]\n";

    fn parse(text: &str, surroundings: &Surroundings) -> Result<Settings, Vec<String>> {
        let settings = Settings::parse(text, surroundings, &|_| unreachable!("it names no files"));
        settings.map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn the_first_rule_that_matches_decides() {
        let settings = parse(RULES, &Surroundings::default()).unwrap();
        let access = AccessControl::new(settings);
        for (client_id, credentials, address, protocol, expected) in [
            ("c", Some(("bob", "p")), [10, 0, 0, 1], 4, Ok(())),
            ("c", Some(("bob", "p")), [10, 0, 7, 1], 4, Err(Refusal::NotAuthorized)),
            ("c", Some(("bob", "x")), [10, 0, 0, 1], 4, Err(Refusal::BadCredentials)),
            ("a", Some(("bob", "x")), [10, 0, 0, 1], 4, Ok(())),
            ("b", None, [10, 0, 0, 1], 5, Ok(())),
            ("b", None, [10, 0, 0, 1], 3, Err(Refusal::NotAuthorized)),
            ("c", None, [10, 0, 0, 1], 5, Err(Refusal::NotAuthorized)),
        ] {
            let login = Login {
                client_id,
                username: credentials.map(|(name, _)| name),
                password: credentials.map(|(_, password)| password.as_bytes()),
                address: Some(address.into()),
                protocol,
                certificate: None,
                will: None,
            };
            let verdict = match access.authenticate(login).await {
                Verdict::Accepted(_) => Ok(()),
                Verdict::Refused { refusal, .. } => Err(refusal),
            };
            assert_eq!(verdict, expected, "{client_id} {credentials:?} {address:?} {protocol}");
        }
    }

    #[test]
    fn rules_that_accept_every_client_leave_an_address_open() {
        let open = "[[authentication]]\nsource = \"rules\"\n\
            [[authentication.rule]]\npermit = \"deny\"\nusername = \"eve\"\n\
            [[authentication.rule]]\npermit = \"allow\"\n";
        let reachable = |allow_anonymous| Surroundings {
            allow_anonymous,
            listen: vec![(Place::flag("--listen"), ([0, 0, 0, 0], 1883).into())],
            is_relayed: false,
        };
        assert!(parse(RULES, &reachable(None)).is_ok());
        assert!(parse(open, &reachable(Some(true))).is_ok());
        for allow_anonymous in [None, Some(false)] {
            let problems = parse(open, &reachable(allow_anonymous)).unwrap_err();
            assert!(problems[0].contains("every client would be accepted"), "{problems:?}");
        }
    }

    #[test]
    fn invalid_rules_are_reported() {
        for (rules, expected) in [
            ("", "needs [[authentication.rule]]"),
            ("[[authentication.rule]]\nusername = \"a\"\n", "needs permit"),
            (
                "[[authentication.rule]]\npermit = \"allow\"\nprotocol = 6\n",
                "protocol",
            ),
            (
                "[[authentication.rule]]\npermit = \"allow\"\npassword = \"$argon2id$x\"\n",
                "should be plain text",
            ),
        ] {
            let text = format!("[[authentication]]\nsource = \"rules\"\n{rules}");
            let problems = parse(&text, &Surroundings::default()).unwrap_err();
            assert!(problems[0].contains(expected), "{rules}: {problems:?}");
        }
    }
}
