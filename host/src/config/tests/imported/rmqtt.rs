//! Users and access rules in the files of RMQTT's plugins.

mod plugins;

use std::path::Path;

use super::*;

const ACL: &str = "plugins/rmqtt-acl.toml";
const HTTP: &str = "plugins/rmqtt-auth-http.toml";
const JWT: &str = "plugins/rmqtt-auth-jwt.toml";
const MAIN: &str = "plugins/../rmqtt.toml";

/// RMQTT's own rules.
const DEFAULT: &str = "rules = [\n[\"allow\", { user = \"dashboard\" }, \"subscribe\", [\"$SYS/#\"]],\n\
    [\"allow\", { ipaddr = \"127.0.0.1\" }, \"pubsub\", [\"$SYS/#\", \"#\"]],\n\
    [\"deny\", \"all\", \"subscribe\", [\"$SYS/#\", { eq = \"#\" }]],\n[\"allow\", \"all\"]\n]\n";

/// Loads `plugins/rmqtt-web-hook.toml` beside these files, and with these variables, whose names begin with `RMQTT_`.
fn load(given: &[(&str, String)]) -> Result<Loaded, Vec<String>> {
    let files = |path: &Path| {
        let found = given.iter().find(|(name, _)| Some(*name) == path.to_str());
        let bytes = found.map(|(_, text)| text.as_bytes().to_vec());
        bytes.ok_or(io::ErrorKind::NotFound.into())
    };
    let variables = given.iter().filter(|(name, _)| name.starts_with("RMQTT_"));
    let variables: Vec<_> = variables.map(|(name, value)| (*name, value.as_str())).collect();
    let inputs = Inputs {
        webhook_file: file("plugins/rmqtt-web-hook.toml", RMQTT),
        environment: environment(&variables),
        ..Inputs::default()
    };
    read_with(&inputs, &files).map_err(|refused| shown(&refused.problems))
}

/// Checks rows of files and what clients may do with them.
async fn check(rows: impl IntoIterator<Item = (Vec<(&'static str, String)>, Expected)>) {
    let mut differences = Vec::new();
    for (given, expected) in rows {
        if let Some(difference) = compare(load(&given), &expected).await {
            differences.push(format!("{given:?}: {difference}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

/// `rmqtt.toml` with these plugins, and more lines.
fn main(startups: &str, more: &str) -> (&'static str, String) {
    let lines = format!("plugins.dir = \"plugins/\"\nplugins.default_startups = [{startups}]\n{more}\n");
    (MAIN, lines)
}

fn acl(rules: &str) -> (&'static str, String) {
    (ACL, format!("rules = [{rules}]\n"))
}

#[tokio::test]
async fn rules() {
    let system = &[
        "+-",
        "+bob:x",
        "+bob pub a",
        "+bob sub a",
        "-bob sub $SYS/x",
        "-bob sub #",
        "+dashboard sub $SYS/x",
    ];
    let default = || (ACL, DEFAULT.to_owned());
    let beside = |rules: &str| vec![acl(rules)];
    let rows = [
        (vec![], May(&["+-", "+bob sub #"])),
        (vec![default()], May(system)),
        (vec![main("\"rmqtt-web-hook\"", ""), default()], May(system)),
        (vec![main("\"rmqtt-acl\"", ""), default()], May(system)),
        (
            vec![main("", "listener.tcp.external.allow_anonymous = false"), default()],
            May(system),
        ),
        // RMQTT's own rules, because there is no file.
        (vec![main("", "")], May(system)),
        (
            vec![(ACL, "disconnect_if_pub_rejected = false\n".to_owned())],
            May(system),
        ),
        (
            vec![
                main(
                    "",
                    "plugins.disabled_default_startups = [\"rmqtt-acl\"]\nlistener.tcp.e.allow_anonymous = true",
                ),
                default(),
            ],
            May(&["+-", "+bob sub #"]),
        ),
        (
            vec![
                main(
                    "",
                    "plugins.disabled_default_startups = [\"rmqtt-acl\"]\nlistener.tcp.e.allow_anonymous = false",
                ),
                default(),
            ],
            Refused("plugins/../rmqtt.toml:4: listener.tcp.e.allow_anonymous: RMQTT refuses every client"),
        ),
        (
            beside("[\"allow\", \"all\", \"pubsub\", [\"a/%c/#\", \"u/%u\"]], [\"allow\", \"all\", \"connect\"]"),
            May(&[
                "+bob pub a/c1/x",
                "-bob pub a/c2/x",
                "+bob sub u/bob",
                "-bob sub u/alice",
                "-bob pub b",
            ]),
        ),
        (
            beside(
                "[\"deny\", { user = \"bob\" }, \"publish\", [{ eq = \"a\" }]], [\"allow\", { clientid = \"c1\", user = \"bob\" }, \"pubsub\"], \
                 [\"allow\", { ipaddr = \"10.0.0.1\" }, \"PUBLISH\", [\"b\"]], [\"Allow\", \"All\", \"Connect\"]",
            ),
            May(&[
                "-bob pub a",
                "+bob pub a/b",
                "+bob sub #",
                "+alice pub b",
                "-alice sub b",
                "-alice pub a",
            ]),
        ),
        // Topics do not matter at CONNECT.
        (
            beside("[\"allow\", \"all\", \"all\", [\"a\"]]"),
            May(&["+bob pub a", "-bob pub b"]),
        ),
        (
            beside(
                "[\"allow\", { user = \"bob\", password = \"p\" }], [\"allow\", { user = \"al\", password = \"q\", superuser = true }, \"connect\"], \
                 [\"deny\", \"all\"]",
            ),
            May(&[
                "+bob:p pub a",
                "-bob:x",
                "-bob",
                "+al:q",
                "-al:q pub a",
                "-carl:p",
                "--",
            ]),
        ),
        (
            vec![
                main(
                    "",
                    "listener.tcp.e.allow_anonymous = true\nlistener.ws.e.allow_anonymous = true",
                ),
                acl("[\"allow\", { user = \"bob\", password = \"p\" }]"),
            ],
            May(&["+bob:p", "-bob:x", "+-"]),
        ),
        (
            vec![
                main(
                    "",
                    "listener.tcp.e.allow_anonymous = true\nlistener.ws.e.allow_zero_keepalive = true",
                ),
                acl("[\"allow\", { user = \"bob\", password = \"p\" }]"),
            ],
            May(&["+bob:p", "--"]),
        ),
        (
            beside("[\"deny\", \"all\"]"),
            Refused("plugins/rmqtt-acl.toml: RMQTT accepts no client"),
        ),
        (
            beside("[\"allow\", \"all\", \"pubsub\"]"),
            Refused("RMQTT accepts no client"),
        ),
        (
            beside("[\"deny\", { user = \"bob\" }], [\"allow\", \"all\"]"),
            May(&["-bob", "-bob:p", "+al pub a", "+al:x sub a/#", "+- pub a"]),
        ),
        (
            beside("[\"deny\", { ipaddr = \"10.0.0.1\" }, \"connect\"], [\"allow\", \"all\"]"),
            May(&["-bob", "--"]),
        ),
        (
            beside("[\"allow\", { clientid = \"c1\" }], [\"deny\", \"all\"]"),
            May(&["+bob:x pub a", "+- pub a"]),
        ),
        (
            beside("[\"allow\", { clientid = \"c2\" }], [\"deny\", \"all\"]"),
            May(&["-bob:x", "--"]),
        ),
        // Two passwords of one user, and a condition beside the password.
        (
            beside(
                "[\"allow\", { user = \"bob\", password = \"p\" }, \"connect\"], \
                 [\"allow\", { user = \"bob\", password = \"q\", ipaddr = \"10.0.0.1\" }, \"connect\"], \
                 [\"allow\", { user = \"al\", password = \"r\", ipaddr = \"10.0.0.2\" }, \"connect\"], \
                 [\"allow\", { user = \"bob\" }, \"publish\", [\"a\"]]",
            ),
            May(&[
                "+bob:p pub a",
                "+bob:q pub a",
                "-bob:r",
                "-bob",
                "-al:r",
                "-bob:p sub a",
            ]),
        ),
        (
            beside(
                "[\"deny\", { protocol = 3 }], [\"deny\", { protocol = 4 }, \"publish\", [\"a\"]], [\"allow\", \"all\"]",
            ),
            May(&["+bob pub b", "-bob pub a", "+bob sub a"]),
        ),
        (
            beside("[\"deny\", { protocol = 4 }, \"connect\"], [\"allow\", \"all\"]"),
            May(&["-bob", "--"]),
        ),
        (
            beside("[\"deny\", { protocol = \"4\" }, \"connect\"], [\"allow\", \"all\"]"),
            Refused("should be a whole number"),
        ),
        (
            beside("[\"allow\", { user = \"bob\", password = \"p\" }, \"subscribe\", [\"a\"]], [\"allow\", \"all\"]"),
            Refused("bob can connect without this password"),
        ),
        (
            beside("[\"allow\", { ipaddr = \"10.0.0.0/8\" }, \"publish\"], [\"allow\", \"all\"]"),
            Refused("RMQTT compares it with a whole address"),
        ),
        (
            beside("[\"deny\", { group = \"g\" }, \"publish\"], [\"allow\", \"all\"]"),
            Refused("unknown condition group"),
        ),
        (
            beside("[\"allow\", \"all\", \"publish\", [\"${clientid}/a\"]], [\"allow\", \"all\"]"),
            Refused("has a placeholder that RMQTT does not have"),
        ),
        (
            beside("[\"permit\", \"all\"]"),
            Refused("should be \"allow\" or \"deny\""),
        ),
        (
            beside("[\"allow\", \"all\", \"publish\", [\"a/#/b\"]], [\"allow\", \"all\"]"),
            Refused("rules[0]: '#' must be the whole last level"),
        ),
        (
            vec![(ACL, "priority = 200\n".to_owned())],
            Refused("priority: is not supported"),
        ),
        (vec![(ACL, "rules = [".to_owned())], Refused("plugins/rmqtt-acl.toml:1")),
        (
            vec![(MAIN, "plugins = [".to_owned())],
            Refused("plugins/../rmqtt.toml:1"),
        ),
    ];
    check(rows).await;
}
