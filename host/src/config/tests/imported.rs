//! Access control and listeners of other brokers: what a client may do after its configuration is imported.
//!
//! No configuration may become more open. So each row is either refused at the start, with a line that names the place, or
//! lists what clients may do, and what not.

mod files;
mod listeners;
mod rmqtt;
mod variables;

use std::io;

use hookhost_access::rules::{Action, Operation};
use hookhost_access::{AccessControl, Login, Verdict};

use super::*;

const EMQX5: &str = "connectors.http.c { url = \"http://h/\" }\nactions.http.a { connector = c }\n\
    rule_engine.rules.r { sql = \"SELECT * FROM t\", actions = [\"http:a\"] }\n";
const EMQX4: &str =
    "web.hook.url = http://h/\nweb.hook.rule.client.connected.1 = {\"action\": \"on_client_connected\"}\n";
const NANOMQ: &str = "webhook { url = \"http://h/\", events = [{ event = \"on_client_connack\" }] }\n";

const RMQTT: &str = "urls = [\"http://h/\"]\nrule.client_connect = [{ action = \"a\" }]\n";

const ACL: &str = "{allow, {user, \"alice\"}, all, [\"plant/#\"]}.\n{deny, all, subscribe, [\"$SYS/#\"]}.\n";

/// The result of an import.
enum Expected {
    /// The host does not start; the line contains this text.
    Refused(&'static str),
    /// What clients may do (`+`) or not (`-`): `USER[:PASSWORD]` alone is a login, with `pub` or `sub` and a topic it is an
    /// operation of a client that is accepted.
    May(&'static [&'static str]),
    /// What the summary of access control says; for services, which tests of `hookhost-access` ask.
    Says(&'static str),
}
use Expected::{May, Refused, Says};

fn files(path: &std::path::Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("etc/acl.conf" | "/etc/emqx/acl.conf") => Ok(ACL.as_bytes().to_vec()),
        Some("c.pem" | "k.pem" | "ca.pem") => Ok(Vec::new()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn load(text: &str, own: &str, variables: &[(&str, &str)]) -> Result<Loaded, Vec<String>> {
    let inputs = Inputs {
        file: file("h.toml", own),
        webhook_file: file("etc/b.conf", text).filter(|_| !text.is_empty()),
        environment: environment(variables),
        ..Inputs::default()
    };
    read_with(&inputs, &files).map_err(|refused| shown(&refused.problems))
}

fn login(client: &str) -> Login<'_> {
    let (username, password) = match client.split_once(':') {
        Some((username, password)) => (username, Some(password.as_bytes())),
        None => (client, None),
    };
    Login {
        client_id: "c1",
        username: (username != "-").then_some(username),
        password,
        address: Some([10, 0, 0, 1].into()),
        protocol: 4,
        certificate: None,
        will: None,
    }
}

async fn may(access: &AccessControl, what: &str) -> bool {
    let words: Vec<&str> = what.split(' ').collect();
    let Verdict::Accepted(client) = access.authenticate(login(words[0])).await else {
        return false;
    };
    let [_, action, topic] = words[..] else { return true };
    let action = if action == "pub" {
        Action::Publish
    } else {
        Action::Subscribe
    };
    let operation = Operation {
        action,
        topic,
        qos: 0,
        retain: false,
    };
    client.authorize(&operation).await.allowed
}

/// The difference between what the file and the variables lead to, and what is expected.
async fn difference(text: &str, variables: &[(&str, &str)], expected: &Expected) -> Option<String> {
    compare(load(text, "", variables), expected).await
}

/// The difference between what was loaded and what is expected.
async fn compare(loaded: Result<Loaded, Vec<String>>, expected: &Expected) -> Option<String> {
    match (loaded, expected) {
        (Err(problems), Refused(line)) => {
            let is_named = problems.iter().any(|problem| problem.contains(line));
            (!is_named).then(|| format!("expected {line}: {problems:#?}"))
        }
        (Ok(loaded), Says(line)) => {
            let summary = loaded.config.access.summary();
            (summary != *line).then(|| format!("expected {line}: {summary}"))
        }
        (Ok(loaded), May(expected)) => {
            let access = AccessControl::new(loaded.config.access.clone());
            for line in *expected {
                let (sign, what) = line.split_at(1);
                if may(&access, what).await != (sign == "+") {
                    return Some(format!("expected {line}: {}", loaded.config.access.summary()));
                }
            }
            None
        }
        (Ok(loaded), Refused(line)) => Some(format!(
            "expected {line}, but it starts: {}",
            loaded.config.access.summary()
        )),
        (Err(problems), _) => Some(format!("{problems:#?}")),
    }
}

/// Checks all rows, and reports all that differ.
async fn check_all<'r>(rows: impl IntoIterator<Item = (String, &'r [(&'r str, &'r str)], Expected)>) {
    let mut differences = Vec::new();
    for (text, variables, expected) in rows {
        if let Some(difference) = difference(&text, variables, &expected).await {
            differences.push(format!("{text} {variables:?}: {difference}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[tokio::test]
async fn settings_of_hookhost_replace_a_part() {
    let database = format!(
        "{EMQX5}authentication = [{{mechanism = password_based, backend = built_in_database}}]\nauthorization.no_match = deny\n"
    );
    let users = "[[authentication]]\nsource = \"password\"\nusers = { alice = \"p\" }\n";
    let with = |own: &str| load(&database, own, &[]);
    assert!(with("").is_err());
    let loaded = with(users).unwrap();
    let replaced = "h.toml:1: authentication: is used instead of what etc/b.conf:4: authentication[0].backend says";
    assert!(
        shown(&loaded.warnings).contains(&replaced.to_owned()),
        "{:#?}",
        loaded.warnings
    );
    let access = AccessControl::new(loaded.config.access);
    assert!(may(&access, "alice:p").await && !may(&access, "bob").await);
    assert!(!may(&access, "alice:p pub a").await, "the rules of the file stay");
    let rules = format!("{users}[access]\ndefault = \"allow\"\n");
    let access = AccessControl::new(with(&rules).unwrap().config.access);
    assert!(may(&access, "alice:p pub a").await);
    let loaded = with("[webhook]\nignore_access_control = true\n").unwrap();
    assert_eq!(
        loaded.config.access.summary(),
        "every client is accepted; all topics are allowed"
    );
    let warned = shown(&loaded.warnings);
    assert!(
        warned
            .iter()
            .any(|line| line.contains("the users are in EMQX's database")),
        "{warned:#?}"
    );
    let gateway = "[broker]\nengine = \"gateway\"\nupstream = \"mqtt://h:1\"\n";
    assert!(
        with(gateway)
            .unwrap()
            .config
            .access
            .summary()
            .starts_with("every client is accepted")
    );
}

#[tokio::test]
async fn anonymous_clients_need_the_consent_of_both() {
    let users = "auth.user.1.username = a\nauth.user.1.password = b\n";
    for (theirs, own, is_accepted) in [
        ("true", "true", true),
        ("true", "false", false),
        ("false", "true", false),
        ("false", "false", false),
    ] {
        let text = format!("{EMQX4}allow_anonymous = {theirs}\n{users}");
        let loaded = load(&text, &format!("[mqtt]\nallow_anonymous = {own}\n"), &[]).unwrap();
        let access = AccessControl::new(loaded.config.access);
        assert_eq!(may(&access, "-").await, is_accepted, "{theirs} {own}");
    }
}
