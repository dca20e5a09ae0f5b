//! The events of the recorded steps.

use hookhost_guest::event::{
    Access, Acknowledgement, Authentication, Authorization, Client, Connack, Connection, Delivery, Detail,
    Disconnection, DropReason, End, EndReason, Event, Message, MessageDrop, Properties, Property, Subscription,
    Unsubscription,
};
use hookhost_guest::testing;
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

/// A client that is connected.
struct Connected {
    connection: Connection,
    subscription: Option<Subscription>,
}

/// The clients of a recording.
#[derive(Default)]
pub(crate) struct Clients(Vec<Connected>);

impl Clients {
    /// The events of what a client does.
    pub(crate) fn events(&mut self, action: &Value) -> Vec<Event> {
        let details = match text(action, "op") {
            "connect" => self.connect(action),
            "publish" => self.publish(action),
            "subscribe" => self.subscribe(action),
            "unsubscribe" => self.unsubscribe(action),
            "disconnect" => self.disconnect(action),
            other => panic!("{other}"),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let events = details.into_iter().map(|detail| Event {
            at: now.as_millis() as u64,
            ..testing::event(detail)
        });
        events.collect()
    }

    fn connect(&mut self, action: &Value) -> Vec<Detail> {
        let properties = properties(&action["properties"]);
        let client = Client {
            username: action["username"].as_str().map(str::to_owned),
            protocol_version: number(action, "version", 4),
            ..testing::client(text(action, "client"))
        };
        let find = |read: fn(&Property) -> Option<u32>| properties.as_ref().and_then(|known| known.find(read));
        let connection = Connection {
            client,
            keep_alive: number(action, "keepalive", 60),
            session_expiry: find(|property| match property {
                Property::SessionExpiryInterval(seconds) => Some(*seconds),
                _ => None,
            })
            .unwrap_or_default(),
            receive_maximum: find(|property| match property {
                Property::ReceiveMaximum(maximum) => Some((*maximum).into()),
                _ => None,
            })
            .unwrap_or(32) as u16,
            properties,
            ..testing::connection("")
        };
        self.0.push(Connected {
            connection: connection.clone(),
            subscription: None,
        });
        let authentication = Authentication {
            connection: connection.clone(),
            code: 0,
            anonymous: true,
            superuser: false,
            source: "default".into(),
        };
        let connack = Connack {
            connection,
            ..testing::connack("")
        };
        vec![
            Detail::ClientAuthenticated(authentication),
            Detail::ClientConnected(connack.clone()),
            Detail::ClientConnack(connack),
        ]
    }

    fn client(&self, action: &Value) -> &Connected {
        let id = text(action, "client");
        let known = self.0.iter().find(|known| known.connection.client.id == id);
        known.unwrap()
    }

    fn publish(&mut self, action: &Value) -> Vec<Detail> {
        let publisher = self.client(action).connection.client.clone();
        let payload = match action["payload_base64"].as_str() {
            Some(encoded) => decoded(encoded),
            None => text(action, "payload").as_bytes().to_vec(),
        };
        let message = Message {
            publisher,
            qos: number(action, "qos", 0),
            retain: action["retain"].as_bool().unwrap_or_default(),
            properties: properties(&action["properties"]),
            ..testing::message(text(action, "topic"), &payload)
        };
        let mut details = vec![
            self.authorized(action, Access::Publish, &message.topic),
            Detail::MessagePublish(message.clone()),
        ];
        let receiver = self.0.iter().find(|known| {
            let filter = known
                .subscription
                .as_ref()
                .map(|known| known.filter.parse::<hookhost_guest::topic::TopicFilter>());
            filter.is_some_and(|filter| filter.unwrap().matches(&message.topic))
        });
        let Some(receiver) = receiver else {
            details.push(Detail::MessageDropped(MessageDrop {
                message,
                reason: DropReason::NoSubscribers,
                code: 16,
                text: None,
            }));
            return details;
        };
        let delivery = Delivery {
            receiver: receiver.connection.client.clone(),
            qos: message.qos,
            message,
            ..testing::delivery("", b"")
        };
        details.push(Detail::MessageDelivered(delivery.clone()));
        details.push(Detail::MessageAcked(Acknowledgement {
            delivery,
            code: 0,
            properties: None,
        }));
        details
    }

    fn authorized(&self, action: &Value, access: Access, topic: &str) -> Detail {
        Detail::ClientAuthorized(Authorization {
            client: self.client(action).connection.client.clone(),
            access,
            topic: topic.to_owned(),
            allowed: true,
            source: "file".into(),
        })
    }

    fn subscribe(&mut self, action: &Value) -> Vec<Detail> {
        let filter = text(action, "filter");
        let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        let subscription = Subscription {
            client: self.client(action).connection.client.clone(),
            group: shared.map(|(group, _)| group.to_owned()),
            qos: number(action, "qos", 0),
            ..testing::subscription(shared.map_or(filter, |(_, filter)| filter))
        };
        let authorized = self.authorized(action, Access::Subscribe, &subscription.filter);
        let id = text(action, "client");
        let known = self.0.iter_mut().find(|known| known.connection.client.id == id);
        known.unwrap().subscription = Some(subscription.clone());
        vec![authorized, Detail::SessionSubscribed(subscription)]
    }

    fn unsubscribe(&mut self, action: &Value) -> Vec<Detail> {
        let known = self.client(action);
        vec![Detail::SessionUnsubscribed(Unsubscription {
            client: known.connection.client.clone(),
            qos: known.subscription.as_ref().unwrap().qos,
            ..testing::unsubscription(text(action, "filter"))
        })]
    }

    fn disconnect(&mut self, action: &Value) -> Vec<Detail> {
        let end = End {
            code: action["reason"].as_u64().map(|code| code as u8),
            properties: properties(&action["properties"]),
            ..testing::end(EndReason::Disconnect)
        };
        vec![Detail::ClientDisconnected(Disconnection {
            connection: self.client(action).connection.clone(),
            end,
            ..testing::disconnection("", EndReason::Disconnect)
        })]
    }
}

fn text<'v>(action: &'v Value, name: &str) -> &'v str {
    action[name].as_str().unwrap_or_default()
}

fn number<T: TryFrom<u64>>(action: &Value, name: &str, default: T) -> T {
    action[name]
        .as_u64()
        .and_then(|number| T::try_from(number).ok())
        .unwrap_or(default)
}

fn properties(value: &Value) -> Option<Properties> {
    let object = value.as_object()?;
    let mut properties = Properties {
        standard: Vec::new(),
        user: Vec::new(),
    };
    for (name, value) in object {
        let small = || value.as_u64().unwrap() as u32;
        let property = match name.as_str() {
            "UserProperty" => {
                properties.user = serde_json::from_value(value.clone()).unwrap();
                continue;
            }
            "ContentType" => Property::ContentType(value.as_str().unwrap().to_owned()),
            "ReasonString" => Property::ReasonString(value.as_str().unwrap().to_owned()),
            "PayloadFormatIndicator" => Property::PayloadFormatIndicator(small() as u8),
            "SessionExpiryInterval" => Property::SessionExpiryInterval(small()),
            "ReceiveMaximum" => Property::ReceiveMaximum(small() as u16),
            other => panic!("{other}"),
        };
        properties.standard.push(property);
    }
    Some(properties)
}

fn decoded(base64: &str) -> Vec<u8> {
    use base64::Engine;

    base64::engine::general_purpose::STANDARD.decode(base64).unwrap()
}
