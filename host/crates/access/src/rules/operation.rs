//! What a client wants to do, about which rules decide.

/// What a client wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Publish to a topic.
    Publish,
    /// Subscribe to a filter.
    Subscribe,
}

impl Action {
    /// `publish` or `subscribe`.
    pub fn name(self) -> &'static str {
        match self {
            Action::Publish => "publish",
            Action::Subscribe => "subscribe",
        }
    }
}

/// One publish, or one filter of a SUBSCRIBE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation<'a> {
    /// What the client wants to do.
    pub action: Action,
    /// Topic, or filter without `$share/…/`.
    pub topic: &'a str,
    /// QoS of the publish, or the requested one.
    pub qos: u8,
    /// Retain flag of the publish; false for a subscription.
    pub retain: bool,
}

/// An [`Operation`] that is kept: for a question that takes time, or to find a decision about the same operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedOperation {
    action: Action,
    topic: Box<str>,
    qos: u8,
    retain: bool,
}

impl From<&Operation<'_>> for OwnedOperation {
    fn from(operation: &Operation<'_>) -> OwnedOperation {
        OwnedOperation {
            action: operation.action,
            topic: operation.topic.into(),
            qos: operation.qos,
            retain: operation.retain,
        }
    }
}

impl OwnedOperation {
    /// The operation, without a copy.
    pub fn borrowed(&self) -> Operation<'_> {
        Operation {
            action: self.action,
            topic: &self.topic,
            qos: self.qos,
            retain: self.retain,
        }
    }
}

impl PartialEq<Operation<'_>> for OwnedOperation {
    fn eq(&self, other: &Operation<'_>) -> bool {
        self.borrowed() == *other
    }
}
