//! The names and values of the standard properties of MQTT 5.

use hookhost_guest::event::Property;

/// The value of a property.
#[derive(Debug, Clone, Copy)]
pub(super) enum PropertyValue<'a> {
    /// An integer; 0 or 1 for a flag.
    Number(u32),
    Text(&'a str),
    Binary(&'a [u8]),
}

/// The name of a property in the standard, with hyphens, and its value.
pub(super) fn named(property: &Property) -> (&'static str, PropertyValue<'_>) {
    use PropertyValue::{Binary, Number, Text};
    match property {
        Property::PayloadFormatIndicator(value) => ("Payload-Format-Indicator", Number((*value).into())),
        Property::MessageExpiryInterval(value) => ("Message-Expiry-Interval", Number(*value)),
        Property::ContentType(value) => ("Content-Type", Text(value)),
        Property::ResponseTopic(value) => ("Response-Topic", Text(value)),
        Property::CorrelationData(value) => ("Correlation-Data", Binary(value)),
        Property::SubscriptionIdentifier(value) => ("Subscription-Identifier", Number(*value)),
        Property::SessionExpiryInterval(value) => ("Session-Expiry-Interval", Number(*value)),
        Property::AssignedClientIdentifier(value) => ("Assigned-Client-Identifier", Text(value)),
        Property::ServerKeepAlive(value) => ("Server-Keep-Alive", Number((*value).into())),
        Property::AuthenticationMethod(value) => ("Authentication-Method", Text(value)),
        Property::RequestProblemInformation(value) => ("Request-Problem-Information", Number((*value).into())),
        Property::WillDelayInterval(value) => ("Will-Delay-Interval", Number(*value)),
        Property::RequestResponseInformation(value) => ("Request-Response-Information", Number((*value).into())),
        Property::ResponseInformation(value) => ("Response-Information", Text(value)),
        Property::ServerReference(value) => ("Server-Reference", Text(value)),
        Property::ReasonString(value) => ("Reason-String", Text(value)),
        Property::ReceiveMaximum(value) => ("Receive-Maximum", Number((*value).into())),
        Property::TopicAliasMaximum(value) => ("Topic-Alias-Maximum", Number((*value).into())),
        Property::TopicAlias(value) => ("Topic-Alias", Number((*value).into())),
        Property::MaximumQos(value) => ("Maximum-QoS", Number((*value).into())),
        Property::RetainAvailable(value) => ("Retain-Available", Number((*value).into())),
        Property::MaximumPacketSize(value) => ("Maximum-Packet-Size", Number(*value)),
        Property::WildcardSubscriptionAvailable(value) => ("Wildcard-Subscription-Available", Number((*value).into())),
        Property::SubscriptionIdentifierAvailable(value) => {
            ("Subscription-Identifier-Available", Number((*value).into()))
        }
        Property::SharedSubscriptionAvailable(value) => ("Shared-Subscription-Available", Number((*value).into())),
    }
}
