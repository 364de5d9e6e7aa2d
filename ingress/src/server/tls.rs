//! TLS from PEM files.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use super::chain::Chain;
use crate::error::IngressError;

/// A certificate chain and its private key, as PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Bytes of a file with certificates or a key. A chain takes a few KB.
const PEM_BYTES: u64 = 1024 * 1024;

/// The contents of the files.
pub(super) struct Pem {
    certificates: Vec<u8>,
    key: Vec<u8>,
}

impl Pem {
    /// Reads the files; blocks.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, IngressError> {
        Ok(Self { certificates: read(&files.cert, "certificate")?, key: read(&files.key, "key")? })
    }

    /// Tells one content from the next.
    pub(super) fn digest(&self) -> [u8; 32] {
        let certificates = Sha256::digest(&self.certificates);
        Sha256::new().chain_update(certificates).chain_update(&self.key).finalize().into()
    }

    /// Returns the settings for TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1, and the chain that clients are shown; sessions
    /// are resumed by ticket.
    ///
    /// # Errors
    /// A file holds no certificate or key, or the two do not belong together; the text names the file.
    pub(super) fn config(&self, files: &TlsFiles) -> Result<(Arc<ServerConfig>, Chain), IngressError> {
        let (cert, key) = (files.cert.display(), files.key.display());
        let found = CertificateDer::pem_slice_iter(&self.certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| config(format!("the TLS certificate {cert} is not PEM: {error}")))?;
        if found.is_empty() {
            return Err(config(format!(
                "the TLS certificate {cert} holds no certificate; it must have the chain as PEM (-----BEGIN CERTIFICATE-----), the server's own first"
            )));
        }
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| {
            config(format!(
                "the TLS key {key} holds no private key; it must be PEM, not encrypted (-----BEGIN PRIVATE KEY-----)"
            ))
        })?;
        let unusable = |error| config(format!("the TLS certificate {cert} with the key {key} can't be used: {error}"));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let signing = provider.key_provider.load_private_key(private.clone_key()).map_err(unusable)?;
        let public = signing.public_key();
        let chain = Chain::of(found, public.as_deref())
            .map_err(|why| config(format!("the TLS certificate {cert} can't be used: {why}")))?
            .ok_or_else(|| {
                config(format!(
                    "the TLS key {key} does not belong to the certificate {cert}; give the key that the certificate was made with"
                ))
            })?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| config(format!("TLS can't be set up: {error}")))?
            .with_no_client_auth()
            .with_single_cert(chain.certificates.clone(), private)
            .map_err(unusable)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        server.ticketer =
            aws_lc_rs::Ticketer::new().map_err(|error| config(format!("TLS can't be set up: {error}")))?;
        Ok((Arc::new(server), chain))
    }
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>, IngressError> {
    let mut content = Vec::new();
    let read = File::open(path).and_then(|file| file.take(PEM_BYTES).read_to_end(&mut content));
    match read {
        Ok(_) => Ok(content),
        Err(error) => Err(config(format!("the TLS {what} {} can't be read: {error}", path.display()))),
    }
}

const fn config(text: String) -> IngressError {
    IngressError::Config(text)
}
