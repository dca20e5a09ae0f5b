//! The events that NanoMQ reports besides those of the host.
//!
//! ```text
//! CONNACK, accepted ──> message on the status topic: online
//! CONNACK, refused  ──> the same with the return code, client_disconnected, message on the status topic: offline
//! end of a connection with clean start ──> message on the status topic: offline
//! end of a session whose last connection had no clean start ──> client_disconnected, the same message
//! ```
//!
//! So each session without clean start has one `client_disconnected`, at its end, and the host's event for the end of
//! its connection is not reported. The status topic is `$SYS/brokers/client_status/` and the client id. The messages
//! are those of NanoMQ 0.25, but they are never cut and always JSON. NanoMQ cuts them at 255 bytes, does not escape
//! names, and puts a NUL before those of MQTT 5.

use hookhost_guest::event::{
    Client, Connack, Connection, Detail, Disconnection, End, EndReason, Event, Message, Origin, Transport,
};
use hookhost_guest::topic::TopicFilter;

use super::body::non_empty;
use crate::json::push_string;

/// The events that NanoMQ reports because of an event, besides that event.
pub(super) fn further(event: &Event) -> Vec<Event> {
    let with = |detail| with(event, detail);
    match &event.detail {
        Detail::ClientConnack(connack) => {
            let online = with(message(event, &connack.connection.client, online(event, connack)));
            if connack.code == 0 {
                return vec![online];
            }
            let end = ended(event, connack.connection.clone());
            let offline = message(
                event,
                &connack.connection.client,
                offline(event, &connack.connection.client, 0),
            );
            vec![online, with(end), with(offline)]
        }
        Detail::ClientDisconnected(disconnection) if disconnection.connection.clean_start => {
            let client = &disconnection.connection.client;
            let code = code_of_end(client.protocol_version, &disconnection.end);
            vec![with(message(event, client, offline(event, client, code)))]
        }
        Detail::SessionDiscarded(session) => session_ended(event, &session.client),
        Detail::SessionTerminated(termination) => session_ended(event, &termination.session.client),
        _ => Vec::new(),
    }
}

/// An event of the same id and time. Nothing else is copied: the code to copy any event is large.
fn with(event: &Event, detail: Detail) -> Event {
    Event {
        id: event.id.clone(),
        at: event.at,
        utc_offset: event.utc_offset,
        detail,
        extras: None,
    }
}

/// Whether a rule with these topics matches a status topic of any client. As in NanoMQ, a wildcard at the beginning
/// matches `$SYS`.
pub(super) fn matches_status(topics: &[TopicFilter]) -> bool {
    topics.is_empty() || topics.iter().any(|filter| may_match(filter.as_str()))
}

const STATUS_TOPIC: &str = "$SYS/brokers/client_status/";

/// Whether the filter matches a topic that begins with [`STATUS_TOPIC`].
fn may_match(filter: &str) -> bool {
    let mut levels = filter.split('/');
    for level in STATUS_TOPIC.trim_end_matches('/').split('/') {
        match levels.next() {
            Some("#") => return true,
            Some(own) if own == "+" || own == level => {}
            _ => return false,
        }
    }
    levels.next().is_some()
}

/// The end of a session, if its last connection had no clean start.
fn session_ended(event: &Event, client: &Client) -> Vec<Event> {
    if event.extra("clean_start") != Some("false") {
        return Vec::new();
    }
    let code = match event.extra("by_disconnect") {
        Some("true") => 0,
        _ => CONNECTION_SHUT,
    };
    let connection = Connection {
        client: client.clone(),
        listener: String::new(),
        transport: Transport::Tcp,
        local: None,
        protocol_name: String::new(),
        bridge: false,
        keep_alive: 0,
        clean_start: false,
        session_expiry: 0,
        receive_maximum: u16::MAX,
        mountpoint: None,
        certificate: None,
        properties: None,
    };
    let details = [
        ended(event, connection),
        message(event, client, offline(event, client, code)),
    ];
    details.into_iter().map(|detail| with(event, detail)).collect()
}

fn ended(event: &Event, connection: Connection) -> Detail {
    Detail::ClientDisconnected(Disconnection {
        connection,
        end: End {
            reason: EndReason::Other,
            code: None,
            text: None,
            properties: None,
        },
        connected_at: None,
        disconnected_at: event.at,
    })
}

/// The message on the status topic of a client.
fn message(event: &Event, client: &Client, payload: String) -> Detail {
    Detail::MessagePublish(Message {
        id: event.id.clone(),
        publisher: client.clone(),
        origin: Origin::System,
        topic: format!("{STATUS_TOPIC}{}", client.id),
        payload: payload.into_bytes(),
        qos: 0,
        retain: false,
        dup: false,
        packet_id: None,
        received_at: event.at,
        properties: None,
    })
}

fn online(event: &Event, connack: &Connack) -> String {
    let connection = &connack.connection;
    let mut out = start("online", &connection.client);
    out.push_str(&format!(" \"ts\":{},\"proto_name\":", event.at));
    push_string(&mut out, &connection.protocol_name);
    let version = connection.client.protocol_version;
    out.push_str(&format!(
        ",\"keepalive\":{},\"return_code\":\"{:x}\",\"proto_ver\":{version},\"client_id\":",
        connection.keep_alive,
        return_code(version, connack.code),
    ));
    push_string(&mut out, &connection.client.id);
    out.push_str(&format!(",\"clean_start\":{}, ", u8::from(connection.clean_start)));
    finish(out, &connection.client)
}

fn offline(event: &Event, client: &Client, code: u8) -> String {
    let mut out = start("offline", client);
    out.push_str(&format!(
        "\"ts\":{},\"reason_code\":\"{code:x}\",\"client_id\":",
        event.at
    ));
    push_string(&mut out, &client.id);
    out.push(',');
    finish(out, client)
}

fn start(status: &str, client: &Client) -> String {
    let mut out = format!("{{\"status\":\"{status}\", \"username\":");
    // What C prints for no text.
    push_string(&mut out, non_empty(client.username.as_deref()).unwrap_or("(null)"));
    out.push(',');
    out
}

fn finish(mut out: String, client: &Client) -> String {
    // NanoMQ knows addresses of IPv4 only.
    let address = client.peer.as_ref().map(|peer| peer.ip.as_str());
    let address = address.filter(|ip| !ip.contains(':')).unwrap_or_default();
    out.push_str(&format!("\"IPv4\":\"{address}\"}}"));
    out
}

/// What NanoMQ writes if the connection ended without DISCONNECT: the number of an error in its network library.
const CONNECTION_SHUT: u8 = 0x8b;

/// Reason codes of MQTT 5.
const MALFORMED_PACKET: u8 = 129;
const PROTOCOL_ERROR: u8 = 130;
const TOPIC_NAME_INVALID: u8 = 144;
const QOS_NOT_SUPPORTED: u8 = 155;

/// The reason code in NanoMQ's message about the end of a connection.
fn code_of_end(version: u8, end: &End) -> u8 {
    match (end.reason, end.code) {
        // A number of its network library.
        (EndReason::ProtocolError, Some(MALFORMED_PACKET | TOPIC_NAME_INVALID)) if version < 5 => 7,
        (EndReason::ProtocolError, Some(QOS_NOT_SUPPORTED)) if version < 5 => PROTOCOL_ERROR,
        (EndReason::ProtocolError, Some(PROTOCOL_ERROR)) if version < 5 => MALFORMED_PACKET,
        _ => code_of_reason(end),
    }
}

fn code_of_reason(end: &End) -> u8 {
    match end.reason {
        EndReason::TakenOver | EndReason::Discarded => 0,
        EndReason::Disconnect | EndReason::ProtocolError | EndReason::Kicked => end.code.unwrap_or(0),
        _ => CONNECTION_SHUT,
    }
}

/// The return code of CONNACK in this version of MQTT.
fn return_code(version: u8, code: u8) -> u8 {
    match code {
        _ if version >= 5 => code,
        132 => 1,
        133 => 2,
        136 => 3,
        134 => 4,
        135 => 5,
        _ => code,
    }
}
