//! Errors in a module's configuration: all of them at once, each with the key where it is.

use serde::de::DeserializeOwned;

pub use hookhost_shared::problems::{Problem, Problems};

/// Deserializes a configuration from JSON text.
pub(crate) fn parse<T: DeserializeOwned>(config: &str) -> Result<T, Problems> {
    let mut reader = serde_json::Deserializer::from_str(config);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = path(error.path());
        // serde_json adds line and column of the JSON text, but the user wrote TOML.
        let text = error.inner().to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        Problems::one(path, text)
    })
}

/// The keys and indices of a path, joined by dots.
fn path(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segments = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    });
    segments.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[serde(rename = "url")]
        _url: String,
        #[serde(rename = "limits", default)]
        _limits: Vec<Limit>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limit {
        #[serde(rename = "max")]
        _max: u8,
    }

    #[test]
    fn a_mistake_names_its_key() {
        for (config, expected) in [
            (r#"{}"#, "missing field `url`"),
            (r#"{"url":1}"#, "url: invalid type: integer `1`, expected a string"),
            (
                r#"{"url":"x","limits":[{"max":1},{"max":300}]}"#,
                "limits.1.max: invalid value: integer `300`, expected u8",
            ),
            (
                r#"{"url":"x","limits":[{"min":1}]}"#,
                "limits.0.min: unknown field `min`, expected `max`",
            ),
            (r#"{"url":"x""#, "EOF while parsing an object"),
        ] {
            assert_eq!(parse::<Config>(config).unwrap_err().to_string(), expected, "{config}");
        }
        assert!(parse::<Config>(r#"{"url":"x"}"#).is_ok());
    }
}
