//! What a client's certificate says. Pure.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// A client's certificate. The handshake has checked that an authority of the listener signed it, that it is valid now
/// and not revoked, and that the client has its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Common name of its subject; the last one if there are several.
    pub common_name: Option<String>,
    /// The whole subject, as RFC 4514 writes it: `CN=device-7,O=Example`.
    pub subject: String,
    /// The whole issuer, likewise.
    pub issuer: String,
    /// Serial number in lower-case hexadecimal digits.
    pub serial: String,
    /// SHA-256 of the DER form, in lower-case hexadecimal digits.
    pub fingerprint: String,
    /// DNS names of the subject alternative name.
    pub dns_names: Vec<String>,
    /// E-mail addresses of the subject alternative name.
    pub emails: Vec<String>,
    /// URIs of the subject alternative name.
    pub uris: Vec<String>,
    /// IP addresses of the subject alternative name.
    pub addresses: Vec<IpAddr>,
    /// End of its validity, in seconds since 1970.
    pub not_after: i64,
    /// The certificate itself, DER.
    pub der: Vec<u8>,
}

impl ClientCertificate {
    /// Reads a certificate in DER; `None` if it is invalid.
    pub fn read(der: &[u8]) -> Option<ClientCertificate> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut read = ClientCertificate {
            common_name: certificate
                .subject()
                .iter_common_name()
                .last()
                .and_then(|name| name.as_str().ok())
                .map(str::to_owned),
            subject: rfc4514(certificate.subject()),
            issuer: rfc4514(certificate.issuer()),
            serial: hex(certificate.raw_serial()),
            fingerprint: hex(ring::digest::digest(&ring::digest::SHA256, der).as_ref()),
            dns_names: Vec::new(),
            emails: Vec::new(),
            uris: Vec::new(),
            addresses: Vec::new(),
            not_after: certificate.validity().not_after.timestamp(),
            der: der.to_vec(),
        };
        for name in alternative_names(&certificate) {
            match name {
                GeneralName::DNSName(name) => read.dns_names.push((*name).to_owned()),
                GeneralName::RFC822Name(name) => read.emails.push((*name).to_owned()),
                GeneralName::URI(name) => read.uris.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => read.addresses.extend(ip(bytes)),
                _ => {}
            }
        }
        Some(read)
    }
}

/// The DNS names of a server's certificate, for SNI: those of its subject alternative name, or else its common name.
pub(crate) fn server_names(der: &[u8]) -> Vec<String> {
    let Some(certificate) = ClientCertificate::read(der) else {
        return Vec::new();
    };
    let mut names = certificate.dns_names;
    if names.is_empty() {
        names.extend(certificate.common_name);
    }
    names.iter().map(|name| name.to_ascii_lowercase()).collect()
}

fn alternative_names<'c, 'd>(certificate: &'c X509Certificate<'d>) -> impl Iterator<Item = &'c GeneralName<'d>> {
    certificate.extensions().iter().flat_map(|extension| {
        let names: &[GeneralName<'d>] = match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => &names.general_names,
            _ => &[],
        };
        names
    })
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|six| Ipv6Addr::from(six).into())
}

/// A name as RFC 4514 writes it: the most specific part first.
fn rfc4514(name: &X509Name<'_>) -> String {
    let mut out = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (place, part) in parts.into_iter().rev().enumerate() {
        if place > 0 {
            out.push(',');
        }
        for (place, attribute) in part.iter().enumerate() {
            if place > 0 {
                out.push('+');
            }
            let kind = attribute.attr_type();
            match oid2abbrev(kind, oid_registry()) {
                Ok(abbreviation) => out.push_str(abbreviation),
                Err(_) => out.push_str(&kind.to_id_string()),
            }
            out.push('=');
            match attribute.as_str() {
                Ok(text) => escape(text, &mut out),
                // A value that is no text is written as its bytes.
                Err(_) => {
                    out.push('#');
                    out.push_str(&hex(attribute.as_slice()));
                }
            }
        }
    }
    out
}

/// A text within a name, with the escapes of RFC 4514.
fn escape(text: &str, out: &mut String) {
    let last = text.chars().count().saturating_sub(1);
    for (place, character) in text.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            '#' if place == 0 => out.push_str("\\#"),
            ' ' if place == 0 || place == last => out.push_str("\\ "),
            '\0' => out.push_str("\\00"),
            other => out.push(other),
        }
    }
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
            // Writing to a string does not fail.
            let _written = write!(out, "{byte:02x}");
            out
        })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Example, Inc.");
        params.distinguished_name.push(DnType::CommonName, " device#7");
        params.serial_number = Some(vec![0x0a, 0xff].into());
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_says_who_its_owner_is() {
        let der = certificate(|params| {
            params.subject_alt_names = vec![
                SanType::DnsName("device-7.example".try_into().unwrap()),
                SanType::Rfc822Name("seven@example".try_into().unwrap()),
                SanType::URI("urn:device:7".try_into().unwrap()),
                SanType::IpAddress("10.0.0.7".parse().unwrap()),
            ];
        });
        let read = ClientCertificate::read(&der).unwrap();
        assert_eq!(read.common_name.as_deref(), Some(" device#7"));
        assert_eq!(read.subject, "CN=\\ device#7,O=Example\\, Inc.");
        assert_eq!(read.issuer, read.subject);
        assert_eq!(read.serial, "0aff");
        assert_eq!(read.fingerprint.len(), 64);
        assert_eq!(read.dns_names, ["device-7.example"]);
        assert_eq!(read.emails, ["seven@example"]);
        assert_eq!(read.uris, ["urn:device:7"]);
        assert_eq!(read.addresses, ["10.0.0.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(read.der, der);
    }

    #[test]
    fn a_server_has_the_names_of_its_alternative_name_or_else_its_common_name() {
        assert_eq!(server_names(&certificate(|_| {})), [" device#7"]);
        let named = certificate(|params| {
            params.subject_alt_names = vec![SanType::DnsName("*.Example.org".try_into().unwrap())];
        });
        assert_eq!(server_names(&named), ["*.example.org"]);
    }

    #[test]
    fn bytes_that_are_no_certificate_are_not_read() {
        let der = certificate(|_| {});
        for length in 0..der.len() {
            assert_eq!(ClientCertificate::read(&der[..length]), None);
        }
        assert_eq!(server_names(b"x"), [""; 0]);
    }

    #[test]
    fn escapes() {
        let escaped = |text| {
            let mut out = String::new();
            escape(text, &mut out);
            out
        };
        for (text, expected) in [
            ("a b", "a b"),
            (" ", "\\ "),
            ("a ", "a\\ "),
            ("#a#", "\\#a#"),
            ("a,b+c\"d\\e<f>g;h", "a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h"),
            ("\0", "\\00"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }
}
