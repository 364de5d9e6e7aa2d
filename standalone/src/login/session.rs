//! A login in use: its token as long as it is good, then a new one.

use reqwest::Url;
use reqwest::redirect::Policy;
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock as _;
use stockline_service::SystemClock;
use tokio::sync::Mutex;

use super::kept::{Login, Logins};
use super::oauth::{self, Grant, NoTokens};
use crate::cli::ClientArgs;
use crate::exit::Unavailable;
use crate::http;

/// A token is renewed when less than this is left of it.
const RENEW_BEFORE_MS: i64 = 60_000;

/// The login to one server.
#[derive(Debug)]
pub(crate) struct Session {
    logins: Logins,
    server: Url,
    issuer: reqwest::Client,
    endpoint: Url,
    /// Held while it is renewed, so that one request renews it for all.
    current: Mutex<Login>,
}

/// Why there is no token.
#[derive(Debug)]
pub(crate) enum NoToken {
    /// The issuer can't be reached; the same again may work.
    Later(Unavailable),
    /// The login is over.
    Ended(anyhow::Error),
}

impl Session {
    /// The login to a server that is kept, where there is one.
    pub(crate) fn find(server: &Url, args: &ClientArgs) -> anyhow::Result<Option<Self>> {
        let logins = Logins::at(args.logins.as_deref())?;
        let Some(login) = logins.find(server)? else { return Ok(None) };
        let endpoint = oauth::endpoint(&login.token_endpoint)?;
        let issuer = http::client(&endpoint, args.ca_cert.as_deref(), Policy::none())?;
        Ok(Some(Self { logins, server: server.clone(), issuer, endpoint, current: Mutex::new(login) }))
    }

    /// An access token, renewed where that is due.
    pub(crate) async fn token(&self) -> Result<String, NoToken> {
        let now = SystemClock.now();
        let mut current = self.current.lock().await;
        if is_fresh(&current, now) {
            return Ok(current.access_token.clone());
        }
        // Another process may have renewed it, or ended it.
        *current = self.kept()?;
        if is_fresh(&current, now) {
            return Ok(current.access_token.clone());
        }
        let Some(refresh_token) = current.refresh_token.clone() else {
            let expired = current.expires_at <= now;
            return if expired { Err(self.ended("it has expired")) } else { Ok(current.access_token.clone()) };
        };
        let grant = Grant::Refresh(&refresh_token);
        match oauth::ask(&self.issuer, &self.endpoint, &current.client_id, &grant, now).await {
            Ok(tokens) => {
                current.renew(tokens);
                self.logins.keep(&self.server, &current).map_err(NoToken::Ended)?;
            }
            Err(NoTokens::Unavailable(_)) if current.expires_at > now => {}
            Err(NoTokens::Unavailable(error)) => return Err(NoToken::Later(error)),
            Err(NoTokens::Refused(why)) => {
                // A refresh token may be good once, and another process was faster.
                let kept = self.kept()?;
                if !is_fresh(&kept, now) {
                    return Err(self.ended(&why));
                }
                *current = kept;
            }
        }
        Ok(current.access_token.clone())
    }

    /// What to do where the server does not take the token.
    pub(crate) fn advice(&self) -> String {
        format!("the server does not take the login's token; {}", super::again(&self.server))
    }

    fn kept(&self) -> Result<Login, NoToken> {
        let kept = self.logins.find(&self.server).map_err(NoToken::Ended)?;
        kept.ok_or_else(|| self.ended("it was logged out"))
    }

    fn ended(&self, why: &str) -> NoToken {
        let text = format!("the login to {} is over, {why}: {}", self.server, super::again(&self.server));
        NoToken::Ended(anyhow::Error::msg(text))
    }
}

fn is_fresh(login: &Login, now: Timestamp) -> bool {
    login.expires_at.millis_since(now) > RENEW_BEFORE_MS
}
