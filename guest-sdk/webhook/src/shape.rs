//! The form of the requests of a rule.

use hookhost_guest::Method;

use crate::encoding::Encoding;
use crate::format::{CloudEvents, EmqxVersion, Format};
use crate::template::{BodyTemplate, HeaderTemplate};

/// The form of the requests of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// The format of the body.
    pub format: Format,
    /// Whether bodies follow the documentation of the broker where the broker itself sends something else.
    pub as_documented: bool,
    /// The version of EMQX whose keys bodies have; `None` for the version that the format is named after.
    pub emqx_version: Option<EmqxVersion>,
    /// The encoding of payloads, if the format supports several.
    pub payload_encoding: Encoding,
    /// HTTP method; GET and DELETE have no body.
    pub method: Method,
    /// Headers with lower-case names. `content-type` overrides that of the format.
    pub headers: Vec<(String, HeaderTemplate)>,
    /// The body, if the user has written one.
    pub body: Option<BodyTemplate>,
    /// Content mode and additional attributes of CloudEvents.
    pub cloudevents: CloudEvents,
}
