//! RMQTT: `rmqtt-web-hook.toml` and its environment.

use super::*;

#[test]
fn mistakes() {
    for (text, problems) in [
        (
            "rule.client_conect = []",
            &["f:1: rule.client_conect: unknown event; the nearest known one is client_connect"][..],
        ),
        ("rule = 1", &["f:1: rule: should be a table of events, not an integer"]),
        (
            "rule.client_connect = 1",
            &["f:1: rule.client_connect: should be a list of rules, not an integer"],
        ),
        (
            "rule.client_connect = [1]",
            &["f:1: rule.client_connect[0]: should be a table, not an integer"],
        ),
        (
            "rule.client_connect = [\n{},\n{action = 1},\n{action = \"a\", urls = \"x\", topics = [1, \"a#\"]}]",
            &[
                "f:2: rule.client_connect[0].action: is missing",
                "f:3: rule.client_connect[1].action: should be a string, not an integer",
                "f:4: rule.client_connect[2].topics[0]: should be a string, not an integer",
                "f:4: rule.client_connect[2].topics[1]: `a#` is not a topic filter: '#' must be the whole last level of a topic filter",
                "f:4: rule.client_connect[2].urls: should be a list of strings, not a string",
            ],
        ),
        ("urls = []\nurls = []", &["f:2: duplicate key"]),
    ] {
        check("f", text, &[], problems, &[]);
    }
}

#[test]
fn what_rmqtt_ignores_is_a_warning() {
    check(
        "f",
        "worker_threads = 3\nrule.client_keepalive = [{action = \"a\"}]\nrule.client_connect = [{action = \"a\", x = 1}]\nhttp_urls = [\"http://a\"]",
        &[
            ("RMQTT_PLUGIN_RMQTT_WEB_HOOK_RULE", "x"),
            ("RMQTT_PLUGIN_RMQTT_WEB_HOOK_QUEUE_CAPACITY", "5"),
        ],
        &[],
        &[
            "f:3: rule.client_connect[0].x: is not part of a rule and is ignored",
            "f:2: rule.client_keepalive: is ignored: hookhost has no such event, and RMQTT's web-hook does not send it either",
            "environment: RMQTT_PLUGIN_RMQTT_WEB_HOOK_RULE: is ignored: the environment cannot give this setting",
            "f:4: http_urls: is deprecated; its URLs are added to urls",
            "f:1: worker_threads: has no meaning in hookhost",
        ],
    );
}
