//! The events of EMQX 4 and NanoMQ, which share one design, with their three names: the key of a rule, the callback that it
//! names, and the rule key of hookhost.

use hookhost_shared::nearest::nearest;

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HookEvent {
    /// `client.connected` in `web.hook.rule.client.connected.1`
    pub(super) dotted: &'static str,
    /// `on_client_connected`
    pub(super) action: &'static str,
    /// `rule.client_connected`, and the `action` of bodies
    pub(super) key: &'static str,
    /// Whether a rule may have a topic.
    pub(super) topics: bool,
}

const fn event(dotted: &'static str, action: &'static str, key: &'static str, topics: bool) -> HookEvent {
    HookEvent {
        dotted,
        action,
        key,
        topics,
    }
}

/// The twelve events of both brokers, and one that EMQX's page lists although its plugin lacks it.
pub(super) const EVENTS: [HookEvent; 13] = [
    event("client.connect", "on_client_connect", "client_connect", false),
    event("client.connack", "on_client_connack", "client_connack", false),
    event("client.connected", "on_client_connected", "client_connected", false),
    event(
        "client.disconnected",
        "on_client_disconnected",
        "client_disconnected",
        false,
    ),
    event("client.subscribe", "on_client_subscribe", "client_subscribe", true),
    event(
        "client.unsubscribe",
        "on_client_unsubscribe",
        "client_unsubscribe",
        true,
    ),
    event(
        "session.subscribed",
        "on_session_subscribed",
        "session_subscribed",
        true,
    ),
    event(
        "session.unsubscribed",
        "on_session_unsubscribed",
        "session_unsubscribed",
        true,
    ),
    event(
        "session.terminated",
        "on_session_terminated",
        "session_terminated",
        false,
    ),
    event("message.publish", "on_message_publish", "message_publish", true),
    event("message.delivered", "on_message_delivered", "message_delivered", true),
    event("message.acked", "on_message_acked", "message_acked", true),
    event("message.dropped", "on_message_dropped", "message_dropped", true),
];

/// The event that a name means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meant {
    Event(&'static HookEvent),
    /// A spelling that pages and users have, but not the broker.
    Misspelt(&'static HookEvent),
    /// No event, with the nearest known name.
    Unknown(Option<&'static str>),
}

/// Finds an event by one of its names, which `name_of` selects.
pub(super) fn find(
    name: &str,
    events: &'static [HookEvent],
    name_of: impl Fn(&HookEvent) -> &'static str + Copy,
) -> Meant {
    if let Some(event) = events.iter().find(|event| name_of(event) == name) {
        return Meant::Event(event);
    }
    // `session.subscribe` for `session.subscribed`, as a page for docker-compose has it.
    let longer = [format!("{name}d"), format!("{name}ed")];
    let misspelt =
        |event: &&HookEvent| event.key.starts_with("session_") && longer.iter().any(|name| *name == name_of(event));
    if let Some(event) = events.iter().find(misspelt) {
        return Meant::Misspelt(event);
    }
    Meant::Unknown(nearest(name, events.iter().map(name_of)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_events() {
        let dotted = |name: &str| match find(name, &EVENTS, |event| event.dotted) {
            Meant::Event(event) => format!("is {}", event.key),
            Meant::Misspelt(event) => format!("means {}", event.key),
            Meant::Unknown(near) => format!("near {near:?}"),
        };
        for (name, expected) in [
            ("client.connected", "is client_connected"),
            ("client.subscribe", "is client_subscribe"),
            ("session.subscribe", "means session_subscribed"),
            ("session.unsubscribe", "means session_unsubscribed"),
            ("message.dropped", "is message_dropped"),
            ("client.conected", "near Some(\"client.connected\")"),
            ("x", "near None"),
        ] {
            assert_eq!(dotted(name), expected, "{name}");
        }
        let action = find("on_session_subscribe", &EVENTS, |event| event.action);
        assert!(matches!(action, Meant::Misspelt(event) if event.key == "session_subscribed"));
    }
}
