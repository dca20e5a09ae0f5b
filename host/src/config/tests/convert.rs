//! The output of `webhook convert` gives the same configuration as the broker's own file.

use super::*;

const CASES: [(&str, &str); 6] = [
    (
        "emqx4-compose.env",
        include_str!("../../../crates/import/src/testdata/emqx4-compose.env"),
    ),
    (
        "nanomq-page.conf",
        include_str!("../../../crates/import/src/testdata/nanomq-page.conf"),
    ),
    (
        "rmqtt.toml",
        "urls = [\"http://a/\\u0022\"]\nhttp_timeout = \"3s\"\nrule.client_connect = [{action = \"x\\n\", topics = [\"a\"]}]\nrule.client_connack = []\n",
    ),
    (
        "users.conf",
        "web.hook.url = http://h/\nweb.hook.rule.client.connected.1 = {\"action\": \"on_client_connected\"}\n\
         allow_anonymous = false\nacl_file = /etc/acl.conf\nacl_nomatch = deny\nacl_deny_action = disconnect\n\
         auth.user.1.username = a \"b\"\nauth.user.1.password = c\\d\n\
         auth.http.auth_req.url = http://h/auth\nauth.http.auth_req.params = u=%u,p=%P\nauth.http.auth_req.headers.x = y\n\
         auth.http.acl_req.url = http://h/acl\nauth.http.acl_req.params = t=%t\n\
         listener.tcp.external = 0.0.0.0:1883\nlistener.tcp.external.max_connections = 9\nmqtt.max_packet_size = 1MB\n",
    ),
    (
        "tokens.conf",
        "connectors.http.c { url = \"http://h/\" }\nactions.http.a { connector = c }\n\
         rule_engine.rules.r { sql = \"SELECT * FROM t\", actions = [\"http:a\"] }\n\
         authentication = [{ mechanism = jwt, secret = x, verify_claims { username = \"${username}\" } }]\n\
         authorization { no_match = deny, sources = [{ type = http, url = \"http://h/\" }, \
         { type = file, path = \"/etc/acl.conf\" }] }\nlisteners.tcp.default { proxy_protocol = true }\n",
    ),
    // Without authentication, its listener stays local.
    (
        "rules.conf",
        "webhook { url = \"http://h/\", events = [{ event = \"on_client_connack\" }] }\n\
         listeners.tcp { bind = \"0.0.0.0:1883\" }\nlisteners.ws { bind = \"0.0.0.0:8083/ws\" }\n\
         auth { no_match = deny, acl { rules = [{ permit = allow, username = a, topics = [\"a\", \"b/#\"] }, \
         { permit = deny, action = publish }] } }\n",
    ),
];

#[test]
fn the_whole_configuration_is_the_same() {
    for (path, text) in CASES {
        let file = TextFile {
            path: path.into(),
            text: text.to_owned(),
        };
        let convert = Convert {
            file: Some(file.clone()),
            environment: [("HOOK_TOKEN".to_owned(), "Bearer abc".to_owned())].into(),
            ..Convert::default()
        };
        let files: &Files<'_> = &|path| match path.to_str() {
            Some("/etc/acl.conf") => Ok(b"{allow, {user, \"a\"}, all, [\"a\"]}.\n".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let written = convert.run(files).unwrap();
        let converted = TextFile {
            path: "f".into(),
            text: written.replace("client_connack = []\n", ""),
        };
        let config = |inputs: &Inputs| -> Config {
            let loaded = read_with(inputs, files);
            let mut config = loaded
                .unwrap_or_else(|refused| panic!("{:#?}\n{written}", refused.problems))
                .config;
            config.webhook.rules = RulesFrom::Default;
            config.webhook.places = Places::default();
            // The broker's own default is written out.
            if let Some(config) = config.webhook.config.as_object_mut() {
                config
                    .get_mut("rule")
                    .and_then(|rule| rule.as_object_mut())
                    .map(|rule| rule.remove("client_connack"));
            }
            config
        };
        let there = config(&Inputs {
            webhook_file: Some(file),
            ..Inputs::default()
        });
        let here = config(&Inputs {
            file: Some(converted),
            ..Inputs::default()
        });
        assert_eq!(there, here, "{written}");
        assert_eq!(there.webhook.config, here.webhook.config);
    }
}
