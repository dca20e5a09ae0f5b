//! The trait that a module implements, and the macro that exports it as a component.

use std::cell::RefCell;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::bindings::hookhost::hook::types::HostInfo;
use crate::event::{
    Acknowledgement, Authentication, Authorization, Connack, Connection, Delivery, DeliveryDrop, DeliveryLoss, Detail,
    Disconnection, Event, Interest, Message, MessageDrop, OtherEvent, Session, Subscription, Termination,
    Unsubscription,
};
use crate::problems::{self, Problem, Problems};
use crate::request::Outcome;

/// Information about the host of a module.
pub type Host = HostInfo;

/// The configuration of a module without settings: an object without keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// A module: it subscribes to events and returns requests for each event.
///
/// There is one method for each hook. The default of each method ignores the event. Events of one client arrive in the
/// order in which they happened. The fields of a module are lost when its instance ends, for example after a panic, and
/// several instances may run at the same time. Use [`kv`](crate::kv) for state that must be kept.
///
/// [`export!`](crate::export) exports a module as a component.
#[allow(unused_variables, reason = "the names of parameters are documentation")]
pub trait Module: Sized {
    /// The settings: the section `[config]` of the module's `.toml` file. [`NoConfig`] if the module has no settings.
    ///
    /// Use `#[serde(deny_unknown_fields)]`, so that a misspelt key is an error.
    type Config: DeserializeOwned;

    /// Creates the module. The host calls this once in each new instance, before any other method.
    ///
    /// The same settings must give the same result.
    ///
    /// # Errors
    ///
    /// The problems of settings that the module refuses. The previous version of the module then keeps running.
    fn new(config: Self::Config, host: &Host) -> Result<Self, Problems>;

    /// The events that the module subscribes to. The host calls this once, after `new`, and passes no other events.
    fn interests(&self) -> Vec<Interest>;

    /// The broker has read a CONNECT packet. Authentication has not started.
    fn on_client_connect(&mut self, event: &Event, connection: &Connection) -> Outcome {
        Outcome::Ignore
    }

    /// The broker is about to send CONNACK, for success or refusal.
    fn on_client_connack(&mut self, event: &Event, connack: &Connack) -> Outcome {
        Outcome::Ignore
    }

    /// The broker has accepted the connection, and the connection has its session.
    fn on_client_connected(&mut self, event: &Event, connack: &Connack) -> Outcome {
        Outcome::Ignore
    }

    /// An accepted connection has ended.
    fn on_client_disconnected(&mut self, event: &Event, disconnection: &Disconnection) -> Outcome {
        Outcome::Ignore
    }

    /// Authentication has accepted or refused a client.
    fn on_client_authenticated(&mut self, event: &Event, authentication: &Authentication) -> Outcome {
        Outcome::Ignore
    }

    /// Authorization has allowed or denied one publish or one topic filter.
    fn on_client_authorized(&mut self, event: &Event, authorization: &Authorization) -> Outcome {
        Outcome::Ignore
    }

    /// A client asked for one topic filter in a SUBSCRIBE packet, accepted or refused.
    fn on_client_subscribe(&mut self, event: &Event, subscription: &Subscription) -> Outcome {
        Outcome::Ignore
    }

    /// A client asked to remove one topic filter in an UNSUBSCRIBE packet.
    fn on_client_unsubscribe(&mut self, event: &Event, unsubscription: &Unsubscription) -> Outcome {
        Outcome::Ignore
    }

    /// The broker has created a session.
    fn on_session_created(&mut self, event: &Event, session: &Session) -> Outcome {
        Outcome::Ignore
    }

    /// A connection has resumed its existing session.
    fn on_session_resumed(&mut self, event: &Event, session: &Session) -> Outcome {
        Outcome::Ignore
    }

    /// A subscription is active.
    fn on_session_subscribed(&mut self, event: &Event, subscription: &Subscription) -> Outcome {
        Outcome::Ignore
    }

    /// An UNSUBSCRIBE packet has removed a subscription.
    fn on_session_unsubscribed(&mut self, event: &Event, unsubscription: &Unsubscription) -> Outcome {
        Outcome::Ignore
    }

    /// The broker has discarded a session because its client connected with clean start.
    fn on_session_discarded(&mut self, event: &Event, session: &Session) -> Outcome {
        Outcome::Ignore
    }

    /// A session has moved to another connection of its client.
    fn on_session_taken_over(&mut self, event: &Event, session: &Session) -> Outcome {
        Outcome::Ignore
    }

    /// A session has ended for any other reason.
    fn on_session_terminated(&mut self, event: &Event, termination: &Termination) -> Outcome {
        Outcome::Ignore
    }

    /// The broker has accepted a message. Wills and the broker's own messages are included, refused ones are not.
    fn on_message_publish(&mut self, event: &Event, message: &Message) -> Outcome {
        Outcome::Ignore
    }

    /// The broker is about to send a message to one receiver, for the first time or again.
    fn on_message_delivered(&mut self, event: &Event, delivery: &Delivery) -> Outcome {
        Outcome::Ignore
    }

    /// A receiver has acknowledged a message.
    fn on_message_acked(&mut self, event: &Event, acknowledgement: &Acknowledgement) -> Outcome {
        Outcome::Ignore
    }

    /// The broker has accepted a message, and no client subscribes to its topic.
    fn on_message_dropped(&mut self, event: &Event, drop: &MessageDrop) -> Outcome {
        Outcome::Ignore
    }

    /// The broker has refused a message.
    fn on_message_refused(&mut self, event: &Event, drop: &MessageDrop) -> Outcome {
        Outcome::Ignore
    }

    /// The broker has dropped a message for one receiver.
    fn on_delivery_dropped(&mut self, event: &Event, drop: &DeliveryDrop) -> Outcome {
        Outcome::Ignore
    }

    /// The broker has stored a message for a receiver that is offline.
    fn on_message_queued(&mut self, event: &Event, delivery: &Delivery) -> Outcome {
        Outcome::Ignore
    }

    /// Messages for one receiver were lost before they were read. Only their number is known.
    fn on_delivery_lost(&mut self, event: &Event, loss: &DeliveryLoss) -> Outcome {
        Outcome::Ignore
    }

    /// An event that has no hook of its own.
    fn on_other(&mut self, event: &Event, other: &OtherEvent) -> Outcome {
        Outcome::Ignore
    }

    /// Any event. The default calls the method of the event's hook. A module that treats all events alike implements this
    /// method alone.
    fn on_event(&mut self, event: &Event) -> Outcome {
        match &event.detail {
            Detail::ClientConnect(connection) => self.on_client_connect(event, connection),
            Detail::ClientConnack(connack) => self.on_client_connack(event, connack),
            Detail::ClientConnected(connack) => self.on_client_connected(event, connack),
            Detail::ClientDisconnected(disconnection) => self.on_client_disconnected(event, disconnection),
            Detail::ClientAuthenticated(authentication) => self.on_client_authenticated(event, authentication),
            Detail::ClientAuthorized(authorization) => self.on_client_authorized(event, authorization),
            Detail::ClientSubscribe(subscription) => self.on_client_subscribe(event, subscription),
            Detail::ClientUnsubscribe(unsubscription) => self.on_client_unsubscribe(event, unsubscription),
            Detail::SessionCreated(session) => self.on_session_created(event, session),
            Detail::SessionResumed(session) => self.on_session_resumed(event, session),
            Detail::SessionSubscribed(subscription) => self.on_session_subscribed(event, subscription),
            Detail::SessionUnsubscribed(unsubscription) => self.on_session_unsubscribed(event, unsubscription),
            Detail::SessionDiscarded(session) => self.on_session_discarded(event, session),
            Detail::SessionTakenOver(session) => self.on_session_taken_over(event, session),
            Detail::SessionTerminated(termination) => self.on_session_terminated(event, termination),
            Detail::MessagePublish(message) => self.on_message_publish(event, message),
            Detail::MessageDelivered(delivery) => self.on_message_delivered(event, delivery),
            Detail::MessageAcked(acknowledgement) => self.on_message_acked(event, acknowledgement),
            Detail::MessageDropped(drop) => self.on_message_dropped(event, drop),
            Detail::MessageRefused(drop) => self.on_message_refused(event, drop),
            Detail::DeliveryDropped(drop) => self.on_delivery_dropped(event, drop),
            Detail::MessageQueued(delivery) => self.on_message_queued(event, delivery),
            Detail::DeliveryLost(loss) => self.on_delivery_lost(event, loss),
            Detail::Other(other) => self.on_other(event, other),
        }
    }
}

/// Configures a module with its settings as JSON text.
pub(crate) fn configure<M: Module>(host: &Host, config: &str) -> Result<M, Problems> {
    M::new(problems::parse(config)?, host)
}

/// The module of a component, empty until it is configured. Used only by [`export!`](crate::export).
#[doc(hidden)]
#[derive(Debug)]
pub struct Slot<M>(RefCell<Option<M>>);

impl<M: Module> Slot<M> {
    /// A slot without a module.
    #[allow(clippy::new_without_default, reason = "lives in statics only")]
    pub const fn new() -> Slot<M> {
        Slot(RefCell::new(None))
    }

    /// `handler.configure` of the contract.
    pub fn configure(&self, host: &Host, config: &str) -> Result<Vec<Interest>, Vec<Problem>> {
        let module: M = configure(host, config)?;
        let interests = module.interests();
        self.0.replace(Some(module));
        Ok(interests)
    }

    /// `handler.handle` of the contract.
    pub fn handle(&self, events: &[Event]) -> Vec<Outcome> {
        let mut slot = self.0.borrow_mut();
        let Some(module) = slot.as_mut() else {
            return events
                .iter()
                .map(|_| Outcome::fail("the module is not configured"))
                .collect();
        };
        events.iter().map(|event| module.on_event(event)).collect()
    }
}

/// Exports a type that implements [`Module`] as a component. Use it once in a crate of type `cdylib`.
///
/// ```
/// use hookhost_guest::{Host, Interest, Module, NoConfig, Problems};
///
/// struct Nothing;
///
/// impl Module for Nothing {
///     type Config = NoConfig;
///
///     fn new(_: NoConfig, _: &Host) -> Result<Self, Problems> {
///         Ok(Nothing)
///     }
///
///     fn interests(&self) -> Vec<Interest> {
///         Vec::new()
///     }
/// }
///
/// hookhost_guest::export!(Nothing);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    ($module:ty) => {
        const _: () = {
            ::std::thread_local! {
                // A component has one thread.
                static MODULE: $crate::module::Slot<$module> = const { $crate::module::Slot::new() };
            }

            struct Component;

            impl $crate::bindings::exports::hookhost::hook::handler::Guest for Component {
                fn configure(
                    host: $crate::Host,
                    config: ::std::string::String,
                ) -> ::std::result::Result<::std::vec::Vec<$crate::Interest>, ::std::vec::Vec<$crate::Problem>>
                {
                    MODULE.with(|module| module.configure(&host, &config))
                }

                fn handle(events: ::std::vec::Vec<$crate::Event>) -> ::std::vec::Vec<$crate::Outcome> {
                    MODULE.with(|module| module.handle(&events))
                }
            }

            #[cfg(target_arch = "wasm32")]
    $crate::bindings::export_component!(Component with_types_in $crate::abi);

            // Natively nothing is exported. This use keeps the compiler from reporting the whole module as dead code.
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn(::std::vec::Vec<$crate::Event>) -> ::std::vec::Vec<$crate::Outcome> =
                <Component as $crate::bindings::exports::hookhost::hook::handler::Guest>::handle;
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hook, Request, testing};

    struct Echo {
        url: String,
    }

    impl Module for Echo {
        type Config = String;

        fn new(url: String, _: &Host) -> Result<Self, Problems> {
            if url.is_empty() {
                Err(Problems::one("", "a URL is needed"))
            } else {
                Ok(Echo { url })
            }
        }

        fn interests(&self) -> Vec<Interest> {
            vec![Interest::every(Hook::MessagePublish)]
        }

        fn on_message_publish(&mut self, _: &Event, message: &Message) -> Outcome {
            message
                .payload_str()
                .map(|text| Request::post(&self.url).text(text))
                .into()
        }
    }

    #[test]
    fn a_slot_meets_the_contract() {
        let slot = Slot::<Echo>::new();
        let events = [
            testing::publish("a", b"1"),
            testing::publish("a", b"\xff"),
            testing::connected("c1"),
        ];
        assert!(
            slot.handle(&events)
                .iter()
                .all(|outcome| matches!(outcome, Outcome::Fail(_)))
        );

        let refused = slot.configure(&testing::host(), "\"\"").unwrap_err();
        assert_eq!(
            refused,
            [Problem {
                key: String::new(),
                text: "a URL is needed".into()
            }]
        );

        assert_eq!(
            slot.configure(&testing::host(), "\"x:\"").unwrap(),
            [Interest::every(Hook::MessagePublish)]
        );
        let outcomes = slot.handle(&events);
        assert_eq!(outcomes[0].requests()[0].body_str(), Some("1"));
        assert!(matches!(&outcomes[1], Outcome::Fail(text) if text.contains("utf-8")));
        assert_eq!(outcomes[2], Outcome::Ignore);
    }
}
