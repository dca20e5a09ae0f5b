//! Selects dead letters. Pure.

use hookhost_event::TopicFilter;

use super::dead_letter::DeadLetter;
use super::retry::Reason;

/// Which dead letters are meant: those that fit all conditions. The default fits all.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterFilter {
    /// The name of the destination, or scheme, host and port of one without a name.
    pub destination: Option<String>,
    /// The module that made the request.
    pub module: Option<String>,
    /// The client of the event.
    pub client: Option<String>,
    /// A filter for the topic of the event.
    pub topic: Option<TopicFilter>,
    /// The name of the event, such as `message-publish`, or its id.
    pub event: Option<String>,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// Why the request is given up.
    pub reason: Option<Reason>,
    /// At this time or later, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Before this time, in milliseconds since 1970.
    pub until: Option<u64>,
}

impl DeadLetterFilter {
    /// Returns whether a letter fits.
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        let DeadLetterFilter {
            destination,
            module,
            client,
            topic,
            event,
            status,
            reason,
            since,
            until,
        } = self;
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        let summary = &letter.request.event;
        is(destination, &letter.destination)
            && is(module, &letter.request.source)
            && is(client, &summary.client)
            && (is(event, &summary.hook) || is(event, &letter.request.id))
            && topic.as_ref().is_none_or(|topic| topic.matches(&summary.topic))
            && status.is_none_or(|status| letter.status == Some(status))
            && reason.is_none_or(|reason| letter.reason.name() == reason.name())
            && since.is_none_or(|since| letter.at >= since)
            && until.is_none_or(|until| letter.at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::super::dead_letter::tests::letter;
    use super::*;

    #[test]
    fn all_conditions_must_fit() {
        let letter = letter();
        let at = letter.at;
        let text = |text: &str| Some(text.to_owned());
        let all = DeadLetterFilter::default;
        assert!(all().matches(&letter));
        let topic = |text: &str| Some(text.parse().unwrap());
        for (filter, expected) in [
            (
                DeadLetterFilter {
                    destination: text("crm"),
                    ..all()
                },
                true,
            ),
            (
                DeadLetterFilter {
                    destination: text("cr"),
                    ..all()
                },
                false,
            ),
            (
                DeadLetterFilter {
                    module: text("webhook"),
                    ..all()
                },
                true,
            ),
            (
                DeadLetterFilter {
                    module: text("other"),
                    ..all()
                },
                false,
            ),
            (
                DeadLetterFilter {
                    client: text("c"),
                    ..all()
                },
                true,
            ),
            (
                DeadLetterFilter {
                    client: text("d"),
                    ..all()
                },
                false,
            ),
            (
                DeadLetterFilter {
                    topic: topic("t/+"),
                    ..all()
                },
                true,
            ),
            (
                DeadLetterFilter {
                    topic: topic("t/2"),
                    ..all()
                },
                false,
            ),
            (
                DeadLetterFilter {
                    event: text("message-publish"),
                    ..all()
                },
                true,
            ),
            (
                DeadLetterFilter {
                    event: text("client-connect"),
                    ..all()
                },
                false,
            ),
            (
                DeadLetterFilter {
                    status: Some(422),
                    ..all()
                },
                true,
            ),
            (
                DeadLetterFilter {
                    status: Some(400),
                    ..all()
                },
                false,
            ),
            (
                DeadLetterFilter {
                    reason: Some(Reason::Refused),
                    ..all()
                },
                true,
            ),
            (
                DeadLetterFilter {
                    reason: Some(Reason::Expired),
                    ..all()
                },
                false,
            ),
            (
                DeadLetterFilter {
                    since: Some(at),
                    until: Some(at + 1),
                    ..all()
                },
                true,
            ),
            (
                DeadLetterFilter {
                    since: Some(at + 1),
                    ..all()
                },
                false,
            ),
            (
                DeadLetterFilter {
                    until: Some(at),
                    ..all()
                },
                false,
            ),
            (
                DeadLetterFilter {
                    client: text("c"),
                    status: Some(400),
                    ..all()
                },
                false,
            ),
        ] {
            assert_eq!(filter.matches(&letter), expected, "{filter:?}");
        }
    }
}
