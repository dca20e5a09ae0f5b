//! Named webhooks as rules and destinations, and mistakes in them.

use super::super::{Inputs, KeptWebhooks, Loaded, TextFile, read};
use super::*;

fn load(file: &str, kept: &str) -> Result<Loaded, Vec<String>> {
    let text = |path: &str, text: &str| {
        Some(TextFile {
            path: path.into(),
            text: text.to_owned(),
        })
    };
    let inputs = Inputs {
        file: text("h.toml", file),
        kept_webhooks: text("w.toml", kept).map(KeptWebhooks::Own),
        ..Inputs::default()
    };
    read(&inputs).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_webhook_is_a_rule_and_a_private_destination() {
    let file = "[webhook]\nurls = [\"http://shared/\"]\nmethod = \"PUT\"\n[[webhook.rule.message_publish]]\ntopics = [\"x\"]\n\
                [webhooks.fixed]\nurl = \"stdout:\"\nevents = [\"client_connected\"]\n";
    let kept = "[webhooks.w]\nurl = \"https://h/hook/${clientid}?a\"\nevents = [\"message_publish\", \"client_connected\"]\n\
                topics = [\"a/#\"]\nbearer = \"secret\"\nhttp_timeout = \"1s\"\n\
                [webhooks.off]\nurl = \"http://h/\"\nenabled = false\n";
    let config = load(file, kept).unwrap().config;
    let publish = &config.webhook.config["rule"]["message_publish"];
    assert_eq!(publish[0], json!({"topics": ["x"]}));
    assert_eq!(
        publish[1],
        json!({
            "format": "emqx5", "action": "w", "topics": ["a/#"], "urls": ["https://h/hook/${clientid}?a"],
            "destination": "webhooks/w", "method": null,
        })
    );
    let connected = config.webhook.config["rule"]["client_connected"].as_array().unwrap();
    let urls: Vec<&Json> = connected.iter().map(|rule| &rule["urls"][0]).collect();
    assert_eq!(urls, ["stdout:", "https://h/hook/${clientid}?a"]);
    let destinations: Vec<_> = config.delivery.destinations.iter().collect();
    let [destination] = destinations.as_slice() else {
        panic!("{destinations:?}")
    };
    assert_eq!((&*destination.name, destination.is_private), ("webhooks/w", true));
    assert_eq!(destination.urls[0].url().as_str(), "https://h/hook/");
    assert_eq!(destination.headers.len(), 1);
    assert_eq!(destination.terms.http_timeout, std::time::Duration::from_secs(1));
    let named: Vec<_> = config
        .webhooks
        .iter()
        .map(|w| (w.name.as_str(), w.is_kept, w.is_enabled))
        .collect();
    assert_eq!(named, [("fixed", false, true), ("off", true, false), ("w", true, true)]);
    assert!(!format!("{:?}", config.webhook).contains("secret"));
}

#[test]
fn webhooks_replace_the_rules_that_print_and_no_others() {
    let count = |file: &str, kept: &str| {
        let config = load(file, kept).unwrap().config;
        let rules = config.webhook.config["rule"].as_object().unwrap().clone();
        rules
            .values()
            .map(|rules| rules.as_array().unwrap().len())
            .sum::<usize>()
    };
    let kept = "[webhooks.w]\nurl = \"http://h/\"\nevents = [\"message_publish\"]\n";
    let printing = count("", "");
    assert!(printing > 5);
    assert_eq!(count("", kept), 1);
    assert_eq!(count("[webhook]\nurls = [\"http://h/\"]\n", kept), printing + 1);
    assert_eq!(count("", "[webhooks.w]\nurl = \"http://h/\"\nenabled = false\n"), 0);
}

#[test]
fn every_mistake_has_its_place() {
    let kept = "[webhooks.w]\nurl = \"nowhere\"\nevents = [\"message_publsh\"]\nhttp_timeout = 1\nbearr = \"x\"\n\
                [webhooks.\"a/b\"]\nurl = \"http://u:p@h/\"\nmax_age = \"soon\"\n\
                [webhooks.empty]\n[webhooks.file]\nurl = \"file:///tmp/x\"\nbearer = \"x\"\n[other]\nx = 1\n";
    let problems = load("[webhooks.w]\nurl = \"http://h/\"\n", kept).unwrap_err();
    for expected in [
        "w.toml:1: webhooks.w: is defined in the configuration file too",
        "w.toml:2: webhooks.w.url: `nowhere` is not a URL",
        "w.toml:3: webhooks.w.events[0]: `message_publsh` is not an event; the nearest known one is message_publish",
        "w.toml:4: webhooks.w.http_timeout: should be a duration",
        "w.toml:5: webhooks.w.bearr: unknown key; the nearest known one is webhooks.w.bearer",
        "w.toml:6: webhooks.a/b: is not a valid name",
        "w.toml:7: webhooks.a/b.url: should have no user and password",
        "w.toml:8: webhooks.a/b.max_age: ",
        "w.toml:9: webhooks.empty.url: is missing",
        "w.toml:12: webhooks.file.bearer: is unknown, or only for URLs",
        "w.toml:13: other: has no meaning here",
    ] {
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{expected}: {problems:#?}"
        );
    }
}

#[test]
fn variables_that_kept_webhooks_name_have_a_meaning() {
    let variable = |name: &str| (name.to_owned(), "a-token".to_owned());
    let kept = "[webhooks.w]\nurl = \"https://h/\"\nbearer_env = \"HOOKHOST_CRM_TOKEN\"\n";
    let inputs = |variables: &[&str]| Inputs {
        environment: variables.iter().map(|name| variable(name)).collect(),
        kept_webhooks: Some(KeptWebhooks::Own(TextFile {
            path: "w.toml".into(),
            text: kept.to_owned(),
        })),
        ..Inputs::default()
    };
    assert_eq!(read(&inputs(&["HOOKHOST_CRM_TOKEN"])).map(drop), Ok(()));
    let problems = read(&inputs(&["HOOKHOST_CRM_TOKEN", "HOOKHOST_CRM_TOKN"])).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn debug_shows_no_settings() {
    let kept = "[webhooks.w]\nurl = \"https://h/\"\nbearer = \"hidden\"\nheaders = { x-key = \"hidden\" }\n";
    let text = format!("{:?}", load("", kept).unwrap().config.webhooks);
    assert!(text.contains("\"w\"") && !text.contains("hidden"), "{text}");
}

#[test]
fn mistakes_of_rules_have_the_place_of_the_webhook() {
    let settings = "[w]\nurl = \"http://h/\"\nevents = [\"message_publish\", \"message_acked\"]\ntopics = [\"a/#/b\"]\nwhere = \"qos =\"\n\
                    acknowledge = \"soon\"\n";
    let (mut table, _) = hookhost_settings::document::parse(std::path::Path::new("w.toml"), settings);
    let mut setting = table.remove("w").unwrap();
    setting.set_key("webhooks.w".to_owned());
    let environment = super::super::Environment::new();
    let sources = Sources {
        files: &|_| Err(std::io::ErrorKind::Unsupported.into()),
        environment: &environment,
    };
    let problems = alone("w", setting, &Terms::default(), sources).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.place.key.as_str()).collect();
    assert_eq!(
        keys,
        ["webhooks.w.topics[0]", "webhooks.w.where", "webhooks.w.acknowledge"],
        "{problems:#?}"
    );
}

#[test]
fn a_shared_webhook_with_mistakes_is_left_out_alone() {
    let file = "[delivery]\noutbox = \"nats://n\"\n[webhooks.fixed]\nurl = \"http://h/\"\n";
    let kept = "[webhooks.w]\nurl = \"http://h/\"\n[webhooks.fixed]\nurl = \"http://h/\"\n\
                [webhooks.newer]\nurl = \"http://h/\"\nretries_of_next_year = 5\n\
                [webhooks.sql]\nurl = \"http://h/\"\nwhere = \"qos >\"\n";
    let loaded = load(file, kept).unwrap();
    let names: Vec<_> = loaded
        .config
        .webhooks
        .iter()
        .map(|w| (w.name.as_str(), w.is_kept))
        .collect();
    assert_eq!(names, [("fixed", false), ("w", true)]);
    let left_out: Vec<_> = loaded
        .config
        .left_out_webhooks
        .iter()
        .map(|w| w.name.as_str())
        .collect();
    assert_eq!(left_out, ["fixed", "newer", "sql"]);
    let problems: Vec<String> = loaded.left_out.iter().map(ToString::to_string).collect();
    for expected in [
        "w.toml:3: webhooks.fixed: is defined in the configuration file too",
        "w.toml:7: webhooks.newer.retries_of_next_year: unknown key",
        "w.toml:10: webhooks.sql.where: ",
    ] {
        let is_there = problems.iter().any(|problem| problem.starts_with(expected));
        assert!(is_there, "{expected}: {problems:#?}");
    }
}
