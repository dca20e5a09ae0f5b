//! `[[listener]]` and `mqtt.listen`.

use super::*;
use hookhost_listener::{Address, ClientCertificates, Kind, ListenerSettings, TlsVersion};

/// A configuration whose listeners other machines may reach without authentication.
fn open(text: &str) -> Inputs {
    Inputs {
        environment: [("HOOKHOST_MQTT__ALLOW_ANONYMOUS".into(), "true".into())].into(),
        ..inputs(text)
    }
}

fn listeners(text: &str) -> Vec<ListenerSettings> {
    config(&open(text)).mqtt.listeners
}

fn names(text: &str) -> Vec<String> {
    listeners(text)
        .iter()
        .map(|listener| format!("{} {}", listener.name, listener.address))
        .collect()
}

#[test]
fn mqtt_listen_is_the_short_form_of_a_plain_one() {
    let own = "[[listener]]\nname = \"a\"\naddress = \"10.0.0.1:1\"\n";
    assert_eq!(names(""), ["tcp:default 127.0.0.1:1883"]);
    assert_eq!(names(own), ["a 10.0.0.1:1"]);
    let both = format!("mqtt.listen = \"[::]:2\"\n{own}");
    assert_eq!(names(&both), ["tcp:default [::]:2", "a 10.0.0.1:1"]);
    let flags = Inputs {
        flags: Flags {
            listen: Some("1.1.1.1:3".to_owned()),
            ..Flags::default()
        },
        ..open(own)
    };
    let listeners = config(&flags).mqtt.listeners;
    assert_eq!(listeners.len(), 2);
    assert_eq!(listeners[0].address, Address::Network("1.1.1.1:3".parse().unwrap()));
}

#[test]
fn only_loopback_addresses_need_no_authentication() {
    for (address, is_local) in [
        ("127.0.0.1:1883", true),
        ("[::1]:1883", true),
        ("[::ffff:127.0.0.1]:1883", true),
        ("[::ffff:10.0.0.1]:1883", false),
        ("0.0.0.0:1883", false),
    ] {
        let read = read(&inputs(&format!("mqtt.listen = \"{address}\"")));
        assert_eq!(read.is_ok(), is_local, "{address}");
    }
}

#[test]
fn every_kind_with_every_setting() {
    let text = r#"
[[listener]]
name = "secure"
kind = "wss"
address = "0.0.0.0:8084"
certificate = ["a.pem", "b.pem"]
key = ["a.key", "b.key"]
client_certificates = "optional"
client_ca = "ca.pem"
client_crl = ["crl.pem"]
min_tls_version = "1.3"
path = "/ws"
proxy_protocol_from = ["10.0.0.0/8", "::1"]

[[listener]]
name = "local"
kind = "unix"
address = "/run/hookhost.sock"
mode = "600"
"#;
    let [secure, local] = listeners(text).try_into().unwrap();
    assert_eq!((secure.kind, secure.path.as_str()), (Kind::SecureWebSocket, "/ws"));
    assert_eq!(
        secure.proxies,
        ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]
    );
    let tls = secure.tls.unwrap();
    let files: Vec<_> = tls.files().iter().map(|file| file.display().to_string()).collect();
    assert_eq!(files, ["a.pem", "a.key", "b.pem", "b.key", "ca.pem", "crl.pem"]);
    assert_eq!(
        (tls.client_certificates, tls.min_version),
        (ClientCertificates::Optional, TlsVersion::V1_3)
    );
    assert_eq!((local.kind, local.mode, local.tls), (Kind::Unix, 0o600, None));
    assert_eq!(local.address, Address::Unix("/run/hookhost.sock".into()));
}

#[test]
fn mistakes() {
    let tls = "certificate = \"c\"\nkey = \"k\"\n";
    for (rest, expected) in [
        ("", "f:1: listener[0]: needs an `address`, such as \"0.0.0.0:8883\""),
        (
            "address = \"localhost\"",
            "f:3: listener[0].address: should be an address with a port, such as",
        ),
        (
            "address = \"1.1.1.1:1\"\nkind = \"quic\"",
            "f:4: listener[0].kind: should be \"tcp\" or \"tls\" or",
        ),
        (
            "address = \"1.1.1.1:1\"\nkind = \"tls\"",
            "f:1: listener[0]: needs `certificate` and `key`",
        ),
        (
            "address = \"1.1.1.1:1\"\nkind = \"tls\"\ncertificate = [\"a\", \"b\"]\nkey = \"k\"",
            "f:1: listener[0]: needs one `key` for each `certificate`",
        ),
        (
            &format!("address = \"1.1.1.1:1\"\nkind = \"tls\"\n{tls}client_certificates = \"required\""),
            "f:7: listener[0].client_certificates: needs `client_ca`",
        ),
        (
            &format!("address = \"1.1.1.1:1\"\nkind = \"tls\"\n{tls}client_ca = \"x\""),
            "f:7: listener[0].client_ca: has no effect without client_certificates",
        ),
        (
            "address = \"1.1.1.1:1\"\ncertificate = \"c\"",
            "f:4: listener[0].certificate: is for the kinds tls and wss only",
        ),
        (
            "address = \"1.1.1.1:1\"\npath = \"/x\"",
            "f:4: listener[0].path: is for the kinds ws and wss only",
        ),
        (
            "address = \"1.1.1.1:1\"\nmode = \"660\"",
            "f:4: listener[0].mode: is for the kind unix only",
        ),
        (
            "address = \"run.sock\"\nkind = \"unix\"",
            "f:3: listener[0].address: should be the absolute path",
        ),
        (
            "address = \"1.1.1.1:1\"\nproxy_protocol_from = [\"x\"]",
            "f:4: listener[0].proxy_protocol_from[0]: should be IP addresses or networks",
        ),
        (
            "address = \"1.1.1.1:1\"\nadress = \"x\"",
            "f:4: listener[0].adress: unknown key",
        ),
    ] {
        let shown = problems(&open(&format!("[[listener]]\nname = \"a\"\n{rest}\n")));
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(shown[0].starts_with(expected), "{} instead of {expected}", shown[0]);
    }
    let nameless = problems(&open("[[listener]]\naddress = \"1.1.1.1:1\"\n"));
    assert!(
        nameless[0].starts_with("f:1: listener[0]: needs a `name`"),
        "{nameless:?}"
    );
    let own = "[[listener]]\nname = \"a\"\naddress = \"1.1.1.1:1\"\n";
    let twice = problems(&open(&[own, own].concat()));
    assert!(
        twice[0].ends_with("there is another listener with the name a"),
        "{twice:?}"
    );
    let table = problems(&open("listener.name = \"a\""));
    assert!(
        table[0].ends_with("should be a list of tables, [[listener]], not a table"),
        "{table:?}"
    );
}
