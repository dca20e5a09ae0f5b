//! The bodies of EMQX 5 for the script.

use crate::Story;

pub(crate) const EMQX5: Story = Story {
    settings: "format = \"emqx5\"",
    connect: r#"
        {"username":"u1","timestamp":<ms>,"reason_code":"success","peername":"<addr>","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_authenticated"},"is_superuser":false,"is_anonymous":true,"event":"client.check_authn_complete","clientid":"c1","client_attrs":{}}
        {"username":"u1","timestamp":<ms>,"sockname":"<addr>","receive_maximum":32,"proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"emqx@127.0.0.1","mountpoint":"undefined","metadata":{"rule_id":"client_connected"},"keepalive":60,"is_bridge":false,"expiry_interval":0,"event":"client.connected","connected_at":<ms>,"conn_props":{"User-Property":{}},"clientid":"c1","client_attrs":{},"clean_start":true}
        {"username":"u1","timestamp":<ms>,"sockname":"<addr>","reason_code":"success","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_connack"},"keepalive":60,"expiry_interval":0,"event":"client.connack","conn_props":{"User-Property":{}},"clientid":"c1","clean_start":true}
    "#,
    disconnect: r#"
        {"username":"u1","timestamp":<ms>,"sockname":"<addr>","reason":"normal","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_disconnected"},"event":"client.disconnected","disconnected_at":<ms>,"disconn_props":{"User-Property":{}},"connected_at":<ms>,"clientid":"c1","client_attrs":{}}
    "#,
    refused: r#"
        {"username":"undefined","timestamp":<ms>,"sockname":"<addr>","reason_code":"client_identifier_not_valid","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_connack"},"keepalive":60,"expiry_interval":0,"event":"client.connack","conn_props":{"User-Property":{}},"clientid":"clientid-too-long","clean_start":true}
    "#,
    connect_names: &["client.check_authn_complete", "client.connected", "client.connack"],
    subscribe: r#"
        {"username":"undefined","topic":"t/#","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c2","client_attrs":{},"authz_source":"file","action":"subscribe"}
        {"username":"undefined","topic":"t/#","timestamp":<ms>,"sub_props":{"User-Property":{}},"qos":1,"peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"session_subscribed"},"event":"session.subscribed","clientid":"c2","client_attrs":{}}
        {"username":"undefined","topic":"s/+","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c2","client_attrs":{},"authz_source":"file","action":"subscribe"}
        {"username":"undefined","topic":"$share/g/s/+","timestamp":<ms>,"sub_props":{"User-Property":{}},"qos":1,"peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"session_subscribed"},"event":"session.subscribed","clientid":"c2","client_attrs":{}}
    "#,
    publish: [
        r#"
            {"username":"u1","topic":"t/1","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","client_attrs":{},"authz_source":"file","action":"publish"}
            {"username":"u1","topic":"t/1","timestamp":<ms>,"qos":0,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c1","client_attrs":{}}
        "#,
        r#"
            {"username":"u1","topic":"t/1","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","client_attrs":{},"authz_source":"file","action":"publish"}
            {"username":"u1","topic":"t/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c1","client_attrs":{}}
        "#,
        r#"
            {"username":"u1","topic":"t/1","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","client_attrs":{},"authz_source":"file","action":"publish"}
            {"username":"u1","topic":"t/1","timestamp":<ms>,"qos":2,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c1","client_attrs":{}}
        "#,
    ],
    deliver: [
        r#"
            {"username":"undefined","topic":"t/1","timestamp":<ms>,"qos":0,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_delivered"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.delivered","clientid":"c2"}
        "#,
        r#"
            {"username":"undefined","topic":"t/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_delivered"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.delivered","clientid":"c2"}
            {"username":"undefined","topic":"t/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"puback_props":{"User-Property":{}},"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_acked"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.acked","clientid":"c2"}
        "#,
        r#"
            {"username":"undefined","topic":"t/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_delivered"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.delivered","clientid":"c2"}
            {"username":"undefined","topic":"t/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"puback_props":{"User-Property":{}},"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_acked"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.acked","clientid":"c2"}
        "#,
    ],
    publish_shared: r#"
        {"username":"u1","topic":"s/1","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","client_attrs":{},"authz_source":"file","action":"publish"}
        {"username":"u1","topic":"s/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"shared","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c1","client_attrs":{}}
    "#,
    deliver_shared: r#"
        {"username":"undefined","topic":"s/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"shared","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_delivered"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.delivered","clientid":"c2"}
        {"username":"undefined","topic":"s/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"puback_props":{"User-Property":{}},"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"shared","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_acked"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.acked","clientid":"c2"}
    "#,
    nobody: r#"
        {"username":"u1","topic":"nobody","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","client_attrs":{},"authz_source":"file","action":"publish"}
        {"username":"u1","topic":"nobody","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"x","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c1","client_attrs":{}}
        {"username":"u1","topic":"nobody","timestamp":<ms>,"reason":"no_subscribers","qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"x","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_dropped"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.dropped","clientid":"c1"}
    "#,
    unsubscribe: r#"
        {"username":"undefined","unsub_props":{"User-Property":{}},"topic":"t/#","timestamp":<ms>,"qos":1,"peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"session_unsubscribed"},"event":"session.unsubscribed","clientid":"c2","client_attrs":{}}
    "#,
    publish_retained: r#"
        {"username":"u1","topic":"r/1","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","client_attrs":{},"authz_source":"file","action":"publish"}
        {"username":"u1","topic":"r/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"kept","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":true,"dup":false},"event":"message.publish","clientid":"c1","client_attrs":{}}
        {"username":"u1","topic":"r/1","timestamp":<ms>,"reason":"no_subscribers","qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"kept","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_dropped"},"id":"<id>","flags":{"retain":true,"dup":false},"event":"message.dropped","clientid":"c1"}
    "#,
    deliver_retained: r#"
        {"username":"undefined","topic":"r/#","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c2","client_attrs":{},"authz_source":"file","action":"subscribe"}
        {"username":"undefined","topic":"r/#","timestamp":<ms>,"sub_props":{"User-Property":{}},"qos":0,"peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"session_subscribed"},"event":"session.subscribed","clientid":"c2","client_attrs":{}}
        {"username":"undefined","topic":"r/1","timestamp":<ms>,"qos":0,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"kept","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_delivered"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":true,"dup":false},"event":"message.delivered","clientid":"c2"}
    "#,
    will: r#"
        {"username":"undefined","topic":"w","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c3","client_attrs":{},"authz_source":"file","action":"publish"}
        {"username":"undefined","topic":"w","timestamp":<ms>,"qos":0,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"undefined","peerhost":"undefined","payload":"gone","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c3","client_attrs":{}}
        {"username":"undefined","topic":"w","timestamp":<ms>,"reason":"no_subscribers","qos":0,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"undefined","peerhost":"undefined","payload":"gone","node":"emqx@127.0.0.1","metadata":{"rule_id":"message_dropped"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.dropped","clientid":"c3"}
        {"username":"undefined","timestamp":<ms>,"sockname":"<addr>","reason":"tcp_closed","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_disconnected"},"event":"client.disconnected","disconnected_at":<ms>,"disconn_props":{"User-Property":{}},"connected_at":<ms>,"clientid":"c3","client_attrs":{}}
    "#,
    replaced: r#"
        {"username":"undefined","timestamp":<ms>,"sockname":"<addr>","reason":"discarded","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_disconnected"},"event":"client.disconnected","disconnected_at":<ms>,"disconn_props":{"User-Property":{}},"connected_at":<ms>,"clientid":"c4","client_attrs":{}}
    "#,
    timeout: r#"
        {"username":"undefined","timestamp":<ms>,"sockname":"<addr>","reason":"keepalive_timeout","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_disconnected"},"event":"client.disconnected","disconnected_at":<ms>,"disconn_props":{"User-Property":{}},"connected_at":<ms>,"clientid":"c5","client_attrs":{}}
    "#,
    kick: r#"
        {"username":"undefined","timestamp":<ms>,"sockname":"<addr>","reason":"kicked","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"emqx@127.0.0.1","metadata":{"rule_id":"client_disconnected"},"event":"client.disconnected","disconnected_at":<ms>,"disconn_props":{"User-Property":{}},"connected_at":<ms>,"clientid":"c6","client_attrs":{}}
    "#,
};
