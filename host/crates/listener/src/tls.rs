//! TLS of a listener: its certificates, clients' certificates, and reading all of them again.
//!
//! [`TlsFiles`] holds the configuration that new connections use. A reload reads all files and replaces the
//! configuration as a whole, or changes nothing; a connection keeps the configuration with which it began.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hookhost_event::ByteString;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion, version};
use tokio_rustls::TlsAcceptor;

use super::certificate::server_names;
use super::server_name::choose;
use super::settings::{CertificateFiles, ClientCertificates, TlsSettings, TlsVersion};
use super::{ClientCertificate, TlsSession};

/// A file of a listener that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFileError {
    /// The key of the setting that names the file: `certificate`, `key`, `client_ca` or `client_crl`.
    pub key: &'static str,
    /// What is wrong with which file.
    pub problem: String,
}

impl fmt::Display for TlsFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

impl std::error::Error for TlsFileError {}

/// The TLS configuration of one listener. Clones share it.
#[derive(Clone)]
pub struct TlsFiles {
    listener: ByteString,
    settings: Arc<TlsSettings>,
    alpn: &'static [u8],
    current: Arc<RwLock<Current>>,
}

/// What new connections use.
struct Current {
    config: Arc<ServerConfig>,
    /// A digest of all files that it was made from.
    digest: Vec<u8>,
}

impl TlsFiles {
    /// Reads all files for a listener of this name. `alpn` is the only protocol that clients may name. Blocks.
    ///
    /// # Errors
    ///
    /// [`TlsFileError`] for the first file that cannot be used.
    pub fn open(listener: &ByteString, settings: &TlsSettings, alpn: &'static [u8]) -> Result<TlsFiles, TlsFileError> {
        let current = Current {
            digest: digest(settings),
            config: Arc::new(server_config(settings, alpn)?),
        };
        Ok(TlsFiles {
            listener: listener.clone(),
            settings: Arc::new(settings.clone()),
            alpn,
            current: Arc::new(RwLock::new(current)),
        })
    }

    /// Name of the listener.
    pub fn listener(&self) -> &str {
        &self.listener
    }

    /// Reads all files again; returns whether they have changed. Blocks.
    ///
    /// # Errors
    ///
    /// [`TlsFileError`] for the first file that cannot be used; then the previous configuration stays in use.
    pub fn reload(&self) -> Result<bool, TlsFileError> {
        let digest = digest(&self.settings);
        if digest == self.read().digest {
            return Ok(false);
        }
        let config = Arc::new(server_config(&self.settings, self.alpn)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { config, digest };
        Ok(true)
    }

    fn read(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts one connection with the files as they were read last.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.read().config))
    }
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFiles")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl TlsSettings {
    /// Checks all files without using them, so that a check of the configuration finds what a start would. Blocks.
    ///
    /// # Errors
    ///
    /// [`TlsFileError`] for the first file that cannot be used.
    pub fn check(&self) -> Result<(), TlsFileError> {
        server_config(self, b"mqtt").map(drop)
    }

    /// All files that it names.
    pub fn files(&self) -> Vec<PathBuf> {
        let pairs = self.certificates.iter();
        pairs
            .flat_map(|pair| [pair.certificate.clone(), pair.key.clone()])
            .chain(self.client_ca.iter().cloned())
            .chain(self.client_crl.iter().cloned())
            .collect()
    }
}

/// What a finished handshake has settled.
pub(crate) fn session(connection: &ServerConnection) -> TlsSession {
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    TlsSession {
        version: match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "1.3",
            _ => "1.2",
        },
        server_name: connection.server_name().map(str::to_owned),
        certificate: certificate.and_then(|der| ClientCertificate::read(der)),
    }
}

/// A digest of the content of all files; a file that cannot be read counts as empty.
fn digest(settings: &TlsSettings) -> Vec<u8> {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for path in settings.files() {
        let content = std::fs::read(path).unwrap_or_default();
        context.update(&content.len().to_be_bytes());
        context.update(&content);
    }
    context.finish().as_ref().to_vec()
}

fn server_config(settings: &TlsSettings, alpn: &[u8]) -> Result<ServerConfig, TlsFileError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[&'static SupportedProtocolVersion] = match settings.min_version {
        TlsVersion::V1_2 => &[&version::TLS13, &version::TLS12],
        TlsVersion::V1_3 => &[&version::TLS13],
    };
    let unusable = |error: rustls::Error| TlsFileError {
        key: "certificate",
        problem: format!("TLS cannot be used: {error}"),
    };
    let resolver = Certificates::read(&settings.certificates, &provider)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(unusable)?;
    let builder = match settings.client_certificates {
        ClientCertificates::None => builder.with_no_client_auth(),
        asked => {
            let mut verifier = WebPkiClientVerifier::builder_with_provider(roots(&settings.client_ca)?, provider);
            if asked == ClientCertificates::Optional {
                verifier = verifier.allow_unauthenticated();
            }
            if !settings.client_crl.is_empty() {
                verifier = verifier
                    .with_crls(revocation_lists(&settings.client_crl)?)
                    .allow_unknown_revocation_status();
            }
            let verifier = verifier.build().map_err(|error| TlsFileError {
                key: "client_ca",
                problem: format!("clients' certificates cannot be checked: {error}"),
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

/// The certificates of a listener; SNI chooses.
#[derive(Debug)]
struct Certificates {
    names: Vec<Vec<String>>,
    keys: Vec<Arc<CertifiedKey>>,
}

impl Certificates {
    fn read(files: &[CertificateFiles], provider: &CryptoProvider) -> Result<Certificates, TlsFileError> {
        let mut certificates = Certificates {
            names: Vec::new(),
            keys: Vec::new(),
        };
        for pair in files {
            let chain = read_certificates(&pair.certificate, "certificate")?;
            let wrong_key = |problem: String| TlsFileError { key: "key", problem };
            let key = PrivateKeyDer::from_pem_file(&pair.key)
                .map_err(|error| wrong_key(format!("{} holds no private key: {error}", pair.key.display())))?;
            certificates
                .names
                .push(chain.first().map(|der| server_names(der)).unwrap_or_default());
            let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| {
                let (key, certificate) = (pair.key.display(), pair.certificate.display());
                wrong_key(format!("{key} does not belong to {certificate}: {error}"))
            })?;
            certificates.keys.push(Arc::new(certified));
        }
        Ok(certificates)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.keys.get(choose(&self.names, hello.server_name())).cloned()
    }
}

fn read_certificates(path: &Path, key: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let failed = |problem: String| TlsFileError { key, problem };
    let list = CertificateDer::pem_file_iter(path)
        .and_then(|list| list.collect::<Result<Vec<_>, _>>())
        .map_err(|error| failed(format!("{} cannot be read: {error}", path.display())))?;
    if list.is_empty() {
        return Err(failed(format!("{} holds no certificate", path.display())));
    }
    Ok(list)
}

fn roots(files: &[PathBuf]) -> Result<Arc<RootCertStore>, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for path in files {
        for certificate in read_certificates(path, "client_ca")? {
            roots.add(certificate).map_err(|error| TlsFileError {
                key: "client_ca",
                problem: format!("{} holds an unusable certificate: {error}", path.display()),
            })?;
        }
    }
    Ok(Arc::new(roots))
}

fn revocation_lists(files: &[PathBuf]) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsFileError> {
    let mut lists = Vec::new();
    for path in files {
        let failed = |problem: String| TlsFileError {
            key: "client_crl",
            problem,
        };
        let read = CertificateRevocationListDer::pem_file_iter(path)
            .and_then(|list| list.collect::<Result<Vec<_>, _>>())
            .map_err(|error| failed(format!("{} cannot be read: {error}", path.display())))?;
        if read.is_empty() {
            return Err(failed(format!("{} holds no revocation list", path.display())));
        }
        lists.extend(read);
    }
    Ok(lists)
}
