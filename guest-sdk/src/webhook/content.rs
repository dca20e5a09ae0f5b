//! The content of a request: what an event becomes in a rule's format.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::columns::Row;
use super::fields::Fields;
use super::format::Format;
use super::key::RuleKey;
use super::rules::Rule;
use super::sql::{Columns, Value};
use super::{emqx4, nanomq, rmqtt};
use crate::event::{Event, Node};
use crate::request::Body;

/// Headers, with lower-case names, and body.
pub(super) struct Content {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
}

impl Content {
    /// JSON.
    pub(super) fn json(body: Body) -> Content {
        Content::new(body, "application/json")
    }

    fn new(body: Body, content_type: &str) -> Content {
        Content {
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body,
        }
    }

    /// What an event becomes; none if the format has no body for it. `selected` is what the rule's `select` made of the
    /// row, if it does not take all.
    pub(super) fn of(
        key: RuleKey,
        rule: &Rule,
        event: &Event,
        node: &Node,
        row: &Row<'_>,
        selected: Option<&Value<'_>>,
    ) -> Option<Content> {
        let fields = row.fields();
        match rule.shape.format {
            Format::Rmqtt => {
                let body = rmqtt::body(key, event, node.id, &rule.action, rule.shape.as_documented)?;
                Some(Content::json(Body::Text(body)))
            }
            Format::Emqx4 => emqx4::body(key, rule, event, &node.name).map(Content::json),
            Format::Nanomq => nanomq::body(key, rule, event).map(Content::json),
            Format::Emqx5 => Some(emqx5(rule, row, selected)),
            Format::Cloudevents => {
                let encoded = rule.shape.cloudevents.encode(fields);
                Some(Content {
                    headers: encoded.headers,
                    body: encoded.body,
                })
            }
            Format::Template => {
                let body = rule.shape.body.as_ref()?;
                let payload = event.message().map(|message| message.payload.as_slice());
                Some(Content::new(body.render(fields, payload), body.content_type()))
            }
        }
    }
}

/// What was selected as JSON, or what the body says about it.
fn emqx5(rule: &Rule, row: &Row<'_>, selected: Option<&Value<'_>>) -> Content {
    if let Some(body) = &rule.shape.body {
        let all;
        let selected = match selected {
            Some(selected) => selected,
            None => {
                all = Value::object(row.all());
                &all
            }
        };
        return Content::new(body.render(&Selected(selected), None), body.content_type());
    }
    let mut out = String::with_capacity(512);
    match selected {
        Some(selected) => selected.push(&mut out),
        None => row.push(&mut out),
    }
    Content::json(Body::Text(out))
}

/// What was selected, as fields of templates.
pub(super) struct Selected<'a>(pub(super) &'a Value<'a>);

impl Fields for Selected<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, Json>> {
        let Value::Object(object) = self.0 else { return None };
        let (_, value) = object.iter().find(|(known, _)| known == name)?;
        Some(Cow::Owned(Json::from(value)))
    }

    fn all(&self) -> Map<String, Json> {
        match Json::from(self.0) {
            Json::Object(object) => object,
            _ => Map::new(),
        }
    }
}

#[cfg(test)]
#[path = "emqx5_tests.rs"]
mod tests;
