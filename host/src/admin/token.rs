//! The tokens that requests must carry, and what they allow.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fmt, fs};

use sha2::{Digest, Sha256};

use crate::config::file::must_be_regular;

/// A token. Only its hash is stored, so nothing can show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Reading.
    Viewer,
}

impl Role {
    /// The name in the API and in the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Viewer => "viewer",
        }
    }
}

/// The tokens of a host.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The one that allows everything.
    pub admin: Token,
    /// The one that allows reading, if there is one.
    pub viewer: Option<Token>,
}

impl Tokens {
    /// What a token allows; `None` if it is not one of this host.
    pub(super) fn role(&self, text: &str) -> Option<Role> {
        if self.admin.is(text) {
            return Some(Role::Admin);
        }
        let is_viewer = self.viewer.as_ref().is_some_and(|viewer| viewer.is(text));
        is_viewer.then_some(Role::Viewer)
    }
}

/// Where a token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFrom {
    /// The settings.
    Given(Token),
    /// A file that holds only the token; surrounding whitespace is ignored.
    File(PathBuf),
}

/// The file of a token is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot read the token in {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not hold a valid token.
    #[error("the token in {} is invalid", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BadToken,
    },
}

impl TokenError {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            TokenError::Unreadable { path, .. } | TokenError::Bad { path, .. } => path,
        }
    }
}

impl TokenFrom {
    /// The token itself.
    pub(super) fn read(&self) -> Result<Token, TokenError> {
        match self {
            TokenFrom::Given(token) => Ok(token.clone()),
            TokenFrom::File(path) => {
                // A reload reads the file again and must not block on a pipe.
                let text = must_be_regular(path).and_then(|()| read_text(path));
                let text = text.map_err(|source| TokenError::Unreadable {
                    path: path.clone(),
                    source,
                })?;
                text.parse().map_err(|source| TokenError::Bad {
                    path: path.clone(),
                    source,
                })
            }
        }
    }
}

/// The text of a token file, without surrounding whitespace.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// Maximum bytes read from a token file, in case it is the wrong file.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// An invalid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadToken {
    /// It is short enough to be guessed.
    #[error("must have at least {MIN_CHARS} characters; `openssl rand -hex 32` creates one")]
    Short,
    /// It is not valid in a header.
    #[error("must have visible ASCII characters only")]
    Characters,
    /// It begins like a hash, and is not one.
    #[error("must have 64 hex digits after {HASH_PREFIX}: `printf %s TOKEN | sha256sum` prints them")]
    Hash,
}

/// What a token begins with if its SHA-256 is given in its place.
const HASH_PREFIX: &str = "sha256:";

/// Minimum length of a token.
const MIN_CHARS: usize = 16;

impl FromStr for Token {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Token, BadToken> {
        if let Some(digits) = text.strip_prefix(HASH_PREFIX) {
            return hash(digits).map(Token).ok_or(BadToken::Hash);
        }
        if text.len() < MIN_CHARS {
            return Err(BadToken::Short);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadToken::Characters);
        }
        Ok(Token(Sha256::digest(text).into()))
    }
}

/// 32 bytes from 64 hex digits.
fn hash(digits: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = digits
        .chars()
        .map(|digit| digit.to_digit(16)?.try_into().ok())
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    bytes.try_into().ok().filter(|_| rest.is_empty())
}

impl Token {
    /// Whether this is the token. Compares hashes in constant time.
    pub fn is(&self, text: &str) -> bool {
        let other: [u8; 32] = Sha256::digest(text).into();
        let differences = self
            .0
            .iter()
            .zip(other)
            .fold(0, |all, (ours, theirs)| all | (ours ^ theirs));
        std::hint::black_box(differences) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_a_token() {
        let good: Token = "0123456789abcdef".parse().unwrap();
        assert!(good.is("0123456789abcdef"));
        for other in ["", "0123456789abcdeF", "0123456789abcdef0", "0123456789abcde"] {
            assert!(!good.is(other), "{other}");
        }
        assert_eq!(format!("{good:?}"), "Token(…)");
        // printf %s 0123456789abcdef | sha256sum
        let hash = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";
        assert_eq!(format!("sha256:{hash}").parse(), Ok(good.clone()));
        assert!(
            !good.is(hash) && !good.is(&format!("sha256:{hash}")),
            "the hash is not a token"
        );
        for wrong in ["", "9f", "é", &hash.replace('f', "g"), &hash[1..], &format!("{hash}00")] {
            assert_eq!(
                format!("sha256:{wrong}").parse::<Token>(),
                Err(BadToken::Hash),
                "{wrong}"
            );
        }
        assert_eq!("0123456789abcde".parse::<Token>(), Err(BadToken::Short));
        assert_eq!("0123456789 abcdef".parse::<Token>(), Err(BadToken::Characters));
        assert_eq!("0123456789äbcdef".parse::<Token>(), Err(BadToken::Characters));
    }
}
