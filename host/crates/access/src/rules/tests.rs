//! Rules in both formats, what they decide, and how fast.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn client(id: &str, name: Option<&str>, address: &str) -> Identity {
    Identity {
        client_id: id.to_owned(),
        username: name.map(str::to_owned),
        address: Some(address.parse().unwrap()),
        protocol: 4,
    }
}

fn operation<'a>(action: Action, topic: &'a str, qos: u8, retain: bool) -> Operation<'a> {
    Operation {
        action,
        topic,
        qos,
        retain,
    }
}

fn rules(text: &str) -> RuleSet {
    RuleSet::new(read_file(Path::new("acl"), text).unwrap())
}

/// What a set decides about `pub TOPIC` or `sub FILTER`, with an optional QoS and `retain`, for a client `id/name`.
fn decides(set: &RuleSet, who: &str, what: &str) -> Option<bool> {
    let (id, name) = who.split_once('/').unwrap();
    let client = client(id, Some(name).filter(|name| !name.is_empty()), "10.1.2.3");
    let words: Vec<&str> = what.split(' ').collect();
    let action = if words[0] == "pub" {
        Action::Publish
    } else {
        Action::Subscribe
    };
    let qos = words.get(2).map_or(0, |qos| qos.parse().unwrap());
    let operation = operation(action, words[1], qos, words.len() > 3);
    set.decide(&set.for_client(&client), &operation)
        .map(|permission| permission == Permission::Allow)
}

const TOML: &str = r##"
[[rule]]
permit = "deny"
action = "subscribe"
topics = ["secret/+", "$SYS/#"]
equal_topics = ["#"]

[[rule]]
permit = "allow"
username = ["alice", "bob"]
address = "10.0.0.0/8"
topics = "shared/#"

[[rule]]
permit = "allow"
clientid = "c1"
action = "publish"
qos = [0, 1]
retain = false
topics = ["plain"]

[[rule]]
permit = "allow"
topics = ["devices/${clientid}/#", "users/%u"]

[[rule]]
permit = "allow"
username = "root"
"##;

/// The same rules as `acl.conf`.
const ACL_CONF: &str = r##"%% comment
{deny, all, subscribe, ["secret/+", "$SYS/#", {eq, "#"}]}.
{allow, {'and', [{'or', [{user, "alice"}, {username, "bob"}]}, {ipaddrs, ["10.0.0.0/8"]}]}, pubsub, ["shared/#"]}.
{allow, {clientid, "c1"}, {publish, [{qos, [0,1]}, {retain, false}]},
    ["plain"]}. % a comment
{allow, all, all, ["devices/${clientid}/#", <<"users/%u">>]}.
{allow, {user, {re, "^root$"}}}.
"##;

#[test]
fn rules_decide_in_their_order() {
    let sets = [rules(TOML), rules(ACL_CONF)];
    for (who, what, expected) in [
        ("x/alice", "pub shared/a", Some(true)),
        ("x/alice", "sub shared/#", Some(true)),
        ("x/carol", "pub shared/a", None),
        ("x/", "pub shared/a", None),
        // A narrower rule does not allow a wider filter.
        ("x/alice", "sub #", Some(false)),
        ("x/alice", "sub +/a", Some(false)),
        ("x/carol", "sub shared/+", None),
        // Everything that could receive a denied topic is denied.
        ("x/root", "sub secret/a", Some(false)),
        ("x/root", "sub secret/#", Some(false)),
        ("x/root", "sub +/+", Some(false)),
        ("x/root", "sub secret/a/b", Some(true)),
        ("x/root", "sub $SYS/x", Some(false)),
        ("x/root", "pub secret/a", Some(true)),
        ("x/root", "sub a/#", Some(true)),
        // QoS and retain.
        ("c1/x", "pub plain 1", Some(true)),
        ("c1/x", "pub plain 2", None),
        ("c1/x", "pub plain 0 retain", None),
        ("c1/x", "sub plain", None),
        ("c2/x", "pub plain 1", None),
        // Placeholders.
        ("d7/x", "pub devices/d7/state", Some(true)),
        ("d7/x", "sub devices/d7/#", Some(true)),
        ("d7/x", "sub devices/+/state", None),
        ("d7/x", "pub devices/d8/state", None),
        ("d7/x", "pub users/x", Some(true)),
        ("d7/", "pub users/", None),
        ("+/x", "sub devices/+/state", None),
        ("#/x", "sub devices/#", None),
    ] {
        for (format, set) in ["TOML", "acl.conf"].iter().zip(&sets) {
            assert_eq!(decides(set, who, what), expected, "{format}: {who} {what}");
        }
    }
}

#[test]
fn addresses() {
    let set = rules("{allow, {ipaddr, \"127.0.0.1\"}}.\n{deny, {ipaddrs, [\"10.0.0.0/8\", \"2001:db8::/32\"]}}.\n");
    for (address, expected) in [
        ("127.0.0.1", Some(Permission::Allow)),
        ("::ffff:127.0.0.1", Some(Permission::Allow)),
        ("10.255.0.1", Some(Permission::Deny)),
        ("2001:db8:1::1", Some(Permission::Deny)),
        ("11.0.0.1", None),
    ] {
        let own = set.for_client(&client("c", None, address));
        assert_eq!(
            set.decide(&own, &operation(Action::Publish, "a", 0, false)),
            expected,
            "{address}"
        );
    }
    let unknown = set.for_client(&Identity::default());
    assert_eq!(set.decide(&unknown, &operation(Action::Publish, "a", 0, false)), None);
}

#[test]
fn what_a_client_writes_into_its_id_widens_no_rule() {
    let set = rules(
        "{deny, all, all, [\"locked/${clientid}/state\", {eq, \"x/${clientid}\"}]}.\n\
         {allow, all, all, [\"devices/dev-%c/#\", {eq, \"x/%c\"}]}.\n",
    );
    for (id, what, expected) in [
        ("a", "pub devices/dev-a/s", Some(true)),
        ("a/b", "pub devices/dev-a/b/s", None),
        ("+", "sub devices/+/s", None),
        ("a", "pub locked/a/state", Some(false)),
        ("a/b", "pub locked/a/b/state", Some(false)),
        ("a/b", "pub locked/anything", Some(false)),
        ("#", "sub x/#", Some(false)),
        ("%u", "pub devices/dev-%u/s", Some(true)),
        ("%u", "pub devices/dev-name/s", None),
    ] {
        let client = client(id, Some("name"), "10.1.2.3");
        let (action, topic) = what.split_once(' ').unwrap();
        let action = if action == "pub" {
            Action::Publish
        } else {
            Action::Subscribe
        };
        let decided = set.decide(&set.for_client(&client), &operation(action, topic, 0, false));
        assert_eq!(
            decided.map(|permission| permission == Permission::Allow),
            expected,
            "{id} {what}"
        );
    }
}

#[test]
fn every_topic_is_every_topic() {
    let set = rules("{allow, {user, \"a\"}, subscribe, [\"#\"]}.\n{deny, all}.\n");
    for (what, expected) in [
        ("sub #", Some(true)),
        ("sub $SYS/#", Some(false)),
        ("pub $SYS/x", Some(false)),
        ("pub x", Some(false)),
    ] {
        assert_eq!(decides(&set, "c/a", what), expected, "{what}");
    }
}

#[test]
fn invalid_files_are_refused_with_their_lines() {
    for (text, expected) in [
        ("{allow, all}", "acl:1: rule: should end with a full stop"),
        (
            "\n\n{allow, all}.\n{allow}.",
            "acl:4: rule: should have two parts (permission, who) or four (permission, who, action, topics)",
        ),
        ("{permit, all}.", "acl:1: rule: should begin with allow or deny"),
        (
            "{allow, {zone, \"x\"}}.",
            "acl:1: rule: selects clients by zone, which hookhost does not support",
        ),
        (
            "{allow, {user, {re, \"(\"}}}.",
            "acl:1: rule: has an unsupported regular expression: ",
        ),
        (
            "{allow, {ipaddr, \"x\"}}.",
            "acl:1: rule: has the address \"x\"; it should be an address or a network such as \"10.0.0.0/8\"",
        ),
        (
            "{allow, all, publish, [\"a/#/b\"]}.",
            "acl:1: rule: has the topic \"a/#/b\", which is invalid: '#' must be the whole last level of a topic filter",
        ),
        (
            "{allow, all, write, [\"a\"]}.",
            "acl:1: rule: has the unknown action write; known are publish, subscribe and all",
        ),
        (
            "{allow, all, {publish, [{qos, 3}]}, [\"a\"]}.",
            "acl:1: rule: should have 0, 1 or 2 after qos",
        ),
        (
            "{allow, {user, \"x}}.",
            "acl:1: rule: has a text without a closing quote",
        ),
        (
            "[[rule]]\ntopics = [\"a\"]\n",
            "acl:1: rule[0]: needs permit = \"allow\" or permit = \"deny\"",
        ),
        (
            "[[rule]]\npermit = \"allow\"\ntopic = [\"a\"]\n",
            "acl:3: rule[0].topic: unknown key; the nearest known one is rule[0].topics",
        ),
        (
            "[[rule]]\npermit = \"allow\"\ntopics = [\"a+\"]\n",
            "acl:3: rule[0].topics[0]: '+' must be a whole level of a topic filter",
        ),
        (
            "[[rule]]\npermit = \"allow\"\naddress = \"10.0.0\"\n",
            "acl:3: rule[0].address: has the address \"10.0.0\"; it should be an address or a network such as \"10.0.0.0/8\"",
        ),
        (
            "rules = 1\n",
            "acl:1: rules: unknown key; the nearest known one is rule",
        ),
    ] {
        let problems = read_file(Path::new("acl"), text).unwrap_err();
        assert!(problems[0].to_string().starts_with(expected), "{text}: {}", problems[0]);
    }
    assert_eq!(read_file(Path::new("acl"), "% nothing\n\n"), Ok(Vec::new()));
}

/// A thousand rules: half of them for everybody, half for single users.
fn thousand_rules() -> RuleSet {
    let mut text = String::new();
    for number in 0..500 {
        text.push_str(&format!("{{deny, all, publish, [\"plant/{number}/+/locked\"]}}.\n"));
        text.push_str(&format!(
            "{{allow, {{user, \"u{number}\"}}, all, [\"plant/{number}/#\"]}}.\n"
        ));
    }
    rules(&text)
}

#[test]
fn a_thousand_rules_decide_like_one_after_the_other() {
    let set = thousand_rules();
    assert_eq!(set.len(), 1_000);
    assert_eq!(decides(&set, "c/u7", "pub plant/7/a/locked"), Some(false));
    assert_eq!(decides(&set, "c/u7", "pub plant/7/a/open"), Some(true));
    assert_eq!(decides(&set, "c/u7", "pub plant/8/a/open"), None);
    assert_eq!(decides(&set, "c/u7", "sub plant/7/#"), Some(true));
}

/// Prints how long a decision takes: `cargo test --release -p hookhost-access --lib decision_time -- --nocapture`.
#[test]
fn decision_time() {
    let set = thousand_rules();
    let own = set.for_client(&client("c", Some("u7"), "10.1.2.3"));
    let operation = operation(Action::Publish, "plant/7/line/state", 1, false);
    let start = std::time::Instant::now();
    const ROUNDS: u32 = 100_000;
    for _ in 0..ROUNDS {
        assert_eq!(
            set.decide(&own, std::hint::black_box(&operation)),
            Some(Permission::Allow)
        );
    }
    println!("{:?} for one decision of {} rules", start.elapsed() / ROUNDS, set.len());
}

/// The definition: rule by rule, filter by filter.
fn model(list: &[Rule], client: &Identity, operation: &Operation<'_>) -> Option<Permission> {
    let matches = |rule: &&Rule| {
        rule.who.includes(client)
            && rule.applies(operation)
            && rule
                .filters_for(client)
                .any(|filter| filter.matches(rule.permission, operation))
    };
    list.iter().find(matches).map(|rule| rule.permission)
}

fn rule() -> impl Strategy<Value = Rule> {
    let who = prop_oneof![
        Just(Who::Everybody),
        "[ab]".prop_map(|name| Who::Username(TextMatch::Equal(name.into()))),
        "[ab]".prop_map(|id| Who::ClientId(TextMatch::Equal(id.into()))),
        Just(Who::Address("10.0.0.0/8".parse().unwrap())),
    ];
    let topics = prop::option::of(prop::collection::vec("[ab+](/([ab+]|%c|%u)){0,2}(/#)?", 0..3));
    let actions = prop_oneof![Just(Actions::Publish), Just(Actions::Subscribe), Just(Actions::All)];
    let qos = (0..8_u8).prop_map(QosSet);
    (
        any::<bool>(),
        who,
        topics,
        actions,
        qos,
        any::<Option<bool>>(),
        any::<bool>(),
    )
        .prop_map(|(is_allow, who, topics, actions, qos, retain, is_literal)| Rule {
            permission: if is_allow { Permission::Allow } else { Permission::Deny },
            who,
            actions,
            qos,
            retain,
            topics: topics.map(|topics| {
                let pattern = |text: String| match is_literal {
                    true => TopicPattern::literal(&text),
                    false => TopicPattern::filter(&text).unwrap(),
                };
                topics.into_iter().map(pattern).collect()
            }),
        })
}

proptest! {
    #[test]
    fn compiled_rules_decide_like_the_definition(
        list in prop::collection::vec(rule(), 0..60),
        id in "[ab+/]", name in prop::option::of("[ab#]"), is_near: bool,
        topic in "[ab](/[ab]){0,3}", filter in "([ab+](/[ab+]){0,2}(/#)?|#)",
        is_publish: bool, qos in 0..3_u8, retain: bool,
    ) {
        let client = client(&id, name.as_deref(), if is_near { "10.1.1.1" } else { "192.0.2.1" });
        let action = if is_publish { Action::Publish } else { Action::Subscribe };
        let operation = operation(action, if is_publish { &topic } else { &filter }, qos, retain && is_publish);
        let set = RuleSet::new(list.clone());
        prop_assert_eq!(set.decide(&set.for_client(&client), &operation), model(&list, &client, &operation));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "([{}\\[\\],.\"'%a-z0-9 \n<>\\\\]|.){0,200}") {
        drop(parse_acl_file(&text));
        drop(read_file(Path::new("acl"), &text));
    }

    #[test]
    fn almost_rules_are_read_or_refused(
        parts in prop::collection::vec(
            prop::sample::select(vec!["{", "}", "[", "]", ",", ".", "allow", "deny", "all", "user", "\"a/#\"", "{eq,", "publish", "'and'", "1"]),
            0..40,
        ),
    ) {
        drop(parse_acl_file(&parts.concat()));
    }
}
