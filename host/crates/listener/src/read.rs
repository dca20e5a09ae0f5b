//! Reads `[[listener]]`.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use hookhost_event::ByteString;
use hookhost_settings::{Place, Section, Setting, Value};
use ipnet::IpNet;

use super::settings::{Address, CertificateFiles, ClientCertificates, Kind, ListenerSettings, TlsSettings, TlsVersion};

/// Keys that only listeners with TLS have.
const OF_TLS: [&str; 6] = [
    "certificate",
    "key",
    "client_certificates",
    "client_ca",
    "client_crl",
    "min_tls_version",
];

/// Reads the key `listener` of a configuration, `[[listener]]`: all listeners, in order; mistakes are reported.
pub fn read_listeners(root: &mut Section<'_>) -> Vec<ListenerSettings> {
    let report = root.report();
    let Some(setting) = root.take("listener") else {
        return Vec::new();
    };
    let Value::List(list) = setting.value else {
        report.add_problem(setting.mismatch("a list of tables, [[listener]]"));
        return Vec::new();
    };
    let mut names = HashSet::new();
    let mut listeners = Vec::new();
    for setting in list {
        let place = setting.place.clone();
        let Some(listener) = Section::of(report, setting).and_then(|section| read(section, &place)) else {
            continue;
        };
        if !names.insert(listener.name.clone()) {
            report.problem(
                &place,
                format!("there is another listener with the name {}", listener.name),
            );
        }
        listeners.push(listener);
    }
    listeners
}

fn read(mut at: Section<'_>, place: &Place) -> Option<ListenerSettings> {
    let kind = at.choice("kind", Kind::Tcp, &Kind::NAMES);
    let name = name(&mut at, place, kind);
    let address = address(&mut at, place, kind);
    let tls = if kind.has_tls() {
        tls(&mut at, place, true)
    } else {
        for key in OF_TLS {
            if let Some(setting) = at.take(key) {
                at.problem(setting.place.problem("is for the kinds tls and wss only"));
            }
        }
        None
    };
    let path = at.text("path", "/mqtt".to_owned(), |text| match text {
        path if path.starts_with('/') && path.is_ascii() && !path.contains(['?', '#', ' ']) => Ok(path.to_owned()),
        _ => Err("should be the path of a URL, such as \"/mqtt\"".to_owned()),
    });
    if !kind.has_websocket() {
        at.problem_of("path", "is for the kinds ws and wss only");
    }
    let proxies = at.texts("proxy_protocol_from", network);
    let mode = at.text("mode", 0o660, |text| {
        u32::from_str_radix(text.trim_start_matches("0o"), 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .ok_or_else(|| "should be permissions in octal digits, such as \"660\"".to_owned())
    });
    if kind != Kind::Unix {
        at.problem_of("mode", "is for the kind unix only");
    } else {
        at.problem_of(
            "proxy_protocol_from",
            "has no effect on a Unix socket, which has no addresses",
        );
    }
    Some(ListenerSettings {
        name,
        kind,
        address: address?,
        tls: if kind.has_tls() { Some(tls?) } else { None },
        path,
        proxies: proxies.map(|(_, list)| list).unwrap_or_default(),
        mode,
    })
}

fn name(at: &mut Section<'_>, place: &Place, kind: Kind) -> ByteString {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.');
    let name = at.text("name", None, |text| {
        if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
            return Err("should be 1 to 64 letters, digits, '_', '-', '.' and ':'".to_owned());
        }
        Ok(Some(ByteString::from(text)))
    });
    if name.is_none() && !at.is_given("name") {
        at.problem(place.problem("needs a `name`, which events, access rules and logs show"));
    }
    name.unwrap_or_else(|| kind.name().into())
}

fn address(at: &mut Section<'_>, place: &Place, kind: Kind) -> Option<Address> {
    let address = at.text("address", None, |text| match kind {
        Kind::Unix if text.starts_with('/') => Ok(Some(Address::Unix(PathBuf::from(text)))),
        Kind::Unix => Err("should be the absolute path of a Unix socket, such as \"/run/hookhost.sock\"".to_owned()),
        _ => text
            .trim()
            .parse::<SocketAddr>()
            .map(|address| Some(Address::Network(address)))
            .map_err(|_| "should be an address with a port, such as \"0.0.0.0:8883\" or \"[::]:8883\"".to_owned()),
    });
    if !at.is_given("address") {
        at.problem(place.problem("needs an `address`, such as \"0.0.0.0:8883\""));
    }
    address
}

fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let host = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(|_| host())
        .map(|network| network.trunc())
        .map_err(|_| "should be IP addresses or networks, such as \"10.0.0.0/8\"".to_owned())
}

/// Reads the keys of TLS of a section that may have them: `certificate`, `key`, `client_certificates`, `client_ca`,
/// `client_crl` and `min_tls_version`. `None` without any of them. Mistakes are reported.
pub fn read_tls(at: &mut Section<'_>) -> Option<TlsSettings> {
    let place = at.place().clone();
    let is_given = OF_TLS.iter().any(|key| at.is_given(key));
    tls(at, &place, is_given)
}

/// The TLS settings of a section; `is_needed`: it must have a certificate.
fn tls(at: &mut Section<'_>, place: &Place, is_needed: bool) -> Option<TlsSettings> {
    let (certificates, keys) = (paths(at, "certificate"), paths(at, "key"));
    if is_needed && (certificates.is_empty() || keys.is_empty()) {
        at.problem(place.problem("needs `certificate` and `key`, PEM files, or a list of each"));
    } else if certificates.len() != keys.len() {
        at.problem(place.problem("needs one `key` for each `certificate`, in the same order"));
    }
    let client_certificates = at.choice(
        "client_certificates",
        ClientCertificates::None,
        &[
            ("none", ClientCertificates::None),
            ("optional", ClientCertificates::Optional),
            ("required", ClientCertificates::Required),
        ],
    );
    let (client_ca, client_crl) = (paths(at, "client_ca"), paths(at, "client_crl"));
    if client_certificates == ClientCertificates::None {
        for key in ["client_ca", "client_crl"] {
            at.problem_of(
                key,
                "has no effect without client_certificates = \"optional\" or \"required\"",
            );
        }
    } else if client_ca.is_empty() {
        at.problem_of(
            "client_certificates",
            "needs `client_ca`: the authorities that sign clients' certificates, a PEM file",
        );
    }
    let min_version = at.choice(
        "min_tls_version",
        TlsVersion::V1_2,
        &[("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)],
    );
    let pairs = certificates.into_iter().zip(keys);
    let certificates: Vec<_> = pairs
        .map(|(certificate, key)| CertificateFiles { certificate, key })
        .collect();
    (!certificates.is_empty()).then_some(TlsSettings {
        certificates,
        client_certificates,
        client_ca,
        client_crl,
        min_version,
    })
}

/// A file, or a list of files.
fn paths(at: &mut Section<'_>, key: &str) -> Vec<PathBuf> {
    let report = at.report();
    let path = |text: &str| match text {
        "" => Err("is empty".to_owned()),
        text => Ok(PathBuf::from(text)),
    };
    let list = at.optional(key, |setting: &Setting| match setting.as_text() {
        Some(text) => path(text)
            .map(|path| vec![path])
            .map_err(|text| setting.place.problem(text)),
        None => {
            let (paths, problems) = setting.texts(false, path);
            problems.into_iter().for_each(|problem| report.add_problem(problem));
            Ok(paths)
        }
    });
    list.map(|(_, paths)| paths).unwrap_or_default()
}
