//! The weight of an event in a queue: its payload, its texts, and a fixed cost for the rest.
//!
//! An estimate of the memory that a waiting event takes, cheap enough to compute for each event: it only adds lengths.
//! Bytes that several events or queues share are counted in each of them, so a queue never takes more than its bound.

use hookhost_event::{
    Client, Connection, Delivery, Detail, End, Event, Message, Pairs, Properties, Property, Session, Subscription,
    Unsubscription,
};

/// Bytes that every event counts for: the event itself, and its place in a queue.
pub(super) const MIN_EVENT_BYTES: usize = size_of::<Event>() + 64;

/// Bytes that an event counts for.
pub fn weight(event: &Event) -> usize {
    MIN_EVENT_BYTES + pairs(&event.extras) + detail(&event.detail)
}

fn detail(detail: &Detail) -> usize {
    match detail {
        Detail::ClientConnect(it) => connection(it),
        Detail::ClientConnack(it) | Detail::ClientConnected(it) => {
            connection(&it.connection) + properties(&it.properties)
        }
        Detail::ClientDisconnected(it) => connection(&it.connection) + end(&it.end),
        Detail::ClientAuthenticated(it) => connection(&it.connection) + it.source.len(),
        Detail::ClientAuthorized(it) => client(&it.client) + it.topic.len() + it.source.len(),
        Detail::ClientSubscribe(it) | Detail::SessionSubscribed(it) => subscription(it),
        Detail::ClientUnsubscribe(it) | Detail::SessionUnsubscribed(it) => unsubscription(it),
        Detail::SessionCreated(it)
        | Detail::SessionResumed(it)
        | Detail::SessionDiscarded(it)
        | Detail::SessionTakenOver(it) => session(it),
        Detail::SessionTerminated(it) => session(&it.session) + end(&it.end),
        Detail::MessagePublish(it) => message(it),
        Detail::MessageDropped(it) | Detail::MessageRefused(it) => message(&it.message) + text(&it.text),
        Detail::MessageDelivered(it) | Detail::MessageQueued(it) => delivery(it),
        Detail::MessageAcked(it) => delivery(&it.delivery) + properties(&it.properties),
        Detail::DeliveryDropped(it) => delivery(&it.delivery) + text(&it.text),
        Detail::DeliveryLost(it) => client(&it.receiver) + it.filter.len() + text(&it.group),
        Detail::Other(it) => it.name.len() + it.client.as_ref().map_or(0, client) + it.data.len(),
    }
}

fn client(client: &Client) -> usize {
    let node = client
        .node
        .as_ref()
        .map_or(0, |node| size_of_val(&**node) + node.name.len());
    client.id.len() + text(&client.username) + node + pairs(&client.attributes)
}

fn connection(it: &Connection) -> usize {
    let certificate = it.certificate.as_ref().map_or(0, |certificate| {
        size_of_val(&**certificate) + certificate.common_name.len() + certificate.subject.len()
    });
    let texts = it.listener.len() + it.protocol_name.len() + text(&it.mountpoint);
    client(&it.client) + texts + certificate + properties(&it.properties)
}

fn session(session: &Session) -> usize {
    client(&session.client)
}

fn subscription(it: &Subscription) -> usize {
    client(&it.client) + it.filter.len() + text(&it.group) + properties(&it.properties)
}

fn unsubscription(it: &Unsubscription) -> usize {
    client(&it.client) + it.filter.len() + text(&it.group) + properties(&it.properties)
}

fn end(end: &End) -> usize {
    text(&end.text) + properties(&end.properties)
}

fn message(it: &Message) -> usize {
    client(&it.publisher) + it.topic.len() + it.payload.len() + properties(&it.properties)
}

fn delivery(it: &Delivery) -> usize {
    client(&it.receiver) + message(&it.message) + text(&it.group) + size_of_val(&*it.subscription_ids)
}

fn properties(properties: &Option<Box<Properties>>) -> usize {
    let Some(properties) = properties else { return 0 };
    let texts: usize = properties.standard.iter().map(property).sum();
    size_of::<Properties>() + size_of_val(&*properties.standard) + texts + pairs(&properties.user)
}

fn property(property: &Property) -> usize {
    match property {
        Property::CorrelationData(bytes) => bytes.len(),
        Property::ContentType(text)
        | Property::ResponseTopic(text)
        | Property::AssignedClientIdentifier(text)
        | Property::AuthenticationMethod(text)
        | Property::ResponseInformation(text)
        | Property::ServerReference(text)
        | Property::ReasonString(text) => text.len(),
        _ => 0,
    }
}

fn pairs(pairs: &Pairs) -> usize {
    size_of_val(&**pairs)
        + pairs
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
}

fn text(text: &Option<hookhost_event::ByteString>) -> usize {
    text.as_ref().map_or(0, |text| text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_testing::events as testing;

    #[test]
    fn payload_and_texts_count() {
        let base = weight(&testing::publish("c", "t", b""));
        assert!(base >= size_of::<Event>());
        assert_eq!(weight(&testing::publish("c", "t", &[0; 1000])), base + 1000);
        assert_eq!(weight(&testing::publish("client", "topic", b"")), base + 5 + 4);
    }
}
