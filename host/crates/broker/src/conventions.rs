//! What differs between brokers, and can be had from the built-in broker.

/// The broker whose conventions the built-in broker follows where brokers differ, so that a receiver that was written for
/// that broker gets the same events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conventions {
    /// hookhost's own: as [`Rmqtt`](Conventions::Rmqtt), but a subscription to `$queue/FILTER` is a shared one, a publish with
    /// wildcards ends the connection, and a CONNECT that cannot be read causes the event of its refusal.
    #[default]
    Hookhost,
    /// EMQX 4: session-subscribed of all filters of a SUBSCRIBE comes after client-subscribe of all of them. A CONNECT that is
    /// refused because of its version or client id causes client-connect too.
    Emqx4,
    /// NanoMQ: a CONNECT with an unknown version causes no events, and the publish of a will comes after the end of its
    /// connection.
    Nanomq,
    /// RMQTT: a filter `$queue/FILTER` is one like any other, a publish with wildcards is not delivered and does not end the
    /// connection, and a CONNECT that is refused because of its version or client id causes no events.
    Rmqtt,
}

impl Conventions {
    /// Whether a subscription to `$queue/FILTER` is a shared subscription.
    pub(crate) fn has_queue_groups(self) -> bool {
        self != Conventions::Rmqtt
    }

    /// Whether subscriptions are reported after all filters of their SUBSCRIBE.
    pub(crate) fn reports_subscriptions_last(self) -> bool {
        self == Conventions::Emqx4
    }

    /// Whether a will is reported after the end of its connection.
    pub(crate) fn reports_wills_last(self) -> bool {
        self == Conventions::Nanomq
    }

    /// Whether a publish with wildcards in its topic ends the connection.
    pub(crate) fn disconnects_for_wildcards(self) -> bool {
        self != Conventions::Rmqtt
    }

    /// Whether the refusal of a CONNECT with this reason code is reported, if the engine has not read the packet.
    pub(crate) fn reports_refusal(self, code: u8) -> bool {
        match self {
            Conventions::Hookhost | Conventions::Emqx4 => true,
            Conventions::Nanomq => code != UNSUPPORTED_VERSION,
            Conventions::Rmqtt => false,
        }
    }

    /// Whether a CONNECT that is refused with this reason code is reported, if the engine has not read the packet.
    pub(crate) fn reports_refused_connect(self, code: u8) -> bool {
        self == Conventions::Emqx4 && matches!(code, UNSUPPORTED_VERSION | INVALID_CLIENT_ID)
    }
}

/// The reason code for a protocol version that the broker does not support.
pub(crate) const UNSUPPORTED_VERSION: u8 = 132;
/// The reason code for a client id that the broker does not accept.
pub(crate) const INVALID_CLIENT_ID: u8 = 133;
