//! TLS towards the upstream: trusted authorities and the gateway's own certificate.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use super::settings::UpstreamTls;

/// The configuration of a TLS client. Blocks while it reads files.
///
/// # Errors
///
/// What is wrong with the files, as a sentence.
pub(super) fn client(settings: &UpstreamTls) -> Result<ClientConfig, String> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be used: {error}"))?;
    let builder = match &settings.ca {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, "ca")? {
                roots
                    .add(certificate)
                    .map_err(|error| format!("ca: {} holds no usable certificate: {error}", path.display()))?;
            }
            builder.with_root_certificates(roots)
        }
        None => builder
            .with_platform_verifier()
            .map_err(|error| format!("the system's certificate authorities cannot be read: {error}"))?,
    };
    match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => {
            let shown = certificates(certificate, "certificate")?;
            let key_of = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("key: {} holds no private key: {error}", key.display()))?;
            builder
                .with_client_auth_cert(shown, key_of)
                .map_err(|error| format!("key: {} does not fit the certificate: {error}", key.display()))
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn certificates(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let broken = |error| format!("{key}: {} cannot be read: {error}", path.display());
    let list = CertificateDer::pem_file_iter(path)
        .and_then(|list| list.collect::<Result<Vec<_>, _>>())
        .map_err(broken)?;
    if list.is_empty() {
        return Err(format!("{key}: {} holds no certificate", path.display()));
    }
    Ok(list)
}
