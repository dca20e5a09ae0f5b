//! Names of webhooks and destinations.

/// Limit of the characters of a name.
const MAX_NAME_CHARS: usize = 64;

/// Checks a name: 1 to 64 letters, digits, `_` and `-`.
///
/// # Errors
///
/// What a valid name consists of.
pub(super) fn check(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=MAX_NAME_CHARS).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(format!(
        "is not a valid name: use 1 to {MAX_NAME_CHARS} letters, digits, '_' and '-'"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_to_64_letters_digits_and_two_signs() {
        for (name, is_valid) in [
            ("a", true),
            ("My_webhook-1", true),
            (&*"x".repeat(64), true),
            (&*"x".repeat(65), false),
            ("", false),
            ("a b", false),
            ("a.b", false),
            ("a/b", false),
            ("ä", false),
        ] {
            assert_eq!(check(name).is_ok(), is_valid, "{name:?}");
        }
    }
}
