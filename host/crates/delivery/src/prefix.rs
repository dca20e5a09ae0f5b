//! URL prefixes and the URLs below them.
//!
//! URLs are compared after parsing. Scheme, host and port must be equal. The path must equal the path of the prefix or
//! continue it by whole segments. `http://h/hook` is a prefix of `http://h/hook`, `http://h/hook/a` and
//! `http://h/hook?b`, but not of `http://h/hooks`. User names, passwords, queries and fragments are ignored.

use url::Url;

/// A URL prefix: scheme, host, port and path of an `http:` or `https:` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPrefix(Url);

/// Why a text is not a valid [`UrlPrefix`]. The error does not contain the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlPrefixError {
    /// The text is not a valid URL.
    #[error("is not a valid URL ({0}); expected a URL prefix such as https://example.com/hooks")]
    NotAUrl(url::ParseError),
    /// The scheme is unsupported.
    #[error("should begin with http:// or https://")]
    Scheme,
    /// Credentials have their own settings; a query or fragment has no meaning.
    #[error("should have no user, password, query or fragment: it is a URL prefix")]
    More,
}

impl UrlPrefix {
    /// Parses a URL prefix.
    ///
    /// # Errors
    ///
    /// [`UrlPrefixError`]; it does not contain the text.
    pub fn parse(text: &str) -> Result<UrlPrefix, UrlPrefixError> {
        let url = Url::parse(text.trim()).map_err(UrlPrefixError::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlPrefixError::Scheme);
        }
        let bare =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if bare {
            Ok(UrlPrefix(url))
        } else {
            Err(UrlPrefixError::More)
        }
    }

    /// Returns the prefix as a URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Returns whether a URL matches the prefix.
    pub fn covers(&self, url: &Url) -> bool {
        self.0.scheme() == url.scheme()
            && self.0.host_str() == url.host_str()
            && self.0.port_or_known_default() == url.port_or_known_default()
            && below(self.0.path(), url.path())
    }

    /// Returns the URL of a path below the prefix. `relative` is a path with or without a leading slash, a query, or
    /// empty. Returns `None` if the result is not below the prefix.
    pub fn join(&self, relative: &str) -> Option<Url> {
        let base = self.0.as_str();
        let text = match relative.chars().next() {
            None | Some('?') => format!("{base}{relative}"),
            Some(_) => format!("{}/{}", base.trim_end_matches('/'), relative.trim_start_matches('/')),
        };
        Url::parse(&text).ok().filter(|url| self.covers(url))
    }
}

/// Returns whether a path equals the prefix or continues it by whole segments. Everything is below an empty prefix, which
/// only URLs without a host have.
pub fn below(prefix: &str, path: &str) -> bool {
    let Some(rest) = path.strip_prefix(prefix) else {
        return false;
    };
    // Parsing resolves `..` unless its slashes are escaped. A receiver that unescapes them first would leave the
    // prefix.
    let climbs = || {
        rest.to_ascii_lowercase()
            .replace("%2e", ".")
            .replace("%2f", "/")
            .replace("%5c", "/")
    };
    (prefix.is_empty() || rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
        && (!rest.contains('%') || climbs().split('/').all(|segment| segment != ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below() {
        let prefix = |text: &str| UrlPrefix::parse(text).unwrap();
        for (begin, url, expected) in [
            ("https://h/hook", "https://h/hook", true),
            ("https://h/hook", "https://u:p@H:443/hook/a?b#c", true),
            ("https://h/hook", "https://h/hooks", false),
            ("https://h/hook", "https://h/", false),
            ("https://h/hook/", "https://h/hook", false),
            ("https://h", "https://h/anything", true),
            ("https://h", "http://h/", false),
            ("https://h", "https://h:444/", false),
            ("https://h", "https://h.evil/", false),
            ("https://h/a", "https://h/a/..%2fb", false),
        ] {
            assert_eq!(prefix(begin).covers(&url.parse().unwrap()), expected, "{begin} {url}");
        }
        for (begin, relative, expected) in [
            ("https://h/hook", "", Some("https://h/hook")),
            ("https://h/hook", "a/b?c=d", Some("https://h/hook/a/b?c=d")),
            ("https://h/hook/", "/a", Some("https://h/hook/a")),
            ("https://h/hook", "?x=1", Some("https://h/hook?x=1")),
            ("https://h", "a b", Some("https://h/a%20b")),
            ("https://h/hook", "//evil/a", Some("https://h/hook/evil/a")),
            ("https://h/hook", "../other", None),
            ("https://h/hook", "a/%2e%2e/../x", None),
            ("https://h/hook", "\\..\\..\\x", None),
        ] {
            let got = prefix(begin).join(relative);
            assert_eq!(got.as_ref().map(Url::as_str), expected, "{begin} {relative}");
        }
    }

    #[test]
    fn what_is_no_prefix_is_told_without_repeating_it() {
        for (text, expected) in [
            (
                "hidden",
                UrlPrefixError::NotAUrl(url::ParseError::RelativeUrlWithoutBase),
            ),
            ("file:///hidden", UrlPrefixError::Scheme),
            ("stdout:", UrlPrefixError::Scheme),
            ("https://hidden@h/", UrlPrefixError::More),
            ("https://h/?hidden", UrlPrefixError::More),
            ("https://h/#hidden", UrlPrefixError::More),
        ] {
            let error = UrlPrefix::parse(text).unwrap_err();
            assert_eq!(error, expected);
            assert!(!error.to_string().contains("hidden"));
        }
    }
}
