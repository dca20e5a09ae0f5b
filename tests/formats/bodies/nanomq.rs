//! The bodies of NanoMQ for the script.

use crate::Story;

pub(crate) const NANOMQ: Story = Story {
    // The topics leave out messages on the status topic, whose payloads differ from run to run.
    settings: r#"
        format = "nanomq"
        payload_encoding = "base62"
        [webhook.rule]
        client_connect = [{}]
        client_connack = [{}]
        client_connected = [{}]
        client_disconnected = [{}]
        client_subscribe = [{}]
        client_unsubscribe = [{}]
        session_subscribed = [{}]
        session_unsubscribed = [{}]
        session_terminated = [{}]
        message_publish = [{topics = ["+", "+/1"]}]
        message_delivered = [{}]
        message_acked = [{}]
    "#,
    connect: r#"
        {"proto_ver":$ver,"keepalive":60,"username":"u1","clientid":"c1","action":"client_connect"}
        {"proto_ver":$ver,"keepalive":60,"conn_ack":"success","username":"u1","clientid":"c1","action":"client_connack"}
        {"proto_ver":$ver,"keepalive":60,"connected_at":<ms>,"username":"u1","clientid":"c1","action":"client_connected"}
    "#,
    disconnect: r#"
        {"reason":"normal","username":"u1","clientid":"c1","action":"client_disconnected"}
        {"reason":"normal","username":"u1","clientid":"c1","action":"session_terminated"}
    "#,
    refused: r#"
        {"proto_ver":$ver,"keepalive":60,"username":"undefined","clientid":"clientid-too-long","action":"client_connect"}
        {"proto_ver":$ver,"keepalive":60,"conn_ack":"fail","username":"undefined","clientid":"clientid-too-long","action":"client_connack"}
        {"reason":"normal","username":"undefined","clientid":"clientid-too-long","action":"client_disconnected"}
    "#,
    connect_names: &["client_connect", "client_connack", "client_connected"],
    subscribe: r#"
        {"topic":"t/#","opts":{"qos":1},"username":"undefined","clientid":"c2","action":"client_subscribe"}
        {"topic":"t/#","opts":{"qos":1},"username":"undefined","clientid":"c2","action":"session_subscribed"}
        {"topic":"s/+","opts":{"qos":1},"username":"undefined","clientid":"c2","action":"client_subscribe"}
        {"topic":"s/+","opts":{"qos":1},"username":"undefined","clientid":"c2","action":"session_subscribed"}
    "#,
    publish: [
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":0,"action":"message_publish","from_username":"u1","from_client_id":"c1","payload":"7tQLFHz"}"#,
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"action":"message_publish","from_username":"u1","from_client_id":"c1","payload":"7tQLFHz"}"#,
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":2,"action":"message_publish","from_username":"u1","from_client_id":"c1","payload":"7tQLFHz"}"#,
    ],
    deliver: [
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":0,"action":"message_delivered","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"7tQLFHz"}"#,
        r#"
        {"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"action":"message_delivered","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"7tQLFHz"}
        {"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"action":"message_acked","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"7tQLFHz"}
        "#,
        r#"
        {"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"action":"message_delivered","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"7tQLFHz"}
        {"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"action":"message_acked","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"7tQLFHz"}
        "#,
    ],
    publish_shared: r#"{"ts":<ms>,"topic":"s/1","retain":false,"qos":1,"action":"message_publish","from_username":"u1","from_client_id":"c1","payload":"a20SaHjQ"}"#,
    deliver_shared: r#"
        {"ts":<ms>,"topic":"s/1","retain":false,"qos":1,"action":"message_delivered","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"a20SaHjQ"}
        {"ts":<ms>,"topic":"s/1","retain":false,"qos":1,"action":"message_acked","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"a20SaHjQ"}
    "#,
    nobody: r#"{"ts":<ms>,"topic":"nobody","retain":false,"qos":1,"action":"message_publish","from_username":"u1","from_client_id":"c1","payload":"1w"}"#,
    unsubscribe: r#"
        {"topic":"t/#","username":"undefined","clientid":"c2","action":"client_unsubscribe"}
        {"topic":"t/#","username":"undefined","clientid":"c2","action":"session_unsubscribed"}
    "#,
    publish_retained: r#"{"ts":<ms>,"topic":"r/1","retain":true,"qos":1,"action":"message_publish","from_username":"u1","from_client_id":"c1","payload":"1xwD6C"}"#,
    deliver_retained: r#"
        {"topic":"r/#","opts":{"qos":0},"username":"undefined","clientid":"c2","action":"client_subscribe"}
        {"topic":"r/#","opts":{"qos":0},"username":"undefined","clientid":"c2","action":"session_subscribed"}
        {"ts":<ms>,"topic":"r/1","retain":true,"qos":0,"action":"message_delivered","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"1xwD6C"}
    "#,
    will: r#"
        {"reason":"normal","username":"undefined","clientid":"c3","action":"client_disconnected"}
        {"ts":<ms>,"topic":"w","retain":false,"qos":0,"action":"message_publish","from_username":"undefined","from_client_id":"c3","payload":"1tRNMz"}
        {"reason":"tcp_closed","username":"undefined","clientid":"c3","action":"session_terminated"}
    "#,
    replaced: r#"{"reason":"normal","username":"undefined","clientid":"c4","action":"client_disconnected"}"#,
    timeout: r#"
        {"reason":"normal","username":"undefined","clientid":"c5","action":"client_disconnected"}
        {"reason":"keepalive_timeout","username":"undefined","clientid":"c5","action":"session_terminated"}
    "#,
    kick: r#"
        {"reason":"normal","username":"undefined","clientid":"c6","action":"client_disconnected"}
        {"reason":"kicked","username":"undefined","clientid":"c6","action":"session_terminated"}
    "#,
};
