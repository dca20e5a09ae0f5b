//! Secrets in the settings of webhooks: they can be written and never read. Pure.
//!
//! A webhook is shown with [`HIDDEN`] in place of each secret. A change may contain that text again: the secret then stays
//! as it is. It does not stay if the URL leads to another host, because that host would learn the secret.

use serde_json::{Map, Value as Json};
use url::Url;

use super::FieldProblem;

/// What is shown in place of a secret.
pub const HIDDEN: &str = "******";

/// A header whose name contains one of these words may be a secret.
const HEADER_WORDS: [&str; 8] = [
    "auth",
    "cookie",
    "credential",
    "key",
    "password",
    "secret",
    "sign",
    "token",
];
/// The settings that are secrets, or lists or tables of secrets.
const SECRETS: [&str; 5] = ["bearer", "password", "secrets", "client_secret", "assertion"];

/// Whether the value at a path, such as `headers.authorization`, is a secret.
fn is_secret(path: &[&str]) -> bool {
    match path {
        ["headers", name, ..] => {
            let name = name.to_ascii_lowercase();
            HEADER_WORDS.iter().any(|word| name.contains(word))
        }
        path => path.iter().any(|key| SECRETS.contains(key)),
    }
}

/// The value of a header as it may be shown.
pub fn shown_header<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret(&["headers", name]) { HIDDEN } else { value }
}

/// Settings as they may be shown.
pub fn masked(settings: &Json) -> Json {
    mask(&mut Vec::new(), settings)
}

fn mask<'a>(path: &mut Vec<&'a str>, json: &'a Json) -> Json {
    match json {
        Json::Object(table) => {
            let mut shown = Map::new();
            for (key, value) in table {
                path.push(key);
                shown.insert(key.clone(), mask(path, value));
                path.pop();
            }
            Json::Object(shown)
        }
        Json::Array(list) => list.iter().map(|value| mask(path, value)).collect(),
        _ if is_secret(path) => Json::from(HIDDEN),
        other => other.clone(),
    }
}

/// New settings with the known secrets in place of [`HIDDEN`].
///
/// # Errors
///
/// The settings whose secret is not known, or must be given again.
pub(super) fn restored(webhook: &str, mut settings: Json, known: Option<&Json>) -> Result<Json, Vec<FieldProblem>> {
    // With a URL that is not valid nothing is sent, and the settings are refused anyway.
    let leads_to = |known: &Json| origin(&settings).is_none_or(|new| origin(known) == Some(new));
    let is_same_host = known.is_some_and(leads_to);
    let mut problems = Vec::new();
    let mut missing = |field: &str| {
        let text = match known {
            Some(_) if !is_same_host => "enter this secret again, because the URL leads to another host",
            _ => "enter the secret itself",
        };
        problems.push(FieldProblem {
            webhook: webhook.to_owned(),
            field: field.to_owned(),
            text: text.to_owned(),
        });
    };
    restore(
        &mut settings,
        known.filter(|_| is_same_host),
        String::new(),
        &mut missing,
    );
    if problems.is_empty() {
        Ok(settings)
    } else {
        Err(problems)
    }
}

fn restore(settings: &mut Json, known: Option<&Json>, path: String, missing: &mut impl FnMut(&str)) {
    match settings {
        Json::Object(table) => {
            for (key, value) in table {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                restore(value, known.and_then(|known| known.get(key)), path, missing);
            }
        }
        Json::Array(list) => {
            for (index, value) in list.iter_mut().enumerate() {
                let known = known.and_then(|known| known.get(index));
                restore(value, known, format!("{path}[{index}]"), missing);
            }
        }
        Json::String(text) if text == HIDDEN => match known {
            Some(known) => *settings = known.clone(),
            None => missing(&path),
        },
        _ => {}
    }
}

/// Scheme, host and port of the URL of a webhook.
fn origin(settings: &Json) -> Option<(String, Option<String>, Option<u16>)> {
    let text = settings.get("url")?.as_str()?;
    let url = Url::parse(text.trim()).ok()?;
    let host = url.host_str().map(str::to_owned);
    Some((url.scheme().to_owned(), host, url.port_or_known_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden_and_kept() {
        let settings = json!({
            "url": "https://h/a?b=${clientid}",
            "bearer": "one",
            "basic": {"user": "u", "password": "two"},
            "headers": {"content-type": "text/plain", "X-Api-Key": "three", "authorization": "four"},
            "sign": {"secrets": ["five", "six"]},
            "oauth2": {"client_id": "c", "client_secret": "seven"},
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
                "oauth2": {"client_id": "c", "client_secret": HIDDEN},
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
    fn another_host_does_not_get_the_secrets() {
        let known = json!({"url": "https://h/a", "bearer": "one"});
        for (url, is_same) in [
            ("https://h/b", true),
            ("https://h:443/b", true),
            ("http://h/a", false),
            ("https://h:444/a", false),
            ("https://evil/a", false),
            ("no url", true),
        ] {
            let settings = json!({"url": url, "bearer": HIDDEN});
            let fields = restored("w", settings, Some(&known)).map_err(|problems| problems[0].field.clone());
            assert_eq!(fields.is_ok(), is_same, "{url}: {fields:?}");
            assert!(is_same || fields == Err("bearer".to_owned()));
        }
        let unknown = restored("w", json!({"sign": {"secrets": ["a", HIDDEN]}}), None).unwrap_err();
        assert_eq!((unknown.len(), unknown[0].field.as_str()), (1, "sign.secrets[1]"));
    }
}
