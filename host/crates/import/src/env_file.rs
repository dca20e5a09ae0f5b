//! Variables in a file, one `NAME=value` to a line, as `docker run --env-file` and compose take them.
//!
//! The value extends to the end of the line, as in Docker. Single or double quotes around the whole value are removed, as
//! compose and shells do. A line that begins with `#` is a comment; `export` before a name is allowed.

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
    let mut variables: Vec<Variable> = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let Some((name, value)) = line.split_once('=') else {
            report.problem(&Place::line(path, index + 1, ""), "should be NAME=value");
            continue;
        };
        let (name, value) = (name.trim(), value.trim());
        let place = Place::line(path, index + 1, name);
        let whole = |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
        let inner = value.get(1..value.len().saturating_sub(1)).unwrap_or_default();
        let value = match value {
            _ if whole('\'') => inner.to_owned(),
            // Only the escapes that the shell and compose remove.
            _ if whole('"') => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
            value => value.to_owned(),
        };
        if let Some(before) = variables.iter().find(|known| known.name == name) {
            report.warning(&before.place, format!("is not used: line {} sets it again", index + 1));
        }
        variables.retain(|known| known.name != name);
        variables.push(Variable {
            name: name.to_owned(),
            value,
            place,
        });
    }
    variables
}

#[cfg(test)]
mod tests {
    use hookhost_settings::Problem;

    use super::*;

    #[test]
    fn lines_become_variables() {
        let text = "# c\n A=1 \nexport B='x y'\nC=\"say \\\"hi\\\"\"\nD={\"a\": \"#b\"}\nA=2\nE=\"\nnonsense\n";
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
        assert_eq!(told(&findings.problems), ["f:8: should be NAME=value"]);
    }
}
