//! Files of other brokers as a part of the configuration.

use super::*;
use hookhost_broker::Conventions;
use hookhost_delivery as delivery;

#[test]
fn a_brokers_environment_needs_no_file() {
    let inputs = Inputs {
        environment: environment(&[("RMQTT_PLUGIN_RMQTT_WEB_HOOK_HTTP_TIMEOUT", "3s")]),
        ..Inputs::default()
    };
    let config = config(&inputs);
    assert_eq!(config.delivery.terms.http_timeout, Duration::from_secs(3));
    // RMQTT's file has no rules, so the errors are the same as without it.
    assert_eq!(config.webhook.rules, RulesFrom::Default);
}

#[test]
fn an_rmqtt_file_is_read_as_it_is() {
    let inputs = Inputs {
        webhook_file: file("hook.toml", RMQTT),
        ..Inputs::default()
    };
    let Loaded { config, warnings, .. } = read(&inputs).unwrap();
    assert_eq!(shown(&warnings), [""; 0]);
    assert_eq!(config.webhook.config["urls"], json!(["file:///var/log/rmqtt/hook.log"]));
    assert_eq!(config.webhook.config["rule"].as_object().unwrap().len(), 15);
    let acked = json!([{"action": "message_acked", "topics": ["#", "$SYS/#"]}]);
    assert_eq!(config.webhook.config["rule"]["message_acked"], acked);
    assert_eq!(
        config.webhook.rules,
        RulesFrom::Broker {
            broker: Broker::Rmqtt,
            path: Some("hook.toml".into())
        }
    );
    let expected = delivery::Settings {
        terms: delivery::Terms {
            http_timeout: Duration::from_secs(8),
            retry: delivery::RetryPolicy {
                follow_redirects: true,
                ..delivery::RetryPolicy::default()
            },
            ..delivery::Terms::default()
        },
        queue_requests: 300_000,
        ..delivery::Settings::default()
    };
    assert_eq!(config.delivery, expected);
    assert_eq!(config.hooks.queue.events, 300_000);

    let flags = Flags {
        webhook_urls: vec!["http://a".into(), "http://b".into()],
        ..Flags::default()
    };
    let with_urls = super::read(&Inputs { flags, ..inputs }).unwrap().config;
    assert_eq!(with_urls.webhook.config["urls"], json!(["http://a", "http://b"]));
    assert_eq!(with_urls.webhook.config["rule"], config.webhook.config["rule"]);
}

#[test]
fn an_rmqtt_file_without_rules_or_urls_has_none() {
    let webhook_file = file("g", "http_timeout = \"1s\"");
    let loaded = read(&Inputs {
        webhook_file,
        ..Inputs::default()
    })
    .unwrap();
    assert_eq!(
        loaded.config.webhook.config,
        json!({"urls": [], "format": "rmqtt", "rule": {}})
    );
    assert_eq!(shown(&loaded.warnings), ["g: has no rules: no webhook will be sent"]);

    let text = "rule.client_connect = [{action = \"a\"}, {action = \"b\", urls = [\"http://b\"]}]\nhttp_urls = []";
    let inputs = Inputs {
        webhook_file: file("g", text),
        ..inputs("webhook.rule.client_connect = []")
    };
    let warnings = read(&inputs).unwrap().warnings;
    assert_eq!(
        shown(&warnings),
        [
            "g:2: http_urls: is deprecated; its URLs are added to urls",
            "f:1: webhook.rule: is not used: rules come from g",
            "g:1: rule.client_connect[0]: has no URL, and [webhook] has no URL either: the rule does nothing",
        ]
    );
}

#[test]
fn older_urls_are_added() {
    let webhook_file = file(
        "g",
        "urls = [\"http://a\"]\nhttp_urls = [\"http://b\", \"x\"]\nrule.client_connect = []",
    );
    let mut inputs = Inputs {
        webhook_file,
        ..Inputs::default()
    };
    assert_eq!(
        problems(&inputs),
        ["g:2: http_urls[1]: `x` is not a URL: it has no scheme; http://x is probably meant"]
    );
    inputs.environment = environment(&[("rmqtt_plugin_rmqtt_web_hook_urls", "http://c")]);
    inputs.webhook_file = file(
        "g",
        "urls = [\"http://a\"]\nhttp_urls = [\"http://b\"]\nrule.client_connect = []",
    );
    assert_eq!(config(&inputs).webhook.config["urls"], json!(["http://c", "http://b"]));
}

#[test]
fn urls_that_rules_of_emqx_5_pass_over_are_told() {
    let text = "connectors.http.c { url = \"http://h/\" }\nactions.http.a { connector = c }\n\
                rule_engine.rules.r { sql = \"SELECT * FROM t\", actions = [\"http:a\"] }\n";
    let inputs = Inputs {
        webhook_file: file("g", text),
        flags: Flags {
            webhook_urls: vec!["http://flag/".into()],
            ..Flags::default()
        },
        ..Inputs::default()
    };
    let Loaded { config, warnings, .. } = read(&inputs).unwrap();
    assert_eq!(
        shown(&warnings),
        ["--webhook-url: is not used: each rule of EMQX 5 has its own URL"]
    );
    assert_eq!(config.webhook.config["format"], "emqx5");
    assert_eq!(
        config.webhook.config["rule"]["message_publish"][0]["urls"],
        json!(["http://h/"])
    );
    let without = Inputs {
        flags: Flags::default(),
        ..inputs
    };
    assert!(!super::read(&without).unwrap().config.webhook.urls_missing);
}

#[test]
fn urls_are_missing_where_a_rule_has_none() {
    for (rules, missing) in [
        ("", true),
        ("[webhook.rule]", false),
        ("webhook.rule.client_connect = [{ action = \"x\" }]", true),
        (
            "webhook.rule.client_connect = [{ action = \"x\", urls = [\"http://h/\"] }]",
            false,
        ),
        (
            "webhook.rule.client_connect = [{ action = \"x\", urls = [\"http://h/\"] }, { action = \"x\", urls = [] }]",
            true,
        ),
        ("[webhook]\nurls = [\"http://h/\"]", false),
    ] {
        assert_eq!(config(&inputs(rules)).webhook.urls_missing, missing, "{rules}");
    }
}

#[test]
fn a_format_that_is_asked_for_beats_that_of_the_broker() {
    let text = "web.hook.url = http://h/\nweb.hook.encode_payload = base62\n\
                web.hook.rule.client.connect.1 = {\"action\": \"on_client_connect\"}\n";
    let mut inputs = Inputs {
        webhook_file: file("g", text),
        ..inputs("webhook.format = \"nanomq\"")
    };
    let loaded = read(&inputs).unwrap();
    assert_eq!(shown(&loaded.warnings), [""; 0]);
    assert_eq!(loaded.config.webhook.config["format"], "nanomq");
    assert_eq!(loaded.config.webhook.config["payload_encoding"], "base62");
    assert_eq!(loaded.config.webhook.config["rule"], json!({"client_connect": [{}]}));
    inputs.file = file("f", "webhook.format = \"rmqtt\"");
    let rules = json!({"client_connect": [{"action": "client_connect"}]});
    assert_eq!(read(&inputs).unwrap().config.webhook.config["rule"], rules);
    inputs.file = file("f", "webhook.format = \"cloudevents\"");
    let loaded = read(&inputs).unwrap();
    assert_eq!(
        shown(&loaded.warnings),
        ["g:2: web.hook.encode_payload: is ignored: bodies of the chosen format do not use it"]
    );
    assert_eq!(loaded.config.webhook.config.get("payload_encoding"), None);
}

#[test]
fn the_format_chooses_the_conventions() {
    for (text, conventions) in [
        ("", Conventions::Hookhost),
        ("webhook.format = \"cloudevents\"", Conventions::Hookhost),
        ("webhook.format = \"emqx5\"", Conventions::Hookhost),
        ("webhook.format = \"emqx4\"", Conventions::Emqx4),
        ("webhook.format = \"nanomq\"", Conventions::Nanomq),
        ("webhook.format = \"rmqtt\"", Conventions::Rmqtt),
    ] {
        assert_eq!(config(&inputs(text)).mqtt.conventions, conventions, "{text}");
    }
    for (text, conventions) in [
        ("web.hook.url = http://h/\n", Conventions::Emqx4),
        ("urls = [\"http://h/\"]\n", Conventions::Rmqtt),
    ] {
        let imported = Inputs {
            webhook_file: file("g", text),
            ..Inputs::default()
        };
        assert_eq!(config(&imported).mqtt.conventions, conventions, "{text}");
    }
}

#[test]
fn the_format_of_nanomq_keeps_sessions_without_an_expiry() {
    for (text, seconds) in [
        ("", 0),
        ("webhook.format = \"emqx4\"", 0),
        ("webhook.format = \"nanomq\"", 10),
        (
            "mqtt.default_session_expiry_interval = \"1h\"\nwebhook.format = \"nanomq\"",
            3600,
        ),
    ] {
        let limits = config(&inputs(text)).mqtt.limits;
        assert_eq!(limits.default_session_expiry_interval.as_secs(), seconds, "{text}");
    }
    let imported = Inputs {
        webhook_file: file(
            "g",
            "webhook { url = \"http://h/\", events = [{ event = \"on_client_connack\" }] }\n",
        ),
        ..Inputs::default()
    };
    let limits = config(&imported).mqtt.limits;
    assert_eq!(limits.default_session_expiry_interval.as_secs(), 10);
}

#[test]
fn formats_of_emqx_have_its_window() {
    for (text, window) in [
        ("", 128),
        ("webhook.format = \"nanomq\"", 128),
        ("webhook.format = \"emqx4\"", 32),
        ("webhook.format = \"emqx5\"", 32),
        ("mqtt.max_inflight = 100\nwebhook.format = \"emqx5\"", 100),
    ] {
        assert_eq!(config(&inputs(text)).mqtt.limits.max_inflight, window, "{text}");
    }
    let imported = Inputs {
        webhook_file: file("g", "web.hook.url = http://h/\n"),
        ..Inputs::default()
    };
    assert_eq!(config(&imported).mqtt.limits.max_inflight, 32);
}

#[test]
fn redirects_are_followed_as_in_rmqtt() {
    let rmqtt = "urls = [\"http://a\"]\nrule.client_connect = [{ action = \"a\" }]";
    let emqx4 = "web.hook.url = http://a/\nweb.hook.rule.client.connect.1 = {\"action\": \"on_client_connect\"}";
    for (theirs, own, is_followed) in [
        (rmqtt, "", true),
        (rmqtt, "delivery.follow_redirects = false", false),
        (rmqtt, "delivery.retry = \"standard\"", false),
        (rmqtt, "delivery.retry = \"rmqtt\"", true),
        (emqx4, "", false),
    ] {
        let inputs = Inputs {
            file: file("f", own),
            webhook_file: file("g", theirs),
            ..Inputs::default()
        };
        let config = read(&inputs).unwrap().config;
        assert_eq!(
            config.delivery.terms.retry.follow_redirects, is_followed,
            "{theirs} {own}"
        );
    }
}
