//! CloudEvents as a format of rules.

use hookhost_guest::{Hook, Problems};

use super::CloudEventsMode;
use crate::format::{BodyFormat, Content, MatchedEvent};
use crate::key::RuleKey;
use crate::parse::values::once;
use crate::parse::{Found, RuleTable};
use crate::shape::Shape;

pub(in crate::format) struct Cloudevents;

impl BodyFormat for Cloudevents {
    fn name(&self) -> &'static str {
        "cloudevents"
    }

    fn hooks(&self, key: RuleKey) -> &'static [Hook] {
        key.hook()
    }

    fn content(&self, matched: &MatchedEvent<'_>) -> Option<Content> {
        let encoded = matched.rule.shape.cloudevents.encode(matched.row.fields());
        Some(Content {
            headers: encoded.headers,
            body: encoded.body,
        })
    }

    fn settings(&self) -> &'static [&'static str] {
        &["cloudevents_mode", "cloudevents_extensions"]
    }

    fn check(&self, rule: &RuleTable<'_>, shape: &Shape, problems: &mut Problems) {
        if let Some(headers) = rule.find("headers") {
            check_content_type(&headers, shape.cloudevents.mode, problems);
        }
    }
}

/// Refuses a `content-type` header that does not fit the content mode.
fn check_content_type(headers: &Found<'_>, mode: CloudEventsMode, problems: &mut Problems) {
    let Some(table) = headers.value.as_object() else {
        return;
    };
    let given = table
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    for (name, text) in given.filter_map(|(name, value)| Some((name, value.as_str()?))) {
        if mode.allows(text) {
            continue;
        }
        let at = format!("{}.{name}", headers.at);
        let text = match mode.media_type() {
            Some(media_type) => format!(
                "contradicts cloudevents_mode \"{}\", whose bodies are {media_type}; leave it out",
                mode.name()
            ),
            None => {
                "contradicts cloudevents_mode \"binary\": a receiver would look for the event in the body; leave it \
                     out, or choose \"structured\" or \"batched\""
                    .to_owned()
            }
        };
        once(&at, text, problems);
    }
}
