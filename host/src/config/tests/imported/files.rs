//! Users and access rules in the files of each broker.

use super::*;

#[tokio::test]
async fn emqx_5() {
    let jwt = "authentication = [{mechanism = jwt, from = password, algorithm = hmac-based, secret = \"x\", verify_claims {username = \"${username}\"}}]";
    let http = "authentication { mechanism = password_based, backend = http, method = post, url = \"http://h/auth\", \
        body { username = \"${username}\", password = \"${password}\" }, headers { \"X-Api\" = k } }";
    let file = "authorization { no_match = deny, sources = [{ type = file, path = \"${EMQX_ETC_DIR}/acl.conf\" }] }";
    let rows = [
        ("", May(&["+-", "+- pub a", "+- sub #"])),
        ("authentication = []", May(&["+-"])),
        (jwt, May(&["--", "-alice:secret"])),
        (jwt, Says("clients are checked by jwt; all topics are allowed")),
        (
            "authentication = [{mechanism = jwt, secret = x, enable = false}]",
            May(&["+-"]),
        ),
        // A key of EMQX 4 that EMQX 5 does not know.
        (
            "allow_anonymous = true\nauthentication = [{mechanism = jwt, secret = x}]",
            May(&["--", "-alice:secret"]),
        ),
        (
            "allow_anonymous = false\nauthentication = [{mechanism = jwt, secret = x}]",
            Says("clients are checked by jwt; all topics are allowed"),
        ),
        (
            "authentication = [{mechanism = jwt, use_jwks = true, endpoint = \"http://h/\", headers {authorization = k}}]",
            Refused("etc/b.conf:4: authentication[0].headers.authorization: is not supported"),
        ),
        (
            "authentication = [{mechanism = jwt, use_jwks = true, endpoint = \"http://h/\", headers {accept = \"application/json\"}}]",
            Says("clients are checked by jwt; all topics are allowed"),
        ),
        (
            "mqtt.use_username_as_clientid = true",
            Refused("etc/b.conf:4: mqtt.use_username_as_clientid: is not supported"),
        ),
        ("mqtt.use_username_as_clientid = false", May(&["+-"])),
        (
            "mqtt.peer_cert_as_clientid = cn",
            Refused("etc/b.conf:4: mqtt.peer_cert_as_clientid: is not supported"),
        ),
        ("mqtt.peer_cert_as_clientid = disabled", May(&["+-"])),
        (
            "zones.z.mqtt.use_username_as_clientid = true",
            Refused("zones.z.mqtt.use_username_as_clientid: is not supported"),
        ),
        (
            "authentication = [{mechanism = jwt, secret = x, allow_all = true}]",
            Refused("etc/b.conf:4: authentication[0].allow_all: unknown key"),
        ),
        (http, Says("clients are checked by http; all topics are allowed")),
        (
            "authentication = [{mechanism = password_based, backend = built_in_database}]",
            Refused("etc/b.conf:4: authentication[0].backend: is not supported: the users are in EMQX's database"),
        ),
        (
            "authentication = [{mechanism = password_based, backend = mysql}]",
            Refused("cannot check clients by `mysql`"),
        ),
        (
            "authentication = [{mechanism = scram, backend = built_in_database}]",
            Refused("the users are in EMQX's database"),
        ),
        (
            "authentication = {mechanism = gssapi}",
            Refused("cannot check clients by `gssapi`"),
        ),
        (
            "authentication = [{mechanism = jwt, secret = x}, {mechanism = password_based, backend = ldap}]",
            Refused("cannot check clients by `ldap`"),
        ),
        ("authentication = 1", Refused("authentication: should be a list")),
        (
            "authentication { mechanism = password_based, backend = http, url = \"http://h/\", body { a = \"${zone}\" } }",
            Refused("unknown placeholder ${zone}"),
        ),
        (
            file,
            May(&[
                "+alice",
                "+alice pub plant/a",
                "-alice pub a",
                "-bob pub plant/a",
                "-bob sub $SYS/x",
                "-bob sub #",
            ]),
        ),
        (
            "authorization { no_match = deny }",
            May(&["+bob", "-bob pub a", "-bob sub a"]),
        ),
        (
            "authorization { no_match = allow, sources = [] }",
            May(&["+bob pub a", "+bob sub #"]),
        ),
        (
            "authorization { sources = [{ type = file, path = \"/etc/emqx/acl.conf\" }] }",
            May(&["+bob pub a", "-bob sub $SYS/x", "-bob sub $SYS/#"]),
        ),
        (
            "authorization.sources = [{ type = file, path = \"/none\" }]",
            Refused("etc/b.conf:4: authorization.sources[0].path: cannot read /none"),
        ),
        (
            "authorization.sources = [{ type = file, rules = \"{allow, all}.\" }]",
            Refused("write them to a file"),
        ),
        (
            "authorization.sources = [{ type = built_in_database }]",
            Refused("no rules of the type `built_in_database`"),
        ),
        (
            "authorization.sources = [{ type = redis, enable = false }]",
            May(&["+bob pub a"]),
        ),
        (
            "authorization { no_match = deny, sources = [{ type = http, url = \"http://h/\", body { t = \"${topic}\" } }, { type = file, path = \"etc/acl.conf\" }] }",
            Says("every client is accepted; 2 access rules and a web service, other topics are denied"),
        ),
        (
            "authorization.sources = [{ type = http, url = \"http://h/\" }, { type = http, url = \"http://h/\" }]",
            Refused("there is another source of the type `http`"),
        ),
        ("authorization { no_match = maybe }", Refused("no_match")),
        (
            "authorization { sources = [], strict_mode = true }",
            Refused("unknown key"),
        ),
        (
            "listeners.tcp.default { bind = \"127.0.0.1:1883\", authentication = [{ mechanism = jwt, secret = x }] }",
            Refused("listeners: is not supported: hookhost accepts every client"),
        ),
        (
            "listeners.tcp.default { bind = \"127.0.0.1:1883\", access_rules = [\"deny 10.0.0.0/8\", \"allow all\"] }",
            Refused("listeners: is not supported: hookhost accepts every client"),
        ),
    ];
    check_all(rows.map(|(rest, expected)| (format!("{EMQX5}{rest}\n"), &[][..], expected))).await;
}

#[tokio::test]
async fn emqx_4() {
    let rows = [
        ("", May(&["+-", "+bob:x", "+bob pub a"])),
        (
            "allow_anonymous = true\nacl_nomatch = allow",
            May(&["+-", "+bob:x pub a"]),
        ),
        (
            "allow_anonymous = false",
            Refused("etc/b.conf:3: allow_anonymous: demands credentials"),
        ),
        (
            "zone.external.allow_anonymous = false\nallow_anonymous = true",
            Refused("zone.external.allow_anonymous: demands credentials"),
        ),
        (
            "zone.external.allow_anonymous = flase\nallow_anonymous = true",
            Refused("etc/b.conf:3: zone.external.allow_anonymous: should be true or false"),
        ),
        (
            "zone.external.acl_nomatch = dney\nacl_nomatch = allow\nacl_file = etc/acl.conf",
            Refused("etc/b.conf:3: zone.external.acl_nomatch"),
        ),
        (
            "zone.external.mountpoint = devices/%u/",
            Refused("etc/b.conf:3: zone.external.mountpoint: is not supported"),
        ),
        (
            "zone.external.use_username_as_clientid = true",
            Refused("etc/b.conf:3: zone.external.use_username_as_clientid: is not supported"),
        ),
        (
            "auth.user.1.username = alice",
            Refused("etc/b.conf:3: auth.user.1.username: needs username and password"),
        ),
        (
            "auth.user.1.username = alice\nauth.user.1.password = public\nauth.user.2.username = bob",
            Refused("etc/b.conf:5: auth.user.2.username: needs username and password"),
        ),
        (
            "auth.jwt.from = password",
            Refused("etc/b.conf:3: auth.jwt.from: needs secret, pubkey or jwks"),
        ),
        (
            "auth.jwt.secret = x\nauth.jwt.verify_claims.username = %u\nauth.jwt.verify_claims = maybe",
            Refused("auth.jwt.verify_claims: should be true or false"),
        ),
        (
            "auth.http.timeout = 5s",
            Refused("etc/b.conf:3: auth.http.timeout: needs auth_req or acl_req"),
        ),
        (
            "auth.http.auth_req = http://h/auth\nauth.http.auth_req.method = get\nauth.http.auth_req.params = username=%u",
            Says("clients are checked by http; all topics are allowed"),
        ),
        (
            "auth.http.auth_req.url = http://h/auth\nauth.http.auth_req.headers.content-type = text/plain",
            Refused("auth.http.auth_req.headers.content-type: is not supported"),
        ),
        ("acl_nomatch = deny", May(&["+bob", "-bob pub a"])),
        (
            "acl_file = etc/acl.conf\nacl_nomatch = deny\nacl_deny_action = disconnect",
            May(&["+alice pub plant/a", "-alice pub a", "-bob pub a"]),
        ),
        (
            "acl_file = etc/acl.conf\nacl_nomatch = allow",
            May(&["+bob pub a", "-bob sub $SYS/#"]),
        ),
        (
            "acl_file = etc/none.conf",
            Refused("etc/b.conf:3: acl_file: cannot read etc/none.conf"),
        ),
        (
            "auth.user.1.username = alice\nauth.user.1.password = public\nallow_anonymous = false",
            May(&["+alice:public", "-alice:wrong", "-alice", "-bob:x", "--"]),
        ),
        (
            "auth.user.1.username = alice\nauth.user.1.password = public\nallow_anonymous = true",
            May(&["+alice:public", "-alice:wrong", "+-"]),
        ),
        (
            "auth.client.1.clientid = c1\nauth.client.1.password = p",
            Refused("the plugin emqx_auth_client"),
        ),
        ("auth.mysql.server = db:3306", Refused("the plugin emqx_auth_mysql")),
        (
            "auth.jwt.secret = x\nauth.jwt.from = password",
            Says("clients are checked by jwt; all topics are allowed"),
        ),
        (
            "auth.jwt.secret = x\nauth.jwt.verify_claims = on\nauth.jwt.verify_claims.username = %u",
            May(&["--", "-alice:x"]),
        ),
        (
            "auth.jwt.secret = x\nauth.jwt.strange = 1",
            Refused("auth.jwt.strange: is not supported"),
        ),
        (
            "auth.http.auth_req.url = http://h/auth\nauth.http.auth_req.params = clientid=%c,username=%u,password=%P\n\
             auth.http.acl_req.url = http://h/acl\nauth.http.acl_req.method = get\nauth.http.acl_req.params = access=%A,topic=%t",
            Says("clients are checked by http; 0 access rules and a web service, other topics are denied"),
        ),
        (
            "auth.http.auth_req.url = http://h/auth\nauth.http.auth_req.params = cn=%C",
            Refused("has the placeholder %C"),
        ),
        ("auth.http.auth_req.url = nothing", Refused("auth.http.auth_req.url")),
    ];
    check_all(rows.map(|(rest, expected)| (format!("{EMQX4}{rest}\n"), &[][..], expected))).await;
}

#[tokio::test]
async fn nanomq() {
    let rules = "auth { no_match = deny, acl { rules = [\n{permit = allow, username = alice, action = pubsub, topics = [\"plant/#\"]}\n\
        {permit = \"allow\", ipaddr = \"127.0.0.1\", action = publish, topics = [\"a\"]}\n\
        {permit = deny, username = \"#\", action = subscribe, topics = [\"$SYS/#\"]}\n] } }";
    let old = "web.hook.enable = true\nweb.hook.url = http://h/\nweb.hook.rule.client.connack.1 = {\"action\": \"on_client_connack\"}\n";
    let rows = [
        (NANOMQ.to_owned(), May(&["+-", "+bob pub a"])),
        (
            format!("{NANOMQ}auth {{allow_anonymous = true, no_match = allow, deny_action = ignore}}"),
            May(&["+-", "+bob pub a"]),
        ),
        (
            format!("{NANOMQ}auth {{allow_anonymous = false}}"),
            Refused("auth.allow_anonymous: demands credentials"),
        ),
        (
            format!("{NANOMQ}auth {{allow_anonymous = false, password {{alice = public}}}}"),
            May(&["+alice:public", "-alice:wrong", "--", "-bob:public"]),
        ),
        (
            format!("{NANOMQ}auth {{password {{alice = public}}}}"),
            May(&["+alice:public", "--"]),
        ),
        (
            format!("{NANOMQ}{rules}"),
            May(&["+alice pub plant/a", "-alice pub a", "-bob pub a", "-bob sub $SYS/x"]),
        ),
        (
            format!("{NANOMQ}auth {{acl {{rules = [{{permit = allow, topics = [\"a\"]}}]}}}}"),
            May(&["+bob pub a", "+bob pub b"]),
        ),
        (
            format!("{NANOMQ}auth {{acl {{rules = [{{permit = deny, and = [{{username = bob}}]}}]}}}}"),
            Refused("auth.acl.rules[0].and: unknown key"),
        ),
        (
            format!("{NANOMQ}auth {{acl {{rules = [{{topics = [\"a\"]}}]}}}}"),
            Refused("needs permit"),
        ),
        (
            format!(
                "{NANOMQ}auth {{http_auth {{auth_req {{url = \"http://h/\", method = POST, params = {{username = \"%u\"}}}}}}}}"
            ),
            Says("clients are checked by http; all topics are allowed"),
        ),
        (
            format!("{NANOMQ}auth {{password {{a = b}}, http_auth {{auth_req {{url = \"http://h/\"}}}}}}"),
            Refused("is not supported beside users with passwords"),
        ),
        (
            format!("{NANOMQ}auth {{ldap = x}}"),
            Refused("auth.ldap: is not supported"),
        ),
        (
            format!("{NANOMQ}auth {{enable = flase, password {{alice = public}}}}"),
            Refused("etc/b.conf:2: auth.enable: should be true or false"),
        ),
        (
            format!("{NANOMQ}auth {{http_auth {{enable = flase, auth_req {{url = \"http://h/\"}}}}}}"),
            Refused("etc/b.conf:2: auth.http_auth.enable: should be true or false"),
        ),
        (
            format!("{old}allow_anonymous=true\nauth.1.login=alice"),
            Refused("etc/b.conf:5: auth.1.login: needs login and password"),
        ),
        (
            format!("{old}allow_anonymous=false\nauth.1.login=alice\nauth.1.password=public"),
            May(&["+alice:public", "-alice:x", "--"]),
        ),
        (
            format!(
                "{old}acl_nomatch=deny\nacl.rule.1={{\"permit\": \"allow\", \"username\": \"alice\", \"action\": \"publish\", \"topics\": [\"a\"]}}"
            ),
            May(&["+alice pub a", "-alice sub a", "-bob pub a"]),
        ),
        (
            format!("{old}acl_enable=false\nacl_nomatch=allow\nacl.rule.1={{\"permit\": \"deny\"}}"),
            May(&["+alice pub a"]),
        ),
        (
            format!("{old}auth.http.enable=false\nauth.http.auth_req.url=http://h/"),
            May(&["+-"]),
        ),
    ];
    check_all(rows.map(|(text, expected)| (text, &[][..], expected))).await;
}
