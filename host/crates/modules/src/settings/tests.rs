//! Valid settings, errors in settings, and the places of the errors.

use super::*;
use serde_json::json;

fn host() -> ModuleLimits {
    ModuleLimits {
        limits: Limits::default(),
        queue: QueueLimits::default(),
        instances: 2,
        batch: 64,
        compile_time: Duration::from_secs(60),
    }
}

fn problems(text: &str) -> Vec<String> {
    ModuleSettings::parse(text.as_bytes(), Path::new("m.toml"))
        .unwrap_err()
        .problems
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn an_empty_file_changes_nothing() {
    let settings = ModuleSettings::parse(b"", Path::new("m.toml")).unwrap();
    assert_eq!((settings.config.as_ref(), settings.allow.len()), (None, 0));
    assert_eq!(settings.over(host()), host());
}

#[test]
fn everything_can_be_said() {
    let settings = ModuleSettings::parse(
        br#"
        [config]
        name = "x"
        at = 2024-02-03T04:05:06Z
        deep = { list = [1, 2.5, true, {}] }
        [limits]
        memory = "64MiB"
        table_elements = 1000
        deadline = "500ms"
        start_deadline = "20s"
        compile_time = "2m"
        outcome_bytes = "1KiB"
        instances = 3
        batch = 16
        queue_events = 100
        queue_bytes = "1MiB"
        overflow = "wait"
        overflow_wait = "3s"
        [egress]
        allow = ["https://example.com/hooks", "stdout:"]
        "#,
        Path::new("m.toml"),
    )
    .unwrap();
    let config = json!({"name": "x", "at": "2024-02-03T04:05:06Z", "deep": {"list": [1, 2.5, true, {}]}});
    assert_eq!(settings.config.clone().map(Json::Object), Some(config));
    assert_eq!(settings.allow.len(), 2);
    let queue = QueueLimits {
        events: 100,
        bytes: 1 << 20,
        overflow: Overflow::Wait(Duration::from_secs(3)),
    };
    let limits = Limits {
        memory: 64 << 20,
        table_elements: 1000,
        deadline: Duration::from_millis(500),
        start_deadline: Duration::from_secs(20),
        outcome_bytes: 1024,
    };
    assert_eq!(
        settings.over(host()),
        ModuleLimits {
            limits,
            queue,
            instances: 3,
            batch: 16,
            compile_time: Duration::from_secs(120),
        }
    );
}

#[test]
fn all_mistakes_are_told_at_once_with_their_keys() {
    let text = r#"
        egres = 1
        config = "secret"
        [limits]
        memory = 64
        memry = "1MiB"
        deadline = "0s"
        start_deadline = "5 parsecs"
        instances = 0
        batch = "many"
        queue_bytes = "0B"
        overflow = "panic"
        [egress]
        allow = ["not a url",
            5, "https://ok.example"]
        deny = []
    "#;
    let got = problems(text);
    let expected = [
        "m.toml:2: egres: unknown key; the nearest known one is egress",
        "m.toml:3: config: should be a table, not a string",
        "m.toml:5: limits.memory: should be between 64KiB and 4GiB",
        "m.toml:6: limits.memry: unknown key; the nearest known one is limits.memory",
        "m.toml:7: limits.deadline: should be between 1ms and 1h",
        "m.toml:8: limits.start_deadline: ",
        "m.toml:9: limits.instances: should be between 1 and 256",
        "m.toml:10: limits.batch: should be a whole number, not a string",
        "m.toml:11: limits.queue_bytes: should be between 1B and 1TiB",
        "m.toml:12: limits.overflow: should be \"drop\" or \"wait\"",
        "m.toml:14: egress.allow[0]: ",
        "m.toml:15: egress.allow[1]: should be a string, not an integer",
        "m.toml:16: egress.deny: unknown key; known are egress.allow",
    ];
    assert_eq!(got.len(), expected.len(), "{got:#?}");
    for (got, expected) in got.iter().zip(expected) {
        assert!(got.starts_with(expected), "{expected} in {got:#?}");
    }
    assert!(!got.concat().contains("secret"));
}

#[test]
fn what_is_no_toml_is_told_with_its_line_but_not_its_content() {
    assert_eq!(
        problems("[limits]\nmemry = \"hidden\nbatch = 1\nbatch = 2\n"),
        [
            "m.toml:2: invalid basic string, expected `\"`",
            "m.toml:4: duplicate key",
        ]
    );
    let binary = ModuleSettings::parse(b"\xff", Path::new("m.toml")).unwrap_err();
    assert_eq!(binary.problems[0].to_string(), "m.toml: is not UTF-8");
    assert_eq!(
        problems("[config]\nx = nan"),
        ["m.toml:2: config.x: is not a finite number"]
    );
}

#[test]
fn every_limit_is_documented() {
    let page = include_str!("../../../../../docs/limits.md");
    let unknown = problems("[limits]\nxyzzy = 1");
    let (_, known) = unknown[0].split_once("known are ").unwrap();
    let known: Vec<&str> = known
        .split(", ")
        .filter_map(|key| key.strip_prefix("limits."))
        .collect();
    assert_eq!(known.len(), 12, "{known:?}");
    for key in known {
        assert!(page.contains(&format!("\n| `{key}` |")), "{key}");
    }
}

#[test]
fn debug_keeps_the_configuration() {
    let settings = ModuleSettings::parse(b"[config]\ntoken = 'hidden'", Path::new("m.toml")).unwrap();
    assert!(!format!("{settings:?}").contains("hidden"));
}
