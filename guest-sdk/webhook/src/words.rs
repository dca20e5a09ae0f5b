//! The names of kinds and reasons in bodies: those of the contract, with `_` for `-`.

use hookhost_guest::event::{Access, Detail, DropReason, EndReason, Event, Hook, Origin, Transport};

/// The name of an event with a dot after its first word, such as `message.publish` or `session.taken_over`. An event of
/// kind [`Hook::Other`] has its own name.
pub fn event_name(event: &Event) -> &str {
    match event.hook() {
        Hook::ClientConnect => "client.connect",
        Hook::ClientConnack => "client.connack",
        Hook::ClientConnected => "client.connected",
        Hook::ClientDisconnected => "client.disconnected",
        Hook::ClientAuthenticated => "client.authenticated",
        Hook::ClientAuthorized => "client.authorized",
        Hook::ClientSubscribe => "client.subscribe",
        Hook::ClientUnsubscribe => "client.unsubscribe",
        Hook::SessionCreated => "session.created",
        Hook::SessionResumed => "session.resumed",
        Hook::SessionSubscribed => "session.subscribed",
        Hook::SessionUnsubscribed => "session.unsubscribed",
        Hook::SessionDiscarded => "session.discarded",
        Hook::SessionTakenOver => "session.taken_over",
        Hook::SessionTerminated => "session.terminated",
        Hook::MessagePublish => "message.publish",
        Hook::MessageDelivered => "message.delivered",
        Hook::MessageAcked => "message.acked",
        Hook::MessageDropped => "message.dropped",
        Hook::MessageRefused => "message.refused",
        Hook::DeliveryDropped => "delivery.dropped",
        Hook::MessageQueued => "message.queued",
        Hook::DeliveryLost => "delivery.lost",
        Hook::Other => match &event.detail {
            Detail::Other(other) => &other.name,
            _ => "other",
        },
    }
}

pub(super) fn access(access: Access) -> &'static str {
    match access {
        Access::Publish => "publish",
        Access::Subscribe => "subscribe",
    }
}

pub(super) fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Client => "client",
        Origin::Will => "will",
        Origin::Admin => "admin",
        Origin::System => "system",
        Origin::Bridge => "bridge",
        Origin::Module => "module",
    }
}

pub(super) fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::Websocket => "websocket",
        Transport::WebsocketTls => "websocket_tls",
        Transport::Quic => "quic",
        Transport::Other => "other",
    }
}

pub(super) fn end_reason(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Disconnect => "disconnect",
        EndReason::Closed => "closed",
        EndReason::SocketError => "socket_error",
        EndReason::IoTimeout => "io_timeout",
        EndReason::KeepAliveTimeout => "keep_alive_timeout",
        EndReason::Kicked => "kicked",
        EndReason::TakenOver => "taken_over",
        EndReason::Discarded => "discarded",
        EndReason::NotAuthorized => "not_authorized",
        EndReason::ProtocolError => "protocol_error",
        EndReason::SubscribeFailed => "subscribe_failed",
        EndReason::UnsubscribeFailed => "unsubscribe_failed",
        EndReason::LimitExceeded => "limit_exceeded",
        EndReason::TooSlow => "too_slow",
        EndReason::Expired => "expired",
        EndReason::Module => "module",
        EndReason::Shutdown => "shutdown",
        EndReason::InternalError => "internal_error",
        EndReason::Other => "other",
    }
}

pub(super) fn drop_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::NoSubscribers => "no_subscribers",
        DropReason::NotAuthorized => "not_authorized",
        DropReason::PacketIdInUse => "packet_id_in_use",
        DropReason::ReceiveMaximumExceeded => "receive_maximum_exceeded",
        DropReason::LimitExceeded => "limit_exceeded",
        DropReason::Invalid => "invalid",
        DropReason::Module => "module",
        DropReason::QueueFull => "queue_full",
        DropReason::WindowFull => "window_full",
        DropReason::NotQueued => "not_queued",
        DropReason::Expired => "expired",
        DropReason::NoLocal => "no_local",
        DropReason::TooLarge => "too_large",
        DropReason::Refused => "refused",
        DropReason::Disconnected => "disconnected",
        DropReason::SessionEnded => "session_ended",
        DropReason::Other => "other",
    }
}
