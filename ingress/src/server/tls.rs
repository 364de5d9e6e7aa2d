//! TLS from PEM files.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsFiles;
use crate::error::IngressError;

/// Returns the settings for TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1; sessions are resumed by ticket.
///
/// # Errors
/// A file is missing, holds no certificate or key, or the two do not belong together; the text names the file.
pub fn tls_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, IngressError> {
    let (cert, key) = (files.cert.display(), files.key.display());
    let chain = CertificateDer::pem_slice_iter(&read(&files.cert, "certificate")?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| config(format!("the TLS certificate {cert} is not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(config(format!(
            "the TLS certificate {cert} holds no certificate; it must have the chain as PEM (-----BEGIN CERTIFICATE-----), the server's own first"
        )));
    }
    let private = PrivateKeyDer::from_pem_slice(&read(&files.key, "key")?).map_err(|_| {
        config(format!(
            "the TLS key {key} holds no private key; it must be PEM, not encrypted (-----BEGIN PRIVATE KEY-----)"
        ))
    })?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| config(format!("TLS can't be set up: {error}")))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => config(format!(
                "the TLS key {key} does not belong to the certificate {cert}; give the key that the certificate was made with"
            )),
            other => config(format!("the TLS certificate {cert} with the key {key} can't be used: {other}")),
        })?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    server.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| config(format!("TLS can't be set up: {error}")))?;
    Ok(Arc::new(server))
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>, IngressError> {
    std::fs::read(path).map_err(|error| config(format!("the TLS {what} {} can't be read: {error}", path.display())))
}

const fn config(text: String) -> IngressError {
    IngressError::Config(text)
}
