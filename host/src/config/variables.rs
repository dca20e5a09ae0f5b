//! Variables of the environment that look like settings of hookhost but are not.
//!
//! A variable `HOOKHOST_SECTION__KEY` is read like any other setting. A few others have their own meaning, and
//! orchestrators set some. Any other variable that begins with `HOOKHOST_` is an error: often it lacks an underscore.

use hookhost_settings::variables::PREFIX;
use hookhost_settings::{Place, Problem};
use hookhost_shared::nearest::nearest;

use super::{Environment, TextFile};

/// Variables without a section that a command of hookhost reads.
const COMMANDS: [&str; 5] = [
    "HOOKHOST_ADMIN",
    "HOOKHOST_ADMIN_TOKEN",
    "HOOKHOST_CONFIG",
    "HOOKHOST_LOG",
    "HOOKHOST_WEBHOOK_CONFIG",
];

/// Prefixes of the variables for building and testing hookhost; `cargo run` passes them to the program.
const DEVELOPMENT: [&str; 3] = ["HOOKHOST_BIN", "HOOKHOST_TEST_", "HOOKHOST_WEBHOOK_WASM"];

/// The errors in an environment: each variable that begins with `HOOKHOST_` and has no meaning.
///
/// `known` are the keys of all settings. A variable that a file or another variable names, as `bearer_env` does, has a
/// meaning.
pub(super) fn unknown(environment: &Environment, known: &[String], files: &[&TextFile]) -> Vec<Problem> {
    let is_named = |name: &str| {
        let is_in = |text: &String| text.contains(name);
        files.iter().any(|file| is_in(&file.text))
            || environment
                .iter()
                .any(|(other, value)| other.starts_with(PREFIX) && is_in(value))
    };
    let names = environment.iter().filter(|(name, value)| {
        name.starts_with(PREFIX)
            && !value.is_empty()
            && !name.contains("__")
            && !COMMANDS.contains(&name.as_str())
            && !DEVELOPMENT.iter().any(|start| name.starts_with(start))
            && !is_of_orchestrator(name, value)
            && !is_named(name)
    });
    let problem = |name: &String| Place::variable(name).problem(suggestion(name, known));
    names.map(|(name, _)| problem(name)).collect()
}

/// Whether Kubernetes or Docker sets such a variable for a service named hookhost or hookhost-something.
fn is_of_orchestrator(name: &str, value: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_address)
        || name
            .split_once("_PORT_")
            .is_some_and(|(_, rest)| rest.starts_with(|first: char| first.is_ascii_digit()))
}

fn suggestion(name: &str, known: &[String]) -> String {
    // Compared without the prefix, which all of them share.
    let settings = known.iter().map(|key| key.replace('.', "__").to_ascii_uppercase());
    let commands = COMMANDS
        .iter()
        .filter_map(|name| name.strip_prefix(PREFIX))
        .map(str::to_owned);
    let candidates: Vec<String> = settings.chain(commands).collect();
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    match nearest(name, candidates.iter().map(String::as_str)) {
        Some(nearest) => format!("unknown variable; the nearest known one is {PREFIX}{nearest}"),
        None => format!(
            "unknown variable; known are {}, and {PREFIX}SECTION__KEY for each setting, with two underscores between them",
            COMMANDS.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variables: &[(&str, &str)], file: &str) -> Vec<String> {
        let environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let known = ["mqtt.listen", "delivery.http_timeout"].map(str::to_owned);
        let file = TextFile {
            path: "h.toml".into(),
            text: file.to_owned(),
        };
        unknown(&environment, &known, &[&file])
            .iter()
            .map(Problem::to_string)
            .collect()
    }

    #[test]
    fn the_nearest_variable_is_named() {
        assert_eq!(
            told(
                &[
                    ("HOOKHOST_MQTT_LISTEN", "x"),
                    ("HOOKHOST_LOGG", "debug"),
                    ("HOOKHOST_COLOUR", "red")
                ],
                ""
            ),
            [
                "environment: HOOKHOST_COLOUR: unknown variable; known are HOOKHOST_ADMIN, HOOKHOST_ADMIN_TOKEN, \
                 HOOKHOST_CONFIG, HOOKHOST_LOG, HOOKHOST_WEBHOOK_CONFIG, and HOOKHOST_SECTION__KEY for each setting, with two \
                 underscores between them",
                "environment: HOOKHOST_LOGG: unknown variable; the nearest known one is HOOKHOST_LOG",
                "environment: HOOKHOST_MQTT_LISTEN: unknown variable; the nearest known one is HOOKHOST_MQTT__LISTEN",
            ]
        );
        assert_eq!(told(&[("HOOKHOST_MQTT_PORT", "1884")], "").len(), 1);
    }

    #[test]
    fn variables_with_a_meaning_are_no_mistakes() {
        let variables = [
            ("HOOKHOST_LOG", "debug"),
            ("HOOKHOST_MQTT__LISTEN", "x"),
            ("HOOKHOST_CONFIG", "h.toml"),
            ("HOOKHOST_TEST_LANGUAGES", "all"),
            ("HOOKHOST_EMPTY", ""),
            ("OTHER", "x"),
            // Services in the same Kubernetes namespace.
            ("HOOKHOST_SERVICE_HOST", "10.0.0.1"),
            ("HOOKHOST_SERVICE_PORT", "1883"),
            ("HOOKHOST_SERVICE_PORT_MQTT", "1883"),
            ("HOOKHOST_PORT", "tcp://10.0.0.1:1883"),
            ("HOOKHOST_PORT_1883_TCP_ADDR", "10.0.0.1"),
            ("HOOKHOST_ADMIN_SERVICE_HOST", "10.0.0.2"),
            // Named by other settings.
            ("HOOKHOST_CRM_TOKEN", "x"),
            ("HOOKHOST_CRM_PASSWORD", "x"),
            (
                "HOOKHOST_DESTINATIONS__CRM__BASIC__PASSWORD_ENV",
                "HOOKHOST_CRM_PASSWORD",
            ),
        ];
        assert_eq!(told(&variables, "bearer_env = \"HOOKHOST_CRM_TOKEN\""), [""; 0]);
    }
}
