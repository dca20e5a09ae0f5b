//! What is shown of settings, and which secrets a change keeps.

use super::*;
use serde_json::json;

/// The fields with a problem, and the settings otherwise.
fn fields(settings: Json, known: Option<&Json>) -> Result<Json, Vec<String>> {
    restored("w", settings, known).map_err(|problems| problems.into_iter().map(|problem| problem.field).collect())
}

#[test]
fn secrets_are_hidden_and_kept() {
    let settings = json!({
        "url": "https://h/a?b=${clientid}",
        "bearer": "one",
        "basic": {"user": "u", "password": "two"},
        "headers": {"content-type": "text/plain", "X-Api-Key": "three", "authorization": "four"},
        "sign": {"secrets": ["five", "six"]},
        "oauth2": {
            "client_id": "c", "client_secret": "seven", "token_url": "https://id/token",
            "parameters": {"audience": "a", "refresh_token": "eight"},
        },
        "proxy": "http://user:nine@proxy:3128",
        "retry": "standard",
    });
    let shown = masked(&settings);
    assert_eq!(
        shown,
        json!({
            "url": "https://h/a?b=${clientid}",
            "bearer": HIDDEN,
            "basic": {"user": "u", "password": HIDDEN},
            "headers": {"content-type": "text/plain", "X-Api-Key": HIDDEN, "authorization": HIDDEN},
            "sign": {"secrets": [HIDDEN, HIDDEN]},
            "oauth2": {
                "client_id": "c", "client_secret": HIDDEN, "token_url": "https://id/token",
                "parameters": {"audience": "a", "refresh_token": HIDDEN},
            },
            "proxy": HIDDEN,
            "retry": "standard",
        })
    );
    assert_eq!(restored("w", shown.clone(), Some(&settings)), Ok(settings.clone()));
    let mut changed = shown.clone();
    changed["bearer"] = json!("new");
    changed["url"] = json!("https://h/other");
    let restored_changed = restored("w", changed, Some(&settings)).unwrap();
    assert_eq!(
        (&restored_changed["bearer"], &restored_changed["basic"]["password"]),
        (&json!("new"), &json!("two"))
    );
}

#[test]
fn urls_of_rules_and_proxies_are_shown_without_credentials() {
    let settings = json!({
        "urls": ["http://user:hidden@h/a?token=hidden", "file:///tmp/x", "mqtt:a/b"],
        "proxy": "http://proxy:3128",
    });
    let shown = json!({"urls": ["http://h/a", "file:///tmp/x", "mqtt:a/b"], "proxy": "http://proxy:3128"});
    assert_eq!(masked(&settings), shown);
}

#[test]
fn another_receiver_does_not_get_the_secrets() {
    let known = json!({
        "url": "https://h/a", "bearer": "one", "proxy": "http://u:p@proxy:1",
        "oauth2": {"token_url": "https://id/token"},
    });
    for (path, value, is_same) in [
        ("/url", json!("https://h/b"), true),
        ("/url", json!("https://h:443/b"), true),
        ("/url", json!("http://h/a"), false),
        ("/url", json!("https://h:444/a"), false),
        ("/url", json!("https://evil/a"), false),
        ("/url", json!("no url"), true),
        ("/oauth2/token_url", json!("https://id/other"), true),
        ("/oauth2/token_url", json!("https://evil/token"), false),
        ("/proxy", json!(HIDDEN), true),
        ("/proxy", json!("http://evil:1"), false),
        ("/proxy", json!("environment"), false),
    ] {
        let mut settings = known.clone();
        settings["bearer"] = json!(HIDDEN);
        *settings.pointer_mut(path).unwrap() = value.clone();
        let fields = fields(settings, Some(&known));
        assert_eq!(fields.is_ok(), is_same, "{path} {value}: {fields:?}");
        assert!(is_same || fields == Err(vec!["bearer".to_owned()]), "{path} {value}");
    }
    // A socket, or no proxy any more.
    let mut settings = known.clone();
    settings["bearer"] = json!(HIDDEN);
    let mut through_socket = settings.clone();
    through_socket["unix"] = json!("/run/evil.sock");
    assert_eq!(fields(through_socket, Some(&known)), Err(vec!["bearer".to_owned()]));
    let mut direct = settings.clone();
    direct.as_object_mut().unwrap().remove("proxy");
    let problems = restored("w", direct, Some(&known)).unwrap_err();
    assert_eq!(
        problems[0].text,
        "enter this secret again, because the change of `proxy` leads to another receiver"
    );
    // A webhook that has had no access tokens.
    let plain = json!({"url": "https://h/a", "bearer": "one"});
    let mut with_tokens = json!({"url": "https://h/a", "bearer": HIDDEN});
    with_tokens["oauth2"] = json!({"token_url": "https://id/token"});
    assert_eq!(fields(with_tokens, Some(&plain)), Err(vec!["bearer".to_owned()]));
}

#[test]
fn the_secrets_of_a_list_are_kept_if_it_is_clear_which_ones() {
    let secrets = |list: &[&str]| json!({"sign": {"secrets": list}});
    let known = secrets(&["one", "two"]);
    for (new, expected) in [
        (vec![HIDDEN, HIDDEN], Ok(vec!["one", "two"])),
        (vec!["new", HIDDEN, HIDDEN], Ok(vec!["new", "one", "two"])),
        (vec![HIDDEN, "new", HIDDEN], Ok(vec!["one", "new", "two"])),
        (vec!["new"], Ok(vec!["new"])),
        (vec![], Ok(vec![])),
        // The first or the second one is removed.
        (vec![HIDDEN], Err(vec!["sign.secrets[0]"])),
        (vec!["new", HIDDEN], Err(vec!["sign.secrets[1]"])),
        (
            vec![HIDDEN, HIDDEN, HIDDEN],
            Err(vec!["sign.secrets[0]", "sign.secrets[1]", "sign.secrets[2]"]),
        ),
    ] {
        let expected = expected.map(|list| secrets(&list)).map_err(|fields: Vec<&str>| {
            let fields = fields.into_iter().map(str::to_owned);
            fields.collect::<Vec<_>>()
        });
        assert_eq!(fields(secrets(&new), Some(&known)), expected, "{new:?}");
    }
    assert_eq!(
        fields(secrets(&["a", HIDDEN]), None),
        Err(vec!["sign.secrets[1]".to_owned()])
    );
}
