//! The meaning of the entries of FROM.

use super::Statement;
use crate::key::RuleKey;
use hookhost_guest::topic::TopicFilter;

/// The events that an entry of FROM selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'t> {
    /// Messages with topics that match a filter: rules of [`RuleKey::MessagePublish`].
    Topic(&'t str),
    /// The events of a key.
    Event(RuleKey),
    /// An event by its name: rules of [`RuleKey::Other`] with the name as topic.
    Named(&'static str),
    /// An event of EMQX that hookhost does not have; the entry selects no events.
    Absent(&'t str),
    /// An event topic that EMQX does not have.
    Unknown(&'t str),
}

/// Event topics: the name in all versions, the name in 5.9 and later, and the event.
const EVENTS: [(&str, &str, Event); 16] = [
    (
        "client_connected",
        "client/connected",
        Event::Key(RuleKey::ClientConnected),
    ),
    (
        "client_disconnected",
        "client/disconnected",
        Event::Key(RuleKey::ClientDisconnected),
    ),
    ("client_connack", "client/connack", Event::Key(RuleKey::ClientConnack)),
    (
        "client_check_authn_complete",
        "auth/check_authn_complete",
        Event::Key(RuleKey::ClientAuthenticated),
    ),
    (
        "client_check_authz_complete",
        "auth/check_authz_complete",
        Event::Key(RuleKey::ClientAuthorized),
    ),
    (
        "session_subscribed",
        "session/subscribed",
        Event::Key(RuleKey::SessionSubscribed),
    ),
    (
        "session_unsubscribed",
        "session/unsubscribed",
        Event::Key(RuleKey::SessionUnsubscribed),
    ),
    (
        "message_delivered",
        "message/delivered",
        Event::Key(RuleKey::MessageDelivered),
    ),
    ("message_acked", "message/acked", Event::Key(RuleKey::MessageAcked)),
    (
        "message_dropped",
        "message/dropped",
        Event::Key(RuleKey::MessageDropped),
    ),
    (
        "delivery_dropped",
        "message/delivery_dropped",
        Event::Key(RuleKey::DeliveryDropped),
    ),
    ("client/ping", "client/ping", Event::Name("client.ping")),
    ("schema_validation_failed", "schema_validation/failed", Event::Absent),
    (
        "message_transformation_failed",
        "message_transformation/failed",
        Event::Absent,
    ),
    ("sys/alarm_activated", "sys/alarm_activated", Event::Absent),
    ("sys/alarm_deactivated", "sys/alarm_deactivated", Event::Absent),
];

#[derive(Clone, Copy)]
enum Event {
    Key(RuleKey),
    Name(&'static str),
    Absent,
}

impl Source<'_> {
    /// The topics of all events that EMQX has, in both spellings, such as `$events/client_connected`.
    pub fn event_topics() -> impl Iterator<Item = String> {
        let names = EVENTS.iter().flat_map(|(old, new, _)| [*old, *new]);
        names.map(|name| format!("$events/{name}"))
    }
}

impl<'t> Source<'t> {
    /// The sources of all entries of FROM of a statement, without duplicates.
    ///
    /// ```
    /// use hookhost_webhook::RuleKey;
    /// use hookhost_webhook::sql::{Source, Statement};
    ///
    /// let statement = Statement::parse(r#"SELECT * FROM "t/#", "$events/client_connected""#).unwrap();
    /// assert_eq!(Source::all(&statement), [Source::Topic("t/#"), Source::Event(RuleKey::ClientConnected)]);
    /// ```
    pub fn all(statement: &'t Statement) -> Vec<Source<'t>> {
        let mut sources = Vec::new();
        for source in statement.from.iter().flat_map(|entry| Source::of(entry)) {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        sources
    }

    /// The sources of an entry of FROM: several for an event topic with wildcards.
    pub fn of(entry: &'t str) -> Vec<Source<'t>> {
        if entry.starts_with("$bridges/") || entry.starts_with("$sources/") {
            return vec![Source::Absent(entry)];
        }
        let Some(name) = entry.strip_prefix("$events/") else {
            return vec![Source::Topic(entry)];
        };
        let source = |event: Event| match event {
            Event::Key(key) => Source::Event(key),
            Event::Name(name) => Source::Named(name),
            Event::Absent => Source::Absent(entry),
        };
        let exact = EVENTS.iter().find(|(old, new, _)| name == *old || name == *new);
        if let Some((_, _, event)) = exact {
            return vec![source(*event)];
        }
        let Ok(filter) = name.parse::<TopicFilter>() else {
            return vec![Source::Unknown(entry)];
        };
        let matching = EVENTS.iter().filter(|(_, new, _)| filter.matches(new));
        let mut sources: Vec<_> = matching.map(|(_, _, event)| source(*event)).collect();
        // An unsupported event is ignored if the wildcard also matches a supported one.
        if sources.iter().any(|source| !matches!(source, Source::Absent(_))) {
            sources.retain(|source| !matches!(source, Source::Absent(_)));
        }
        sources.dedup();
        if sources.is_empty() {
            sources.push(Source::Unknown(entry));
        }
        sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        for (entry, expected) in [
            ("t/#", &[Source::Topic("t/#")][..]),
            ("$SYS/#", &[Source::Topic("$SYS/#")]),
            ("$events/client_connected", &[Source::Event(RuleKey::ClientConnected)]),
            ("$events/client/connected", &[Source::Event(RuleKey::ClientConnected)]),
            (
                "$events/client_check_authn_complete",
                &[Source::Event(RuleKey::ClientAuthenticated)],
            ),
            (
                "$events/auth/check_authz_complete",
                &[Source::Event(RuleKey::ClientAuthorized)],
            ),
            ("$events/delivery_dropped", &[Source::Event(RuleKey::DeliveryDropped)]),
            (
                "$events/message/delivery_dropped",
                &[Source::Event(RuleKey::DeliveryDropped)],
            ),
            ("$events/client/ping", &[Source::Named("client.ping")]),
            (
                "$events/sys/alarm_activated",
                &[Source::Absent("$events/sys/alarm_activated")],
            ),
            (
                "$events/schema_validation_failed",
                &[Source::Absent("$events/schema_validation_failed")],
            ),
            ("$bridges/mqtt:x", &[Source::Absent("$bridges/mqtt:x")]),
            ("$events/client_conected", &[Source::Unknown("$events/client_conected")]),
            (
                "$events/session/+",
                &[
                    Source::Event(RuleKey::SessionSubscribed),
                    Source::Event(RuleKey::SessionUnsubscribed),
                ],
            ),
            ("$events/sys/#", &[Source::Absent("$events/sys/#")]),
            ("$events/x/#", &[Source::Unknown("$events/x/#")]),
        ] {
            assert_eq!(Source::of(entry), expected, "{entry}");
        }
        assert_eq!(Source::of("$events/#").len(), 12);
        let statement =
            Statement::parse("SELECT * FROM \"$events/client_connected\", \"$events/client/+\", \"t\", \"t\"").unwrap();
        assert_eq!(
            Source::all(&statement),
            [
                Source::Event(RuleKey::ClientConnected),
                Source::Event(RuleKey::ClientDisconnected),
                Source::Event(RuleKey::ClientConnack),
                Source::Named("client.ping"),
                Source::Topic("t"),
            ]
        );
    }
}
