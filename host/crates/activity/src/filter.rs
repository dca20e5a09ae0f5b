//! Selects entries by client, topic, event, module and destination.

use hookhost_event::TopicFilter;

use crate::entry::{Activity, AttemptEntry, AttemptResult, Subject};

/// Selects by the event that an entry is about, and by what handled it. Empty: everything.
#[derive(Debug, Clone, Default)]
pub struct ActivityFilter {
    /// A client id.
    pub client: Option<String>,
    /// A topic filter. An entry without a topic does not match it.
    pub topic: Option<TopicFilter>,
    /// A hook, under its name in the event JSON, or the id of an event.
    pub event: Option<String>,
    /// A module.
    pub module: Option<String>,
    /// A destination, under its name in the configuration. Only attempts match.
    pub destination: Option<String>,
}

/// Selects recorded attempts.
#[derive(Debug, Clone, Default)]
pub struct AttemptQuery {
    /// By event.
    pub filter: ActivityFilter,
    /// Only attempts that failed.
    pub failed: bool,
    /// Only answers with this status.
    pub status: Option<u16>,
    /// Only attempts with smaller numbers.
    pub before: Option<u64>,
}

impl ActivityFilter {
    fn admits(&self, subject: &Subject, module: &str, destination: Option<&str>) -> bool {
        let client = self.client.as_ref().is_none_or(|client| **client == *subject.client);
        let topic = self.topic.as_ref();
        let topic = topic.is_none_or(|filter| !subject.topic.is_empty() && filter.matches(&subject.topic));
        let event = self.event.as_ref();
        let event = event.is_none_or(|event| **event == *subject.hook || subject.event.eq_ignore_ascii_case(event));
        let is_module = self.module.as_ref().is_none_or(|wanted| *wanted == *module);
        let wanted = self.destination.as_deref();
        client && topic && event && is_module && (wanted.is_none() || wanted == destination)
    }

    fn admits_attempt(&self, entry: &AttemptEntry) -> bool {
        self.admits(&entry.subject, &entry.module, Some(&entry.destination))
    }

    pub(crate) fn admits_activity(&self, activity: &Activity) -> bool {
        match activity {
            Activity::Outcome(entry) => self.admits(&entry.subject, &entry.handled.module, None),
            Activity::Attempt(entry) => self.admits_attempt(entry),
        }
    }
}

impl AttemptQuery {
    pub(crate) fn admits(&self, entry: &AttemptEntry) -> bool {
        self.before.is_none_or(|before| entry.number < before)
            && self.status.is_none_or(|status| entry.status == Some(status))
            && !(self.failed && entry.result == AttemptResult::Delivered)
            && self.filter.admits_attempt(entry)
    }
}
