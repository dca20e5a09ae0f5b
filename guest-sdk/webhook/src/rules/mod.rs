//! Rules: which events are sent to which URLs, and in which form.
//!
//! The host converts configurations of other brokers to the settings that [`Rules::parse`] reads. Rules are read once; a
//! rule without a URL is not kept. For each event, a rule checks in this order: does the format report the event, does
//! the topic match, is `where` true? If so, the rule builds its requests.

mod interests;
mod list;
mod message;
mod requests;

use crate::batch::Batch;
use crate::columns::Row;
use crate::format::{Content, Format, MatchedEvent};
use crate::key::RuleKey;
use crate::order::Order;
use crate::shape::Shape;
use crate::sql::{Columns, Condition, Scope, Select, Selected, Value};
use crate::system::EventSystem;
use crate::template::{SelectedRow, UrlTemplate};
use hookhost_guest::event::{Event, Hook, Node};
use hookhost_guest::request::{Body, Outcome, Request};
use hookhost_guest::topic::TopicFilter;
use list::RuleList;
use requests::{Placeholders, push};

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The name of the event in the body.
    pub action: String,
    /// Topic filters, one of which must match the topic or the filter of a subscription. Empty: all events, including
    /// topics that begin with `$`.
    pub topics: Vec<TopicFilter>,
    /// The rule sends one request to each of these URLs; never empty.
    pub urls: Vec<UrlTemplate>,
    /// The destination of the host's configuration that the requests name; `None`: the host chooses it by URL.
    pub destination: Option<String>,
    /// The columns of EMQX 5 in the body; `None` for all.
    pub select: Option<Select>,
    /// A condition on the columns of EMQX 5; `None` accepts every event.
    pub condition: Option<Condition>,
    /// Which requests go out one after the other.
    pub order: Order,
    /// The age of an event at which its requests are given up, as the host reads it; `None` for no limit.
    pub max_age: Option<String>,
    /// How the requests are sent together; `None`: each alone.
    pub batch: Option<Batch>,
    /// The form of the requests.
    pub shape: Shape,
}

impl Rule {
    fn matches(&self, key: RuleKey, subject: Option<&str>) -> bool {
        let format = self.shape.format;
        let Some(subject) = subject.filter(|_| format.uses_topics(key)) else {
            return true;
        };
        self.topics.is_empty()
            || self.topics.iter().any(|topic| {
                topic.matches(subject)
                    || (format.implementation().wildcards_match_dollar() && matches_dollar(topic, subject))
            })
    }

    /// The hooks whose events cause further events for the rule.
    fn further_hooks(&self, key: RuleKey) -> &'static [Hook] {
        match self.shape.as_documented {
            true => &[],
            false => self.shape.format.implementation().further_hooks(key, &self.topics),
        }
    }
}

fn begins_wild(topic: &TopicFilter) -> bool {
    topic.as_str().starts_with(['+', '#'])
}

/// Whether a filter that begins with a wildcard matches a topic if the `$` at its start is ignored.
fn matches_dollar(topic: &TopicFilter, subject: &str) -> bool {
    begins_wild(topic) && without_dollar(subject).is_some_and(|visible| topic.matches(&visible))
}

/// A topic that begins with `$`, with another character in its place, so that wildcards match it.
fn without_dollar(subject: &str) -> Option<String> {
    subject.strip_prefix('$').map(|rest| format!("_{rest}"))
}

/// The rules of all keys.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Indexed by [`RuleKey`].
    by_key: [RuleList; RuleKey::ALL.len()],
    /// The formats of rules that may get further events.
    with_further: Vec<Format>,
    without_url: Vec<String>,
    warnings: Vec<String>,
    node: Node,
    /// Names and values of the variables that `getenv` returns.
    variables: Vec<(String, String)>,
}

impl Rules {
    /// An empty set of rules on a host with this node.
    pub(super) fn new(node: Node) -> Rules {
        Rules {
            by_key: Default::default(),
            with_further: Vec::new(),
            without_url: Vec::new(),
            warnings: Vec::new(),
            node,
            variables: Vec::new(),
        }
    }

    /// Adds a rule. `at` is its place, such as `rule.message_publish.0`.
    pub(super) fn add(&mut self, key: RuleKey, at: String, rule: Rule) {
        if rule.urls.is_empty() {
            self.without_url.push(at);
        } else if let Some(rules) = self.by_key.get_mut(key as usize) {
            let format = rule.shape.format;
            if !rule.further_hooks(key).is_empty() && !self.with_further.contains(&format) {
                self.with_further.push(format);
            }
            rules.add(key, rule);
        }
    }

    /// Sets the names and values of the variables that `getenv` of the SQL returns.
    pub(super) fn set_variables(&mut self, variables: Vec<(String, String)>) {
        self.variables = variables;
    }

    /// Adds warnings, each with its place.
    pub(super) fn add_warnings(&mut self, warnings: Vec<String>) {
        self.warnings.extend(warnings);
    }

    /// Warnings about the SQL of rules, each with its place: parts that are valid and hardly meant.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The places of rules that are ignored because they have no URL, such as `rule.message_publish.0`.
    pub fn without_url(&self) -> &[String] {
        &self.without_url
    }

    /// The rules of a key, in the order of the configuration.
    pub fn of(&self, key: RuleKey) -> &[Rule] {
        self.list(key).map(RuleList::as_slice).unwrap_or_default()
    }

    fn list(&self, key: RuleKey) -> Option<&RuleList> {
        self.by_key.get(key as usize)
    }

    /// The rules whose format and topics match an event, each with its key, in the order of their requests. `where` is not
    /// evaluated yet.
    pub fn matching<'r>(&'r self, event: &'r Event) -> impl Iterator<Item = (RuleKey, &'r Rule)> {
        let (hook, subject) = (event.hook(), event.subject());
        RuleKey::of(hook).iter().flat_map(move |key| {
            let candidates = self
                .list(*key)
                .into_iter()
                .flat_map(move |list| list.candidates(subject));
            candidates.filter_map(move |rule| {
                let Shape {
                    format, as_documented, ..
                } = rule.shape;
                let is_reported = format.hooks(*key).contains(&hook) && format.reports(*key, event, as_documented);
                (is_reported && rule.matches(*key, subject)).then_some((*key, rule))
            })
        })
    }

    /// The requests of the built-in module for an event: one for each matching rule and each of its URLs, in the order of
    /// the configuration and in the format of the rule. After them, those for the further events of each format.
    pub fn webhooks(&self, event: &Event) -> Outcome {
        let content = |matched: &MatchedEvent<'_>| matched.rule.shape.format.implementation().content(matched);
        let mut requests = Vec::new();
        self.push_all(&mut requests, event, self.matching(event), content);
        for format in &self.with_further {
            for further in format.implementation().further(event) {
                let rules = self.matching_further(*format, &further);
                self.push_all(&mut requests, &further, rules, content);
            }
        }
        requests.into()
    }

    /// The rules of a format that match a further event of that format.
    fn matching_further<'r>(&'r self, format: Format, event: &'r Event) -> impl Iterator<Item = (RuleKey, &'r Rule)> {
        let subject = event.subject();
        RuleKey::of(event.hook()).iter().flat_map(move |key| {
            let candidates = self
                .list(*key)
                .into_iter()
                .flat_map(move |list| list.candidates(subject));
            let matching = candidates.filter(move |rule| {
                rule.shape.format == format && !rule.shape.as_documented && rule.matches(*key, subject)
            });
            matching.map(|rule| (*key, rule))
        })
    }

    /// One request for each matching rule and each of its URLs, in the order of the configuration, with a body that the
    /// caller builds. The content type is `application/json` unless the rule sets the header `content-type`.
    ///
    /// `body` is called once for each matching rule. If it returns `None`, the rule sends nothing.
    pub fn outcome<B: Into<Body>>(&self, event: &Event, mut body: impl FnMut(RuleKey, &Rule) -> Option<B>) -> Outcome {
        let mut requests = Vec::new();
        self.push_all(&mut requests, event, self.matching(event), |matched| {
            body(matched.key, matched.rule).map(|body| Content::json(body.into()))
        });
        requests.into()
    }

    /// Appends the requests of rules that match an event.
    fn push_all<'r>(
        &'r self,
        requests: &mut Vec<Request>,
        event: &'r Event,
        rules: impl Iterator<Item = (RuleKey, &'r Rule)>,
        mut content: impl FnMut(&MatchedEvent<'_>) -> Option<Content>,
    ) {
        let system = EventSystem::new(event, &self.variables);
        // `for` would be slower: the iterators are nested.
        rules.for_each(|(key, rule)| {
            let row = Row::new(key, rule, event, &self.node);
            let scope = Scope::new(&row, &system);
            let selected = match scope.evaluate(rule.select.as_ref(), rule.condition.as_ref()) {
                Ok(selected) => selected,
                Err(failure) => {
                    // As in EMQX, where the rule fails and sends nothing.
                    hookhost_guest::debug!("rule '{}' of {}: {failure}", rule.action, key.name());
                    return;
                }
            };
            let ordering_key = rule.order.key(event, row.fields());
            let mut add = |selected: Option<Value<'_>>| {
                let matched = MatchedEvent {
                    key,
                    rule,
                    event,
                    node: &self.node,
                    row: &row,
                    selected: selected.as_ref(),
                };
                let Some(content) = content(&matched) else {
                    return;
                };
                if !rule.shape.format.implementation().renders_selection() {
                    let place = Placeholders::Fields(row.fields());
                    push(requests, rule, event, ordering_key.clone(), content, &place);
                    return;
                }
                let selected = match selected {
                    Some(selected) => selected,
                    // No placeholder looks anything up.
                    None if rule.is_constant() => Value::Undefined,
                    None => Value::object(row.all()),
                };
                let selected = SelectedRow::new(&selected);
                let place = Placeholders::Selected(&selected);
                push(requests, rule, event, ordering_key.clone(), content, &place);
            };
            match selected {
                Selected::Nothing => {}
                Selected::Everything => add(None),
                Selected::Bodies(bodies) => bodies.into_iter().for_each(|selected| add(Some(selected))),
            }
        });
    }
}

#[cfg(test)]
mod tests;
