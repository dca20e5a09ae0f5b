//! The content modes of CloudEvents over HTTP.

use super::has_prefix;

/// The content mode: how an HTTP request represents an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CloudEventsMode {
    /// Attributes are headers, the body is the data.
    #[default]
    Binary,
    /// The body is a JSON object of attributes and data.
    Structured,
    /// The body is a JSON array of such an object.
    Batched,
}

impl CloudEventsMode {
    /// All modes with their names in a configuration.
    pub const NAMES: [(&'static str, CloudEventsMode); 3] = [
        ("binary", CloudEventsMode::Binary),
        ("structured", CloudEventsMode::Structured),
        ("batched", CloudEventsMode::Batched),
    ];

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            CloudEventsMode::Binary => "binary",
            CloudEventsMode::Structured => "structured",
            CloudEventsMode::Batched => "batched",
        }
    }

    /// The media type of bodies, without parameters; `None` if it is that of the data.
    pub fn media_type(self) -> Option<&'static str> {
        match self {
            CloudEventsMode::Binary => None,
            CloudEventsMode::Structured => Some("application/cloudevents+json"),
            CloudEventsMode::Batched => Some("application/cloudevents-batch+json"),
        }
    }

    /// Whether a request in this mode may have this content type: that of the mode, with any parameters. In binary mode all
    /// content types are allowed except those of CloudEvents.
    pub fn allows(self, content_type: &str) -> bool {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        match self.media_type() {
            Some(own) => media_type.eq_ignore_ascii_case(own),
            None => !has_prefix(media_type, "application/cloudevents"),
        }
    }
}
