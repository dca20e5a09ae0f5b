//! Files with errors: what is reported, and what still starts.

use std::path::Path;

use super::*;
use hookhost_tests::host::ended;

/// Runs a command with a file. Returns exit code and standard error.
pub(super) async fn with_arguments(name: &str, text: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), text).unwrap();
    run(dir.path(), arguments).await
}

async fn run(dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut run = command(dir);
    run.args(arguments);
    let ended = ended(run).await;
    (ended.code, ended.stderr)
}

#[tokio::test]
async fn a_wrong_file_starts_nothing_and_names_every_mistake() {
    let cases = [
        (
            "emqx_web_hook.conf",
            "web.hook.url = localhost:80\nweb.hook.pol_size = 3\nweb.hook.rule.message.publish.1 = {\"action\"\n",
            &[
                "emqx_web_hook.conf:1: web.hook.url",
                "has no scheme",
                "emqx_web_hook.conf:2",
                "web.hook.pool_size",
                ":3:",
                "column",
            ][..],
        ),
        (
            "emqx_web_hook.conf",
            "web.hook.url = https://localhost/\nweb.hook.ssl.cacertfile = nowhere.pem\n\
             web.hook.rule.client.connect.1 = {\"action\": \"on_client_connect\"}\n",
            &["emqx_web_hook.conf:2: web.hook.ssl.cacertfile", "nowhere.pem"],
        ),
        (
            "emqx.conf",
            "connectors.http.c { url = \"http://h/\" }\nactions.http.a { connector = cc }\n\
             rule_engine.rules.r { sql = \"SELECT * FROM \\\"a#\\\" WHERE\", actions = [\"http:a\"] }\n",
            &[
                "emqx.conf:2: actions.http.a.connector",
                "nearest known one is c",
                "emqx.conf:3: rule_engine.rules.r.sql",
            ],
        ),
        (
            "nanomq.conf",
            "webhook {\n url = \"http://h/\"\n events = [ { event = on_message_publsh } ]\n",
            &["nanomq.conf:1: this { is never closed"],
        ),
    ];
    for (name, text, expected) in cases {
        for command in ["check", "run"] {
            let (code, stderr) = with_arguments(name, text, &[command, "--webhook-config", name]).await;
            assert_eq!(code, Some(2), "{stderr}");
            for part in expected {
                assert!(stderr.contains(part), "{part} in:\n{stderr}");
            }
        }
    }
}

#[tokio::test]
async fn convert_refuses_what_run_refuses() {
    let (code, stderr) = with_arguments("x.conf", "web.hook.url = h\n", &["webhook", "convert", "x.conf"]).await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("x.conf:1: web.hook.url"), "{stderr}");
    let (code, stderr) = with_arguments("x.conf", "", &["webhook", "convert", "missing.conf"]).await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("missing.conf"), "{stderr}");
    let (code, stderr) = with_arguments("x.conf", "", &["webhook", "convert"]).await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("no webhook settings"), "{stderr}");
}

#[tokio::test]
async fn convert_loses_access_control_only_if_it_is_told_to() {
    let sink = Sink::start().await;
    let setup = Setup::new();
    let text = format!(
        "web.hook.url = {}\nweb.hook.rule.client.connected.1 = {{\"action\": \"on_client_connected\"}}\nallow_anonymous = false\n",
        sink.url("/hook")
    );
    std::fs::write(setup.dir().join("emqx.conf"), text).unwrap();
    let convert = |flags: &[&str]| {
        let mut convert = command(setup.dir());
        convert.args(["webhook", "convert", "emqx.conf"]).args(flags);
        convert.output().unwrap()
    };
    let refused = convert(&[]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(
        (refused.status.code(), refused.stdout),
        (Some(2), Vec::new()),
        "{stderr}"
    );
    assert!(
        stderr.contains("emqx.conf:3: allow_anonymous: demands credentials")
            && stderr.contains("--ignore-access-control"),
        "{stderr}"
    );
    let ended = convert(&["--ignore-access-control"]);
    let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(0), "{stderr}");
    let own = setup.dir().join("hookhost.toml");
    std::fs::write(&own, &ended.stdout).unwrap();
    std::fs::remove_file(setup.dir().join("emqx.conf")).unwrap();
    // Everybody may connect.
    let mut host = setup.arg("--config").arg(own).start().await;
    Client::connect(host.address, V, "c1").await.disconnect().await;
    host.stop().await;
    let actions: Vec<_> = sink
        .requests()
        .iter()
        .map(|request| request.json()["action"].clone())
        .collect();
    assert_eq!(actions, ["client_connected"]);
}

const BAD_RULE: &str = "connectors.http.c { url = \"@URL@\" }\nactions.http.a { connector = c, colour = 1 }\n\
    rule_engine.rules.good { sql = \"SELECT * FROM \\\"t\\\"\", actions = [\"http:a\"] }\n\
    rule_engine.rules.bad { sql = \"SELECT FROM\", actions = [\"http:a\"] }\n";

#[tokio::test]
async fn an_invalid_rule_is_left_out_unless_strict() {
    let sink = Sink::start().await;
    let text = BAD_RULE.replace("@URL@", &sink.url("/hook"));
    let mut host = with_file("cluster.hocon", &text).start().await;
    let log = host.log().lines();
    let is_error = |line: &&String| line.contains("ERROR") && line.contains("rule_engine.rules.bad");
    assert_eq!(log.iter().filter(is_error).count(), 1, "{log:?}");
    let modules = host.ask(&["modules"]).await;
    assert!(
        modules.contains("left out: ") && modules.contains("rule_engine.rules.bad"),
        "{modules}"
    );
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t", 1, "x").await;
    client.disconnect().await;
    host.stop().await;
    assert_eq!(sink.requests().len(), 1);

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("cluster.hocon"), text).unwrap();
    let (code, report) = run(dir.path(), &["check", "--webhook-config", "cluster.hocon"]).await;
    assert_eq!(code, Some(2), "{report}");
    assert!(
        report.contains("error: cluster.hocon:4: rule_engine.rules.bad"),
        "{report}"
    );
    assert!(
        report.contains("warning: cluster.hocon:2: actions.http.a.colour"),
        "{report}"
    );
    let (code, report) = run(dir.path(), &["check", "--webhook-config", "cluster.hocon", "--strict"]).await;
    assert_eq!(code, Some(2), "{report}");
    assert!(
        report.contains("error: cluster.hocon:2: actions.http.a.colour"),
        "{report}"
    );
    let start = ["run", "--listen", "127.0.0.1:0", "--admin", "off"];
    let strict = ["--strict", "--webhook-config", "cluster.hocon"];
    let (code, report) = run(dir.path(), &[&start[..], &strict[..]].concat()).await;
    assert_eq!(code, Some(2), "{report}");
    assert!(
        report.contains("error: cluster.hocon:4: rule_engine.rules.bad"),
        "{report}"
    );
}
