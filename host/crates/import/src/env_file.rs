//! Variables in a file, one `NAME=value` to a line, read as compose reads its `.env` files.
//!
//! A line that begins with `#` is a comment, and so is the rest of a line after a blank and `#`. Quotes around a value are
//! taken away; in double quotes, `\\`, `\"`, `\n`, `\r` and `\t` are escapes. `export` before a name is allowed.

use std::collections::HashMap;
use std::path::Path;

use hookhost_settings::{Place, Report};

/// A variable of the environment, or of a file that holds some.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) place: Place,
}

pub(super) fn read(path: &Path, text: &str, report: &Report) -> Vec<Variable> {
    // A variable that is set again is taken out of its earlier line.
    let mut lines: Vec<Option<Variable>> = Vec::new();
    let mut line_of: HashMap<&str, usize> = HashMap::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let place = |name: &str| Place::line(path, index + 1, name);
        if line.starts_with("- ") {
            let text = "should be NAME=value, without the \"- \" of a list in a compose file";
            report.problem(&place(""), text);
            continue;
        }
        let named = line.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        let Some((name, value)) = named.filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace))
        else {
            report.problem(&place(""), "should be NAME=value");
            continue;
        };
        let place = place(name);
        let before = line_of
            .insert(name, lines.len())
            .and_then(|before| lines.get_mut(before));
        if let Some(before) = before.and_then(Option::take) {
            report.warning(&before.place, format!("is not used: line {} sets it again", index + 1));
        }
        lines.push(Some(Variable {
            name: name.to_owned(),
            value: value_of(value),
            place,
        }));
    }
    lines.into_iter().flatten().collect()
}

/// A value without quotes and comment.
fn value_of(text: &str) -> String {
    let is_end =
        |rest: &str| rest.is_empty() || (rest.starts_with(char::is_whitespace) && rest.trim_start().starts_with('#'));
    if let Some((inner, rest)) = text.strip_prefix('\'').and_then(|text| text.split_once('\''))
        && is_end(rest)
    {
        return inner.to_owned();
    }
    if let Some((inner, rest)) = text.strip_prefix('"').and_then(in_double_quotes)
        && is_end(rest)
    {
        return inner;
    }
    let comment = text.match_indices('#').find(|(at, _)| {
        let before = text.get(..*at).unwrap_or_default();
        before.is_empty() || before.ends_with(char::is_whitespace)
    });
    let value = comment.and_then(|(at, _)| text.get(..at)).unwrap_or(text);
    value.trim_end().to_owned()
}

/// A text up to its closing quote, and what follows.
fn in_double_quotes(text: &str) -> Option<(String, &str)> {
    let mut inner = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Some((inner, chars.as_str())),
            '\\' => match chars.next()? {
                'n' => inner.push('\n'),
                'r' => inner.push('\r'),
                't' => inner.push('\t'),
                escaped @ ('"' | '\\') => inner.push(escaped),
                other => inner.extend(['\\', other]),
            },
            c => inner.push(c),
        }
    }
    None
}

/// The value of a variable of the environment. A compose file with `- NAME=""` gives a value of two quotes and means an
/// empty one.
pub(super) fn without_empty_quotes(value: &str) -> &str {
    match value.trim() {
        "\"\"" | "''" => "",
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use hookhost_settings::Problem;

    use super::*;

    #[test]
    fn lines_become_variables() {
        let text = "# c\n A=1 \nexport B='x y'\nC=\"say \\\"hi\\\"\"\nD={\"a\": \"#b\"}\nA=2\nE=\"\nnonsense\n\
                    - EMQX_WEB__HOOK__URL=http://h/\nA B=1\n";
        let report = Report::default();
        let variables = read(Path::new("f"), text, &report);
        let shown: Vec<(&str, &str)> = variables.iter().map(|v| (v.name.as_str(), v.value.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("B", "x y"),
                ("C", "say \"hi\""),
                ("D", "{\"a\": \"#b\"}"),
                ("A", "2"),
                ("E", "\"")
            ]
        );
        let findings = report.finish();
        let told = |list: &[Problem]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(told(&findings.warnings), ["f:2: A: is not used: line 6 sets it again"]);
        assert_eq!(
            told(&findings.problems),
            [
                "f:8: should be NAME=value",
                "f:9: should be NAME=value, without the \"- \" of a list in a compose file",
                "f:10: should be NAME=value",
            ]
        );
    }

    #[test]
    fn values_lose_quotes_and_comments() {
        for (text, value) in [
            ("", ""),
            ("http://h/#a", "http://h/#a"),
            ("http://h/ # the receiver", "http://h/"),
            ("http://h/\t# the receiver", "http://h/"),
            ("# nothing", ""),
            ("\"\"", ""),
            ("''", ""),
            ("\"a # b\" # c", "a # b"),
            ("'a # b' # c", "a # b"),
            ("\"a\\n\\\\n\\d\"", "a\n\\n\\d"),
            ("'a\\n'", "a\\n"),
            // Quotes that do not enclose the whole value belong to it.
            ("\"a\"b", "\"a\"b"),
            ("SELECT * FROM \"t/#\"", "SELECT * FROM \"t/#\""),
            ("\"a\", \"b\"", "\"a\", \"b\""),
            ("007", "007"),
        ] {
            assert_eq!(value_of(text), value, "{text}");
        }
        for (value, expected) in [("\"\"", ""), (" '' ", ""), ("", ""), ("\"a\"", "\"a\""), (" a", " a")] {
            assert_eq!(without_empty_quotes(value), expected, "{value}");
        }
    }
}
