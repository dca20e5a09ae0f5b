//! Values that all brokers have: URLs, headers, topic filters. They are checked here, so that a problem has the line and key
//! of the broker's own file and not of what the value was turned into.

use hookhost_settings::{Place, Problem, Report, Setting, Table, Value, url};
use hookhost_shared::topic::TopicFilter;

use super::Sources;
use super::canonical::Canonical;

/// `true` or `false`, or `on` or `off`, which EMQX and NanoMQ accept.
pub(super) fn switch(setting: &Setting) -> Result<bool, Problem> {
    match setting.as_text().map(str::trim) {
        Some("on" | "true") => Ok(true),
        Some("off" | "false") => Ok(false),
        _ => setting.boolean(),
    }
}

/// An untyped value.
pub(super) fn untyped(place: Place, text: impl Into<String>) -> Setting {
    Setting::new(place, Value::Untyped(text.into()))
}

/// A string with its place. Reports other types.
pub(super) fn text(report: &Report, setting: Setting) -> Option<(Place, String)> {
    let text = report.check(setting.written())?;
    Some((setting.place, text))
}

/// Warns about all parts of a broker's configuration that are not about webhooks, in one warning.
pub(super) fn ignore_parts(report: &Report, parts: &Table) {
    let mut parts: Vec<(&String, &Setting)> = parts.iter().collect();
    parts.sort_by_key(|(_, setting)| &setting.place.source);
    let Some((_, first)) = parts.first() else { return };
    let place = Place {
        key: parts.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", "),
        ..first.place.clone()
    };
    let text = match parts.len() {
        1 => "is ignored: it is not about webhooks",
        _ => "are ignored: they are not about webhooks",
    };
    report.warning(&place, text);
}

/// Reads the one URL of a file into `webhook.urls`. Returns it with its place, and the effective URLs, which a flag may set.
pub(super) fn only_url(
    report: &Report,
    canonical: &mut Canonical,
    setting: Option<Setting>,
    sources: &Sources<'_>,
) -> (Option<(Place, String)>, Vec<String>) {
    let url = setting.and_then(|setting| {
        let text = report.check(setting.written())?;
        Some((setting.place.clone(), http_url(report, &setting.place, &text)?))
    });
    let urls = sources.urls_instead_of(url.as_ref().map(|(_, url)| url.as_str()));
    if let Some((place, url)) = &url {
        canonical.set("webhook.urls", place, Value::texts(place, [url.clone()]));
    }
    (url, urls)
}

/// A URL that these brokers can post to. User and password in it are not sent by any of them.
pub(super) fn http_url(report: &Report, place: &Place, text: &str) -> Option<String> {
    let text = text.trim();
    // A scheme may be written in any case, and is compared in lower case.
    let lower = text.to_ascii_lowercase();
    let scheme = if lower.starts_with("https://") { 5 } else { 4 };
    let text = match (lower.get(..scheme), text.get(scheme..)) {
        (Some(scheme), Some(rest)) if lower.starts_with("http") => &format!("{scheme}{rest}"),
        _ => text,
    };
    if !lower.starts_with("http://") && !lower.starts_with("https://") {
        let shown = url::redacted(text);
        let hint = if text.contains("://") {
            "only http:// and https:// can be posted to".to_owned()
        } else {
            format!("it has no scheme; http://{shown} is probably meant")
        };
        report.problem(place, format!("`{shown}` is not a URL of a web service: {hint}"));
        return None;
    }
    let authority = text.split("://").nth(1).unwrap_or_default();
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains("${") {
        report.problem(
            place,
            "should have no placeholder before its path: hookhost must know the host before an event happens",
        );
        return None;
    }
    if let Err(error) = url::check(text) {
        report.problem(place, error);
        return None;
    }
    let Some((_, host)) = authority.rsplit_once('@') else {
        return Some(text.to_owned());
    };
    report.warning(
        place,
        "has a user name, which that broker does not send either; set `basic` of a destination instead",
    );
    Some(text.replacen(authority, host, 1))
}

/// A header: its name in lower case, and its value without blanks around it.
pub(super) fn header(report: &Report, place: &Place, name: &str, value: &str) -> Option<(String, String)> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        report.problem(place, "is not a valid name of a header: use letters, digits and '-'");
        return None;
    }
    if value.contains(|c: char| c.is_control() && c != '\t') {
        report.problem(place, "has a control character, which is not allowed in a header");
        return None;
    }
    let name = name.to_ascii_lowercase();
    if OWN_HEADERS.contains(&name.as_str()) {
        report.ignored(place, "the host sets this header itself");
        return None;
    }
    Some((name, value.trim().to_owned()))
}

/// Headers that the host sets itself: they describe the connection or the length of a request.
const OWN_HEADERS: [&str; 4] = ["connection", "content-length", "host", "transfer-encoding"];

/// A topic filter.
pub(super) fn topic(report: &Report, place: &Place, text: &str) -> Option<String> {
    match text.parse::<TopicFilter>() {
        Ok(_) => Some(text.to_owned()),
        Err(error) => {
            report.problem(place, format!("`{text}` is not a topic filter: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::flag("url")
    }

    #[test]
    fn urls() {
        let cases = [
            ("http://127.0.0.1:80", Ok("http://127.0.0.1:80")),
            (" HTTPS://h/${topic}?a ", Ok("https://h/${topic}?a")),
            ("http://u:secret@h/x", Ok("http://h/x")),
            (
                "127.0.0.1:80/a",
                Err(
                    "url: `127.0.0.1:80/a` is not a URL of a web service: it has no scheme; http://127.0.0.1:80/a is probably meant",
                ),
            ),
            (
                "ftp://h/a",
                Err("url: `ftp://h/a` is not a URL of a web service: only http:// and https:// can be posted to"),
            ),
            (
                "http://${h}/a",
                Err(
                    "url: should have no placeholder before its path: hookhost must know the host before an event happens",
                ),
            ),
            ("http://", Err("url: `http://` is not a URL: empty host")),
        ];
        for (text, expected) in cases {
            let report = Report::default();
            let read = http_url(&report, &place(), text);
            let problems = report.finish().problems;
            match expected {
                Ok(url) => assert_eq!(read.as_deref(), Some(url), "{text}"),
                Err(message) => assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [message]),
            }
        }
    }

    #[test]
    fn headers() {
        let read = |name, value| header(&Report::default(), &place(), name, value);
        assert_eq!(read("X-A", " b "), Some(("x-a".to_owned(), "b".to_owned())));
        for (name, value) in [("", "b"), ("a b", "b"), ("é", "b"), ("a", "b\r\nc: d"), ("a", "\0")] {
            assert_eq!(read(name, value), None, "{name} {value}");
        }
    }
}
