//! `tls` of a destination: certificates, the key of a client, and how the receiver's certificate is checked.

use hookhost_delivery::{Certificates, Identity, PrivateKey, ServerName, Tls, UrlPrefix, check_tls};
use hookhost_settings::{Place, Section, Setting};
use url::Host;

use super::Reading;
use super::sources::{Sources, bytes_of_file};

impl Reading<'_, '_> {
    /// Certificates, key and checks.
    pub(super) fn tls(&mut self, urls: &[UrlPrefix]) -> Tls {
        let Sources { files, .. } = self.sources;
        let mut at = self.at.section("tls");
        let pem = |path: &str| bytes_of_file(files, path);
        let certificates = |setting: &Setting| {
            setting.parse(|path| Certificates::parse(&pem(path)?).map_err(|error| format!("{path} {error}")))
        };
        let ca = at.optional("ca", certificates);
        let certificate = at.optional("certificate", certificates);
        let key = at.optional("key", |setting| {
            setting.parse(|path| PrivateKey::parse(&pem(path)?).map_err(|error| format!("{path} {error}")))
        });
        for (one, other) in [("certificate", "key"), ("key", "certificate")] {
            if !at.is_given(other) {
                at.problem_of(one, &format!("needs `{other}` beside it"));
            }
        }
        let verify = at.boolean("verify", true);
        let server_name = server_name(&mut at, urls);
        let mut tls = Tls {
            ca: None,
            identity: None,
            verify,
            server_name,
        };
        if let Some((place, ca)) = ca {
            let own = Tls {
                ca: Some(ca),
                ..Tls::default()
            };
            check(&at, &place, &own);
            tls.ca = own.ca;
        }
        if let (Some((place, certificates)), Some((_, key))) = (certificate, key) {
            let own = Tls {
                identity: Some(Identity { certificates, key }),
                // Not checked here: that would load the platform's certificate authorities, which may be missing.
                verify: false,
                ..Tls::default()
            };
            check(&at, &place, &own);
            tls.identity = own.identity;
        }
        tls
    }
}

fn server_name(at: &mut Section<'_>, urls: &[UrlPrefix]) -> Option<ServerName> {
    let (place, name) = at.optional("server_name", |setting| {
        setting.parse(|text| match Host::parse(text) {
            Ok(Host::Domain(name)) => Ok(name),
            _ => Err("should be the name of a host, as in the receiver's certificate".to_owned()),
        })
    })?;
    let mut hosts = urls.iter().filter_map(|url| url.url().host());
    let first = hosts.next()?;
    if hosts.any(|host| host != first) {
        at.problem(place.problem("needs `urls` with one and the same host"));
    }
    let host = match first {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    Some(ServerName { name, host })
}

fn check(at: &Section<'_>, place: &Place, tls: &Tls) {
    if let Err(error) = check_tls(tls) {
        at.problem(place.problem(format!("cannot be used: {error}")));
    }
}
