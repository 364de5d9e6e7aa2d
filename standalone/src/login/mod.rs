//! A person's login by OAuth 2 (RFC 6749), with PKCE (RFC 7636) and a callback on this machine (RFC 8252).

use reqwest::Url;

mod callback;
mod logins;
mod oauth;
mod proof;
mod session;

pub(crate) use callback::Callback;
pub(crate) use logins::{Login, Logins, origin};
pub(crate) use oauth::{Endpoints, Grant, TokenError, request_tokens};
pub(crate) use proof::Proof;
pub(crate) use session::{NoToken, Session};

/// Returns the advice to log in again.
fn log_in_again(server: &Url) -> String {
    format!("log in again with stockline login --url {}", origin(server))
}
