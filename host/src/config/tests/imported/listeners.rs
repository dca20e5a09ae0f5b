//! Listeners of other brokers, and which of them other machines can reach.

use super::*;

#[test]
fn listeners_are_imported() {
    let text = format!(
        "{EMQX5}mqtt {{ max_packet_size = 2MB, max_mqueue_len = infinity }}\nlisteners.tcp.default {{ bind = \"127.0.0.1:1\", max_connections = 10 }}\n\
         listeners.wss.web {{ bind = \"127.0.0.1:2\", max_connections = 5, websocket.mqtt_path = \"/ws\", \
         ssl_options {{ certfile = \"c.pem\", keyfile = \"k.pem\", cacertfile = \"ca.pem\", verify = verify_peer, fail_if_no_peer_cert = true }} }}\n\
         listeners.ssl.default {{ proxy_protocol = true }}\nlisteners.quic.default {{ bind = 14567 }}\n\
         listeners.ws.off {{ enable = false, bind = 3 }}\n"
    );
    let Loaded {
        config,
        imported,
        warnings,
        ..
    } = load(&text, "", &[]).unwrap();
    let names: Vec<String> = config
        .mqtt
        .listeners
        .iter()
        .map(|one| format!("{} {}", one.name, one.address))
        .collect();
    assert_eq!(names, ["tcp:default 127.0.0.1:1", "wss:web 127.0.0.1:2"]);
    let web = &config.mqtt.listeners[1];
    let tls = web.tls.as_ref().unwrap();
    assert_eq!(
        (web.path.as_str(), tls.client_certificates),
        ("/ws", hookhost_listener::ClientCertificates::Required)
    );
    assert_eq!(
        (config.mqtt.limits.max_packet_size, config.mqtt.limits.max_connections),
        (2 << 20, 15)
    );
    let warned = shown(&warnings);
    for line in [
        "ssl:default is not opened",
        "quic:default is not opened",
        "max_mqueue_len",
    ] {
        assert!(
            warned.iter().any(|warning| warning.contains(line)),
            "{line}: {warned:#?}"
        );
    }
    let imported = imported.join("\n");
    for line in [
        "[[listener]] tcp:default 127.0.0.1:1 (etc/b.conf:5: listeners.tcp.default",
        "mqtt.max_packet_size (etc/b.conf:4",
    ] {
        assert!(imported.contains(line), "{line}: {imported}");
    }
    // Listeners of hookhost replace them.
    let own = load(&text, "[mqtt]\nlisten = \"127.0.0.1:9\"\n", &[])
        .unwrap()
        .config
        .mqtt;
    assert_eq!((own.listeners.len(), own.limits.max_connections), (1, 1_000_000));
}

#[test]
fn an_imported_listener_that_others_can_reach_stays_local_without_authentication() {
    let users = "auth.user.1.username = a\nauth.user.1.password = b\n";
    let external = format!("{EMQX4}listener.tcp.external = 0.0.0.0:1883\n");
    let ignored = "[webhook]\nignore_access_control = true\n";
    for (text, own, address, is_moved) in [
        (external.clone(), "", "127.0.0.1:1883", true),
        (external.clone(), ignored, "127.0.0.1:1883", true),
        (
            external.clone(),
            "[mqtt]\nallow_anonymous = true\n",
            "0.0.0.0:1883",
            false,
        ),
        (format!("{external}allow_anonymous = true\n"), "", "0.0.0.0:1883", false),
        (format!("{external}{users}"), "", "0.0.0.0:1883", false),
        (
            format!("{EMQX4}listener.tcp.internal = 127.0.0.1:11883\n"),
            "",
            "127.0.0.1:11883",
            false,
        ),
        (
            format!("{EMQX5}listeners.tcp.default.bind = \"[::]:1883\"\n"),
            "",
            "[::1]:1883",
            true,
        ),
        (
            format!("{EMQX5}listeners.tcp.default {{}}\n"),
            "",
            "127.0.0.1:1883",
            true,
        ),
        (
            format!("{NANOMQ}listeners.tcp {{ bind = \"0.0.0.0:1883\" }}\n"),
            "",
            "127.0.0.1:1883",
            true,
        ),
        (
            format!("{NANOMQ}listeners.ws {{ bind = \"127.0.0.1:8083/mqtt\" }}\n"),
            "",
            "127.0.0.1:8083",
            false,
        ),
    ] {
        let loaded = load(&text, own, &[]).unwrap_or_else(|problems| panic!("{text} {own}: {problems:#?}"));
        assert_eq!(
            loaded.config.mqtt.listeners[0].address.to_string(),
            address,
            "{text} {own}"
        );
        let warned = shown(&loaded.warnings);
        let names_line = |line: &String| line.starts_with("etc/b.conf:") && line.contains("so hookhost listens on");
        assert_eq!(warned.iter().any(names_line), is_moved, "{text} {own}: {warned:#?}");
    }
}
