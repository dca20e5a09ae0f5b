//! Users and access rules in the environment.

use super::*;

#[tokio::test]
async fn variables() {
    let closed = || Refused("environment: EMQX_ALLOW_ANONYMOUS: demands credentials");
    let rows = [
        ("", &[("EMQX_ALLOW_ANONYMOUS", "false")][..], closed()),
        (EMQX5, &[("EMQX_ALLOW_ANONYMOUS", "false")], closed()),
        (EMQX4, &[("EMQX_ALLOW_ANONYMOUS", "false")], closed()),
        (
            NANOMQ,
            &[("EMQX_ALLOW_ANONYMOUS", "false")],
            Refused("environment: EMQX_ALLOW_ANONYMOUS: is not supported"),
        ),
        (
            NANOMQ,
            &[("NANOMQ_ALLOW_ANONYMOUS", "false")],
            Refused("environment: NANOMQ_ALLOW_ANONYMOUS: demands credentials"),
        ),
        (EMQX5, &[("EMQX_ALLOW_ANONYMOUS", "true")], May(&["+-"])),
        (
            "",
            &[
                ("EMQX_AUTHENTICATION__1__MECHANISM", "jwt"),
                ("EMQX_AUTHENTICATION__1__SECRET", "x"),
            ],
            Says("clients are checked by jwt; all topics are allowed"),
        ),
        (
            EMQX5,
            &[
                ("EMQX_AUTHENTICATION__1__MECHANISM", "jwt"),
                ("EMQX_AUTHENTICATION__1__SECRET", "x"),
                (
                    "EMQX_AUTHENTICATION__1__VERIFY_CLAIMS",
                    "{\"username\": \"${username}\"}",
                ),
                ("EMQX_AUTHORIZATION__NO_MATCH", "deny"),
            ],
            Says("clients are checked by jwt; no topic is allowed"),
        ),
        (
            EMQX5,
            &[("EMQX_AUTHENTICATION", "[{mechanism = jwt, secret = x}]")],
            May(&["--"]),
        ),
        (
            EMQX5,
            &[("EMQX_AUTHENTICATION", "nothing")],
            Refused("environment: EMQX_AUTHENTICATION: should be a list"),
        ),
        (
            EMQX5,
            &[("EMQX_AUTHENTICATION__1__ENABLE", "true")],
            Refused("environment: EMQX_AUTHENTICATION__1__ENABLE"),
        ),
        // The first source is `etc/acl.conf` beside the file.
        (
            EMQX5,
            &[
                ("EMQX_AUTHORIZATION__SOURCES__2__TYPE", "http"),
                ("EMQX_AUTHORIZATION__SOURCES__2__URL", "http://h/"),
            ],
            Says("every client is accepted; 2 access rules and a web service, other topics are allowed"),
        ),
        (
            EMQX5,
            &[
                ("EMQX_ETC_DIR", "/nowhere"),
                ("EMQX_AUTHORIZATION__SOURCES__2__TYPE", "http"),
                ("EMQX_AUTHORIZATION__SOURCES__2__URL", "http://h/"),
            ],
            Refused("needs the first source, which is the file acl.conf in EMQX's folder etc"),
        ),
        (
            EMQX5,
            &[
                ("EMQX_AUTHORIZATION__SOURCES__3__TYPE", "http"),
                ("EMQX_AUTHORIZATION__SOURCES__3__URL", "http://h/"),
            ],
            Refused("is element 3 of a list, which should have an element 1"),
        ),
        (
            EMQX5,
            &[
                ("EMQX_AUTHORIZATION__SOURCES__1__TYPE", "file"),
                ("EMQX_AUTHORIZATION__SOURCES__1__PATH", "etc/acl.conf"),
            ],
            May(&["-bob sub $SYS/#", "+bob pub a"]),
        ),
        ("", &[("EMQX_ACL_NOMATCH", "deny")], May(&["+bob", "-bob pub a"])),
        (
            "",
            &[("EMQX_LOADED_PLUGINS", "emqx_management,emqx_auth_mnesia")],
            Refused("EMQX_LOADED_PLUGINS"),
        ),
        (
            "",
            &[
                ("EMQX_AUTH__USER__1__USERNAME", "alice"),
                ("EMQX_AUTH__USER__1__PASSWORD", "p"),
            ],
            May(&["+alice:p", "-alice:x", "--"]),
        ),
        (
            "",
            &[("EMQX_AUTH__MYSQL__SERVER", "db:3306")],
            Refused("the plugin emqx_auth_mysql"),
        ),
        (
            "",
            &[
                ("EMQX_LOADED_PLUGINS", "emqx_management,emqx_auth_http"),
                ("EMQX_AUTH__HTTP__AUTH_REQ__URL", "http://h/"),
            ],
            Says("clients are checked by http; all topics are allowed"),
        ),
        (
            EMQX4,
            &[
                ("EMQX_LOADED_PLUGINS", "emqx_auth_mnesia,emqx_auth_http"),
                ("EMQX_AUTH__HTTP__AUTH_REQ__URL", "http://h/"),
            ],
            Refused("environment: EMQX_LOADED_PLUGINS: lists emqx_auth_mnesia"),
        ),
        (
            EMQX4,
            &[
                ("EMQX_LOADED_PLUGINS", "emqx_auth_mnesia emqx_web_hook"),
                ("EMQX_AUTH__USER__1__USERNAME", "alice"),
                ("EMQX_AUTH__USER__1__PASSWORD", "p"),
            ],
            May(&["+alice:p", "-alice:x", "--"]),
        ),
        (
            "",
            &[("EMQX_AUTH__USER__1__PASSWORD", "p")],
            Refused("environment: EMQX_AUTH__USER__1__PASSWORD: needs username and password"),
        ),
        (
            RMQTT,
            &[("RMQTT_PLUGIN_RMQTT_AUTH_HTTP_HTTP_AUTH_REQ", "x")],
            Refused("RMQTT_PLUGIN_RMQTT_AUTH_HTTP_HTTP_AUTH_REQ: is not supported"),
        ),
        (
            "",
            &[
                ("RMQTT_PLUGIN_RMQTT_WEB_HOOK_URLS", "http://h/"),
                ("RMQTT_PLUGIN_RMQTT_ACL_RULES", "x"),
            ],
            Refused("RMQTT_PLUGIN_RMQTT_ACL_RULES: is not supported"),
        ),
        (
            RMQTT,
            &[("EMQX_ALLOW_ANONYMOUS", "false")],
            Refused("environment: EMQX_ALLOW_ANONYMOUS: is not supported"),
        ),
        (
            "",
            &[("RMQTT_PLUGIN_RMQTT_ACL_RULES", "x")],
            Refused("RMQTT_PLUGIN_RMQTT_ACL_RULES"),
        ),
    ];
    check_all(rows.map(|(text, variables, expected)| (text.to_owned(), variables, expected))).await;
}
