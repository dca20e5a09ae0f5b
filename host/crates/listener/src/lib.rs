//! The sockets on which MQTT clients arrive: TCP, TLS, WebSocket and Unix sockets.
