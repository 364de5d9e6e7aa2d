use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock;
use stockline_service::{Faults, Severity};
use tokio_util::sync::CancellationToken;

use super::chain::Chain;
use super::tls::{Pem, TlsFiles};
use crate::error::IngressError;
use crate::metrics::CERTIFICATE_UNTIL;

/// The certificate that clients are shown.
pub(crate) const CERTIFICATE: &str = "certificate";

/// How often the files are looked at. Reading them takes microseconds.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Changed files that can't be used are told of from this look on: the chain and its key are replaced one after the other.
const UNUSABLE_LOOKS: u32 = 2;

/// The certificate chain of the server and its key. The files are read again when they change; connections made after that
/// are shown the new chain, and the others go on.
pub struct Certificates {
    files: TlsFiles,
    shown: Mutex<Shown>,
}

/// What clients are shown now.
struct Shown {
    config: Arc<ServerConfig>,
    chain: Chain,
    /// The content of the files that it was made of.
    digest: [u8; 32],
    /// How many looks in a row found files that can't be used.
    unusable: u32,
}

impl Certificates {
    /// Reads the files; blocks.
    ///
    /// # Errors
    /// A file is missing, holds no certificate or key, or the two do not belong together; the text names the file.
    pub fn open(files: TlsFiles) -> Result<Arc<Self>, IngressError> {
        let pem = Pem::read(&files)?;
        let (config, chain) = pem.config(&files)?;
        let certificates =
            Self { files, shown: Mutex::new(Shown { config, chain, digest: pem.digest(), unusable: 0 }) };
        certificates.tell(&certificates.shown());
        Ok(Arc::new(certificates))
    }

    /// Returns the settings for the next connection.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.shown().config)
    }

    /// Reads the files again, as an operator asks for it; blocks. Files that can't be used change nothing.
    pub fn reload(&self, faults: &Faults, now: Timestamp) {
        self.shown().unusable = UNUSABLE_LOOKS - 1;
        self.look(faults, now);
    }

    /// Reads the files again if they changed, and finds whether the certificate is or soon will be refused; blocks.
    fn look(&self, faults: &Faults, now: Timestamp) {
        let changed = self.changed();
        let mut shown = self.shown();
        match changed {
            Ok(None) => shown.unusable = 0,
            Ok(Some(new)) => {
                *shown = new;
                self.tell(&shown);
            }
            Err(error) => {
                shown.unusable = shown.unusable.saturating_add(1);
                if shown.unusable == UNUSABLE_LOOKS {
                    tracing::error!("{error}; clients are shown the certificate that was read before");
                }
            }
        }
        let unusable = "the changed certificate can't be used, and clients are shown the one before; the log says why";
        let doubt = if shown.unusable >= UNUSABLE_LOOKS { Some(unusable.to_owned()) } else { shown.chain.doubt(now) };
        match doubt {
            Some(why) => faults.found(CERTIFICATE, Severity::Degraded, why),
            None => faults.over(CERTIFICATE),
        }
    }

    /// Returns what the files hold now, if it is not what clients are shown.
    fn changed(&self) -> Result<Option<Shown>, IngressError> {
        let pem = Pem::read(&self.files)?;
        let digest = pem.digest();
        if digest == self.shown().digest {
            return Ok(None);
        }
        let (config, chain) = pem.config(&self.files)?;
        Ok(Some(Shown { config, chain, digest, unusable: 0 }))
    }

    fn tell(&self, shown: &Shown) {
        let (path, until) = (self.files.cert.display(), shown.chain.until());
        tracing::info!(%path, %until, "the TLS certificate is in use");
        for remark in &shown.chain.remarks {
            tracing::warn!(%path, "the TLS certificate: {remark}");
        }
        metrics::gauge!(CERTIFICATE_UNTIL).set(until.as_millis() as f64 / 1_000.0);
    }

    /// Looks at the files until shutdown is requested.
    pub(crate) async fn keep(self: Arc<Self>, faults: Arc<Faults>, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
        loop {
            let (certificates, faults, now) = (Arc::clone(&self), Arc::clone(&faults), clock.now());
            // A panic was logged where it happened, and the next look may succeed.
            let _ = tokio::task::spawn_blocking(move || certificates.look(&faults, now)).await;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Every change is made in one step, so a panic elsewhere leaves it whole.
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
