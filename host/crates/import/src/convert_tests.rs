use std::path::Path;

use hookhost_settings::{Findings, JsonDates, Report, Setting, Table, Value, document};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::text::{key_of, quoted};
use super::*;

const CASES: [(&str, &str); 9] = [
    ("emqx4.conf", include_str!("testdata/emqx4.conf")),
    ("emqx4-old.conf", include_str!("testdata/emqx4-old.conf")),
    ("emqx4-compose.env", include_str!("testdata/emqx4-compose.env")),
    ("emqx5.hocon", include_str!("testdata/emqx5.hocon")),
    ("emqx5-bridge.conf", include_str!("testdata/emqx5-bridge.conf")),
    ("nanomq.conf", include_str!("testdata/nanomq.conf")),
    ("nanomq-page.conf", include_str!("testdata/nanomq-page.conf")),
    ("nanomq-old.conf", include_str!("testdata/nanomq-old.conf")),
    (
        "rmqtt.toml",
        "urls = [\"http://a/\\u0022\"]\nhttp_timeout = \"3s\"\nrule.client_connect = [{action = \"x\\n\", topics = [\"a\"]}]\nrule.client_connack = []\n",
    ),
];

const NO_FILES: &Files<'static> = &|_| Err(std::io::ErrorKind::NotFound.into());

fn convert(path: &str, text: &str) -> Convert {
    let file = Some(TextFile {
        path: path.into(),
        text: text.to_owned(),
    });
    let environment = [("HOOK_TOKEN".to_owned(), "Bearer abc".to_owned())].into();
    Convert {
        file,
        environment,
        ..Convert::default()
    }
}

fn json_of(table: Table) -> Json {
    let report = Report::default();
    let json = Setting::new(Place::flag(""), Value::Table(table)).to_json(&report, JsonDates::Invalid);
    assert_eq!(report.finish(), Findings::default());
    json
}

#[test]
fn what_is_written_says_the_same() {
    for (path, text) in CASES {
        let convert = convert(path, text);
        let written = convert.run(NO_FILES).unwrap();
        let (table, errors) = document::parse(Path::new("f"), &written);
        assert_eq!(errors, [], "{written}");
        let input = Input {
            file: convert.file.as_ref(),
            environment: &convert.environment,
            broker: None,
            urls: None,
            files: NO_FILES,
        };
        let mut expected = json_of(super::super::read(&input).unwrap().settings);
        if path == "rmqtt.toml" {
            // A list without rules is not written beside those with some.
            let rules = expected["webhook"]["rule"].as_object_mut().unwrap();
            assert_eq!(rules.remove("client_connack"), Some(json!([])));
        }
        assert_eq!(json_of(table), expected, "{written}");
    }
}

#[test]
fn remarks_stand_where_they_belong() {
    let text = "web.hook.url = https://h/\nweb.hook.pool_size = 4\nweb.hook.enable_pipelining = true\nweb.hook.headers.x = secret\n\
                web.hook.ssl.verify = true\nweb.hook.rule.message.dropped.1 = {\"action\": \"on_message_dropped\", \"topic\": \"a\"}\n";
    let mut convert = convert("a.conf", text);
    assert_eq!(
        convert.run(NO_FILES).unwrap(),
        "# Made by `hookhost webhook convert` from a.conf, a configuration of EMQX 4.\n\
         # Check it with `hookhost check --config FILE`; every key is explained in docs/webhook.md.\n\
         #\n\
         # Left out or changed:\n\
         # a.conf:3: web.hook.enable_pipelining: is ignored: a connection carries one request at a time; concurrency_limit sets the number of connections\n\
         \n\
         [webhook]\n\
         format = \"emqx4\"\n\
         # a.conf:1: web.hook.url\n\
         urls = [\"https://h/\"]\n\
         \n\
         # a.conf:6: web.hook.rule.message.dropped.1\n\
         # works here; EMQX 4 itself lacks this event and does not start with it\n\
         [[webhook.rule.message_dropped]]\n\
         topics = [\"a\"]\n\
         \n\
         [delivery]\n\
         # a.conf:2: web.hook.pool_size\n\
         concurrency_limit = 4\n\
         \n\
         # To keep a secret out of this file, use header_files or header_envs: they name a file or a variable for a header.\n\
         [destinations.web_hook]\n\
         # a.conf:1: web.hook.url\n\
         headers = { x = \"secret\" }\n\
         urls = [\"https://h/\"]\n\
         \n\
         [destinations.web_hook.tls]\n\
         # a.conf:5: web.hook.ssl.verify\n\
         verify = true\n"
    );
    convert.redact = true;
    let shown = convert.run(NO_FILES).unwrap();
    assert!(!shown.contains("secret\""), "{shown}");
    assert!(shown.contains("headers = { x = \"…\" }"), "{shown}");
}

#[test]
fn nothing_to_convert_and_mistakes_are_told() {
    let shown = |convert: Convert| -> Vec<String> {
        convert
            .run(NO_FILES)
            .unwrap_err()
            .iter()
            .map(Problem::to_string)
            .collect()
    };
    assert_eq!(
        shown(Convert::default()),
        ["environment: has no webhook settings of EMQX or RMQTT, and there is no file"]
    );
    assert_eq!(
        shown(convert("f", "web.hook.url = h\n")),
        ["f:1: web.hook.url: `h` is not a URL of a web service: it has no scheme; http://h is probably meant"]
    );
}

proptest! {
    #[test]
    fn any_text_is_one_toml_string(text in any::<String>()) {
        let (table, errors) = document::parse(Path::new("f"), &format!("{} = {}", key_of("é"), quoted(&text)));
        prop_assert_eq!(errors, []);
        prop_assert_eq!(&table["é"].value, &Value::Text(text));
    }
}

#[test]
fn a_lost_restriction_is_an_error_unless_the_user_accepts_it() {
    let text = "connectors.http.c { url = \"http://h/\" }\nactions.http.a { connector = c }\n\
                rule_engine.rules.r { sql = \"SELECT * FROM t\", actions = [\"http:a\"] }\n\
                authentication = [{ mechanism = password_based, backend = built_in_database }]\n\
                authorization.no_match = deny\nlisteners.tcp.default {}\n";
    let convert = convert("emqx.conf", text);
    let problems = convert.run(NO_FILES).unwrap_err();
    let [problem] = problems.as_slice() else {
        panic!("{problems:#?}")
    };
    let line = problem.to_string();
    assert!(
        line.starts_with("emqx.conf:4: authentication[0].backend: is not supported: the users are in EMQX's database")
            && line.ends_with("use --ignore-access-control"),
        "{line}"
    );
    let written = Convert {
        ignore_access_control: true,
        ..convert
    };
    let written = written.run(NO_FILES).unwrap();
    assert!(
        !written.contains("[access]") && written.contains("address = \"127.0.0.1:1883\""),
        "{written}"
    );
    assert!(
        written.contains("# emqx.conf:4: authentication[0].backend: is not supported"),
        "{written}"
    );
}
