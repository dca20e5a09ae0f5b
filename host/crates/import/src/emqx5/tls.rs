//! `ssl` of a connector: the certificates of the connection.

use hookhost_settings::{Section, Setting, Value};

use super::super::canonical::Tls;
use super::super::checks::switch;

/// Reads the table; `secure` is true if the URL is https.
pub(crate) fn read(mut fields: Section<'_>, secure: bool, variable: &dyn Fn(&str) -> Option<String>) -> Tls {
    let report = fields.report();
    let mut tls = Tls::default();
    let enabled = fields
        .take("enable")
        .and_then(|setting| report.check(switch(&setting)))
        .unwrap_or(false);
    let mut file = |key| {
        let setting = fields.take(key)?;
        let text = report.check(setting.written())?;
        if text.contains("-----BEGIN") {
            report.problem(&setting.place, "should be the name of a file, not its content");
            return None;
        }
        (!text.is_empty()).then(|| (setting.place, expanded(&text, variable)))
    };
    let files = [file("cacertfile"), file("certfile"), file("keyfile")];
    let verify = fields.take("verify");
    let name = fields.take("server_name_indication");
    fields.ignore(&[
        ("password", "a private key must not be encrypted here"),
        (
            "cacerts",
            "without cacertfile the platform's certificate authorities are trusted",
        ),
        ("versions", "TLS 1.3 and 1.2 are negotiated"),
        ("ciphers", "the host decides this"),
        ("depth", "chains of any length are verified"),
        ("hibernate_after", "it is about EMQX's processes"),
        ("partial_chain", "chains are verified up to a root"),
        (
            "verify_peer_ext_key_usage",
            "a server's certificate must be for servers",
        ),
        ("middlebox_comp_mode", "the host decides this"),
        ("gc_after_handshake", "it is about EMQX's processes"),
        ("reuse_sessions", "the host decides this"),
        ("secure_renegotiate", "the host decides this"),
        ("user_lookup_fun", "it is about EMQX's code"),
        ("log_level", "HOOKHOST_LOG sets the log level"),
    ]);
    let managed = fields.take("managed_certs");
    let place = fields.place().clone();
    drop(fields);
    if !enabled || !secure {
        if enabled {
            report.warning(&place, "is ignored: it is for https, and the URL is http");
        } else if files.iter().any(Option::is_some) {
            report.warning(&place, "is ignored: it needs enable = true");
        }
        return tls;
    }
    if let Some(setting) = managed.filter(|setting| !is_empty(setting)) {
        let text = "is not supported, because EMQX keeps these certificates in its own store: \
                    name their files in cacertfile, certfile and keyfile";
        report.problem(&setting.place, text);
    }
    [tls.ca, tls.certificate, tls.key] = files;
    let verify = verify.and_then(|setting| match report.check(setting.written())?.as_str() {
        "verify_peer" => Some((setting.place, true)),
        "verify_none" => Some((setting.place, false)),
        _ => {
            report.problem(&setting.place, "should be verify_peer or verify_none");
            None
        }
    });
    let (verify_place, verify) = verify.unwrap_or((place, false));
    if !verify {
        report.warning(
            &verify_place,
            "the server's certificate is not verified, as in EMQX 5, unless verify = verify_peer",
        );
    }
    tls.verify = Some((verify_place, verify));
    if let Some(setting) = name {
        match report.check(setting.written()).as_deref() {
            Some("disable") if verify => {
                report.warning(
                    &setting.place,
                    "is ignored: a verified certificate must have the server's name",
                );
            }
            Some("disable" | "auto" | "") | None => {}
            Some(name) => tls.server_name = Some((setting.place.clone(), name.to_owned())),
        }
    }
    if !tls.has_pair(report, "") {
        (tls.certificate, tls.key) = (None, None);
    }
    tls
}

/// Whether nothing is set in a value or below it.
fn is_empty(setting: &Setting) -> bool {
    match &setting.value {
        Value::Table(table) => table.values().all(is_empty),
        Value::List(list) => list.is_empty(),
        value => value.written().is_some_and(|text| text.is_empty()),
    }
}

/// `${EMQX_ETC_DIR}/certs/ca.pem` with the variable's value, if it has one.
pub(crate) fn expanded(path: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let Some((before, rest)) = path.split_once("${") else {
        return path.to_owned();
    };
    match rest.split_once('}') {
        Some((name, after)) => match variable(name) {
            Some(value) => format!("{before}{value}{after}"),
            None => path.to_owned(),
        },
        None => path.to_owned(),
    }
}
