//! Runs an issuer for logins, as strict as OAuth 2 with PKCE requires, and a server that accepts its tokens.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::Url;
use serde_json::{Value, json};
use stockline_core::domain::ReceiptKeys;
use stockline_core::ports::Clock as _;
use stockline_ingress::{Adapters, AuthConfig, Config, JwksSource, LoginConfig};
use stockline_service::SystemClock;
use stockline_sqlite::{DataFolder, OpenOptions, QueueOptions, SqliteQueue, SqliteStore, StoreOptions};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const ISSUER: &str = "https://issuer.test/people";
const CLIENT: &str = "people-client";

/// The parameters with which a code was requested.
struct CodeRequest {
    challenge: String,
    redirect_uri: String,
}

pub(crate) struct Issuer {
    key: EncodingKey,
    codes: Mutex<HashMap<String, CodeRequest>>,
    refresh_tokens: Mutex<HashSet<String>>,
    /// Every issued token, to search for it in places where no token may be.
    issued: Mutex<Vec<String>>,
    /// The `grant_type` and the error of each request.
    pub(crate) requests: Mutex<Vec<(String, &'static str)>>,
    pub(crate) denies: AtomicBool,
    pub(crate) gives_refresh_tokens: AtomicBool,
    pub(crate) is_down: AtomicBool,
    pub(crate) lifetime_s: AtomicI64,
    pub(crate) groups: Mutex<Vec<&'static str>>,
}

type Query_ = Query<HashMap<String, String>>;

async fn authorize(State(issuer): State<Arc<Issuer>>, Query(query): Query_) -> Response {
    let get = |name: &str| query.get(name).cloned().unwrap_or_default();
    let redirect_uri = get("redirect_uri");
    let registered = redirect_uri.starts_with("http://localhost:") && redirect_uri.ends_with("/callback");
    let right = get("response_type") == "code"
        && get("client_id") == CLIENT
        && get("scope") == "openid"
        && get("code_challenge_method") == "S256"
        && get("code_challenge").len() == 43
        && !get("state").is_empty();
    if !registered || !right {
        return (StatusCode::BAD_REQUEST, format!("{query:?}")).into_response();
    }
    let mut back = Url::parse(&redirect_uri).unwrap();
    if issuer.denies.load(Ordering::SeqCst) {
        back.query_pairs_mut().extend_pairs([("error", "access_denied"), ("error_description", "not today")]);
    } else {
        let code = issuer.fresh("code");
        let asked = CodeRequest { challenge: get("code_challenge"), redirect_uri };
        back.query_pairs_mut().append_pair("code", &code);
        issuer.codes.lock().unwrap().insert(code, asked);
    }
    back.query_pairs_mut().append_pair("state", &get("state"));
    Redirect::to(back.as_str()).into_response()
}

async fn token(State(issuer): State<Arc<Issuer>>, body: String) -> Response {
    if issuer.is_down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let form = Url::parse(&format!("http://form/?{body}")).unwrap();
    let form: HashMap<String, String> = form.query_pairs().into_owned().collect();
    let get = |name: &str| form.get(name).cloned().unwrap_or_default();
    let judged = match get("grant_type").as_str() {
        _ if get("client_id") != CLIENT => Err("invalid_client"),
        "authorization_code" => issuer.judge_code(&get("code"), &get("redirect_uri"), &get("code_verifier")),
        "refresh_token" if issuer.refresh_tokens.lock().unwrap().contains(&get("refresh_token")) => Ok(()),
        "refresh_token" => Err("invalid_grant"),
        _ => Err("unsupported_grant_type"),
    };
    issuer.requests.lock().unwrap().push((get("grant_type"), judged.err().unwrap_or_default()));
    match judged {
        Ok(()) => axum::Json(issuer.tokens(get("grant_type") == "authorization_code")).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": error }))).into_response(),
    }
}

impl Issuer {
    #[expect(clippy::disallowed_methods, reason = "secrets of a test")]
    fn fresh(&self, what: &str) -> String {
        format!("{what}-{}", uuid::Uuid::new_v4())
    }

    /// Checks a code. It works once, with the right verifier and the address for which it was requested.
    fn judge_code(&self, code: &str, redirect_uri: &str, verifier: &str) -> Result<(), &'static str> {
        let asked = self.codes.lock().unwrap().remove(code).ok_or("invalid_grant")?;
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        if asked.challenge == challenge && asked.redirect_uri == redirect_uri { Ok(()) } else { Err("invalid_grant") }
    }

    fn tokens(&self, first: bool) -> Value {
        let lifetime_s = self.lifetime_s.load(Ordering::SeqCst);
        let now_s = SystemClock.now().as_millis() / 1_000;
        let claims = json!({
            "iss": ISSUER, "token_use": "access", "client_id": CLIENT, "sub": "ann", "jti": self.fresh("jti"),
            "iat": now_s, "exp": now_s + lifetime_s, "cognito:groups": *self.groups.lock().unwrap(),
        });
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "k"}).to_string();
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, Algorithm::RS256).unwrap();
        let access_token = format!("{message}.{signature}");
        self.issued.lock().unwrap().push(access_token.clone());
        let mut answer = json!({"access_token": access_token, "token_type": "Bearer", "expires_in": lifetime_s});
        if first && self.gives_refresh_tokens.load(Ordering::SeqCst) {
            let refresh_token = self.fresh("refresh");
            self.issued.lock().unwrap().push(refresh_token.clone());
            self.refresh_tokens.lock().unwrap().insert(refresh_token.clone());
            answer["refresh_token"] = refresh_token.into();
        }
        answer
    }

    /// Ends every login.
    pub(crate) fn revoke_all(&self) {
        self.refresh_tokens.lock().unwrap().clear();
    }

    /// Counts the requests for tokens with this grant.
    pub(crate) fn count(&self, grant: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|(of, _)| of == grant).count()
    }

    /// Reports whether the text contains none of the tokens.
    pub(crate) fn is_absent_from(&self, text: &str) -> bool {
        self.issued.lock().unwrap().iter().all(|token| !text.contains(token))
    }
}

/// An issuer and a server.
pub(crate) struct Installation {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) issuer_url: String,
    /// The server's address.
    pub(crate) url: String,
    pub(crate) runtime: Runtime,
    home: TempDir,
    _folder: DataFolder,
    // The server stops when this guard is dropped.
    _trigger: tokio_util::sync::DropGuard,
}

impl Installation {
    pub(crate) fn start() -> Self {
        Self::with_login(|issuer_url| Some(LoginConfig::cognito(issuer_url, CLIENT).unwrap()))
    }

    pub(crate) fn with_login(login: impl FnOnce(&str) -> Option<LoginConfig>) -> Self {
        let runtime = Runtime::new().unwrap();
        let home = tempfile::tempdir().unwrap();
        let der = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap().as_ref().to_vec();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
        let jwks = home.path().join("jwks.json");
        std::fs::write(&jwks, jwks_of(&key)).unwrap();
        let issuer = Arc::new(Issuer {
            key,
            codes: Mutex::default(),
            refresh_tokens: Mutex::default(),
            issued: Mutex::default(),
            requests: Mutex::default(),
            denies: AtomicBool::new(false),
            gives_refresh_tokens: AtomicBool::new(true),
            is_down: AtomicBool::new(false),
            lifetime_s: AtomicI64::new(3_600),
            groups: Mutex::new(vec!["Manager"]),
        });
        let routes = Router::new().route("/oauth2/authorize", get(authorize)).route("/oauth2/token", post(token));
        let listen = || runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let listener = listen();
        let issuer_url = format!("http://{}", listener.local_addr().unwrap());
        let serving = axum::serve(listener, routes.with_state(Arc::clone(&issuer)));
        runtime.spawn(async move { serving.await });

        let folder = DataFolder::open(&home.path().join("server")).unwrap();
        let _inside = runtime.enter();
        let clock = Arc::new(SystemClock);
        let queue = SqliteQueue::open(&folder, QueueOptions::default(), clock.clone()).unwrap();
        let store = SqliteStore::open(&folder.stock_db(), StoreOptions::default(), &OpenOptions::default()).unwrap();
        let auth = AuthConfig::new(ISSUER, vec![CLIENT.into()], JwksSource::File(jwks));
        let receipt_keys = ReceiptKeys::new(&[[7_u8; 32]]).unwrap();
        let config =
            Config { login: login(&issuer_url), drain: Duration::from_secs(1), ..Config::new(auth, receipt_keys) };
        let adapters = Adapters { queue: Arc::new(queue), queries: Arc::new(store), clients: None, clock };
        let listener = listen();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let trigger = shutdown.clone();
        runtime.spawn(stockline_ingress::run(config, adapters, listener, shutdown));
        drop(_inside);
        Self { issuer, issuer_url, url, runtime, home, _folder: folder, _trigger: trigger.drop_guard() }
    }

    pub(crate) fn logins(&self) -> PathBuf {
        self.home.path().join("logins")
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }
}

fn jwks_of(key: &EncodingKey) -> String {
    let AlgorithmParameters::RSA(rsa) = Jwk::from_encoding_key(key, Algorithm::RS256).unwrap().algorithm else {
        panic!("an RSA key")
    };
    json!({"keys": [{"kty": "RSA", "kid": "k", "use": "sig", "alg": "RS256", "n": rsa.n, "e": rsa.e}]}).to_string()
}
