mod attacks;
mod kept;
mod registered;
mod rotation;

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::HeaderValue;
use stockline_core::domain::Timestamp;
use stockline_core::ports::{Clock, FixedClock};

use super::remote::Pace;
use super::testing::{CLIENT, ISSUER, TestKey, bearer, clock, jwks};
use super::*;
use crate::config::{AuthConfig, JwksSource};

/// An authenticator with a key file that holds the first key, and its folder and clock.
struct OnFile {
    folder: tempfile::TempDir,
    clock: Arc<FixedClock>,
    auth: Arc<Authenticator>,
    changed: FilesChanged,
}

impl OnFile {
    fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
        std::fs::write(folder.path().join("jwks.json"), jwks(&[TestKey::first()])).unwrap();
        let jwks = JwksSource::File(folder.path().join("jwks.json"));
        std::fs::write(folder.path().join("revoked"), revoked(&[])).unwrap();
        let config = config(jwks, Some(folder.path().join("revoked")));
        let changed = config.changed.clone();
        let auth = Authenticator::start(config, clock.clone()).unwrap();
        Self { folder, clock, auth, changed }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    async fn judge(&self, token: &str) -> Result<Principal, &'static str> {
        judge(&self.auth, token).await
    }
}

/// The text of a list of revoked tokens.
fn revoked(ids: &[&str]) -> String {
    RevokedList::write(ISSUER, &ids.iter().map(|id| (*id).to_owned()).collect())
}

fn config(jwks: JwksSource, revoked_file: Option<PathBuf>) -> AuthConfig {
    let client_ids = vec!["other-client".into(), CLIENT.into()];
    AuthConfig { revoked_file, ..AuthConfig::new(ISSUER, client_ids, jwks) }
}

async fn judge(auth: &Authenticator, token: &str) -> Result<Principal, &'static str> {
    auth.authenticate(Some(&bearer(token))).await.map_err(|error| error.code)
}
