//! Subscriptions to `$queue/FILTER`, the older form of a shared subscription: all of them are one group, `$queue`.
//!
//! RMQTT takes such a filter literally. So [`shared`] replaces it on the way into RMQTT's table
//! ([`ClientEntry`](super::client_entry::ClientEntry)) and in events. RMQTT itself goes on with the filter that the client
//! sent, in which no retained messages match; that is right for a shared subscription.

use std::borrow::Cow;

use bytestring::ByteString;

use ::rmqtt::types::{Subscribe, SubscriptionOptions, Unsubscribe};

/// The group of all subscriptions to `$queue/…`.
const GROUP: &str = "$queue";

/// The filter after `$queue/`; none if it is empty, another filter or one of a shared subscription.
fn queued(filter: &ByteString, group: Option<&ByteString>) -> Option<ByteString> {
    let rest = filter.strip_prefix("$queue/").filter(|rest| !rest.is_empty())?;
    group.is_none().then(|| filter.slice_ref(rest))
}

/// A subscription as it is meant: one to `$queue/FILTER` as one of the group `$queue` to the filter, if shared
/// subscriptions are `enabled`.
pub(super) fn shared(subscribe: &Subscribe, enabled: bool) -> Cow<'_, Subscribe> {
    let queued = queued(&subscribe.topic_filter, subscribe.opts.shared_group());
    let Some(topic_filter) = queued.filter(|_| enabled) else {
        return Cow::Borrowed(subscribe);
    };
    let mut opts = subscribe.opts.clone();
    match &mut opts {
        SubscriptionOptions::V3(opts) => opts.shared_group = Some(ByteString::from_static(GROUP)),
        SubscriptionOptions::V5(opts) => opts.shared_group = Some(ByteString::from_static(GROUP)),
    }
    Cow::Owned(Subscribe { topic_filter, opts })
}

/// The same for the end of a subscription.
pub(super) fn shared_end(unsubscribe: &Unsubscribe, enabled: bool) -> Cow<'_, Unsubscribe> {
    match queued(&unsubscribe.topic_filter, unsubscribe.shared_group.as_ref()).filter(|_| enabled) {
        Some(topic_filter) => Cow::Owned(Unsubscribe {
            topic_filter,
            shared_group: Some(ByteString::from_static(GROUP)),
        }),
        None => Cow::Borrowed(unsubscribe),
    }
}

#[cfg(test)]
mod tests {
    use ::rmqtt::codec::types::QoS;

    use super::*;

    #[test]
    fn a_queue_is_a_group() {
        for (sent, filter, group) in [
            ("$queue/q/#", "q/#", Some("$queue")),
            ("$queue//", "/", Some("$queue")),
            ("$queue/", "$queue/", None),
            ("$queue", "$queue", None),
            ("$queues/q", "$queues/q", None),
            ("q/$queue/x", "q/$queue/x", None),
            ("$share/g/$queue/q", "$queue/q", Some("g")),
        ] {
            let subscribe = Subscribe::from_v3(&sent.into(), QoS::AtLeastOnce, true, false).unwrap();
            let shared = shared(&subscribe, true);
            let got = shared.opts.shared_group().map(|group| &**group);
            assert_eq!((&*shared.topic_filter, got), (filter, group), "{sent}");
            let unsubscribe = Unsubscribe::from(&sent.into(), true, false).unwrap();
            let end = shared_end(&unsubscribe, true);
            assert_eq!(
                (&*end.topic_filter, end.shared_group.as_deref()),
                (filter, group),
                "{sent}"
            );
        }
        let subscribe = Subscribe::from_v3(&"$queue/q".into(), QoS::AtLeastOnce, false, false).unwrap();
        assert_eq!(&*super::shared(&subscribe, false).topic_filter, "$queue/q");
    }
}
