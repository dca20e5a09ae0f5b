//! The bodies of EMQX 4 for the script, and the bodies of its documentation.

use crate::Story;

pub(crate) const EMQX4: Story = Story {
    settings: "format = \"emqx4\"",
    connect: r#"
        {"username":"u1","proto_ver":$ver,"node":"emqx@127.0.0.1","keepalive":60,"ipaddress":"127.0.0.1","clientid":"c1","action":"client_connect"}
        {"username":"u1","proto_ver":$ver,"node":"emqx@127.0.0.1","keepalive":60,"ipaddress":"127.0.0.1","connected_at":<ms>,"clientid":"c1","action":"client_connected"}
        {"username":"u1","proto_ver":$ver,"node":"emqx@127.0.0.1","keepalive":60,"ipaddress":"127.0.0.1","connected_at":<ms>,"conn_ack":"success","clientid":"c1","action":"client_connack"}
    "#,
    disconnect: r#"
        {"username":"u1","reason":"normal","node":"emqx@127.0.0.1","disconnected_at":<ms>,"connected_at":<ms>,"clientid":"c1","action":"client_disconnected"}
        {"username":"u1","reason":"normal","node":"emqx@127.0.0.1","clientid":"c1","action":"session_terminated"}
    "#,
    refused: r#"
        {"username":null,"proto_ver":$ver,"node":"emqx@127.0.0.1","keepalive":60,"ipaddress":"127.0.0.1","clientid":"clientid-too-long","action":"client_connect"}
        {"username":null,"proto_ver":$ver,"node":"emqx@127.0.0.1","keepalive":60,"ipaddress":"127.0.0.1","conn_ack":"client_identifier_not_valid","clientid":"clientid-too-long","action":"client_connack"}
    "#,
    connect_names: &["client_connect", "client_connected", "client_connack"],
    subscribe: r#"
        {"username":null,"topic":"t/#","opts":{"rh":0,"rap":0,"qos":1,"nl":0},"node":"emqx@127.0.0.1","clientid":"c2","action":"client_subscribe"}
        {"username":null,"topic":"t/#","opts":{"sub_props":{},"rh":0,"rap":0,"qos":1,"nl":0,"is_new":true},"node":"emqx@127.0.0.1","clientid":"c2","action":"session_subscribed"}
        {"username":null,"topic":"s/+","opts":{"share":"g","rh":0,"rap":0,"qos":1,"nl":0},"node":"emqx@127.0.0.1","clientid":"c2","action":"client_subscribe"}
        {"username":null,"topic":"s/+","opts":{"sub_props":{},"share":"g","rh":0,"rap":0,"qos":1,"nl":0,"is_new":true},"node":"emqx@127.0.0.1","clientid":"c2","action":"session_subscribed"}
    "#,
    publish: [
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":0,"payload":"hello","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_publish"}"#,
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"payload":"hello","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_publish"}"#,
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":2,"payload":"hello","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_publish"}"#,
    ],
    deliver: [
        r#"{"username":null,"ts":<ms>,"topic":"t/1","retain":false,"qos":0,"payload":"hello","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_delivered"}"#,
        r#"
        {"username":null,"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"payload":"hello","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_delivered"}
        {"username":null,"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"payload":"hello","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_acked"}
        "#,
        // The subscription has QoS 1.
        r#"
        {"username":null,"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"payload":"hello","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_delivered"}
        {"username":null,"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"payload":"hello","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_acked"}
        "#,
    ],
    publish_shared: r#"{"ts":<ms>,"topic":"s/1","retain":false,"qos":1,"payload":"shared","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_publish"}"#,
    deliver_shared: r#"
        {"username":null,"ts":<ms>,"topic":"s/1","retain":false,"qos":1,"payload":"shared","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_delivered"}
        {"username":null,"ts":<ms>,"topic":"s/1","retain":false,"qos":1,"payload":"shared","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_acked"}
    "#,
    nobody: r#"
        {"ts":<ms>,"topic":"nobody","retain":false,"qos":1,"payload":"x","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_publish"}
        {"ts":<ms>,"topic":"nobody","retain":false,"reason":"no_subscribers","qos":1,"payload":"x","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_dropped"}
    "#,
    unsubscribe: r#"
        {"username":null,"topic":"t/#","opts":{},"node":"emqx@127.0.0.1","clientid":"c2","action":"client_unsubscribe"}
        {"username":null,"topic":"t/#","node":"emqx@127.0.0.1","clientid":"c2","action":"session_unsubscribed"}
    "#,
    publish_retained: r#"
        {"ts":<ms>,"topic":"r/1","retain":true,"qos":1,"payload":"kept","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_publish"}
        {"ts":<ms>,"topic":"r/1","retain":true,"reason":"no_subscribers","qos":1,"payload":"kept","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_dropped"}
    "#,
    deliver_retained: r#"
        {"username":null,"topic":"r/#","opts":{"rh":0,"rap":0,"qos":0,"nl":0},"node":"emqx@127.0.0.1","clientid":"c2","action":"client_subscribe"}
        {"username":null,"topic":"r/#","opts":{"sub_props":{},"rh":0,"rap":0,"qos":0,"nl":0,"is_new":true},"node":"emqx@127.0.0.1","clientid":"c2","action":"session_subscribed"}
        {"username":null,"ts":<ms>,"topic":"r/1","retain":true,"qos":0,"payload":"kept","node":"emqx@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_delivered"}
    "#,
    will: r#"
        {"ts":<ms>,"topic":"w","retain":false,"qos":0,"payload":"gone","node":"emqx@127.0.0.1","from_username":null,"from_client_id":"c3","action":"message_publish"}
        {"ts":<ms>,"topic":"w","retain":false,"reason":"no_subscribers","qos":0,"payload":"gone","node":"emqx@127.0.0.1","from_username":null,"from_client_id":"c3","action":"message_dropped"}
        {"username":null,"reason":"tcp_closed","node":"emqx@127.0.0.1","disconnected_at":<ms>,"connected_at":<ms>,"clientid":"c3","action":"client_disconnected"}
        {"username":null,"reason":"tcp_closed","node":"emqx@127.0.0.1","clientid":"c3","action":"session_terminated"}
    "#,
    // EMQX 4 sends no webhook for it.
    replaced: "",
    timeout: r#"
        {"username":null,"reason":"keepalive_timeout","node":"emqx@127.0.0.1","disconnected_at":<ms>,"connected_at":<ms>,"clientid":"c5","action":"client_disconnected"}
        {"username":null,"reason":"keepalive_timeout","node":"emqx@127.0.0.1","clientid":"c5","action":"session_terminated"}
    "#,
    kick: r#"
        {"username":null,"reason":"kicked","node":"emqx@127.0.0.1","disconnected_at":<ms>,"connected_at":<ms>,"clientid":"c6","action":"client_disconnected"}
        {"username":null,"reason":"kicked","node":"emqx@127.0.0.1","clientid":"c6","action":"session_terminated"}
    "#,
};

pub(crate) const EMQX4_PAGE: Story = Story {
    settings: "format = \"emqx4\"\nas_documented = true\npayload_encoding = \"base62\"",
    connect: r#"
        {"action":"client_connect","clientid":"c1","username":"u1","ipaddress":"127.0.0.1","keepalive":60,"proto_ver":$ver}
        {"action":"client_connected","clientid":"c1","username":"u1","ipaddress":"127.0.0.1","keepalive":60,"proto_ver":$ver,"connected_at":<s>}
        {"action":"client_connack","clientid":"c1","username":"u1","ipaddress":"127.0.0.1","keepalive":60,"proto_ver":$ver,"conn_ack":"success"}
    "#,
    disconnect: r#"
        {"action":"client_disconnected","clientid":"c1","username":"u1","reason":"normal"}
        {"action":"session_terminated","clientid":"c1","username":"u1","reason":"normal"}
    "#,
    refused: r#"
        {"action":"client_connect","clientid":"clientid-too-long","username":"undefined","ipaddress":"127.0.0.1","keepalive":60,"proto_ver":$ver}
        {"action":"client_connack","clientid":"clientid-too-long","username":"undefined","ipaddress":"127.0.0.1","keepalive":60,"proto_ver":$ver,"conn_ack":"client_identifier_not_valid"}
    "#,
    connect_names: &["client_connect", "client_connected", "client_connack"],
    subscribe: r#"
        {"action":"client_subscribe","clientid":"c2","username":"undefined","topic":"t/#","opts":{"qos":1}}
        {"action":"session_subscribed","clientid":"c2","username":"undefined","topic":"t/#","opts":{"qos":1}}
        {"action":"client_subscribe","clientid":"c2","username":"undefined","topic":"s/+","opts":{"qos":1}}
        {"action":"session_subscribed","clientid":"c2","username":"undefined","topic":"s/+","opts":{"qos":1}}
    "#,
    publish: [
        r#"{"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":0,"retain":false,"payload":"aGVsbGP","ts":<ms>}"#,
        r#"{"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":1,"retain":false,"payload":"aGVsbGP","ts":<ms>}"#,
        r#"{"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":2,"retain":false,"payload":"aGVsbGP","ts":<ms>}"#,
    ],
    deliver: [
        r#"{"action":"message_delivered","clientid":"c2","username":"undefined","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":0,"retain":false,"payload":"aGVsbGP","ts":<ms>}"#,
        r#"
        {"action":"message_delivered","clientid":"c2","username":"undefined","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":1,"retain":false,"payload":"aGVsbGP","ts":<ms>}
        {"action":"message_acked","clientid":"c2","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":1,"retain":false,"payload":"aGVsbGP","ts":<ms>}
        "#,
        r#"
        {"action":"message_delivered","clientid":"c2","username":"undefined","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":1,"retain":false,"payload":"aGVsbGP","ts":<ms>}
        {"action":"message_acked","clientid":"c2","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":1,"retain":false,"payload":"aGVsbGP","ts":<ms>}
        "#,
    ],
    publish_shared: r#"{"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"s/1","qos":1,"retain":false,"payload":"c2hhcmVk","ts":<ms>}"#,
    deliver_shared: r#"
        {"action":"message_delivered","clientid":"c2","username":"undefined","from_client_id":"c1","from_username":"u1","topic":"s/1","qos":1,"retain":false,"payload":"c2hhcmVk","ts":<ms>}
        {"action":"message_acked","clientid":"c2","from_client_id":"c1","from_username":"u1","topic":"s/1","qos":1,"retain":false,"payload":"c2hhcmVk","ts":<ms>}
    "#,
    nobody: r#"
        {"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"nobody","qos":1,"retain":false,"payload":"eA","ts":<ms>}
        {"action":"message_dropped","from_client_id":"c1","from_username":"u1","topic":"nobody","qos":1,"retain":false,"payload":"eA","ts":<ms>,"reason":"no_subscribers"}
    "#,
    unsubscribe: r#"
        {"action":"client_unsubscribe","clientid":"c2","username":"undefined","topic":"t/#"}
        {"action":"session_unsubscribe","clientid":"c2","username":"undefined","topic":"t/#"}
    "#,
    publish_retained: r#"
        {"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"r/1","qos":1,"retain":true,"payload":"a2VwdA","ts":<ms>}
        {"action":"message_dropped","from_client_id":"c1","from_username":"u1","topic":"r/1","qos":1,"retain":true,"payload":"a2VwdA","ts":<ms>,"reason":"no_subscribers"}
    "#,
    deliver_retained: r#"
        {"action":"client_subscribe","clientid":"c2","username":"undefined","topic":"r/#","opts":{"qos":0}}
        {"action":"session_subscribed","clientid":"c2","username":"undefined","topic":"r/#","opts":{"qos":0}}
        {"action":"message_delivered","clientid":"c2","username":"undefined","from_client_id":"c1","from_username":"u1","topic":"r/1","qos":0,"retain":true,"payload":"a2VwdA","ts":<ms>}
    "#,
    will: r#"
        {"action":"message_publish","from_client_id":"c3","from_username":"undefined","topic":"w","qos":0,"retain":false,"payload":"Z29AuZB","ts":<ms>}
        {"action":"message_dropped","from_client_id":"c3","from_username":"undefined","topic":"w","qos":0,"retain":false,"payload":"Z29AuZB","ts":<ms>,"reason":"no_subscribers"}
        {"action":"client_disconnected","clientid":"c3","username":"undefined","reason":"tcp_closed"}
        {"action":"session_terminated","clientid":"c3","username":"undefined","reason":"tcp_closed"}
    "#,
    replaced: r#"{"action":"client_disconnected","clientid":"c4","username":"undefined","reason":"discarded"}"#,
    timeout: r#"
        {"action":"client_disconnected","clientid":"c5","username":"undefined","reason":"keepalive_timeout"}
        {"action":"session_terminated","clientid":"c5","username":"undefined","reason":"keepalive_timeout"}
    "#,
    kick: r#"
        {"action":"client_disconnected","clientid":"c6","username":"undefined","reason":"kicked"}
        {"action":"session_terminated","clientid":"c6","username":"undefined","reason":"kicked"}
    "#,
};
