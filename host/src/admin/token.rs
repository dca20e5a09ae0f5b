//! The token that requests must bear.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fmt, fs};

use sha2::{Digest, Sha256};

use crate::config::file::must_be_regular;

/// A token, of which only the hash is kept: nothing can show what it was.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

/// Where a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFrom {
    /// Among the settings.
    Given(Token),
    /// In a file of its own; blanks around it do not count.
    File(PathBuf),
}

/// A file that should hold a token does not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It cannot be read.
    #[error("the token in {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it holds is no token.
    #[error("the token in {} is none", path.display())]
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
                // It is read again with the configuration, and nothing may wait for a pipe then.
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

/// The text of a token file, without the blanks around it.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(LONGEST_FILE).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// Bytes of a token file that are read: a wrong file does no harm.
const LONGEST_FILE: u64 = 64 << 10;

/// A text that cannot be a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadToken {
    /// It is easily guessed.
    #[error("should have at least {MIN} characters; `openssl rand -hex 32` makes a good one")]
    Short,
    /// It cannot stand in a header.
    #[error("should have visible ASCII characters only")]
    Characters,
}

/// What is shorter can be tried out.
const MIN: usize = 16;

impl FromStr for Token {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Token, BadToken> {
        if text.len() < MIN {
            return Err(BadToken::Short);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadToken::Characters);
        }
        Ok(Token(Sha256::digest(text).into()))
    }
}

impl Token {
    /// Whether this is the token. How long the answer takes tells nothing: hashes are compared, and all of them.
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
        assert_eq!("0123456789abcde".parse::<Token>(), Err(BadToken::Short));
        assert_eq!("0123456789 abcdef".parse::<Token>(), Err(BadToken::Characters));
        assert_eq!("0123456789äbcdef".parse::<Token>(), Err(BadToken::Characters));
    }
}
