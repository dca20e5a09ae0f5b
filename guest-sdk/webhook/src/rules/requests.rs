//! The requests of a rule that matches an event.

use super::{Rule, message};
use crate::fields::Fields;
use crate::format::Content;
use crate::template::{DotSegment, HeaderTemplate, SelectedRow, UrlTemplate};
use hookhost_guest::event::Event;
use hookhost_guest::request::Request;

impl Rule {
    /// Whether URLs and headers are the same for every event.
    pub(super) fn is_constant(&self) -> bool {
        self.urls.iter().all(|url| url.template().is_constant())
            && self
                .shape
                .headers
                .iter()
                .all(|(_, value)| value.template().is_constant())
    }
}

/// Where the placeholders of URLs and headers are looked up.
pub(super) enum Placeholders<'a> {
    /// The fields of the event.
    Fields(&'a dyn Fields),
    /// What the rule selects, as in EMQX 5.
    Selected(&'a SelectedRow<'a>),
}

impl Placeholders<'_> {
    fn header(&self, template: &HeaderTemplate) -> Option<String> {
        match self {
            Placeholders::Fields(fields) => template.render(*fields),
            Placeholders::Selected(selected) => Some(template.render_emqx5(selected)),
        }
    }

    fn url(&self, template: &UrlTemplate) -> Result<String, DotSegment> {
        match self {
            Placeholders::Fields(fields) => template.render(*fields),
            Placeholders::Selected(selected) => template.render_emqx5(selected),
        }
    }
}

/// Appends the requests of a rule: one with the content for each of its URLs.
pub(super) fn push(
    requests: &mut Vec<Request>,
    rule: &Rule,
    event: &Event,
    ordering_key: Option<String>,
    content: Content,
    placeholders: &Placeholders<'_>,
) {
    let mut headers = content.headers;
    for (name, template) in &rule.shape.headers {
        headers.retain(|(known, _)| known != name);
        headers.extend(placeholders.header(template).map(|value| (name.clone(), value)));
    }
    let mut request = Request::new(rule.shape.method, String::new());
    if rule.shape.method.has_body() {
        request.body = content.body;
    } else if !rule.shape.format.implementation().keeps_content_type() {
        headers.retain(|(name, _)| name != "content-type");
    }
    request.headers = headers;
    request.destination = rule.destination.clone();
    request.ordering_key = ordering_key;
    if let Some(max_age) = &rule.max_age {
        request.options.push(("max_age".to_owned(), max_age.clone()));
    }
    if let Some(batch) = &rule.batch {
        batch.add_to(&mut request);
    }
    let urls = rule.urls.iter().filter(|url| !message::repeats(rule, url, event));
    let mut urls = urls.filter_map(|url| match placeholders.url(url) {
        Ok(text) if url.is_message() => Some(message::with_sender(text, rule)),
        Ok(text) => Some(text),
        Err(error) => {
            hookhost_guest::warn!("rule '{}' sends nothing for this event: {error}", rule.action);
            None
        }
    });
    let Some(mut url) = urls.next() else { return };
    let send = |requests: &mut Vec<Request>, request: Request| requests.push(message::fitting(request, rule));
    // The last URL uses the request itself, the others use copies.
    for next in urls {
        let earlier = std::mem::replace(&mut url, next);
        let request = request.clone();
        send(
            requests,
            Request {
                url: earlier,
                ..request
            },
        );
    }
    send(requests, Request { url, ..request });
}
