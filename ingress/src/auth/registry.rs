//! The registered clients. What the tokens of a client may do is decided by its row as it was at most a minute ago, so
//! that a stolen till is cut off within that time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockline_core::domain::{ClientId, ClientSettings, Timestamp};
use stockline_core::ports::{Clients, Clock, StoreError};

use super::error::{AuthError, codes};

/// How old a client's row may be when a token of the client is accepted, in seconds, while the store answers.
pub const CLIENT_KEPT_S: i64 = 60;
/// From this age on a row is read again beside the requests, in seconds; so requests rarely wait for it. Clients differ
/// by up to [`JITTER_S`], so that those which came together are not read together.
const REFRESHED_FROM_S: i64 = 30;
const JITTER_S: i64 = 15;
/// How long it is believed that a client is not registered, in seconds.
const ABSENCE_KEPT_S: i64 = 5;
/// How long after a failed read the next one follows, in seconds.
const RETRIED_AFTER_S: i64 = 5;
/// How long a request waits for a row. After that, the store counts as unavailable.
const READ_WITHIN: Duration = Duration::from_secs(1);
/// Rows that are kept at once: more than there are clients in a chain of 5,000 shops.
const ROWS_KEPT_MAX: usize = 20_000;

const _: () = assert!(REFRESHED_FROM_S + JITTER_S < CLIENT_KEPT_S);

type Row = Option<Arc<ClientSettings>>;

/// The rows of registered clients, kept for a short time.
#[derive(Debug)]
pub(super) struct Registry {
    clients: Arc<dyn Clients>,
    clock: Arc<dyn Clock>,
    rows: Mutex<HashMap<ClientId, Arc<Kept>>>,
}

/// What is known of one client.
#[derive(Debug, Default)]
struct Kept {
    known: Mutex<Known>,
    /// Held while its row is read.
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Known {
    /// The row, and when it was requested.
    row: Option<(Row, Timestamp)>,
    /// When the last read failed, if none has succeeded since.
    failed_at: Option<Timestamp>,
}

/// What to do with what is known.
enum Look {
    Use(Row),
    UseAndRefresh(Row),
    Read,
}

impl Known {
    fn look(&self, now: Timestamp, jitter_s: i64) -> Look {
        let Some((row, asked_at)) = &self.row else { return Look::Read };
        let failed_lately = self.failed_at.is_some_and(|at| is_within(at, now, RETRIED_AFTER_S));
        let (kept_s, refreshed_from_s) = match row {
            Some(_) => (CLIENT_KEPT_S, REFRESHED_FROM_S + jitter_s),
            None => (ABSENCE_KEPT_S, ABSENCE_KEPT_S),
        };
        if is_within(*asked_at, now, refreshed_from_s) {
            Look::Use(row.clone())
        } else if is_within(*asked_at, now, kept_s) {
            if failed_lately { Look::Use(row.clone()) } else { Look::UseAndRefresh(row.clone()) }
        } else if row.is_some() && failed_lately {
            // Nobody can change the row while the store is down, and tills go on (P9).
            Look::Use(row.clone())
        } else {
            Look::Read
        }
    }
}

/// Returns whether `at` is less than so many seconds ago. If the clock went back, it is not.
fn is_within(at: Timestamp, now: Timestamp, seconds: i64) -> bool {
    (0..seconds * 1_000).contains(&now.millis_since(at))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change leaves the maps usable, even if a thread panics elsewhere.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    pub(super) fn new(clients: Arc<dyn Clients>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clients, clock, rows: Mutex::default() })
    }

    /// Returns the settings of a client whose tokens are accepted.
    ///
    /// # Errors
    /// `token_wrong_client` if the client is not registered, `token_client_disabled`; `auth_unavailable` if its row was
    /// never read and can't be read now.
    pub(super) async fn accepted(self: &Arc<Self>, client_id: &ClientId) -> Result<Arc<ClientSettings>, AuthError> {
        let row = self.find(client_id).await.map_err(|error| {
            tracing::warn!(%client_id, %error, "a client's settings can't be read");
            AuthError::unavailable("the settings of the token's client can't be read now; send the request again", 1)
        })?;
        let client = row.ok_or_else(|| {
            AuthError::new(
                codes::TOKEN_WRONG_CLIENT,
                "the token belongs to a client that is not registered here (client_id); have a Manager register it: PUT /v1/clients/{client_id}",
            )
        })?;
        if client.disabled {
            return Err(AuthError::new(codes::TOKEN_CLIENT_DISABLED, "the token's client was disabled; ask a Manager"));
        }
        Ok(client)
    }

    /// Forgets what is known of a client that was changed by this process.
    pub(super) fn forget(&self, client_id: &ClientId) {
        lock(&self.rows).remove(client_id);
    }

    async fn find(self: &Arc<Self>, client_id: &ClientId) -> Result<Row, StoreError> {
        let kept = self.kept(client_id);
        let now = self.clock.now();
        let look = lock(&kept.known).look(now, jitter_s(client_id));
        match look {
            Look::Use(row) => Ok(row),
            Look::UseAndRefresh(row) => {
                self.refresh_beside(client_id, &kept);
                Ok(row)
            }
            Look::Read => {
                let _reading = kept.reading.lock().await;
                // Another request may have read it meanwhile.
                match lock(&kept.known).look(self.clock.now(), jitter_s(client_id)) {
                    Look::Use(row) | Look::UseAndRefresh(row) => return Ok(row),
                    Look::Read => {}
                }
                self.read(client_id, &kept).await
            }
        }
    }

    fn kept(&self, client_id: &ClientId) -> Arc<Kept> {
        let mut rows = lock(&self.rows);
        if let Some(kept) = rows.get(client_id) {
            return Arc::clone(kept);
        }
        if rows.len() >= ROWS_KEPT_MAX {
            let now = self.clock.now();
            rows.retain(|_, kept| {
                let known = lock(&kept.known);
                known.row.as_ref().is_some_and(|(_, asked_at)| is_within(*asked_at, now, CLIENT_KEPT_S))
            });
            if rows.len() >= ROWS_KEPT_MAX {
                rows.clear();
            }
        }
        Arc::clone(rows.entry(client_id.clone()).or_default())
    }

    /// Reads a row while requests go on with the one that is known.
    fn refresh_beside(self: &Arc<Self>, client_id: &ClientId, kept: &Arc<Kept>) {
        let Ok(reading) = Arc::clone(&kept.reading).try_lock_owned() else { return };
        let (registry, client_id, kept) = (Arc::clone(self), client_id.clone(), Arc::clone(kept));
        tokio::spawn(async move {
            let _reading = reading;
            if let Err(error) = registry.read(&client_id, &kept).await {
                tracing::warn!(%client_id, %error, "a client's settings can't be read again");
            }
        });
    }

    /// Reads a row. If that fails, a row that was read before still counts.
    async fn read(&self, client_id: &ClientId, kept: &Kept) -> Result<Row, StoreError> {
        let asked_at = self.clock.now();
        let read = tokio::time::timeout(READ_WITHIN, self.clients.client(client_id)).await;
        let read = read.unwrap_or_else(|_| Err(StoreError::Unavailable("the store did not answer in time".into())));
        let mut known = lock(&kept.known);
        match read {
            Ok(row) => {
                let row = row.map(Arc::new);
                *known = Known { row: Some((row.clone(), asked_at)), failed_at: None };
                Ok(row)
            }
            Err(error) => {
                known.failed_at = Some(self.clock.now());
                match &known.row {
                    Some((Some(row), _)) => Ok(Some(Arc::clone(row))),
                    _ => Err(error),
                }
            }
        }
    }
}

/// Returns a number of seconds that is always the same for one client: FNV-1a.
fn jitter_s(client_id: &ClientId) -> i64 {
    let bytes = client_id.as_str().bytes();
    let hash = bytes.fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    i64::from(hash) % JITTER_S
}
