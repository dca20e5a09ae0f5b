//! The plugins of RMQTT that check clients, and the variables of all plugins.

use super::*;

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
        // RMQTT does not know `is_superuser` and rules in an object, and does not check a claim without expected values.
        (
            vec![
                main("\"rmqtt-auth-jwt\"", ""),
                jwt("validate_claims.aud = []"),
                acl("[\"deny\", \"all\"]"),
            ],
            May(&[
                // {"is_superuser":true,"acl":{"all":["#"]}}
                "+bob:eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc19zdXBlcnVzZXIiOnRydWUsImFjbCI6eyJhbGwiOlsiIyJdfX0.GfoOv0ppqgeaFLGu_rJhfiib3iaCJiyVplMQjnbD1jQ",
                "-bob:eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc19zdXBlcnVzZXIiOnRydWUsImFjbCI6eyJhbGwiOlsiIyJdfX0.GfoOv0ppqgeaFLGu_rJhfiib3iaCJiyVplMQjnbD1jQ pub a",
                // {"superuser":true}
                "+bob:eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdXBlcnVzZXIiOnRydWV9.Zmbm8yipsX9LoK1w4cCmT4kBE1uJ7WKzKWZzXIsESF8 pub a",
                // {"acl":[{"permission":"allow","action":"publish","topic":"a"}]}
                "+bob:eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhY2wiOlt7InBlcm1pc3Npb24iOiJhbGxvdyIsImFjdGlvbiI6InB1Ymxpc2giLCJ0b3BpYyI6ImEifV19.aRtETm2PhqwhUREP7kxdeSkBmXStH4JiKObhSizDIYo pub a",
                "-bob:eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhY2wiOlt7InBlcm1pc3Npb24iOiJhbGxvdyIsImFjdGlvbiI6InB1Ymxpc2giLCJ0b3BpYyI6ImEifV19.aRtETm2PhqwhUREP7kxdeSkBmXStH4JiKObhSizDIYo sub a",
            ]),
        ),
        (
            vec![
                main("\"rmqtt-auth-jwt\"", ""),
                jwt("validate_claims.v = \"${protocol}\""),
            ],
            // {"v":4}, {"v":5}
            May(&[
                "+bob:eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ2Ijo0fQ.s_624dJSA3aDonIvjAlvlLriWx2G51msFgpl-SDP7CY",
                "-bob:eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ2Ijo1fQ.Zlh4NQC7uRSaKXpFhzXMMSHzW8TuKNXnIsfQQBhWrCU",
            ]),
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
            vec![main("\"rmqtt-auth-http\"", ""), login_only("post", "%r"), default()],
            Says("clients are checked by http; 4 access rules, other topics are denied"),
        ),
        (
            vec![
                main("\"rmqtt-auth-http\"", ""),
                (
                    HTTP,
                    "http_auth_req.url = \"http://h/\"\nhttp_auth_req.headers = \"a: b\"\n".to_owned(),
                ),
            ],
            Refused("plugins/rmqtt-auth-http.toml:2: http_auth_req.headers: should be a table"),
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
            Says(
                "clients need no credentials, others are checked by rules; 1 access rule and a web service, other topics are denied",
            ),
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

#[tokio::test]
async fn variables_of_plugins() {
    let variable = |name: &'static str, value: &str| (name, value.to_owned());
    let jwt = || (JWT, "hmac_base64 = false\n".to_owned());
    let secret = || variable("RMQTT_PLUGIN_RMQTT_AUTH_JWT_HMAC_SECRET", "x");
    let rows = [
        (
            vec![main("\"rmqtt-auth-jwt\"", ""), jwt(), secret()],
            Says("clients are checked by jwt; 4 access rules, other topics are denied"),
        ),
        (
            vec![
                main("\"rmqtt-auth-jwt\"", ""),
                jwt(),
                secret(),
                variable("RMQTT_PLUGIN_RMQTT_AUTH_JWT_STRANGE", "1"),
            ],
            Refused("environment: RMQTT_PLUGIN_RMQTT_AUTH_JWT_STRANGE: unknown key"),
        ),
        (
            vec![
                (ACL, DEFAULT.to_owned()),
                variable("RMQTT_PLUGIN_RMQTT_ACL_DISCONNECT_IF_PUB_REJECTED", "false"),
                variable("RMQTT_PLUGIN_rmqtt_acl_priority", "10"),
            ],
            Says("every client is accepted; 4 access rules, other topics are denied"),
        ),
        (
            vec![
                (ACL, DEFAULT.to_owned()),
                variable("RMQTT_PLUGIN_RMQTT_ACL_RULES", "[]"),
            ],
            Refused("environment: RMQTT_PLUGIN_RMQTT_ACL_RULES: should be a list"),
        ),
        // RMQTT does not load this plugin, or there is no file that says so.
        (
            vec![main("", ""), secret()],
            Refused("RMQTT_PLUGIN_RMQTT_AUTH_JWT_HMAC_SECRET: is not supported"),
        ),
    ];
    check(rows).await;
}
