//! Reads a JWT from the header of a request, and checks that its claims fit this installation (RFC 7515, RFC 7519,
//! RFC 8725).

use std::borrow::Cow;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use stockline_core::domain::{ClientId, Timestamp};

use super::error::{AuthError, codes};
use super::rights::Rights;

/// Bytes of a token.
pub const TOKEN_BYTES: usize = 8 * 1024;
/// How much the issuer's clock may differ from ours, in seconds.
pub const LEEWAY_S: i64 = 30;
/// How long a token is accepted after its `exp`, in seconds. It is short, because it also prolongs what was meant to end.
pub const EXPIRY_LEEWAY_S: i64 = 5;
/// Characters of `submitted_by`.
pub const SUBMITTED_BY_CHARS: usize = 128;

/// Returns the token of an `Authorization` header (RFC 6750, section 2.1).
pub(super) fn bearer(header: Option<&HeaderValue>) -> Result<&str, AuthError> {
    const SEND: &str = "send the header Authorization: Bearer <access token>";
    let Some(header) = header else {
        return Err(AuthError::new(codes::TOKEN_MISSING, format!("the token is missing; {SEND}")));
    };
    let text = header.to_str().map_err(|_| malformed("the Authorization header is not ASCII"))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthError::new(codes::TOKEN_MISSING, format!("the Authorization header is not Bearer; {SEND}")));
    }
    let token = token.trim_matches(' ');
    if token.len() > TOKEN_BYTES {
        return Err(malformed(&format!("the token is longer than {TOKEN_BYTES} bytes")));
    }
    if token.is_empty() { Err(malformed("there is no token after Bearer")) } else { Ok(token) }
}

fn malformed(what: &str) -> AuthError {
    AuthError::new(
        codes::TOKEN_MALFORMED,
        format!("{what}; send an access token of this installation as it was issued"),
    )
}

/// The claims that a token must have.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) issuer: String,
    pub(super) client_ids: Vec<String>,
    /// Whether other clients may be registered. Their tokens need a look at the [registry](super::registry).
    pub(super) registers_clients: bool,
}

/// A parsed token whose signature is not verified.
pub(super) struct Unverified<'a> {
    pub(super) kid: String,
    pub(super) claims: Claims,
    /// The two signed parts with their dot.
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
}

/// `jwk`, `jku`, `x5c` and `x5u` are ignored, because a token must not bring its own key. A header that changes how the
/// rest is read is refused: critical extensions, and a payload that is unencoded (RFC 7797), compressed or encrypted.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    b64: bool,
    #[serde(default, deserialize_with = "present")]
    zip: bool,
    #[serde(default, deserialize_with = "present")]
    enc: bool,
}

/// Returns true for a field that is present, also if it is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[derive(Deserialize)]
pub(super) struct Claims {
    iss: Option<String>,
    #[serde(deserialize_with = "numeric_date", default)]
    exp: Option<Timestamp>,
    #[serde(deserialize_with = "numeric_date", default)]
    nbf: Option<Timestamp>,
    #[serde(deserialize_with = "numeric_date", default)]
    pub(super) iat: Option<Timestamp>,
    token_use: Option<String>,
    client_id: Option<String>,
    sub: Option<String>,
    pub(super) jti: Option<Box<str>>,
    scope: Option<String>,
    #[serde(rename = "cognito:groups", default)]
    groups: Option<Vec<String>>,
}

/// Reads seconds since 1970, which may have a fraction (RFC 7519, section 2), in the range of [`Timestamp`].
fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    /// 9999-12-31T23:59:59Z.
    const LAST_S: f64 = 253_402_300_799.0;
    let Some(seconds) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    if !(0.0..=LAST_S).contains(&seconds) {
        return Err(D::Error::custom("a time out of range"));
    }
    Ok(Some(Timestamp::from_millis((seconds * 1_000.0) as i64)))
}

impl<'a> Unverified<'a> {
    /// Parses a token; refuses one that no key can make valid.
    pub(super) fn parse(token: &'a str) -> Result<Self, AuthError> {
        let not_jwt = || malformed("the token is not a JWT of three parts");
        let (message, signature) = token.rsplit_once('.').ok_or_else(not_jwt)?;
        let (header, payload) = message.split_once('.').ok_or_else(not_jwt)?;
        if payload.contains('.') {
            return Err(not_jwt());
        }
        let bytes = decode(header, "header")?;
        let header: Header<'_> = parse(&bytes, "header")?;
        if header.alg != "RS256" {
            return Err(AuthError::new(
                codes::TOKEN_ALGORITHM,
                "the token is not signed with RS256, the only algorithm that is accepted; get one from this installation's issuer",
            ));
        }
        if header.crit || header.b64 || header.zip || header.enc {
            return Err(malformed(
                "the token's header has extensions (crit, b64, zip, enc) of which none is supported",
            ));
        }
        let kid = header.kid.ok_or_else(|| malformed("the token's header does not name its key (kid)"))?;
        let claims = parse(&decode(payload, "payload")?, "payload")?;
        Ok(Self { kid, claims, message, signature })
    }
}

fn decode(part: &str, name: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed(&format!("the token's {name} is not base64url")))
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], name: &str) -> Result<T, AuthError> {
    serde_json::from_slice(bytes)
        .map_err(|_| malformed(&format!("the token's {name} is not JSON with each field once and of its type")))
}

impl Claims {
    /// Do the claims fit this installation now?
    pub(super) fn check(&self, expected: &Expected, now: Timestamp) -> Result<(), AuthError> {
        if self.iss.as_deref() != Some(&expected.issuer) {
            return Err(AuthError::new(
                codes::TOKEN_WRONG_ISSUER,
                format!("the token was not issued by {}; get one there", expected.issuer),
            ));
        }
        if self.token_use.as_deref() != Some("access") {
            return Err(AuthError::new(
                codes::TOKEN_WRONG_USE,
                "the token is not an access token (token_use); send the access token, not the id token",
            ));
        }
        let is_configured = self.client_id.as_ref().is_some_and(|id| expected.client_ids.contains(id));
        let may_be_registered = expected.registers_clients && self.client().is_some();
        if !is_configured && !may_be_registered {
            return Err(AuthError::new(
                codes::TOKEN_WRONG_CLIENT,
                "the token belongs to a client that is not allowed here (client_id); use an allowed one, or have it added to the configuration",
            ));
        }
        self.check_times(now)
    }

    fn check_times(&self, now: Timestamp) -> Result<(), AuthError> {
        let exp = self.exp.ok_or_else(|| malformed("the token does not say when it expires (exp)"))?;
        if now > usable_until(exp) {
            return Err(AuthError::new(
                codes::TOKEN_EXPIRED,
                format!("the token expired at {exp}; get a new one and send the request again"),
            ));
        }
        match self.nbf {
            Some(nbf) if now.plus_millis(LEEWAY_S * 1_000) < nbf => Err(AuthError::new(
                codes::TOKEN_NOT_YET_VALID,
                format!("the token is not valid before {nbf}, and here it is {now}; check the clocks"),
            )),
            _ => Ok(()),
        }
    }

    /// Returns `exp`. Without one it returns the end of time, but [`Claims::check`] refuses such a token.
    pub(super) fn expires_at(&self) -> Timestamp {
        self.exp.unwrap_or(Timestamp::from_millis(i64::MAX))
    }

    /// Returns `sub`, or `client_id` if there is no `sub`.
    pub(super) fn submitted_by(&self) -> Result<&str, AuthError> {
        let named = [&self.sub, &self.client_id].into_iter().flatten().find(|name| !name.is_empty());
        let name = named.ok_or_else(|| malformed("the token does not name its owner (sub)"))?;
        if name.chars().count() > SUBMITTED_BY_CHARS || name.chars().any(char::is_control) {
            return Err(malformed(&format!(
                "the token's sub is longer than {SUBMITTED_BY_CHARS} characters or has control characters"
            )));
        }
        Ok(name)
    }

    /// Returns the client, if its id is one that can be registered.
    fn client(&self) -> Option<ClientId> {
        self.client_id.as_ref()?.parse().ok()
    }

    /// Returns the client if it is not a configured one. Then it must be registered.
    pub(super) fn registered_client(&self, expected: &Expected) -> Option<ClientId> {
        self.client().filter(|id| !expected.client_ids.iter().any(|configured| configured == id.as_str()))
    }

    pub(super) fn rights(&self) -> Result<Rights, AuthError> {
        let groups = self.groups.iter().flatten().map(String::as_str);
        Rights::from_token(groups, self.scope.iter().flat_map(|scope| scope.split_ascii_whitespace()))
            .map_err(|error| AuthError::new(codes::TOKEN_LOCATION_INVALID, error.to_string()))
    }
}

/// Returns until when a token is accepted.
pub(super) fn usable_until(exp: Timestamp) -> Timestamp {
    exp.plus_millis(EXPIRY_LEEWAY_S * 1_000)
}
