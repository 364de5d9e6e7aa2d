//! A login in use: its token while it is valid, then a renewed one.

use reqwest::Url;
use reqwest::redirect::Policy;
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock as _;
use stockline_service::SystemClock;
use tokio::sync::Mutex;

use super::logins::{Login, Logins};
use super::oauth::{self, Grant, TokenError};
use crate::args::ClientArgs;
use crate::exit::Unavailable;
use crate::http;

/// A token is renewed when it expires sooner than this.
const RENEW_BEFORE_MS: i64 = 60_000;

/// The login to one server.
#[derive(Debug)]
pub(crate) struct Session {
    logins: Logins,
    server: Url,
    issuer: reqwest::Client,
    endpoint: Url,
    /// Locked during a renewal, so that concurrent requests share it.
    current: Mutex<Login>,
}

/// Why the session has no token.
#[derive(Debug)]
pub(crate) enum NoToken {
    /// The issuer is unavailable; a retry may work.
    Later(Unavailable),
    /// The login has ended.
    Ended(anyhow::Error),
}

impl Session {
    /// Finds the stored login to a server, if there is one.
    pub(crate) fn find(server: &Url, args: &ClientArgs) -> anyhow::Result<Option<Self>> {
        let logins = Logins::at(args.logins.as_deref())?;
        let Some(login) = logins.find(server)? else { return Ok(None) };
        let endpoint = oauth::endpoint(&login.token_endpoint)?;
        let issuer = http::client(&endpoint, args.ca_cert.as_deref(), Policy::none())?;
        Ok(Some(Self { logins, server: server.clone(), issuer, endpoint, current: Mutex::new(login) }))
    }

    /// Returns an access token, renewed if necessary.
    pub(crate) async fn token(&self) -> Result<String, NoToken> {
        let now = SystemClock.now();
        let mut current = self.current.lock().await;
        if is_fresh(&current, now) {
            return Ok(current.access_token.clone());
        }
        // Another process may have renewed or removed it.
        *current = self.stored()?;
        if is_fresh(&current, now) {
            return Ok(current.access_token.clone());
        }
        let Some(refresh_token) = current.refresh_token.clone() else {
            let expired = current.expires_at <= now;
            return if expired { Err(self.ended("it has expired")) } else { Ok(current.access_token.clone()) };
        };
        let grant = Grant::Refresh(&refresh_token);
        match oauth::request_tokens(&self.issuer, &self.endpoint, &current.client_id, &grant, now).await {
            Ok(tokens) => {
                current.renew(tokens);
                self.logins.store(&self.server, &current).map_err(NoToken::Ended)?;
            }
            Err(TokenError::Unavailable(_)) if current.expires_at > now => {}
            Err(TokenError::Unavailable(error)) => return Err(NoToken::Later(error)),
            Err(TokenError::Refused(why)) => {
                // If a refresh token works only once, another process may have used it first.
                let stored = self.stored()?;
                if !is_fresh(&stored, now) {
                    return Err(self.ended(&why));
                }
                *current = stored;
            }
        }
        Ok(current.access_token.clone())
    }

    /// Returns the advice for a token that the server rejects.
    pub(crate) fn advice(&self) -> String {
        format!("the server rejects the login's token: {}", super::log_in_again(&self.server))
    }

    fn stored(&self) -> Result<Login, NoToken> {
        let stored = self.logins.find(&self.server).map_err(NoToken::Ended)?;
        stored.ok_or_else(|| self.ended("it was logged out"))
    }

    fn ended(&self, why: &str) -> NoToken {
        let text = format!("the login to {} has ended ({why}): {}", self.server, super::log_in_again(&self.server));
        NoToken::Ended(anyhow::Error::msg(text))
    }
}

fn is_fresh(login: &Login, now: Timestamp) -> bool {
    login.expires_at.millis_since(now) > RENEW_BEFORE_MS
}
