//! TLS settings of `https:` connections to one receiver: trusted authorities and the client certificate.
//!
//! This module checks only the contents of each file. [`check_tls`](super::check_tls) builds a client and so checks
//! whether certificate and key belong together.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Settings of `https:` connections. The defaults are those of a browser.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// Trusted authorities, in place of those of the platform.
    pub ca: Option<Certificates>,
    /// The client certificate that the host presents if the receiver asks for one.
    pub identity: Option<Identity>,
    /// Whether the certificate of the receiver is checked.
    pub verify: bool,
    /// The name that is requested and that the certificate must have, in place of the host of the URL.
    pub server_name: Option<ServerName>,
}

/// Certificates in PEM, at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificates(Arc<[u8]>);

/// A private key in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(Arc<[u8]>);

/// A certificate with its intermediate certificates and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate of the host comes first.
    pub certificates: Certificates,
    /// The key of the first certificate.
    pub key: PrivateKey,
}

/// A different name for the one host of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerName {
    /// The name in the certificate of the receiver, a DNS name.
    pub name: String,
    /// The host of the URLs. The client connects to this host.
    pub host: String,
}

/// Why a PEM file is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// The file contains no certificate.
    #[error("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// The file contains no usable key.
    #[error("holds no private key in PEM without a password (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    /// The PEM data of the file is invalid.
    #[error("is damaged: its PEM data is invalid")]
    Damaged,
}

impl Default for Tls {
    fn default() -> Tls {
        Tls {
            ca: None,
            identity: None,
            verify: true,
            server_name: None,
        }
    }
}

impl Certificates {
    /// Reads certificates from the bytes of a file.
    ///
    /// # Errors
    ///
    /// [`PemError`] if the file contains no valid certificate.
    pub fn parse(pem: &[u8]) -> Result<Certificates, PemError> {
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            drop(certificate.map_err(|_| PemError::Damaged)?);
            found += 1;
        }
        if found == 0 {
            return Err(PemError::NoCertificate);
        }
        Ok(Certificates(pem.into()))
    }

    pub(super) fn pem(&self) -> &[u8] {
        &self.0
    }
}

impl PrivateKey {
    /// Reads a private key from the bytes of a file.
    ///
    /// # Errors
    ///
    /// [`PemError`] if the file contains no key that is usable without a password.
    pub fn parse(pem: &[u8]) -> Result<PrivateKey, PemError> {
        match PrivateKeyDer::from_pem_slice(pem) {
            Ok(_) => Ok(PrivateKey(pem.into())),
            Err(rustls::pki_types::pem::Error::NoItemsFound) => Err(PemError::NoKey),
            Err(_) => Err(PemError::Damaged),
        }
    }

    pub(super) fn pem(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("ca", &self.ca.is_some())
            .field("identity", &self.identity.is_some())
            .field("verify", &self.verify)
            .field("server_name", &self.server_name)
            .finish()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates(…)")
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

    #[test]
    fn files_hold_what_they_should() {
        for (pem, certificates, key) in [
            (CERTIFICATE.to_owned(), None, Some(PemError::NoKey)),
            (KEY.to_owned(), Some(PemError::NoCertificate), None),
            (format!("comment\n{CERTIFICATE}{CERTIFICATE}{KEY}"), None, None),
            (String::new(), Some(PemError::NoCertificate), Some(PemError::NoKey)),
            (
                CERTIFICATE.replace("AAAA", "?"),
                Some(PemError::Damaged),
                Some(PemError::Damaged),
            ),
            (
                KEY.replace("PRIVATE", "ENCRYPTED PRIVATE"),
                Some(PemError::NoCertificate),
                Some(PemError::NoKey),
            ),
        ] {
            assert_eq!(Certificates::parse(pem.as_bytes()).err(), certificates, "{pem}");
            assert_eq!(PrivateKey::parse(pem.as_bytes()).err(), key, "{pem}");
        }
    }

    #[test]
    fn debug_hides_keys() {
        let identity = Identity {
            certificates: Certificates::parse(CERTIFICATE.as_bytes()).unwrap(),
            key: PrivateKey::parse(KEY.as_bytes()).unwrap(),
        };
        assert!(!format!("{identity:?}").contains("AAAA"));
        let tls = Tls {
            identity: Some(identity),
            ..Tls::default()
        };
        assert!(!format!("{tls:?}").contains("AAAA"));
    }
}
