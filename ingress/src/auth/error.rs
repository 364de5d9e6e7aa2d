//! Why a request was not authenticated.

use axum::http::{HeaderValue, StatusCode};

macro_rules! auth_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal;)*) => {
        /// The stable names of [`AuthError`]s.
        pub mod codes {
            $($(#[doc = $doc])+ pub const $name: &str = $code;)*
            /// Every code.
            pub const ALL: &[&str] = &[$($name),*];
        }
    };
}

auth_codes! {
    /// The `Authorization` header is missing, or its scheme is not Bearer.
    TOKEN_MISSING = "token_missing";
    /// The token is not a signed JWT of bounded size with the required claims.
    TOKEN_MALFORMED = "token_malformed";
    /// The token's `exp` has passed.
    TOKEN_EXPIRED = "token_expired";
    /// The token's `nbf` has not come yet.
    TOKEN_NOT_YET_VALID = "token_not_yet_valid";
    /// The signature does not match the token.
    TOKEN_INVALID_SIGNATURE = "token_invalid_signature";
    /// The token has another `iss`.
    TOKEN_WRONG_ISSUER = "token_wrong_issuer";
    /// The token's `client_id` is not configured here.
    TOKEN_WRONG_CLIENT = "token_wrong_client";
    /// The token is not an access token.
    TOKEN_WRONG_USE = "token_wrong_use";
    /// The token is not signed with RS256.
    TOKEN_ALGORITHM = "token_algorithm";
    /// The token is signed with a key that the issuer does not publish.
    TOKEN_UNKNOWN_KEY = "token_unknown_key";
    /// The token was revoked by its `jti`.
    TOKEN_REVOKED = "token_revoked";
    /// The token's client was disabled.
    TOKEN_CLIENT_DISABLED = "token_client_disabled";
    /// A scope of the token is about a location and is not understood. Such a token must not act everywhere.
    TOKEN_LOCATION_INVALID = "token_location_invalid";
    /// The keys that verify tokens, or the settings of the token's client, are not available now: 503, and a retry may succeed.
    AUTH_UNAVAILABLE = "auth_unavailable";
}

/// Why a request was not authenticated: 401, or 503 if the token could not be verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct AuthError {
    /// One of [`codes`].
    pub code: &'static str,
    /// What was wrong and what to do. It never contains a part of the token.
    pub detail: String,
    /// When to try again, in seconds; set for `auth_unavailable`.
    pub retry_after_s: Option<u64>,
}

impl AuthError {
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after_s: None }
    }

    pub(crate) fn unavailable(detail: impl Into<String>, retry_after_s: u64) -> Self {
        Self { code: codes::AUTH_UNAVAILABLE, detail: detail.into(), retry_after_s: Some(retry_after_s) }
    }

    /// Returns 401, or 503 for `auth_unavailable`.
    pub fn status(&self) -> StatusCode {
        if self.code == codes::AUTH_UNAVAILABLE { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNAUTHORIZED }
    }

    /// Returns the `WWW-Authenticate` of a 401; `None` for a 503. If no token was sent, it names no error (RFC 6750,
    /// section 3).
    pub fn www_authenticate(&self) -> Option<HeaderValue> {
        if self.code == codes::AUTH_UNAVAILABLE {
            return None;
        }
        let bare = HeaderValue::from_static("Bearer realm=\"stockline\"");
        if self.code == codes::TOKEN_MISSING {
            return Some(bare);
        }
        let described = format!(
            "Bearer realm=\"stockline\", error=\"invalid_token\", error_description=\"{}: {}\"",
            self.code,
            self.detail.chars().map(quotable).collect::<String>()
        );
        Some(HeaderValue::try_from(described).unwrap_or(bare))
    }
}

/// Replaces the characters that RFC 6750 does not allow in `error_description`.
const fn quotable(char: char) -> char {
    match char {
        '"' | '\\' => '\'',
        ' '..='~' => char,
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_401_says_how_to_authenticate_and_a_503_does_not() {
        let missing = AuthError::new(codes::TOKEN_MISSING, "send one");
        assert_eq!(missing.www_authenticate().unwrap(), "Bearer realm=\"stockline\"");
        let expired = AuthError::new(codes::TOKEN_EXPIRED, "at \"noon\"\\\n");
        assert_eq!(
            expired.www_authenticate().unwrap(),
            "Bearer realm=\"stockline\", error=\"invalid_token\", error_description=\"token_expired: at 'noon''?\""
        );
        let unavailable = AuthError::unavailable("soon", 3);
        assert_eq!((unavailable.status().as_u16(), unavailable.www_authenticate()), (503, None));
    }
}
