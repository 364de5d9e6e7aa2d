//! The session of a person: a token of the API in a sealed cookie.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::fault::Fault;

/// What the session's cookie is sealed for.
const SEALED_FOR: &str = "session";

/// A person's session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    kept: Kept,
    /// What the token says of its holder. The API checks the token with each call; this only decides what is shown.
    pub(crate) person: Person,
}

/// What the cookie holds.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    /// The token.
    t: String,
    /// The chosen location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("at", &self.at).finish_non_exhaustive()
    }
}

/// The holder of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// The code that every ledger entry names.
    pub(crate) subject: String,
    pub(crate) is_manager: bool,
    /// The locations that the token is bound to; empty if it is bound to none.
    pub(crate) bound_to: Vec<String>,
    /// When the token expires, in seconds since 1970.
    expires_s: i64,
}

/// The claims that pages need.
#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    #[serde(rename = "cognito:groups", default)]
    groups: Vec<String>,
    #[serde(default)]
    username: Option<String>,
}

impl Person {
    /// Reads what a token says. The token comes from our own seal.
    fn of(token: &str) -> Option<Self> {
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Claims = serde_json::from_slice(&claims).ok()?;
        let bound = claims.groups.iter().filter_map(|group| group.strip_prefix("location."));
        Some(Self {
            is_manager: claims.groups.iter().any(|group| group == "Manager"),
            bound_to: bound.map(str::to_owned).collect(),
            expires_s: claims.exp,
            subject: claims.username.unwrap_or(claims.sub),
        })
    }
}

impl Session {
    /// Begins the session of a token's holder; `None` if it is not a token.
    pub(crate) fn of(token: String) -> Option<Self> {
        let person = Person::of(&token)?;
        Some(Self { person, kept: Kept { t: token, at: None } })
    }

    /// Reads the session of a request, if there is one and its token has not expired.
    pub(crate) fn read(app: &App, headers: &HeaderMap) -> Option<Self> {
        let name = cookie_name(app);
        let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(';'));
        let sealed = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(other, _)| *other == name);
        // A neighbouring site may have planted another cookie of this name: the first that opens is ours.
        let text = sealed.filter_map(|(_, value)| app.config.keys.open(SEALED_FOR, value)).next()?;
        let kept: Kept = serde_json::from_str(&text).ok()?;
        let person = Person::of(&kept.t)?;
        let now_s = app.config.clock.now().as_millis() / 1_000;
        (person.expires_s > now_s).then_some(Self { kept, person })
    }

    pub(crate) fn token(&self) -> &str {
        &self.kept.t
    }

    /// The location that was chosen last.
    pub(crate) fn chosen(&self) -> Option<&str> {
        self.kept.at.as_deref()
    }

    /// Returns the session at another location.
    pub(crate) fn at(mut self, location_id: &str) -> Self {
        self.kept.at = Some(location_id.to_owned());
        self
    }

    /// Returns the header that stores the session until its token expires.
    pub(crate) fn cookie(&self, app: &App) -> Result<HeaderValue, Fault> {
        let text = serde_json::to_string(&self.kept).map_err(|error| Fault::broken(&error))?;
        let sealed = app.config.keys.seal(SEALED_FOR, &text);
        let sealed = sealed.ok_or_else(|| Fault::broken(&"the system provides no random numbers"))?;
        let now_s = app.config.clock.now().as_millis() / 1_000;
        set_cookie(app, &sealed, (self.person.expires_s - now_s).max(0))
    }
}

/// Returns the header that ends a session in this browser.
pub(crate) fn no_cookie(app: &App) -> Result<HeaderValue, Fault> {
    set_cookie(app, "", 0)
}

fn cookie_name(app: &App) -> String {
    format!("stockline_{}", app.config.keys.name())
}

fn set_cookie(app: &App, value: &str, max_age_s: i64) -> Result<HeaderValue, Fault> {
    let secure = if app.is_secure { "; Secure" } else { "" };
    // With `Strict`, a link in a mail would find nobody signed in. What changes something is a POST, which `Lax` leaves out.
    let text = format!(
        "{}={value}; Path={}/console; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}",
        cookie_name(app),
        app.config.base
    );
    HeaderValue::from_str(&text).map_err(|error| Fault::broken(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &serde_json::Value) -> String {
        format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn the_holder_is_read_from_the_token() {
        let claims = serde_json::json!({"sub": "anna", "exp": 7, "cognito:groups": ["Staff", "location.store 12"]});
        let person = Person::of(&token(&claims)).unwrap();
        assert_eq!((person.subject.as_str(), person.is_manager), ("anna", false));
        assert_eq!(person.bound_to, ["store 12"]);
        for wrong in ["", "a.b.c", "a.e30.c"] {
            assert_eq!(Person::of(wrong), None, "{wrong}");
        }
    }
}
