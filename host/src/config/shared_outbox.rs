//! `outbox` in `[delivery]`, and `[delivery.nats]`: an outbox that several hosts share.

use std::time::Duration;

use hookhost_dead_letters::Limits;
use hookhost_jetstream::{Credentials, LetterLimits, Settings, TlsSettings};
use hookhost_settings::Section;

use super::destinations::{Sources, secret, text_of_file};
use super::sections::{HOUR, SECOND};

/// The schemes of an address.
const SCHEMES: [&str; 2] = ["nats://", "tls://"];

/// The shared outbox; `None` without `outbox`. `letters` are the limits of `[dead_letters]`.
pub(super) fn read(delivery: &mut Section<'_>, sources: Sources<'_>, letters: Limits) -> Option<Settings> {
    let dead_letters = LetterLimits {
        records: letters.records as u64,
        bytes: letters.bytes as u64,
        age: letters.age,
    };
    let d = Settings {
        dead_letters,
        ..Settings::default()
    };
    let servers = delivery.text("outbox", Vec::new(), servers);
    let has_servers = !servers.is_empty();
    let is_given = delivery.is_given("outbox");
    let Some(mut at) = delivery.section_if_given("nats") else {
        return has_servers.then_some(Settings { servers, ..d });
    };
    if !is_given {
        at.problem(
            at.place()
                .problem("has no effect without `outbox` in [delivery], such as \"nats://10.0.0.1:4222\""),
        );
    }
    let max_age = at.duration("max_age", Duration::ZERO, Duration::ZERO..=3650 * 24 * HOUR);
    let settings = Settings {
        name: at.text("stream", d.name, stream),
        partitions: at.integer("partitions", d.partitions, 1..=1024),
        replicas: at.integer("replicas", d.replicas, 1..=5),
        max_bytes: at.size("max_bytes", 10 << 30, 1 << 20..=1 << 50) as u64,
        max_age: (!max_age.is_zero()).then_some(max_age),
        lease: at.duration("lease", d.lease, SECOND..=HOUR),
        dead_letters,
        credentials: credentials(&mut at, sources),
        tls: tls(&mut at),
        servers,
    };
    has_servers.then_some(settings)
}

/// Addresses, separated by commas. The scheme of the first one is that of those without a scheme.
fn servers(text: &str) -> Result<Vec<String>, String> {
    let expected = "should be addresses such as \"nats://10.0.0.1:4222,10.0.0.2:4222\"; tls:// turns TLS on";
    let scheme = SCHEMES
        .into_iter()
        .find(|scheme| text.starts_with(scheme))
        .ok_or(expected)?;
    if text.contains('@') {
        let keys = "`credentials_file`, `nkey_file`, or `user` and `password_file` of [delivery.nats]";
        return Err(format!("should have no credentials; use {keys}"));
    }
    let servers = text.split(',').map(str::trim).map(|server| {
        let server = if server.contains("://") {
            server.to_owned()
        } else {
            format!("{scheme}{server}")
        };
        let host = SCHEMES.iter().find_map(|scheme| server.strip_prefix(scheme));
        if host.is_none_or(|host| host.is_empty() || host.contains(['/', ' '])) {
            return Err(expected.to_owned());
        }
        Ok(server)
    });
    servers.collect()
}

/// The name of a stream, which is a part of subjects.
pub(super) fn stream(text: &str) -> Result<String, String> {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(is_valid) {
        return Err("should have 1 to 64 letters, digits, - and _".to_owned());
    }
    Ok(text.to_owned())
}

fn credentials(at: &mut Section<'_>, sources: Sources<'_>) -> Credentials {
    let file = at.optional("credentials_file", |setting| {
        setting.parse(|path| text_of_file(sources.files, path))
    });
    let nkey = secret(at, sources, "nkey", |text| Ok(text.to_owned()));
    let user = at.text("user", None, |text| Ok(Some(text.to_owned())));
    let password = secret(at, sources, "password", |text| Ok(text.to_owned()));
    match (file, nkey, user, password) {
        (None, None, None, None) => Credentials::None,
        (Some((_, text)), None, None, None) => Credentials::File(text),
        (None, Some(seed), None, None) => Credentials::NKey(seed.expose().to_owned()),
        (None, None, Some(user), Some(password)) => Credentials::Password {
            user,
            password: password.expose().to_owned(),
        },
        _ => {
            let text = "should have one of: `credentials_file`; `nkey`; `user` and `password`";
            at.problem(at.place().problem(text));
            Credentials::None
        }
    }
}

fn tls(at: &mut Section<'_>) -> TlsSettings {
    let (certificate, key) = (at.path("cert_file"), at.path("key_file"));
    if certificate.is_some() != key.is_some() {
        at.problem(
            at.place()
                .problem("should have both `cert_file` and `key_file`, or none of them"),
        );
    }
    TlsSettings {
        ca_file: at.path("ca_file"),
        identity: certificate.zip(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_and_no_credentials() {
        let ok = |servers: &[&str]| Ok(servers.iter().map(|server| (*server).to_owned()).collect());
        let expected = "should be addresses such as \"nats://10.0.0.1:4222,10.0.0.2:4222\"; tls:// turns TLS on";
        for (text, result) in [
            ("nats://a", ok(&["nats://a"])),
            ("nats://a:4222,b:4223", ok(&["nats://a:4222", "nats://b:4223"])),
            ("tls://a, nats://b", ok(&["tls://a", "nats://b"])),
            ("a:4222", Err(expected)),
            ("http://a", Err(expected)),
            ("nats://", Err(expected)),
            ("nats://a,,b", Err(expected)),
            ("nats://a/b", Err(expected)),
        ] {
            assert_eq!(servers(text), result.map_err(str::to_owned), "{text}");
        }
        let error = servers("nats://me:hidden@a").unwrap_err();
        assert!(
            !error.contains("hidden") && error.contains("credentials_file"),
            "{error}"
        );
    }

    #[test]
    fn a_stream_has_a_name_that_subjects_accept() {
        for (text, is_valid) in [
            ("hookhost-outbox", true),
            ("a_1", true),
            ("", false),
            ("a.b", false),
            ("a*", false),
        ] {
            assert_eq!(stream(text).is_ok(), is_valid, "{text}");
        }
    }
}
