use std::sync::Arc;

use axum::http::HeaderValue;
use stockline_core::domain::{ClientId, Timestamp};
use stockline_core::ports::{Clients, Clock};
use tokio::task::JoinHandle;

use super::cache::{CACHE_TOKENS, TokenCache, Verified};
use super::changed::FilesChanged;
use super::error::{AuthError, codes};
use super::keys::{self, KeyFile, Source, Trusted};
use super::keyset::VerifyingKey;
use super::principal::{Principal, TokenHash};
use super::registry::Registry;
use super::remote::{Pace, Remote};
use super::revoked::Revoked;
use super::token::{self, Expected, Unverified};
use super::watched::Every;
use crate::config::{AuthConfig, JwksSource};
use crate::error::IngressError;

/// How often the files of keys and of revoked tokens are checked, in milliseconds.
const FILES_CHECKED_MS: i64 = 1_000;

/// Why no token is accepted.
const KEYS_UNKNOWN: &str =
    "the keys that verify tokens can't be read, so that nobody knows whether a token is valid; tell the operator";

/// Why no token is accepted.
const REVOKED_UNKNOWN: &str =
    "the list of revoked tokens can't be read, so that nobody knows whether a token is valid; tell the operator";

/// Authenticates requests by their tokens.
#[derive(Debug)]
pub struct Authenticator {
    expected: Expected,
    /// `None` where only configured clients are accepted.
    registry: Option<Arc<Registry>>,
    clock: Arc<dyn Clock>,
    pub(super) state: Arc<State>,
    files: Every,
    changed: FilesChanged,
    fetching: Option<JoinHandle<()>>,
}

/// The state that requests and the background fetch share.
#[derive(Debug)]
pub(super) struct State {
    source: Source,
    pub(super) trusted: Trusted,
    cache: TokenCache,
    revoked: Option<Revoked>,
}

impl Authenticator {
    /// Reads the files, or begins to fetch the keys; must be called inside a Tokio runtime. If keys are fetched, it is not
    /// ready before the first fetch succeeds ([`Authenticator::is_ready`]); the fetch is retried until then.
    ///
    /// # Errors
    /// [`IngressError::Config`]: the key file is missing or holds no usable key, the list of revoked tokens can't be read,
    /// the address of the keys is not valid, or no client is allowed.
    pub fn start(config: AuthConfig, clock: Arc<dyn Clock>) -> Result<Arc<Self>, IngressError> {
        Self::start_with(config, None, clock, Pace::default())
    }

    /// Starts as [`Authenticator::start`] does, and accepts the tokens of registered clients too.
    ///
    /// # Errors
    /// As [`Authenticator::start`].
    pub fn start_registered(
        config: AuthConfig,
        clients: Option<Arc<dyn Clients>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, IngressError> {
        Self::start_with(config, clients, clock, Pace::default())
    }

    pub(super) fn start_with(
        config: AuthConfig,
        clients: Option<Arc<dyn Clients>>,
        clock: Arc<dyn Clock>,
        pace: Pace,
    ) -> Result<Arc<Self>, IngressError> {
        let AuthConfig { issuer, client_ids, jwks, revoked_file, kept_keys, changed } = config;
        if issuer.is_empty() || client_ids.is_empty() {
            return Err(IngressError::Config(
                "the issuer of tokens and at least one client id must be configured; without them every token would be refused".into(),
            ));
        }
        let trusted = Trusted::default();
        let source = match jwks {
            JwksSource::File(path) => Source::File(KeyFile::open(path, &trusted)?),
            JwksSource::Url(url) => Source::Url(Arc::new(Remote::new(&url, kept_keys, pace, Arc::clone(&clock))?)),
        };
        let revoked = revoked_file.map(|path| Revoked::open(path, issuer.clone())).transpose()?;
        let state = Arc::new(State { source, trusted, cache: TokenCache::new(CACHE_TOKENS), revoked });
        let fetching = match &state.source {
            Source::File(_) => None,
            Source::Url(remote) => {
                let (remote, state) = (Arc::clone(remote), Arc::clone(&state));
                Some(tokio::spawn(remote.keep_fetching(move |set| {
                    state.trusted.replace(set);
                    state.forget_untrusted();
                })))
            }
        };
        let files = Every::millis(FILES_CHECKED_MS, clock.now());
        let registry = clients.map(|clients| Registry::new(clients, Arc::clone(&clock)));
        let expected = Expected { issuer, client_ids, registers_clients: registry.is_some() };
        Ok(Arc::new(Self { expected, registry, clock, state, files, changed, fetching }))
    }

    /// Are there keys to verify tokens with?
    pub fn is_ready(&self) -> bool {
        !self.state.trusted.is_empty()
    }

    /// Returns why no token is accepted now, if that is so.
    pub(super) async fn why_unready(&self) -> Option<&'static str> {
        self.keep_current(self.clock.now()).await;
        let unknown = self.state.revoked.as_ref().is_some_and(Revoked::is_unknown);
        match self.is_ready() {
            false => Some("the keys that verify tokens are not fetched yet"),
            true if self.state.keys_unknown() => Some(KEYS_UNKNOWN),
            true => unknown.then_some(REVOKED_UNKNOWN),
        }
    }

    /// Returns the sender of a request with this `Authorization` header. A known token costs a hash, a new one an RSA
    /// verification. It waits only if the key of the token is unknown.
    ///
    /// # Errors
    /// See [`codes`]. `auth_unavailable` may pass; all others need another token. A token without a role is not an error
    /// here: its [`super::Rights`] answer `no_role` to every question.
    pub async fn authenticate(&self, authorization: Option<&HeaderValue>) -> Result<Principal, AuthError> {
        let token = token::bearer(authorization)?;
        let now = self.clock.now();
        self.keep_current(now).await;
        self.state.keys_known()?;
        let hash = TokenHash::of(token.as_bytes());
        if let Some(known) = self.state.cache.get(&hash, now) {
            self.state.not_revoked(known.jti.as_deref())?;
            return self.narrowed(known.principal.clone(), known.client.as_ref()).await;
        }
        let verified = self.verify(token, hash, now).await?;
        self.narrowed(verified.principal.clone(), verified.client.as_ref()).await
    }

    /// Narrows the rights of a token to those of its registered client, whose settings may have changed since the token
    /// was verified.
    async fn narrowed(&self, principal: Principal, client: Option<&ClientId>) -> Result<Principal, AuthError> {
        match (client, &self.registry) {
            (Some(client_id), Some(registry)) => {
                let client = registry.accepted(client_id).await?;
                Ok(Principal { rights: principal.rights.within(&client), ..principal })
            }
            _ => Ok(principal),
        }
    }

    /// Returns whether a client is configured, so that it needs no registration and can have none.
    pub(crate) fn is_configured(&self, client_id: &ClientId) -> bool {
        self.expected.client_ids.iter().any(|configured| configured == client_id.as_str())
    }

    /// Forgets what is known of a registered client: this process has changed it.
    pub(crate) fn forget_client(&self, client_id: &ClientId) {
        if let Some(registry) = &self.registry {
            registry.forget(client_id);
        }
    }

    /// Checks the claims first: a token with wrong claims needs no key, and never causes a fetch.
    async fn verify(&self, token: &str, token_hash: TokenHash, now: Timestamp) -> Result<Arc<Verified>, AuthError> {
        let Unverified { kid, claims, message, signature } = Unverified::parse(token)?;
        claims.check(&self.expected, now)?;
        let submitted_by = claims.submitted_by()?;
        let rights = claims.rights()?;
        let key = match self.state.trusted.get(&kid) {
            Some(key) => key,
            None => self.find_key(&kid, claims.iat, now).await?,
        };
        if !key.verifies(message, signature) {
            return Err(AuthError::new(
                codes::TOKEN_INVALID_SIGNATURE,
                "the token's signature does not fit; send it exactly as it was issued",
            ));
        }
        self.state.not_revoked(claims.jti.as_deref())?;
        let expires_at = claims.expires_at();
        let verified = Arc::new(Verified {
            principal: Principal { submitted_by: submitted_by.into(), rights, expires_at, token_hash },
            client: claims.registered_client(&self.expected),
            jti: claims.jti,
            usable_until: token::usable_until(expires_at),
            key: Arc::clone(&key),
        });
        self.state.cache.put(token_hash, Arc::clone(&verified), now);
        // The keys may have been replaced after this one was looked up.
        if !self.state.trusted.set().trusts(&key) {
            self.state.forget_untrusted();
        }
        Ok(verified)
    }

    async fn find_key(
        &self,
        kid: &str,
        issued_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Arc<VerifyingKey>, AuthError> {
        let asked = match &self.state.source {
            Source::File(file) => {
                self.look_at(file).await;
                self.state.keys_known()?;
                None
            }
            Source::Url(remote) => Some(remote.ask().await),
        };
        let not_found = || asked.map_or_else(keys::unknown_key, |asked| keys::not_found(asked, issued_at, now));
        self.state.trusted.get(kid).ok_or_else(not_found)
    }

    /// Runs in a task of its own, so that a client that goes away can't leave a changed file half read.
    async fn look_at(&self, file: &KeyFile) {
        let _one_at_a_time = file.looking.lock().await;
        let state = Arc::clone(&self.state);
        // A panic in the task is reported by it; the keys stay as they were.
        let _ = tokio::task::spawn_blocking(move || state.look_at_keys()).await;
    }

    /// Reads the files again if they changed and a look at them is due.
    async fn keep_current(&self, now: Timestamp) {
        let told = self.changed.due();
        if self.files.is_due(now) || told.is_some() {
            self.check_files().await;
        }
        if let Some(told) = told {
            self.changed.note(told);
        }
    }

    async fn check_files(&self) {
        if let Source::File(file) = &self.state.source {
            self.look_at(file).await;
        }
        if self.state.revoked.is_some() {
            let state = Arc::clone(&self.state);
            // A panic in the task is reported by it; the list stays as it was.
            let _ = tokio::task::spawn_blocking(move || state.revoked.as_ref().map(Revoked::check)).await;
        }
    }
}

impl Drop for Authenticator {
    fn drop(&mut self) {
        if let Some(fetching) = &self.fetching {
            fetching.abort();
        }
    }
}

impl State {
    fn keys_unknown(&self) -> bool {
        matches!(&self.source, Source::File(file) if file.is_unknown())
    }

    fn keys_known(&self) -> Result<(), AuthError> {
        if self.keys_unknown() { Err(AuthError::unavailable(KEYS_UNKNOWN, 1)) } else { Ok(()) }
    }

    fn not_revoked(&self, jti: Option<&str>) -> Result<(), AuthError> {
        match (&self.revoked, jti) {
            (Some(revoked), Some(jti)) if revoked.contains(jti) => {
                Err(AuthError::new(codes::TOKEN_REVOKED, "the token was revoked; get a new one"))
            }
            (Some(revoked), _) if revoked.is_unknown() => Err(AuthError::unavailable(REVOKED_UNKNOWN, 1)),
            _ => Ok(()),
        }
    }

    fn look_at_keys(&self) {
        if let Source::File(file) = &self.source
            && file.look(&self.trusted)
        {
            self.forget_untrusted();
        }
    }

    /// Forgets the tokens whose key was withdrawn.
    fn forget_untrusted(&self) {
        let trusted = self.trusted.set();
        self.cache.retain_keys(|key| trusted.trusts(key));
    }
}
