//! Files and variables of each broker against the settings, problems and warnings that come of them.

mod emqx4;
mod emqx5;
mod files;
mod nanomq;
mod rmqtt;
mod versions;

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use hookhost_settings::{JsonDates, Report, Value, find};

use super::*;

/// No file can be read.
const NO_FILES: &Files<'static> = &|_| Err(std::io::ErrorKind::NotFound.into());

fn import(path: &str, text: &str, variables: &[(&str, &str)]) -> Import {
    import_with(path, text, variables, NO_FILES)
}

fn import_with(path: &str, text: &str, variables: &[(&str, &str)], files: &Files<'_>) -> Import {
    let environment = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let file = TextFile {
        path: path.into(),
        text: text.to_owned(),
    };
    let input = Input {
        file: (!path.is_empty()).then_some(&file),
        environment: &environment,
        broker: None,
        urls: None,
        files,
    };
    read(&input).expect("a configuration")
}

fn shown(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

/// Problems and warnings; an empty path is no file.
#[track_caller]
pub(super) fn check(path: &str, text: &str, variables: &[(&str, &str)], problems: &[&str], warnings: &[&str]) {
    let findings = import(path, text, variables).findings;
    assert_eq!(shown(&findings.problems), problems, "problems of {text}");
    assert_eq!(all_warnings(&findings), warnings, "warnings of {text}");
}

/// Unknown keys, and then the other warnings.
fn all_warnings(findings: &Findings) -> Vec<String> {
    [shown(&findings.unknown), shown(&findings.warnings)].concat()
}

/// The settings of a configuration without problems, as JSON by section and key, and the warnings.
#[track_caller]
fn settings(path: &str, text: &str, variables: &[(&str, &str)]) -> (Json, Vec<String>) {
    let import = import(path, text, variables);
    assert_eq!(shown(&import.findings.problems), [""; 0], "{text}");
    let report = Report::default();
    let mut settings = Map::new();
    for (section, setting) in import.settings {
        let Value::Table(table) = setting.value else {
            panic!("{section} is a table")
        };
        for (key, setting) in table {
            let json = setting.to_json(&report, JsonDates::Invalid);
            settings.insert(format!("{section}.{key}"), json);
        }
    }
    assert_eq!(report.finish(), Findings::default());
    (Json::Object(settings), all_warnings(&import.findings))
}

fn text_file(text: &str) -> TextFile {
    TextFile {
        path: "f".into(),
        text: text.to_owned(),
    }
}

const EMQX4: &str = include_str!("testdata/emqx4.conf");
const EMQX4_OLD: &str = include_str!("testdata/emqx4-old.conf");
const COMPOSE: &str = include_str!("testdata/emqx4-compose.env");
const EMQX5: &str = include_str!("testdata/emqx5.hocon");
const BRIDGE: &str = include_str!("testdata/emqx5-bridge.conf");
const NANOMQ: &str = include_str!("testdata/nanomq.conf");
const NANOMQ_PAGE: &str = include_str!("testdata/nanomq-page.conf");
const NANOMQ_OLD: &str = include_str!("testdata/nanomq-old.conf");

#[test]
fn what_cannot_be_told_says_so() {
    check(
        "f",
        "[webhook]",
        &[],
        &["f: is a configuration of hookhost itself: use --config for it"],
        &[],
    );
    check(
        "f",
        "x = 1",
        &[],
        &[
            "f: has none of the keys of a configuration of RMQTT, EMQX 4, EMQX 5 or NanoMQ; --webhook-format says which it is",
        ],
        &[],
    );
    check(
        "",
        "",
        &[
            ("EMQX_WEB__HOOK__URL", "http://a"),
            ("EMQX_ACTIONS__HTTP__A__CONNECTOR", "c"),
        ],
        &["environment: has webhook settings of EMQX 4 and EMQX 5: --webhook-format says which of them to use"],
        &[],
    );
    let none = BTreeMap::from([("EMQX_NAME".to_owned(), "x".to_owned())]);
    let input = Input {
        file: None,
        environment: &none,
        broker: None,
        urls: None,
        files: NO_FILES,
    };
    assert!(read(&input).is_none());
    // The user may name the broker.
    let input = Input {
        file: Some(&text_file("x = 1")),
        broker: Some(Broker::Rmqtt),
        ..input
    };
    assert_eq!(read(&input).unwrap().broker, Some(Broker::Rmqtt));
}

#[test]
fn variables_of_another_broker_are_told() {
    check(
        "f",
        "urls = []\nrule.client_connect = []",
        &[("EMQX_WEB__HOOK__URL", "http://a"), ("EMQX_WEB__HOOK__POOL_SIZE", "1")],
        &[],
        &[
            "environment: EMQX_WEB__HOOK__POOL_SIZE: is ignored, and so are all webhook settings of EMQX 4: f is of RMQTT",
        ],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_text_makes_a_reader_panic(text in "[a-z.=:{}\\[\\]\"$?,+#/~ \\n]{0,200}", broker in 0..4_usize) {
        any_text(&text, broker);
    }

    /// A file with a piece cut out, doubled or overwritten is read or refused, whatever it then is.
    #[test]
    fn no_damage_makes_a_reader_panic(file in 0..8_usize, start in any::<usize>(), length in 0..40_usize, with in "[{}\\[\\]\"=.\\n a#$]{0,6}") {
        let text = [EMQX4, EMQX4_OLD, COMPOSE, EMQX5, BRIDGE, NANOMQ, NANOMQ_PAGE, NANOMQ_OLD][file];
        let chars: Vec<char> = text.chars().collect();
        let start = start % chars.len();
        let end = (start + length).min(chars.len());
        let damaged: String = chars[..start].iter().copied().chain(with.chars()).chain(chars[end..].iter().copied()).collect();
        for broker in 0..4 {
            any_text(&damaged, broker);
        }
        let environment = BTreeMap::new();
        read(&Input { file: Some(&text_file(&damaged)), environment: &environment, broker: None, urls: None, files: NO_FILES });
    }
}

fn any_text(text: &str, broker: usize) {
    let environment = BTreeMap::from([
        ("EMQX_WEB__HOOK__RULE__A".to_owned(), text.to_owned()),
        ("EMQX_CONNECTORS__HTTP__A".to_owned(), text.to_owned()),
        ("EMQX_RULE_ENGINE__RULES__A__SQL".to_owned(), text.to_owned()),
    ]);
    let input = Input {
        file: Some(&text_file(text)),
        environment: &environment,
        broker: Some(Broker::ALL[broker]),
        urls: None,
        files: NO_FILES,
    };
    read(&input);
}

#[test]
fn words_of_a_rule_that_were_mistyped_are_named() {
    for (text, problems, warnings) in [
        (
            "web.hook.url = http://h/\nweb.hook.rule.message.publish.1 = {\"acton\": \"on_message_publish\"}\n",
            vec![
                "f:2: web.hook.rule.message.publish.1: needs an action: {\"action\": \"on_message_publish\"}; acton is not \
                 known, is action meant?",
            ],
            vec![],
        ),
        (
            "web.hook.url = http://h/\nweb.hook.rule.message.publish.1 = {\"action\": \"on_message_publish\", \"topc\": \"a\"}\n",
            vec![],
            vec!["f:2: web.hook.rule.message.publish.1: topc is not part of a rule and is ignored; is topic meant?"],
        ),
        (
            "urls = [\"http://h/\"]\nrule.client_connect = [{acton = \"a\"}]\n",
            vec!["f:2: rule.client_connect[0].action: is missing; acton is not known, is action meant?"],
            vec![],
        ),
        (
            "urls = [\"http://h/\"]\nrule.client_connect = [{action = \"a\", topcs = []}]\n",
            vec![],
            vec!["f:2: rule.client_connect[0].topcs: is not part of a rule and is ignored; is topics meant?"],
        ),
    ] {
        let findings = import("f", text, &[]).findings;
        assert_eq!(shown(&findings.problems), problems, "{text}");
        if problems.is_empty() {
            assert_eq!(shown(&findings.warnings), warnings, "{text}");
        }
    }
}
