//! Password files: a user in each line, `NAME:HASH`.
//!
//! ```text
//! # hookhost users add alice
//! alice:$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$…
//! ```
//!
//! The hash is a PHC string of argon2. Lines that are empty or begin with `#` are comments. A name may contain colons.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;

/// Largest amount of memory that one hash may need, in KiB. A file with larger hashes is refused, because each login
/// needs this memory.
const MAX_HASH_MEMORY_KIB: u32 = 256 << 10;
/// Most passes over the memory that one hash may need.
const MAX_HASH_PASSES: u32 = 64;
/// Longest user name in bytes; MQTT has no longer ones.
const MAX_NAME_BYTES: usize = 65_535;

/// Users with their passwords.
#[derive(Clone, PartialEq, Default)]
pub struct Users(HashMap<Box<str>, StoredPassword>);

/// How a password is known.
#[derive(Clone, PartialEq)]
pub(crate) enum StoredPassword {
    /// Its hash, as a PHC string of argon2 that has been checked.
    Hash(Arc<str>),
    /// Itself, from the configuration of another broker.
    Plain(Arc<[u8]>),
}

/// Only the number of users.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.0.len())
    }
}

/// An invalid line of a password file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct UsersError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong. It never contains the line.
    pub problem: &'static str,
}

/// Why a name cannot be in a password file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserNameError {
    /// It is empty.
    #[error("a user name must not be empty")]
    Empty,
    /// It is longer than MQTT allows.
    #[error("a user name must not be longer than 65,535 bytes")]
    TooLong,
    /// It contains a control character, such as a line break.
    #[error("a user name in a password file must not contain control characters")]
    Control,
    /// It would be a comment, or blanks at its ends would be lost.
    #[error("a user name in a password file must not begin with # and not begin or end with a blank")]
    Edge,
}

impl Users {
    /// Reads a password file.
    ///
    /// # Errors
    ///
    /// All invalid lines.
    pub fn parse(text: &str) -> Result<Users, Vec<UsersError>> {
        let (mut users, mut errors) = (HashMap::new(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            let mut add = || {
                let Some((name, hash)) = entry(line).transpose()? else {
                    return Ok(());
                };
                check_hash(hash)?;
                match users.insert(name.into(), StoredPassword::Hash(hash.into())) {
                    None => Ok(()),
                    Some(_) => Err("is a second line for the same user"),
                }
            };
            if let Err(problem) = add() {
                errors.push(UsersError {
                    line: index + 1,
                    problem,
                });
            }
        }
        if errors.is_empty() {
            Ok(Users(users))
        } else {
            Err(errors)
        }
    }

    /// Adds a user with a password in plain text, or its PHC string, unless the user exists.
    ///
    /// # Errors
    ///
    /// What is wrong with the PHC string.
    pub fn add(&mut self, name: &str, password: &str) -> Result<(), &'static str> {
        let stored = if password.starts_with("$argon2") {
            check_hash(password)?;
            StoredPassword::Hash(password.into())
        } else {
            StoredPassword::Plain(password.as_bytes().into())
        };
        self.0.entry(name.into()).or_insert(stored);
        Ok(())
    }

    /// Adds all users of another list that are not in this one.
    pub fn extend(&mut self, more: Users) {
        for (name, password) in more.0 {
            self.0.entry(name).or_insert(password);
        }
    }

    /// Whether there are no users.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The names, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }

    pub(crate) fn password(&self, name: &str) -> Option<&StoredPassword> {
        self.0.get(name)
    }

    /// A hash of any user, for a check that takes as long as a real one.
    pub(crate) fn any_hash(&self) -> Option<&StoredPassword> {
        self.0
            .values()
            .find(|password| matches!(password, StoredPassword::Hash(_)))
    }
}

/// Checks whether a name can be in a password file.
///
/// # Errors
///
/// [`UserNameError`] says why not.
pub fn check_name(name: &str) -> Result<(), UserNameError> {
    match name {
        "" => Err(UserNameError::Empty),
        name if name.len() > MAX_NAME_BYTES => Err(UserNameError::TooLong),
        name if name.contains(char::is_control) => Err(UserNameError::Control),
        name if name.starts_with('#') || name.trim() != name => Err(UserNameError::Edge),
        _ => Ok(()),
    }
}

/// A password file with a user added, or with a new hash for the user. Other lines stay as they are.
///
/// # Errors
///
/// The name cannot be in a password file.
pub fn with_user(text: &str, name: &str, hash: &str) -> Result<String, UserNameError> {
    check_name(name)?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line = format!("{name}:{hash}");
    match lines.iter_mut().find(|line| is_of(line, name)) {
        Some(known) => *known = line,
        None => lines.push(line),
    }
    Ok(joined(lines))
}

/// A password file without a user; `None` if the user is not in it.
pub fn without_user(text: &str, name: &str) -> Option<String> {
    let count = text.lines().count();
    let lines: Vec<String> = text
        .lines()
        .filter(|line| !is_of(line, name))
        .map(str::to_owned)
        .collect();
    (lines.len() < count).then(|| joined(lines))
}

fn joined(lines: Vec<String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

fn is_of(line: &str, name: &str) -> bool {
    matches!(entry(line), Some(Ok((known, _))) if known == name)
}

/// Name and hash of a line; `None` for a comment.
fn entry(line: &str) -> Option<Result<(&str, &str), &'static str>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    // A hash contains no colon.
    Some(match line.rsplit_once(':') {
        Some((name, hash)) if check_name(name).is_ok() => Ok((name, hash)),
        _ => Err("should be NAME:HASH, as `hookhost users add` writes it"),
    })
}

fn check_hash(hash: &str) -> Result<(), &'static str> {
    let hash = PasswordHash::new(hash).map_err(|_| "has no valid password hash; `hookhost users add` writes one")?;
    if !hash.algorithm.as_str().starts_with("argon2") || hash.hash.is_none() || hash.salt.is_none() {
        return Err("has a password hash of another kind than argon2; `hookhost users add` writes one");
    }
    let parameters = argon2::Params::try_from(&hash).map_err(|_| "has a password hash with invalid parameters")?;
    if parameters.m_cost() > MAX_HASH_MEMORY_KIB || parameters.t_cost() > MAX_HASH_PASSES {
        return Err("has a password hash that needs more than 256 MiB or 64 passes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::passwords::hash_password;

    #[test]
    fn a_file_is_read_and_changed_line_by_line() {
        let hash = hash_password(b"secret").unwrap();
        let other = hash_password(b"other").unwrap();
        let text = with_user("# users\n\n", "alice", &hash).unwrap();
        let text = with_user(&text, "bob:the:second", &other).unwrap();
        assert_eq!(text, format!("# users\n\nalice:{hash}\nbob:the:second:{other}\n"));
        let users = Users::parse(&text).unwrap();
        assert_eq!((users.len(), users.password("alice").is_some()), (2, true));
        assert!(users.password("bob").is_none());
        let changed = with_user(&text, "alice", &other).unwrap();
        assert_eq!(changed, format!("# users\n\nalice:{other}\nbob:the:second:{other}\n"));
        assert_eq!(
            without_user(&text, "bob:the:second").unwrap(),
            format!("# users\n\nalice:{hash}\n")
        );
        assert_eq!(without_user(&text, "carol"), None);
    }

    #[test]
    fn every_invalid_line_is_reported() {
        let hash = hash_password(b"secret").unwrap();
        let huge = "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$UZ0Oa0WStk5BOTOLrRZ8dCw7ZOrJmBBtEEx8SWtY9Ys";
        let text =
            format!("alice\nbob:secret\nalice:{hash}\nalice:{hash}\n:{hash}\ncarol:{huge}\ndave:$5$salt$aGFzaGhhc2g\n");
        let errors = Users::parse(&text).unwrap_err();
        let lines: Vec<usize> = errors.iter().map(|error| error.line).collect();
        assert_eq!(lines, [1, 2, 4, 5, 6, 7], "{errors:?}");
        assert!(errors.iter().all(|error| !error.to_string().contains("secret")));
    }

    #[test]
    fn names_that_a_line_cannot_hold() {
        for (name, error) in [
            ("", UserNameError::Empty),
            ("#a", UserNameError::Edge),
            (" a", UserNameError::Edge),
            ("a\nb", UserNameError::Control),
        ] {
            assert_eq!(with_user("", name, "hash"), Err(error), "{name:?}");
        }
        assert_eq!(with_user("", &"x".repeat(65_536), "hash"), Err(UserNameError::TooLong));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(.|\n){0,200}") {
            drop(Users::parse(&text));
        }

        #[test]
        fn any_name_is_found_again_or_refused(name in ".{0,20}", before in "(#.{0,5}\n|\n){0,3}") {
            let hash = "$argon2id$v=19$m=16,t=1,p=1$c2FsdHNhbHQ$UZ0Oa0WStk5BOTOLrRZ8dCw7ZOrJmBBtEEx8SWtY9Ys";
            if let Ok(text) = with_user(&before, &name, hash) {
                let users = Users::parse(&text).unwrap();
                prop_assert_eq!(users.names().collect::<Vec<_>>(), [name.as_str()]);
                let left = without_user(&text, &name).unwrap();
                prop_assert!(Users::parse(&left).unwrap().is_empty());
            }
        }
    }
}
