//! Signing in on an issuer's own pages: OAuth 2 with an authorization code and PKCE (RFC 6749, RFC 7636), by a client without
//! a secret.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use form_urlencoded::Serializer;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::asked::{locale_of, own_path};
use crate::fault::Fault;
use crate::people::{Oidc, SignIn};
use crate::session::Session;
use crate::sign_in_page::{Next, form_page, shown};

/// What the cookie of a sign-in in progress is sealed for.
const SEALED_FOR: &str = "sign-in";
/// How long a person may take on the issuer's pages, in seconds.
const SIGN_IN_S: i64 = 10 * 60;
/// The longest answer of the issuer.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// A sign-in in progress: what only this browser knows.
#[derive(Serialize, Deserialize)]
struct Pending {
    state: String,
    verifier: String,
    nonce: String,
    next: String,
    expires_s: i64,
}

/// What the issuer sends the browser back with.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    #[serde(default)]
    id_token: Option<String>,
}

/// The claims of an identity token that are looked at.
#[derive(Deserialize)]
struct Identity {
    #[serde(default)]
    nonce: Option<String>,
}

fn issuer(app: &App) -> Result<&Oidc, Fault> {
    match &app.config.sign_in {
        SignIn::Oidc(oidc) => Ok(oidc),
        SignIn::Links(_) => Err(Fault::NotFound),
    }
}

fn now_s(app: &App) -> i64 {
    app.config.clock.now().as_millis() / 1_000
}

fn redirect_uri(app: &App) -> String {
    public_page(app, "/console/sign-in/done")
}

/// Returns the address of a page of ours as others reach it.
fn public_page(app: &App, path: &str) -> String {
    let (public, base) = (app.config.public.trim_end_matches('/'), app.config.base.as_str());
    let base = if public.ends_with(base) { "" } else { base };
    format!("{public}{base}{path}")
}

/// Returns the address that ends the issuer's session and leads back here; `None` if there is none.
pub(crate) fn sign_out_address(app: &App) -> Option<String> {
    let SignIn::Oidc(oidc) = &app.config.sign_in else { return None };
    let query = Serializer::new(String::new())
        .append_pair("client_id", &oidc.client_id)
        .append_pair("logout_uri", &public_page(app, "/console/signed-out"))
        .finish();
    (!oidc.logout_endpoint.is_empty()).then(|| format!("{}?{query}", oidc.logout_endpoint))
}

fn cookie_name(app: &App) -> String {
    format!("stockline_in_{}", app.config.keys.name())
}

fn cookie(app: &App, value: &str, max_age_s: i64) -> Result<HeaderValue, Fault> {
    let secure = if app.is_secure { "; Secure" } else { "" };
    // The issuer's page leads back here from another site: `Strict` would leave the cookie out.
    let text = format!(
        "{}={value}; Path={}/console/sign-in; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}",
        cookie_name(app),
        app.config.base
    );
    HeaderValue::from_str(&text).map_err(|error| Fault::broken(&error))
}

fn random() -> Result<String, Fault> {
    let mut bytes = [0_u8; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Fault::broken(&"the system provides no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Sends the browser to the issuer's page.
pub(crate) async fn begin(State(app): State<Arc<App>>, Query(next): Query<Next>) -> Result<Response, Fault> {
    let oidc = issuer(&app)?;
    let pending = Pending {
        state: random()?,
        verifier: random()?,
        nonce: random()?,
        next: next.next,
        expires_s: now_s(&app) + SIGN_IN_S,
    };
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, pending.verifier.as_bytes()));
    let query = Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", &oidc.client_id)
        .append_pair("redirect_uri", &redirect_uri(&app))
        .append_pair("scope", &oidc.scope)
        .append_pair("state", &pending.state)
        .append_pair("nonce", &pending.nonce)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .finish();
    let text = serde_json::to_string(&pending).map_err(|error| Fault::broken(&error))?;
    let sealed = app.config.keys.seal(SEALED_FOR, &text);
    let sealed = sealed.ok_or_else(|| Fault::broken(&"the system provides no random numbers"))?;
    let to = HeaderValue::from_str(&format!("{}?{query}", oidc.authorization_endpoint));
    let to = to.map_err(|error| Fault::broken(&error))?;
    Ok((StatusCode::SEE_OTHER, [(SET_COOKIE, cookie(&app, &sealed, SIGN_IN_S)?), (LOCATION, to)]).into_response())
}

fn pending(app: &App, headers: &HeaderMap) -> Option<Pending> {
    let name = cookie_name(app);
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(';'));
    let sealed = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(other, _)| *other == name);
    let text = sealed.filter_map(|(_, value)| app.config.keys.open(SEALED_FOR, value)).next()?;
    serde_json::from_str::<Pending>(&text).ok().filter(|pending| pending.expires_s > now_s(app))
}

/// Takes the browser back from the issuer's page: only the one that was sent there, and once.
pub(crate) async fn done(
    State(app): State<Arc<App>>,
    Query(answer): Query<Answer>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let oidc = issuer(&app)?;
    let t = locale_of(&headers).texts();
    let begun = pending(&app, &headers).filter(|pending| pending.state == answer.state && !answer.code.is_empty());
    let Some(begun) = begun else {
        return Ok(shown(StatusCode::BAD_REQUEST, &form_page(&app, t, "", t.sign_in_again)));
    };
    let session = match exchange(&app, oidc, &answer.code, &begun).await {
        Ok(token) => Session::of(token),
        Err(error) => {
            tracing::warn!("nobody was signed in: {error}");
            None
        }
    };
    let Some(session) = session else {
        return Ok(shown(StatusCode::BAD_GATEWAY, &form_page(&app, t, &begun.next, t.sign_in_again)));
    };
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, own_path(&app, &begun.next))]).into_response();
    for cookie in [session.cookie(&app)?, cookie(&app, "", 0)?] {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Exchanges the code for an access token.
async fn exchange(app: &App, oidc: &Oidc, code: &str, begun: &Pending) -> Result<String, String> {
    let body = Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("client_id", &oidc.client_id)
        .append_pair("code", code)
        .append_pair("redirect_uri", &redirect_uri(app))
        .append_pair("code_verifier", &begun.verifier)
        .finish();
    let http = reqwest::Client::builder().timeout(EXCHANGE_TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
    let sent = http.map_err(|error| error.to_string())?.post(&oidc.token_endpoint);
    let sent = sent.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body).send().await;
    // The errors name the address and not the body.
    let answer = sent.map_err(|error| error.to_string())?;
    let status = answer.status();
    if !status.is_success() {
        return Err(format!("the issuer answers {status}"));
    }
    let tokens: Tokens = answer.json().await.map_err(|error| error.without_url().to_string())?;
    // It came from the issuer itself over TLS, so its signature says no more (OpenID Connect Core, 3.1.3.7).
    match tokens.id_token.as_deref().map(is_of(&begun.nonce)) {
        Some(false) => Err("the issuer's answer belongs to another sign-in".to_owned()),
        Some(true) | None => Ok(tokens.access_token),
    }
}

/// Tells whether an identity token was made for the sign-in with this nonce.
fn is_of(nonce: &str) -> impl Fn(&str) -> bool {
    move |token| {
        let claims = token.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
        let claims = claims.and_then(|claims| serde_json::from_slice::<Identity>(&claims).ok());
        claims.and_then(|claims| claims.nonce).as_deref() == Some(nonce)
    }
}
