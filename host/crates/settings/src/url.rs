//! URLs of webhooks: which texts are valid, and how to show one without its secrets.

use url::Url;

/// Checks a destination: `http://…`, `https://…`, `file:///path`, `stdout:` or `mqtt:TOPIC`; blanks around it do not count. Gives the
/// text without them. The error never repeats a secret.
pub fn check(text: &str) -> Result<&str, String> {
    let text = text.trim();
    if text == "stdout:" {
        return Ok(text);
    }
    let url = Url::parse(text).map_err(|error| {
        let shown = redacted(text);
        match error {
            url::ParseError::RelativeUrlWithoutBase if !shown.is_empty() => {
                format!("`{shown}` is not a URL: it has no scheme; http://{shown} is probably meant")
            }
            error => format!("`{shown}` is not a URL: {error}"),
        }
    })?;
    match url.scheme() {
        // The parser refuses these without a host.
        "http" | "https" => Ok(text),
        "file" if url.has_host() => Err(format!(
            "`{}` needs three slashes before the path: file:///path",
            redacted(text)
        )),
        "file" if url.path().ends_with('/') => Err(format!("`{}` names no file", redacted(text))),
        "file" => Ok(text),
        "mqtt" => topic(text),
        _ => Err(format!(
            "`{}` should begin with http://, https://, file:// or mqtt:, or be stdout:",
            redacted(text)
        )),
    }
}

/// Checks the topic of an `mqtt:` URL, which may have placeholders.
fn topic(text: &str) -> Result<&str, String> {
    let topic = text
        .split_once(':')
        .map_or("", |(_, rest)| rest)
        .split('?')
        .next()
        .unwrap_or_default();
    match topic {
        "" => Err(format!("`{}` needs a topic: mqtt:TOPIC", redacted(text))),
        topic if topic.starts_with('/') => Err(format!(
            "`{}` should have %2F in place of the slash at the beginning of its topic",
            redacted(text)
        )),
        topic if topic.contains(['+', '#']) => Err(format!(
            "`{}` names no topic: messages are published on topics without + and #",
            redacted(text)
        )),
        _ => Ok(text),
    }
}

/// The URL without user, password, query and fragment, whether or not it parses.
pub fn redacted(text: &str) -> String {
    let text: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text.as_str()),
    };
    // A password may hold any sign, so everything up to the last `@` may belong to it.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("…@", rest),
        None => ("", rest),
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (shown, hidden) = rest.split_at(end);
    let shown: String = shown.chars().take(200).collect();
    format!("{scheme}{user}{shown}{}", if hidden.is_empty() { "" } else { "?…" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        for good in [
            "http://127.0.0.1:5656/hook",
            "https://user:secret@example.com/a?token=1",
            "file:///tmp/x.log",
            "stdout:",
            "http://[::1]:80/",
            "mqtt:copy/${clientid}?qos=1",
        ] {
            assert_eq!(check(good), Ok(good));
        }
        assert_eq!(check("  http://a/ \t"), Ok("http://a/"));
        let bad = [
            (
                "127.0.0.1:5656",
                "`127.0.0.1:5656` is not a URL: it has no scheme; http://127.0.0.1:5656 is probably meant",
            ),
            ("", "`` is not a URL: relative URL without a base"),
            ("http://", "`http://` is not a URL: empty host"),
            (
                "http://u:se/cret@h:x/",
                "`http://…@h:x/` is not a URL: invalid port number",
            ),
            (
                "ftp://u:secret@h/a",
                "`ftp://…@h/a` should begin with http://, https://, file:// or mqtt:, or be stdout:",
            ),
            (
                "mailto:a",
                "`mailto:a` should begin with http://, https://, file:// or mqtt:, or be stdout:",
            ),
            (
                "stdout:x",
                "`stdout:x` should begin with http://, https://, file:// or mqtt:, or be stdout:",
            ),
            (
                "file://var/log/x",
                "`file://var/log/x` needs three slashes before the path: file:///path",
            ),
            ("file:///", "`file:///` names no file"),
            ("mqtt:", "`mqtt:` needs a topic: mqtt:TOPIC"),
            (
                "mqtt:a/+",
                "`mqtt:a/+` names no topic: messages are published on topics without + and #",
            ),
        ];
        for (text, message) in bad {
            assert_eq!(check(text), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let cases = [
            ("https://user:pass@host/path?token=1#f", "https://…@host/path?…"),
            ("http://host/path", "http://host/path"),
            ("user:pass@host", "…@host"),
            ("http://u:p@ss@host/", "http://…@host/"),
        ];
        for (text, shown) in cases {
            assert_eq!(redacted(text), shown);
        }
    }
}
