//! SIGHUP: the certificate is read again at once.

use std::sync::Arc;

use stockline_core::ports::Clock as _;
use stockline_ingress::server::Certificates;
use stockline_service::{Faults, Hangups, SystemClock};

/// Reads the certificate again at each SIGHUP, for as long as it is polled. Nothing else must be told: tokens and keys are
/// read when they change.
pub(super) async fn on_hangup(mut hangups: Hangups, certificates: Option<Arc<Certificates>>, faults: Arc<Faults>) {
    loop {
        hangups.next().await;
        let Some(certificates) = certificates.clone() else {
            tracing::info!("SIGHUP: there is no certificate to read again; SIGTERM stops the server");
            continue;
        };
        tracing::info!("SIGHUP: the certificate is read again; SIGTERM stops the server");
        let faults = Arc::clone(&faults);
        // A panic was logged where it happened; what is shown stays.
        let _ = tokio::task::spawn_blocking(move || certificates.reload(&faults, SystemClock.now())).await;
    }
}
