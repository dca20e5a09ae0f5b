//! What an inspector remembers of a client that publishes while its upstream is silent.

use super::*;
use crate::protocol::{Opening, SocketInfo};
use crate::settings::{GatewaySettings, Upstream};
use crate::upstream::Upstreams;
use hookhost_access::{AccessControl, Settings};
use hookhost_broker::Limits;
use hookhost_contract::Interest;
use hookhost_event::Hook;
use hookhost_hooks::{Bus, Interests, QueueLimits};
use hookhost_listener::{Kind, Peer};
use hookhost_relay::packet::ConnackPacket;

/// What the shared part of a gateway is made of, without a network.
async fn shared(bus: Bus) -> Arc<Shared> {
    let upstream = Upstream {
        tls: false,
        host: "localhost".into(),
        port: 1883,
    };
    let (settings, limits) = (GatewaySettings::new(vec![upstream]), Limits::default());
    let upstreams = Upstreams::new(&settings, &limits).await.unwrap();
    let access = AccessControl::new(Settings::default());
    Arc::new(Shared::new(settings, limits, access, upstreams, Some(bus)))
}

#[tokio::test]
async fn repeated_publishes_take_no_memory_while_the_upstream_does_not_answer() {
    let bus = Bus::new();
    let (attachment, _inboxes) = bus.attach("test", 1, QueueLimits::default());
    let list = [Interest {
        hook: Hook::MessagePublish,
        filters: Vec::new(),
    }];
    attachment.set_interests(Interests::compile(&list).unwrap().with_durable(&list).unwrap());
    let shared = shared(bus).await;
    let socket = SocketInfo {
        number: 1,
        peer: Peer {
            address: None,
            proxy: None,
            local: None,
            listener: "l".into(),
            kind: Kind::Tcp,
            tls: None,
        },
    };
    let connect = packet::connect(b"\0\x04MQTT\x04\x02\0\x3c\0\x01c").unwrap();
    let mut emitter = Emitter::new(&shared);
    let opening = emitter.run(|step| Opening::new(socket, connect, step));
    let session = emitter.accept(opening, &ConnackPacket::default());
    let mut inspector = SessionInspector::new(shared, Some(session), emitter);
    let mut direction = Direction::new(1024);
    for count in 0..100 {
        let publish = b"\x32\x06\0\x01t\0\x07x";
        assert!(inspector.inspect(Side::Client, publish, &mut direction).passes);
        assert_eq!(inspector.emitter.expected_acks.len(), 1, "{count}");
    }
}
