//! Values that every format has: URLs, headers, topic filters. Checked where they stand, so that a mistake is reported
//! with the line and key of the broker's own file and not with what it was turned into.

use hookhost_shared::topic::TopicFilter;

use super::said::Report;
use hookhost_settings::reader::Place;
use hookhost_settings::url;

/// A URL that these brokers can post to. User and password in it are not sent by any of them.
pub(super) fn http_url(report: &mut Report, place: &Place, text: &str) -> Option<String> {
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
            "should have no placeholder before its path: where requests go must be known beforehand",
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
        "holds a user name, which that broker does not send either; `basic` of a destination does",
    );
    Some(text.replacen(authority, host, 1))
}

/// A header: its name in lower case, and its value without blanks around it.
pub(super) fn header(report: &mut Report, place: &Place, name: &str, value: &str) -> Option<(String, String)> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        report.problem(place, "is not the name of a header: letters, digits and - are");
        return None;
    }
    if value.contains(|c: char| c.is_control() && c != '\t') {
        report.problem(place, "holds a control character, which no header may");
        return None;
    }
    let name = name.to_ascii_lowercase();
    if OWN_HEADERS.contains(&name.as_str()) {
        report.warning(place, "is ignored: the host writes this header by itself");
        return None;
    }
    Some((name, value.trim().to_owned()))
}

/// Headers that are about the connection or the length of a request.
const OWN_HEADERS: [&str; 5] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "transfer-encoding",
];

/// A topic filter.
pub(super) fn topic(report: &mut Report, place: &Place, text: &str) -> Option<String> {
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
    use hookhost_settings::Source;

    fn place() -> Place {
        let key = "url".to_owned();
        Place {
            source: Source::Flag,
            key,
        }
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
                Err("url: should have no placeholder before its path: where requests go must be known beforehand"),
            ),
            ("http://", Err("url: `http://` is not a URL: empty host")),
        ];
        for (text, expected) in cases {
            let mut report = Report::default();
            let read = http_url(&mut report, &place(), text);
            match expected {
                Ok(url) => assert_eq!(read.as_deref(), Some(url), "{text}"),
                Err(message) => assert_eq!(
                    report.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    [message]
                ),
            }
        }
    }

    #[test]
    fn headers() {
        let read = |name, value| header(&mut Report::default(), &place(), name, value);
        assert_eq!(read("X-A", " b "), Some(("x-a".to_owned(), "b".to_owned())));
        for (name, value) in [("", "b"), ("a b", "b"), ("é", "b"), ("a", "b\r\nc: d"), ("a", "\0")] {
            assert_eq!(read(name, value), None, "{name} {value}");
        }
    }
}
