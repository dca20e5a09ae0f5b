//! Acknowledgements that have to wait until requests are on disk, also those of repeated QoS 2 publishes.
//!
//! RMQTT answers a publish at once; the relay holds the answer back ([`ExpectedAcks`](super::expected_acks)). A client that
//! reconnects before PUBREC repeats a QoS 2 publish. Subscribers do not get it again, and its PUBREC waits for the same
//! completion. If the host has ended in between, the requests may be lost: then the event is emitted again, for modules
//! with a durable interest only.

use ::rmqtt::types::{From as Sender, Id as ClientKey, Publish};

use super::handler::EventSource;
use super::messages::hold;
use super::persistent::RepeatedPublish;
use hookhost_contract::Completion;
use hookhost_event::Detail;

impl EventSource {
    /// The acknowledgement of this publish has to wait. `key` is RMQTT's key of the client.
    pub(super) fn hold_ack(&self, key: &ClientKey, publish: &Publish, completion: Completion) {
        // Without a relay there is no client any more that could get the acknowledgement.
        if let (Some(packet_id), Some(client)) = (publish.packet_id, self.clients.of(key)) {
            client.expected_acks.add(packet_id.get(), completion);
        }
    }

    /// A client has repeated a QoS 2 publish of an earlier connection.
    pub(super) async fn repeated(&self, key: &ClientKey, publish: &Publish, repeated: RepeatedPublish) {
        let completion = match repeated {
            RepeatedPublish::Stored => None,
            RepeatedPublish::Waits(completion) => Some(completion),
            RepeatedPublish::Unknown => {
                let completion = self.emit_again(key, publish).await;
                if let Some(completion) = &completion {
                    self.persistent.hold_publish(&key.client_id, publish, completion);
                }
                completion
            }
        };
        if let Some(completion) = completion {
            self.hold_ack(key, publish, completion);
        }
    }

    /// Emits the event of a publish again, for modules with a durable interest. Returns what its acknowledgement has to
    /// wait for; `None` without such modules.
    async fn emit_again(&self, key: &ClientKey, publish: &Publish) -> Option<Completion> {
        let sender = Sender::from_custom(key.clone());
        let mut to = self.wanting(&sender, publish).durable();
        let completion = hold(&mut to, &sender, publish)?;
        let detail = Detail::MessagePublish(self.accepted(&sender, publish));
        self.emitter.emit_to(to, detail).await;
        Some(completion)
    }
}
