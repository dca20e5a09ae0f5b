//! Texts that must never be shown: credentials, and headers whose names look like credentials.

use std::fmt;
use std::sync::Arc;

/// A credential. `Debug` hides it, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<Arc<str>>) -> Secret {
        Secret(text.into())
    }

    /// Returns the text. Use it only to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A header or parameter whose name contains one of these words may be a secret.
const SECRET_WORDS: [&str; 9] = [
    "auth",
    "cookie",
    "credential",
    "key",
    "password",
    "secret",
    "session",
    "sign",
    "token",
];

/// Returns whether the value of a header or parameter with this name may be a secret. Ignores case.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_credentials() {
        for (name, expected) in [
            ("Authorization", true),
            ("proxy-authorization", true),
            ("X-API-Key", true),
            ("cookie", true),
            ("x-session-id", true),
            ("Signature", true),
            ("x-hub-signature-256", true),
            ("refresh_token", true),
            ("content-type", false),
            ("x-client", false),
            ("", false),
        ] {
            assert_eq!(is_secret_name(name), expected, "{name}");
        }
    }

    #[test]
    fn debug_hides_it() {
        assert_eq!(format!("{:?}", Secret::new("hidden")), "Secret(…)");
        assert_eq!(Secret::new("known").expose(), "known");
    }
}
