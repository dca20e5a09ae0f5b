//! Secrets in the settings of webhooks: they can be written and never read. Pure.
//!
//! A webhook is shown with [`HIDDEN`] in place of each secret. A change may contain that text again: the secret then stays
//! as it is. It does not stay if the change leads to another receiver, because that receiver would learn the secret.
//!
//! The URLs of rules may contain credentials, so they are shown as the log shows URLs. The URL of a webhook has none.

use hookhost_delivery::{is_secret_name, shown};
use serde_json::{Map, Value as Json};
use url::Url;

use super::FieldProblem;

/// What is shown in place of a secret.
pub const HIDDEN: &str = "******";

/// The settings that are secrets, or lists or tables of secrets.
const SECRETS: [&str; 5] = ["bearer", "password", "secrets", "client_secret", "assertion"];

/// The value at a path, such as `headers.authorization`, as it may be shown; `None` if it may be shown as it is.
fn replacement(path: &[&str], value: &Json) -> Option<Json> {
    let is_secret = match path {
        ["headers", name, ..] | ["oauth2", "parameters", name, ..] => is_secret_name(name),
        // A proxy may have a user and a password.
        ["proxy"] => value.as_str().is_some_and(|url| url.contains('@')),
        ["urls"] => return value.as_str().map(shown).map(Json::from),
        _ => false,
    };
    let is_secret = is_secret || path.iter().any(|key| SECRETS.contains(key));
    is_secret.then(|| HIDDEN.into())
}

/// The value of a header as it may be shown.
pub fn shown_header<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret_name(name) { HIDDEN } else { value }
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
        other => replacement(path, other).unwrap_or_else(|| other.clone()),
    }
}

/// New settings with the known secrets in place of [`HIDDEN`].
///
/// # Errors
///
/// The settings whose secret is not known, or must be given again.
pub(super) fn restored(webhook: &str, mut settings: Json, known: Option<&Json>) -> Result<Json, Vec<FieldProblem>> {
    let changed = known.and_then(|known| changed_receiver(&settings, known));
    let mut problems = Vec::new();
    let mut missing = |field: &str, reason: Missing| {
        let text = match (reason, changed) {
            (_, Some(key)) => {
                format!("enter this secret again, because the change of `{key}` leads to another receiver")
            }
            (Missing::Unknown, None) => "enter the secret itself".to_owned(),
            (Missing::Ambiguous, None) => {
                "enter all secrets of this list, because the change has fewer or more of the known ones".to_owned()
            }
        };
        problems.push(FieldProblem {
            webhook: webhook.to_owned(),
            field: field.to_owned(),
            text,
        });
    };
    let known = known.filter(|_| changed.is_none());
    restore(&mut settings, known, String::new(), &mut missing);
    if problems.is_empty() {
        Ok(settings)
    } else {
        Err(problems)
    }
}

/// Why a secret cannot be restored.
#[derive(Clone, Copy)]
enum Missing {
    /// There is no secret at this place.
    Unknown,
    /// It could be any of several.
    Ambiguous,
}

fn restore(settings: &mut Json, known: Option<&Json>, path: String, missing: &mut impl FnMut(&str, Missing)) {
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
        Json::Array(list) => restore_list(list, known, &path, missing),
        Json::String(text) if text == HIDDEN => match known {
            Some(known) => *settings = known.clone(),
            None => missing(&path, Missing::Unknown),
        },
        _ => {}
    }
}

/// The hidden secrets of a list are the known ones in their order. If their numbers differ, it is unknown which of them
/// the change removes.
fn restore_list(list: &mut [Json], known: Option<&Json>, path: &str, missing: &mut impl FnMut(&str, Missing)) {
    let known = known.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let is_clear = list.iter().filter(|value| *value == HIDDEN).count() == known.len();
    let reason = if known.is_empty() {
        Missing::Unknown
    } else {
        Missing::Ambiguous
    };
    let mut known = known.iter();
    for (index, value) in list.iter_mut().enumerate() {
        let path = format!("{path}[{index}]");
        if *value != HIDDEN {
            restore(value, None, path, missing);
        } else if let Some(known) = known.next().filter(|_| is_clear) {
            *value = known.clone();
        } else {
            missing(&path, reason);
        }
    }
}

/// The setting by which new settings lead to another receiver than the known ones, if one does.
fn changed_receiver(settings: &Json, known: &Json) -> Option<&'static str> {
    let text = |settings: &Json, path: &str| settings.pointer(path).and_then(Json::as_str).map(str::to_owned);
    let urls = [("url", "/url"), ("oauth2.token_url", "/oauth2/token_url")];
    let changed_url = urls.into_iter().find(|(_, path)| {
        let of = |settings| text(settings, path).and_then(|url| origin(&url));
        // With a URL that is not valid nothing is sent, and the settings are refused anyway.
        of(settings).is_some_and(|new| of(known) != Some(new))
    });
    // Without them, requests take the direct way, which leads elsewhere too.
    let ways = [("proxy", "/proxy"), ("unix", "/unix")];
    let changed_way = ways.into_iter().find(|(_, path)| {
        let (new, known) = (text(settings, path), text(known, path));
        new != known && !(new.as_deref() == Some(HIDDEN) && known.is_some())
    });
    changed_url.or(changed_way).map(|(key, _)| key)
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> Option<(String, Option<String>, Option<u16>)> {
    let url = Url::parse(url.trim()).ok()?;
    let host = url.host_str().map(str::to_owned);
    Some((url.scheme().to_owned(), host, url.port_or_known_default()))
}

#[cfg(test)]
#[path = "secret_tests.rs"]
mod tests;
