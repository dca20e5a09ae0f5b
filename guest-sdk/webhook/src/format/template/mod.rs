//! A body that the user has written as a template.

use hookhost_guest::{Hook, Problems};

use super::{BodyFormat, Content, MatchedEvent};
use crate::key::RuleKey;
use crate::parse::RuleTable;
use crate::shape::Shape;

pub(super) struct UserTemplate;

impl BodyFormat for UserTemplate {
    fn name(&self) -> &'static str {
        "template"
    }

    fn hooks(&self, key: RuleKey) -> &'static [Hook] {
        key.hook()
    }

    fn content(&self, matched: &MatchedEvent<'_>) -> Option<Content> {
        let body = matched.rule.shape.body.as_ref()?;
        let payload = matched.event.message().map(|message| message.payload.as_slice());
        Some(Content::new(
            body.render(matched.row.fields(), payload),
            body.content_type(),
        ))
    }

    fn settings(&self) -> &'static [&'static str] {
        &["body"]
    }

    fn check(&self, rule: &RuleTable<'_>, _shape: &Shape, problems: &mut Problems) {
        if rule.find("body").is_none() {
            let text = "is missing: format \"template\" sends the text in 'body', such as '{\"id\": \"${clientid}\"}'";
            problems.add(rule.place("body"), text);
        }
    }
}
