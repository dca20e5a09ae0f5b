//! Publishes the messages of modules through the engine, for delivery.

use hookhost_broker::{EngineHandle, HostMessage, NotRunning, PublishError};
use hookhost_delivery::{Publication, PublishFailure, Publisher, Publishing};
use hookhost_event::Origin;

/// The engine as a publisher.
pub(crate) struct EnginePublisher(EngineHandle);

impl EnginePublisher {
    pub(crate) fn new(engine: EngineHandle) -> EnginePublisher {
        EnginePublisher(engine)
    }
}

impl Publisher for EnginePublisher {
    fn publish(&self, message: Publication) -> Publishing {
        let engine = self.0.clone();
        let message = HostMessage {
            sender: message.sender.into(),
            origin: Origin::Module,
            topic: message.topic.into(),
            payload: message.payload,
            qos: message.qos,
            retain: message.retain,
            properties: message.properties,
            republishes: message.republishes,
        };
        Box::pin(async move {
            match engine.publish(message).await {
                Ok(Ok(())) => Ok(()),
                // The upstream of a gateway may be away.
                Ok(Err(error @ PublishError::Engine)) => Err(PublishFailure::Failed(error.to_string())),
                Ok(Err(error)) => Err(PublishFailure::Invalid(error.to_string())),
                Err(error @ NotRunning) => Err(PublishFailure::Invalid(error.to_string())),
            }
        })
    }
}
