//! Headers of requests: given, in files or in the environment.

use hookhost_delivery::{Secret, check_header};
use hookhost_settings::{Section, Value};

use super::sources::{Sources, text_of_file, variable};

/// Headers: names in lower case, and values.
pub(in super::super) type Headers = Vec<(String, Secret)>;

/// The tables of headers.
pub(in super::super) const KEYS: [&str; 3] = ["headers", "header_files", "header_envs"];

/// `headers`, `header_files` and `header_envs`.
pub(in super::super) fn read(at: &mut Section<'_>, sources: Sources<'_>) -> Headers {
    let mut headers = Headers::new();
    let Sources { files, environment } = sources;
    let [given, in_files, in_variables] = KEYS;
    add(at, given, &mut headers, |text| Ok(text.to_owned()));
    add(at, in_files, &mut headers, |path| text_of_file(files, path));
    add(at, in_variables, &mut headers, |name| variable(environment, name));
    headers
}

fn add(at: &mut Section<'_>, key: &str, headers: &mut Headers, value: impl Fn(&str) -> Result<String, String>) {
    let report = at.report();
    let Some(setting) = at.whole_table(key) else {
        return;
    };
    let Value::Table(table) = &setting.value else {
        return report.add_problem(setting.mismatch("a table of names and values"));
    };
    for (name, setting) in table {
        let checked = setting.parse(|text| {
            let value = value(text)?;
            check_header(name, &value)?;
            Ok(value)
        });
        let Some(value) = report.check(checked) else { continue };
        let name = name.to_ascii_lowercase();
        if headers.iter().any(|(known, _)| *known == name) {
            report.problem(&setting.place, "is a header that is given already");
        } else {
            headers.push((name, Secret::new(value)));
        }
    }
}
