//! All errors are reported at once, in any file and from any part that finds them.

use std::path::Path;

use hookhost_tests::host::{self, Setup, ended};
use hookhost_tests::{PATIENCE, binary};
use tempfile::TempDir;

fn write(dir: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// The error output of the binary when it refuses to start. It is the same for `check` and `run`.
async fn refused(dir: &TempDir, args: &[&str]) -> Vec<String> {
    let mut told = Vec::new();
    for command in ["check", "run"] {
        let mut asked = host::command(dir.path());
        asked.arg(command).args(args);
        let ended = ended(asked).await;
        assert_eq!(ended.code, Some(2), "{command}: {}", ended.stderr);
        let errors = ended.stderr.lines().filter_map(|line| line.strip_prefix("error: "));
        told.push(errors.map(str::to_owned).collect::<Vec<_>>());
    }
    let last = told.pop().unwrap();
    assert_eq!(told, std::slice::from_ref(&last), "check and run tell the same");
    last
}

/// Each expected line is a beginning, because the rest may be a long list of known names.
fn assert_lines(got: &[String], expected: &[&str]) {
    let fits = got.len() == expected.len()
        && got
            .iter()
            .zip(expected)
            .all(|(got, expected)| got.starts_with(expected));
    assert!(fits, "got\n{}\nexpected\n{}", got.join("\n"), expected.join("\n"));
}

/// One error of each kind: of the file's form, of values, of the meaning of rules, of secrets and of modules.
const HOST: &str = r#"[mqtt]
listen = "nowhere"
[delivery]
http_timeot = "1s"
[modules]
dir = "modules"
[destinations.api]
urls = ["http://127.0.0.1:1/"]
bearer_file = "missing"
[destinations.api.tls]
ca = "missing.pem"
[webhook]
urls = ["http://127.0.0.1:1/${topc}", "tcp://127.0.0.1:1/"]
method = "psot"
as_documented = "yes"
bodyy = "x"
[webhook.headers]
"two words" = "x"
[[webhook.rule.message_publsh]]
action = "x"
[[webhook.rule.message_publish]]
action = 5
topics = ["a", "b/#/c"]
where = "qos >"
[[webhook.rule.message_publish]]
action = "x"
topcs = ["a"]
urls = ["localhost"]
[[webhook.rule.client_connected]]
format = "emqx6"
[[webhook.rule.client_connected]]
topics = []
[[webhook.rule.client_connected]]
action = 1979-05-27
"#;

const MODULE: &str = r#"[limits]
memry = "1MiB"
batch = 0
[config]
urls = ["http://127.0.0.1:1/"]
formt = "emqx4"
rule.message_publish = [{ action = "x", topics = ["+a"] }]
[egress]
allow = ["nowhere"]
"#;

#[tokio::test]
async fn all_mistakes_of_all_files_are_told_at_once() {
    let dir = TempDir::with_prefix("hookhost-test-").unwrap();
    write(dir.path(), "hookhost.toml", HOST);
    let builtin = std::fs::read(binary::builtin_module()).unwrap();
    write(dir.path(), "modules/own.wasm", builtin);
    write(dir.path(), "modules/own.toml", MODULE);
    write(dir.path(), "modules/text.wasm", "text");
    write(dir.path(), "modules/alone.toml", "");
    let expected = [
        "hookhost.toml:2: mqtt.listen: should be an address with a port",
        "hookhost.toml:4: delivery.http_timeot: unknown key; the nearest known one is delivery.http_timeout",
        "hookhost.toml:9: destinations.api.bearer_file: cannot read missing: ",
        "hookhost.toml:11: destinations.api.tls.ca: cannot read missing.pem: ",
        "hookhost.toml:13: webhook.urls[0]: '${topc}': there is no field 'topc'; is 'topic' meant?",
        "hookhost.toml:13: webhook.urls[1]: `tcp://127.0.0.1:1/` should begin with http://, https://, file:// or mqtt:",
        "hookhost.toml:14: webhook.method: \"psot\" is not known; is \"post\" meant?",
        "hookhost.toml:15: webhook.as_documented: should be true or false, not a string",
        "hookhost.toml:16: webhook.bodyy: unknown key; the nearest known one is webhook.body",
        "hookhost.toml:18: webhook.headers.two words: is not a valid name of an HTTP header",
        "hookhost.toml:19: webhook.rule.message_publsh: is not known; is 'message_publish' meant?",
        "hookhost.toml:22: webhook.rule.message_publish[0].action: a string was expected",
        "hookhost.toml:23: webhook.rule.message_publish[0].topics[1]: 'b/#/c': '#' must be the whole last level",
        "hookhost.toml:24: webhook.rule.message_publish[0].where: `qos >>>><<<`: a column, a number, a 'text', a list or a function was expected",
        "hookhost.toml:27: webhook.rule.message_publish[1].topcs: is not known; is 'topics' meant?",
        "hookhost.toml:28: webhook.rule.message_publish[1].urls[0]: `localhost` is not a URL: it has no scheme",
        "hookhost.toml:30: webhook.rule.client_connected[0].format: \"emqx6\" is not known; is \"emqx4\" meant?",
        "hookhost.toml:34: webhook.rule.client_connected[2].action: is a date, which has no meaning here",
        "modules/own.toml:2: limits.memry: unknown key; the nearest known one is limits.memory",
        "modules/own.toml:3: limits.batch: should be between 1 and 4096",
        "modules/own.toml:6: config.formt: is not known; is 'format' meant?",
        "modules/own.toml:7: config.rule.message_publish[0].topics[0]: '+a': '+' must be a whole level",
        "modules/own.toml:9: egress.allow[0]: is not a URL (relative URL without a base); expected a URL prefix such as",
        "module alone: modules/alone.toml has no effect: there is no alone.wasm beside it",
        "module text: modules/text.wasm cannot be loaded: this is not WebAssembly but something else",
    ];
    assert_lines(&refused(&dir, &["--config", "hookhost.toml"]).await, &expected);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_makes_no_mistakes_of_others() {
    let dir = TempDir::with_prefix("hookhost-test-").unwrap();
    // These rules are not the operator's, and the keys for all rules belong to the operator's rules.
    let config = "[webhook]\nconfig = \"emqx.conf\"\npayload_encoding = \"base62\"\nmethod = 5\n";
    write(dir.path(), "hookhost.toml", config);
    let args = ["--config", "hookhost.toml"];
    assert_lines(
        &refused(&dir, &args).await,
        &[
            "hookhost.toml:2: webhook.config: cannot read emqx.conf: No such file",
            "hookhost.toml:4: webhook.method: should be a string, not an integer",
        ],
    );
    std::fs::create_dir(dir.path().join("emqx.conf")).unwrap();
    assert_lines(
        &refused(&dir, &args).await,
        &[
            "hookhost.toml:2: webhook.config: cannot read emqx.conf: it is a folder",
            "hookhost.toml:4: webhook.method: should be a string, not an integer",
        ],
    );
    std::fs::remove_dir(dir.path().join("emqx.conf")).unwrap();
    write(dir.path(), "emqx.conf", "nonsense");
    assert_lines(
        &refused(&dir, &args).await,
        &[
            "emqx.conf: has none of the keys of a configuration of RMQTT",
            "hookhost.toml:4: webhook.method: should be a string, not an integer",
        ],
    );
}

#[tokio::test]
async fn files_of_brokers_are_told_with_the_rest_and_once() {
    let dir = TempDir::with_prefix("hookhost-test-").unwrap();
    write(
        dir.path(),
        "hookhost.toml",
        "[webhook]\nconfig = \"broker\"\nmethod = \"psot\"\n[hooks]\nbatch = 0\n",
    );
    let args = ["--config", "hookhost.toml"];
    write(
        dir.path(),
        "broker",
        "web.hook.url = http://127.0.0.1:1/\nweb.hook.pool_size = many\n\
         web.hook.rule.message.publish.1 = {\"action\": \"on_message_publish\", \"topic\": \"a/#/b\"}\n\
         web.hook.rule.message.publsh.1 = {\"action\": \"on_message_publish\"}\n\
         web.hook.rule.client.connected.1 = {\"action\": \n",
    );
    let of_host = "hookhost.toml:5: hooks.batch: should be between 1 and";
    let of_rules = "hookhost.toml:3: webhook.method: \"psot\" is not known; is \"post\" meant?";
    assert_lines(
        &refused(&dir, &args).await,
        &[
            "broker:2: web.hook.pool_size: ",
            "broker:3: web.hook.rule.message.publish.1: ",
            "broker:4: web.hook.rule.message.publsh.1: ",
            "broker:5: web.hook.rule.client.connected.1: ",
            of_rules,
            of_host,
        ],
    );
    write(
        dir.path(),
        "broker",
        "urls = [\"http://127.0.0.1:1/\"]\nhttp_timeout = \"soon\"\n\
         rule.message_publsh = [{ action = \"x\" }]\n\
         rule.message_publish = [{ action = \"x\", topics = [\"a/#/b\"] }, { topics = [] }]\n",
    );
    assert_lines(
        &refused(&dir, &args).await,
        &[
            "broker:2: http_timeout: needs a whole number before the unit",
            "broker:3: rule.message_publsh: unknown event; the nearest known one is message_publish",
            "broker:4: rule.message_publish[0].topics[0]: `a/#/b` is not a topic filter: ",
            "broker:4: rule.message_publish[1].action: is missing",
            of_rules,
            of_host,
        ],
    );
}

#[tokio::test]
async fn a_configuration_that_changes_is_refused_with_everything_that_is_wrong() {
    let config = "[webhook]\nurls = [\"http://127.0.0.1:1/\"]\n[delivery]\nhttp_timeout = \"1s\"\n";
    let host = Setup::new().config(config).start().await;
    let mark = host.log().mark();
    let path = host.dir().join("hookhost.toml");
    let text = "[webhook]\nmethod = \"psot\"\n[delivery]\nhttp_timeot = \"1s\"\n[webhook.rule]\nclient_connected = [{ action = 1 }]\n";
    std::fs::write(&path, text).unwrap();
    host.log()
        .wait_after(mark, "the refusal", PATIENCE, |line| line.contains("errors=3"))
        .await;
    let log = host.log().lines().split_off(mark).join("\n");
    for problem in [
        "4: delivery.http_timeot: unknown key; the nearest known one is delivery.http_timeout",
        "2: webhook.method: \"psot\" is not known; is \"post\" meant?",
        "6: webhook.rule.client_connected[0].action: a string was expected",
    ] {
        let line = format!("{}:{problem}", path.display());
        assert!(log.contains(&line), "{line} is not in\n{log}");
    }
}
