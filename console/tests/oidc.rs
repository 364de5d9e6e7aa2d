//! Signs in on the pages of an issuer: a small one, over a real connection.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use stockline_console::people::{Oidc, SignIn};
use stockline_console::{Config, SessionKeys};
use stockline_core::domain::{ReceiptKeys, Timestamp};
use stockline_core::ports::FixedClock;
use tower::ServiceExt as _;

const NOW_S: i64 = 1_800_000_000;
const CODE: &str = "the-code";

/// The token that the issuer gives.
fn token() -> String {
    let claims = json!({"sub": "0b1", "username": "anna", "exp": NOW_S + 3_600, "cognito:groups": ["Manager"]});
    format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// The challenge and the nonce that the browser was sent with, until its code is exchanged.
type Challenge = Arc<Mutex<Option<(String, String)>>>;

/// Gives the token for the code, once, to the one who knows the verifier of the challenge.
async fn exchange(State(challenge): State<Challenge>, body: Bytes) -> Response {
    let form: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, form["code_verifier"].as_bytes());
    let (expected, nonce) = challenge.lock().unwrap().take().unzip();
    let is_right = expected == Some(URL_SAFE_NO_PAD.encode(hash))
        && form["code"] == CODE
        && form["grant_type"] == "authorization_code"
        && form["redirect_uri"] == "https://stock.example.com/console/sign-in/done";
    match is_right {
        true => {
            let id = json!({"sub": "0b1", "nonce": nonce.unwrap()});
            let id = format!("h.{}.s", URL_SAFE_NO_PAD.encode(id.to_string()));
            Json(json!({"access_token": token(), "id_token": id, "expires_in": 3_600})).into_response()
        }
        false => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// An API that knows only this token.
async fn locations(headers: HeaderMap) -> Response {
    if headers.get(AUTHORIZATION).is_none_or(|value| value != &format!("Bearer {}", token())) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let main = json!({"location_id": "main", "name": "Main", "time_zone": "UTC", "closed": false});
    Json(json!({"locations": [main], "next_cursor": null})).into_response()
}

struct Installation {
    console: Router,
    challenge: Challenge,
}

impl Installation {
    async fn start() -> Self {
        let challenge = Challenge::default();
        let issuer = Router::new().route("/oauth2/token", post(exchange)).with_state(Arc::clone(&challenge));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, issuer).await });
        let config = Config {
            base: String::new(),
            public: "https://stock.example.com".into(),
            keys: SessionKeys::of(&ReceiptKeys::new(&[[1_u8; 32]]).unwrap()),
            sign_in: SignIn::Oidc(Oidc {
                authorization_endpoint: format!("{base}/oauth2/authorize"),
                token_endpoint: format!("{base}/oauth2/token"),
                logout_endpoint: format!("{base}/logout"),
                client_id: "people".into(),
                scope: "openid".into(),
            }),
            staff_may_count: false,
            metrics: None,
            upkeep: None,
            lately: None,
            clock: Arc::new(FixedClock::at(Timestamp::from_millis(NOW_S * 1_000))),
        };
        let console = stockline_console::router(config, Router::new().route("/v1/locations", get(locations)));
        Self { console, challenge }
    }

    async fn get(&self, path: &str, cookie: &str) -> Response {
        let request = Request::get(path).header(COOKIE, cookie).body(Body::empty()).unwrap();
        self.console.clone().oneshot(request).await.unwrap()
    }

    /// Begins to sign in. Returns the browser's cookie and the state, and tells the issuer the challenge.
    async fn begin(&self) -> (String, String) {
        let sent = self.get("/console/sign-in/start?next=/console/items", "").await;
        assert_eq!(sent.status(), StatusCode::SEE_OTHER);
        let to = sent.headers()[LOCATION].to_str().unwrap().to_owned();
        let query: BTreeMap<String, String> =
            form_urlencoded::parse(to.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
        assert_eq!((query["client_id"].as_str(), query["code_challenge_method"].as_str()), ("people", "S256"));
        assert_eq!(query["redirect_uri"], "https://stock.example.com/console/sign-in/done");
        *self.challenge.lock().unwrap() = Some((query["code_challenge"].clone(), query["nonce"].clone()));
        (cookies(&sent).remove(0), query["state"].clone())
    }
}

/// Returns the cookies that an answer sets, which must be out of reach of scripts and of plain HTTP.
fn cookies(response: &Response) -> Vec<String> {
    let all = response.headers().get_all(SET_COOKIE).iter();
    all.map(|cookie| {
        let text = cookie.to_str().unwrap();
        assert!(text.contains("HttpOnly") && text.contains("Secure") && text.contains("SameSite=Lax"), "{text}");
        text.split(';').next().unwrap().to_owned()
    })
    .collect()
}

#[tokio::test]
async fn a_person_signs_in_on_the_issuers_page_and_works_with_their_own_token() {
    let installation = Installation::start().await;
    let (cookie, state) = installation.begin().await;
    let back = installation.get(&format!("/console/sign-in/done?code={CODE}&state={state}"), &cookie).await;
    assert_eq!((back.status(), &back.headers()[LOCATION]), (StatusCode::SEE_OTHER, &"/console/items".parse().unwrap()));
    let session = cookies(&back).remove(0);
    assert!(!session.contains(&token()), "the token is sealed");
    assert_eq!(installation.get("/console", &session).await.status(), StatusCode::OK);
    assert_eq!(installation.get("/console", &cookie).await.status(), StatusCode::SEE_OTHER, "no session yet");
    assert_eq!(installation.get("/console/people", &session).await.status(), StatusCode::NOT_FOUND, "people are there");
}

#[tokio::test]
async fn an_answer_for_another_browser_or_a_second_time_signs_nobody_in() {
    let installation = Installation::start().await;
    let (cookie, state) = installation.begin().await;
    let (other, _) = installation.begin().await;
    for (cookie, state) in [(&other, &state), (&cookie, &"another".to_owned()), (&String::new(), &state)] {
        let back = installation.get(&format!("/console/sign-in/done?code={CODE}&state={state}"), cookie).await;
        assert_eq!((back.status(), cookies(&back)), (StatusCode::BAD_REQUEST, vec![]), "{state}");
    }
    // The challenge is that of the second browser, so the first one's verifier is wrong.
    let back = installation.get(&format!("/console/sign-in/done?code={CODE}&state={state}"), &cookie).await;
    assert_eq!((back.status(), cookies(&back)), (StatusCode::BAD_GATEWAY, vec![]), "the issuer refuses");
    let (cookie, state) = installation.begin().await;
    let path = format!("/console/sign-in/done?code={CODE}&state={state}");
    assert_eq!(installation.get(&path, &cookie).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(installation.get(&path, &cookie).await.status(), StatusCode::BAD_GATEWAY, "the code is used up");
}

#[tokio::test]
async fn an_identity_of_another_sign_in_signs_nobody_in() {
    let installation = Installation::start().await;
    let (cookie, state) = installation.begin().await;
    installation.challenge.lock().unwrap().as_mut().unwrap().1 = "another".into();
    let back = installation.get(&format!("/console/sign-in/done?code={CODE}&state={state}"), &cookie).await;
    assert_eq!((back.status(), cookies(&back)), (StatusCode::BAD_GATEWAY, vec![]));
}

#[tokio::test]
async fn signing_out_ends_the_issuers_session_too_and_forms_may_lead_nowhere_else() {
    let installation = Installation::start().await;
    let (cookie, state) = installation.begin().await;
    let back = installation.get(&format!("/console/sign-in/done?code={CODE}&state={state}"), &cookie).await;
    let session = cookies(&back).remove(0);
    let request = Request::post("/console/sign-out").header(COOKIE, &session).header("sec-fetch-site", "same-origin");
    let out = installation.console.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert!(out.headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"), "the cookie is gone");
    let to = out.headers()[LOCATION].to_str().unwrap();
    let (address, query) = to.split_once("/logout?").unwrap();
    assert_eq!(query, "client_id=people&logout_uri=https%3A%2F%2Fstock.example.com%2Fconsole%2Fsigned-out");
    let policy = out.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.ends_with(&format!("form-action 'self' {address}")), "{policy}");
}
