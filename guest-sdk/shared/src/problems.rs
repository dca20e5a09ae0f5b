//! Errors in a configuration: all of them at once, each with the key where it is.

use std::fmt;

/// One error in a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The keys and indices that lead to the value, joined by dots, such as `rules.3.topic`; empty for the whole.
    pub key: String,
    /// What is wrong.
    pub text: String,
}

/// A list of errors, which refuses a configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// An empty list.
    pub fn new() -> Problems {
        Problems::default()
    }

    /// A list of one error.
    pub fn one(key: impl Into<String>, text: impl fmt::Display) -> Problems {
        let mut problems = Problems::new();
        problems.add(key, text);
        problems
    }

    /// Adds an error. `key` is the keys and indices that lead to the value, joined by dots, such as `rules.3.topic`; empty
    /// for the whole configuration.
    pub fn add(&mut self, key: impl Into<String>, text: impl fmt::Display) {
        self.0.push(Problem {
            key: key.into(),
            text: text.to_string(),
        });
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The errors in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// Returns `Ok` if the list is empty.
    ///
    /// # Errors
    ///
    /// The list itself if it is not empty.
    pub fn check(self) -> Result<(), Problems> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// One error per line: `key: text`.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            let line_end = if at == 0 { "" } else { "\n" };
            let separator = if problem.key.is_empty() { "" } else { ": " };
            write!(f, "{line_end}{}{separator}{}", problem.key, problem.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for Vec<Problem> {
    fn from(problems: Problems) -> Vec<Problem> {
        problems.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_mistakes_are_several_lines() {
        let mut problems = Problems::new();
        assert!(problems.clone().check().is_ok());
        problems.add("a.0", "wrong");
        problems.add("", "empty");
        assert_eq!(problems.to_string(), "a.0: wrong\nempty");
        assert_eq!(problems.check().unwrap_err().iter().count(), 2);
    }
}
