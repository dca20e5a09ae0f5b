//! Users and access rules in the files of RMQTT's plugins.

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

/// Loads `plugins/rmqtt-web-hook.toml` beside these files.
fn load(given: &[(&str, String)]) -> Result<Loaded, Vec<String>> {
    let files = |path: &Path| {
        let found = given.iter().find(|(name, _)| Some(*name) == path.to_str());
        let bytes = found.map(|(_, text)| text.as_bytes().to_vec());
        bytes.ok_or(io::ErrorKind::NotFound.into())
    };
    let inputs = Inputs {
        webhook_file: file("plugins/rmqtt-web-hook.toml", RMQTT),
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
            Refused("plugins/rmqtt-acl.toml:1: rules[0]: is not supported: it refuses some clients at CONNECT"),
        ),
        (
            beside("[\"allow\", { clientid = \"c\" }], [\"deny\", \"all\"]"),
            Refused("it accepts clients at CONNECT without checking a password"),
        ),
        (
            beside("[\"allow\", { user = \"bob\", password = \"p\" }, \"subscribe\", [\"a\"]], [\"allow\", \"all\"]"),
            Refused("no source of users checks the password of bob"),
        ),
        (
            beside("[\"allow\", { protocol = 4 }, \"publish\"], [\"allow\", \"all\"]"),
            Refused("hookhost has no rules about the version of MQTT"),
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

#[tokio::test]
async fn plugins_that_check_clients() {
    let http = (
        HTTP,
        "http_timeout = \"5s\"\nhttp_headers.Connection = \"keep-alive\"\nhttp_headers.User-Agent = \"RMQTT/0.4.0\"\n\
         deny_if_error = true\nhttp_auth_req.url = \"http://127.0.0.1:9/auth\"\nhttp_auth_req.method = \"post\"\n\
         http_auth_req.headers = { content-type = \"application/x-www-form-urlencoded\" }\n\
         http_auth_req.params = { clientid = \"%c\", username = \"%u\", password = \"%P\" }\n\
         http_acl_req.url = \"http://127.0.0.1:9/acl\"\nhttp_acl_req.method = \"put\"\n\
         http_acl_req.params = { access = \"%A\", topic = \"%t\" }\n"
            .to_owned(),
    );
    let login_only = |method: &str, param: &str| {
        let lines = format!(
            "http_auth_req.url = \"http://127.0.0.1:9/auth\"\nhttp_auth_req.method = \"{method}\"\n\
             http_auth_req.params = {{ a = \"{param}\" }}\n"
        );
        (HTTP, lines)
    };
    let jwt = |more: &str| (JWT, format!("hmac_secret = \"x\"\nhmac_base64 = false\n{more}\n"));
    let default = || (ACL, DEFAULT.to_owned());
    let acl_only = "http_acl_req.url = \"http://127.0.0.1:9/acl\"\nhttp_acl_req.method = \"put\"\n";
    let none = "plugins.disabled_default_startups = [\"rmqtt-acl\"]";
    let rows = [
        (
            vec![main("\"rmqtt-auth-http\"", ""), http.clone(), default()],
            Says("clients are checked by http; 4 access rules and a web service, other topics are denied"),
        ),
        (
            vec![main("\"rmqtt-auth-http\"", none), http.clone()],
            Says("clients are checked by http; 0 access rules and a web service, other topics are allowed"),
        ),
        (
            vec![
                main("\"rmqtt-auth-http\"", "listener.tcp.e.allow_anonymous = true"),
                login_only("get", "%c"),
                default(),
            ],
            Says("clients need no credentials, others are checked by http; 4 access rules, other topics are denied"),
        ),
        // The web service decides, and not these rules.
        (
            vec![
                main("\"rmqtt-auth-http\"", ""),
                login_only("post", "%u"),
                acl("[\"deny\", { user = \"bob\" }], [\"deny\", \"all\"]"),
            ],
            Says("clients are checked by http; 2 access rules, other topics are denied"),
        ),
        (
            vec![
                main("\"rmqtt-auth-http\", \"rmqtt-auth-jwt\"", ""),
                login_only("post", "%u"),
                jwt(""),
                default(),
            ],
            Says("clients are checked by http, jwt; 4 access rules, other topics are denied"),
        ),
        (
            vec![
                main("\"rmqtt-auth-jwt\"", ""),
                jwt(
                    "disconnect_if_expiry = false\nfrom = \"username\"\nencrypt = \"hmac-based\"\nvalidate_claims.exp = true\n\
                     validate_claims.iss = [\"https://a\", \"https://b\"]\nvalidate_claims.ip = \"${ipaddr}\"",
                ),
                default(),
            ],
            Says("clients are checked by jwt; 4 access rules, other topics are denied"),
        ),
        (
            vec![main("\"rmqtt-auth-jwt\"", none), jwt("")],
            Says("clients are checked by jwt; all topics are allowed"),
        ),
        (
            vec![
                main("\"rmqtt-auth-jwt\"", ""),
                jwt("validate_claims.v = \"${protocol}\""),
            ],
            Refused("plugins/rmqtt-auth-jwt.toml:3: validate_claims.v: has the placeholder ${protocol}"),
        ),
        (
            vec![
                main("\"rmqtt-auth-jwt\"", ""),
                (JWT, "hmac_base64 = false\n".to_owned()),
            ],
            Refused("plugins/rmqtt-auth-jwt.toml: needs hmac_secret"),
        ),
        (
            vec![
                main("\"rmqtt-auth-jwt\"", ""),
                jwt("encrypt = \"public-key\"\npublic_key = \"./none.pem\""),
            ],
            Refused("cannot read ./none.pem"),
        ),
        (
            vec![main("\"rmqtt-auth-http\"", ""), login_only("post", "%r")],
            Refused("http_auth_req.params.a: has the placeholder %r"),
        ),
        (
            vec![main("\"rmqtt-auth-http\"", ""), login_only("patch", "%c")],
            Refused("http_auth_req.method"),
        ),
        (
            vec![main("\"rmqtt-auth-http\"", ""), (HTTP, "strange = 1\n".to_owned())],
            Refused("plugins/rmqtt-auth-http.toml:1: strange: unknown key"),
        ),
        (
            vec![main("\"rmqtt-auth-http\"", "")],
            Refused("plugins/rmqtt-auth-http.toml: cannot be read"),
        ),
        // Without http_auth_req, the rules decide about CONNECT.
        (
            vec![main("\"rmqtt-auth-http\"", ""), (HTTP, acl_only.to_owned()), default()],
            Says("every client is accepted; 4 access rules and a web service, other topics are denied"),
        ),
        (
            vec![
                main("\"rmqtt-auth-http\"", "listener.tcp.e.allow_anonymous = true"),
                (HTTP, acl_only.to_owned()),
                acl("[\"deny\", { user = \"bob\" }, \"connect\"], [\"allow\", \"all\"]"),
            ],
            Refused("rules[0]"),
        ),
        // hookhost cannot know whether RMQTT loads these two without rmqtt.toml.
        (vec![http, jwt("")], May(&["+-", "+bob sub #"])),
    ];
    check(rows).await;
}

/// RMQTT has rules of its own if a file is missing, but not if it cannot be read.
#[test]
fn a_file_that_cannot_be_read_is_not_a_missing_one() {
    for unreadable in [MAIN, ACL] {
        let files = |path: &Path| match path.to_str() {
            Some(path) if path == unreadable => Err(io::ErrorKind::PermissionDenied.into()),
            Some(MAIN) => Ok(b"plugins.default_startups = []\n".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let inputs = Inputs {
            webhook_file: file("plugins/rmqtt-web-hook.toml", RMQTT),
            ..Inputs::default()
        };
        let problems = shown(&read_with(&inputs, &files).err().unwrap().problems);
        let expected = format!("{unreadable}: cannot be read: permission denied");
        assert!(problems[0].starts_with(&expected), "{problems:?}");
    }
}
