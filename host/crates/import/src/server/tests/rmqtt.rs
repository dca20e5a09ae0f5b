//! The files of RMQTT's plugins.

use super::*;

#[test]
fn plugins_of_rmqtt() {
    let import = |given: &[(&str, &str)]| {
        let file = TextFile {
            path: "plugins/rmqtt-web-hook.toml".into(),
            text: "urls = [\"http://h/\"]\n".to_owned(),
        };
        let files = |path: &Path| {
            let found = given.iter().find(|(name, _)| Some(*name) == path.to_str());
            found
                .map(|(_, text)| text.as_bytes().to_vec())
                .ok_or(std::io::ErrorKind::NotFound.into())
        };
        let input = Input {
            file: Some(&file),
            environment: &Environment::new(),
            broker: None,
            urls: None,
            files: &files,
        };
        read(&input).expect("a configuration").server
    };
    let server = import(&[(
        "plugins/rmqtt-acl.toml",
        "rules = [[\"deny\", { user = \"u\", clientid = \"c\" }, \"publish\", [\"a/%c\", { eq = \"#\" }]], [\"allow\", \"all\"]]",
    )]);
    assert_eq!(json_of(server.authentication), json!({}));
    assert_eq!(
        json_of(server.rules),
        json!({"access": {
            "rule": [
                {"permit": "deny", "action": "publish", "username": ["u"], "clientid": ["c"], "topics": ["a/%c"], "equal_topics": ["#"]},
                {"permit": "allow", "action": "all"},
            ],
            "default": "deny", "deny_action": "disconnect", "denied_subscription_code": 128,
        }})
    );
    let main = "plugins.default_startups = [\"rmqtt-auth-http\", \"rmqtt-auth-jwt\"]\n\
        plugins.disabled_default_startups = [\"rmqtt-acl\"]\nlistener.tcp.e.allow_anonymous = true\n";
    let http = "disconnect_if_pub_rejected = false\nhttp_timeout = \"2s\"\ndeny_if_error = false\n\
        http_headers = { accept = \"*/*\", x-a = \"1\", Connection = \"keep-alive\" }\n\
        [http_auth_req]\nurl = \"http://h/auth\"\nmethod = \"POST\"\nheaders = { X-A = \"2\", content-type = \"application/json\" }\n\
        params = { user = \"%u\", who = \"%c@%a\" }\n\
        [http_acl_req]\nurl = \"http://h/acl\"\nmethod = \"get\"\nparams = { a = \"%A\", t = \"%t\" }\n";
    let jwt = "disconnect_if_pub_rejected = false\nhmac_secret = \"cw==\"\nhmac_base64 = true\n\
        validate_claims = { exp = true, sub = \"${username}\", aud = [\"a\", \"b\"] }\n";
    let server = import(&[
        ("plugins/../rmqtt.toml", main),
        ("plugins/rmqtt-auth-http.toml", http),
        ("plugins/rmqtt-auth-jwt.toml", jwt),
    ]);
    let headers = json!({"accept": "*/*", "x-a": "2"});
    assert_eq!(
        json_of(server.authentication),
        json!({"mqtt": {"allow_anonymous": true}, "authentication": [
            {"source": "http", "url": "http://h/auth", "method": "post", "answers": "body", "on_error": "next", "encoding": "json",
             "headers": headers, "parameters": {"user": "${username}", "who": "${clientid}@${peerhost}"}, "timeout": "2s"},
            {"source": "jwt", "rights": "rmqtt", "secret": "cw==", "secret_base64": true, "disconnect_after_expiry": false,
             "claims": {"sub": ["${username}"], "aud": ["a", "b"]}},
        ]})
    );
    assert_eq!(
        json_of(server.rules),
        json!({"access": {"default": "allow", "deny_action": "ignore", "order": ["http", "rules"], "http": {
            "url": "http://h/acl", "method": "get", "answers": "body", "on_error": "next", "encoding": "form", "cache": "0s",
            "headers": {"accept": "*/*", "x-a": "1"}, "parameters": {"a": "${access}", "t": "${topic}"}, "timeout": "2s",
        }}})
    );
    let server = import(&[("plugins/rmqtt-auth-jwt.toml", "")]);
    assert_eq!(
        shown(&server.authentication.warnings),
        [
            "plugins/rmqtt-auth-jwt.toml: is not imported, because rmqtt.toml is not in the folder above: if RMQTT loads \
             rmqtt-auth-jwt, put rmqtt.toml there, or write its users and rules as [[authentication]] and [access]"
        ]
    );
}
