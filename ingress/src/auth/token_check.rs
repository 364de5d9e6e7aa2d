use std::num::NonZeroU32;
use std::sync::Arc;

use axum::http::HeaderValue;
use stockline_core::domain::ClientId;

use super::authenticator::Authenticator;
use super::error::AuthError;
use super::principal::Principal;
use super::rate::RateLimiter;
use super::rights::Forbidden;
use crate::config::Limits;

/// Checks the token of each request: is it valid, does it keep to its rate, does it name a role?
#[derive(Debug)]
pub(crate) struct TokenCheck {
    authenticator: Arc<Authenticator>,
    /// `None` sets no limit.
    rate: Option<Rate>,
}

#[derive(Debug)]
struct Rate {
    per_s: NonZeroU32,
    limiter: RateLimiter,
}

/// Why a request was not let in.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The token is missing or not valid, or can't be verified now.
    Unauthorized(AuthError),
    /// The token makes more than `per_s` requests a second; the next one fits in `wait_s` seconds.
    TooFast { per_s: u32, wait_s: u64 },
    /// The token names no role.
    Forbidden(Forbidden),
}

impl TokenCheck {
    pub(crate) fn new(authenticator: Arc<Authenticator>, limits: &Limits) -> Self {
        let per_s = limits.rate_per_s.and_then(NonZeroU32::new);
        let rate = per_s.map(|per_s| Rate { per_s, limiter: RateLimiter::new(per_s, limits.rate_burst) });
        Self { authenticator, rate }
    }

    /// Returns why no token is accepted now, if that is so.
    pub(crate) async fn why_unready(&self) -> Option<&'static str> {
        self.authenticator.why_unready().await
    }

    /// Returns whether a client is configured.
    pub(crate) fn is_configured(&self, client_id: &ClientId) -> bool {
        self.authenticator.is_configured(client_id)
    }

    /// Forgets what is known of a registered client: this process has changed it.
    pub(crate) fn forget_client(&self, client_id: &ClientId) {
        self.authenticator.forget_client(client_id);
    }

    /// Returns the sender of a request that needs no token and has one: so people can see whether a token is good.
    pub(crate) async fn authenticate(&self, authorization: &HeaderValue) -> Result<Principal, AuthError> {
        self.authenticator.authenticate(Some(authorization)).await
    }

    /// Returns the sender of a request with this `Authorization` header.
    ///
    /// The role is checked before any part of the request is read, so that a token without a role learns nothing from
    /// the answer to a single line of a batch either.
    pub(crate) async fn check(&self, authorization: Option<&HeaderValue>) -> Result<Principal, Refusal> {
        let principal = self.authenticator.authenticate(authorization).await.map_err(Refusal::Unauthorized)?;
        if let Some(Rate { per_s, limiter }) = &self.rate {
            let per_s = per_s.get();
            limiter.take(principal.token_hash).map_err(|wait_s| Refusal::TooFast { per_s, wait_s })?;
        }
        principal.rights.has_role().map_err(Refusal::Forbidden)?;
        Ok(principal)
    }
}
