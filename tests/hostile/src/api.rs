//! The API without a network: its real router over a queue in memory and a store that is down.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http_body_util::BodyExt as _;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use stockline_core::domain::{
    CommandKey, Dismissal, ItemId, LocationId, LocationSettings, Quantity, ReceiptKeys, Record, Timestamp,
};
use stockline_core::ports::{
    AlertRecord, ChangeFilter, CommandFilter, CommandSender, DaysFilter, DaysPage, FixedClock, ItemFilter,
    ItemWithLevels, LevelFilter, LevelWithItem, LocationPut, Locations, Movement, MovementFilter, Pack, Page,
    PageRequest, Queries, QueueError, Refusals, StoreError,
};
use stockline_ingress::auth::Authenticator;
use stockline_ingress::{Adapters, Api, AuthConfig, Config, JwksSource};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

const NOW_S: i64 = 1_800_000_000;
const ISSUER: &str = "https://issuer.test/pool";
const CLIENT: &str = "till-client";

/// The header of the valid token.
pub(crate) const HEADER: &str = r#"{"alg":"RS256","typ":"JWT","kid":"first"}"#;

/// Keeps the packs that were queued since the last call.
#[derive(Debug, Default)]
struct MemorySender(Mutex<Vec<Pack>>);

#[async_trait]
impl CommandSender for MemorySender {
    async fn send(&self, packs: Vec<Pack>) -> Vec<Result<(), QueueError>> {
        let results = vec![Ok(()); packs.len()];
        self.0.lock().unwrap().extend(packs);
        results
    }

    fn max_batch(&self) -> usize {
        10
    }
}

/// The API and its keys, one per thread.
pub(crate) struct World {
    runtime: Runtime,
    router: Router,
    queue: Arc<MemorySender>,
    pub(crate) auth: Arc<Authenticator>,
    /// The token of a Manager: header, payload, signature.
    pub(crate) token: [String; 3],
    /// The claims of the valid token.
    pub(crate) claims: String,
    // Both are dropped with the world.
    _api: Api,
    _keys: tempfile::TempDir,
}

/// Runs a closure with the world of this thread.
pub(crate) fn with<T>(run: impl FnOnce(&World) -> T) -> T {
    thread_local!(static WORLD: RefCell<Option<World>> = const { RefCell::new(None) });
    WORLD.with(|world| run(world.borrow_mut().get_or_insert_with(World::new)))
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let keys = tempfile::tempdir().unwrap();
        let key = private_key();
        let file = keys.path().join("jwks.json");
        std::fs::write(&file, json!({"keys": [jwk(&key)]}).to_string()).unwrap();
        let auth = AuthConfig::new(ISSUER, vec![CLIENT.into()], JwksSource::File(file));
        let clock = Arc::new(FixedClock::at(Timestamp::from_millis(NOW_S * 1_000)));
        let queue = Arc::new(MemorySender::default());
        let config = Config {
            retention_ms: i64::MAX,
            drain: Duration::ZERO,
            ..Config::new(auth.clone(), ReceiptKeys::new(&[[7_u8; 32]]).unwrap())
        };
        let adapters =
            Adapters { queue: queue.clone(), queries: Arc::new(UnavailableStore), clients: None, clock: clock.clone() };
        let (api, auth) = runtime
            .block_on(async { (Api::start(config, adapters).unwrap(), Authenticator::start(auth, clock).unwrap()) });
        let claims = json!({
            "iss": ISSUER, "token_use": "access", "client_id": CLIENT, "sub": "ann", "iat": NOW_S - 60,
            "exp": NOW_S + 3_600, "cognito:groups": ["Manager"],
        });
        let claims = claims.to_string();
        let [header, payload] = [HEADER, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let message = format!("{header}.{payload}");
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::RS256).unwrap();
        let token = [header, payload, signature];
        Self { router: api.router(), runtime, queue, auth, token, claims, _api: api, _keys: keys }
    }

    /// Posts a body and returns the answer and the queued packs.
    pub(crate) fn post(&self, path: &str, body: impl Into<Body>) -> (u16, Value, Vec<Pack>) {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token.join(".")))
            .header("content-type", "application/json")
            .body(body.into())
            .unwrap();
        let (status, text) = self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
        });
        let body = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{error} in {status} {text:?}"));
        (status, body, std::mem::take(&mut self.queue.0.lock().unwrap()))
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

fn private_key() -> EncodingKey {
    let der = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap().as_ref().to_vec();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
    EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()
}

fn jwk(key: &EncodingKey) -> Value {
    let AlgorithmParameters::RSA(rsa) = Jwk::from_encoding_key(key, Algorithm::RS256).unwrap().algorithm else {
        panic!("an RSA key")
    };
    json!({"kty": "RSA", "kid": "first", "use": "sig", "alg": "RS256", "n": rsa.n, "e": rsa.e})
}

/// A store that is always down, because submitting must not need it.
#[derive(Debug)]
struct UnavailableStore;

fn unavailable<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("the store of this test is down".into()))
}

#[async_trait]
impl Locations for UnavailableStore {
    async fn location(&self, _: &LocationId) -> Result<Option<LocationSettings>, StoreError> {
        unavailable()
    }
    async fn locations(&self) -> Result<Vec<LocationSettings>, StoreError> {
        unavailable()
    }
    async fn put_location(&self, _: &LocationSettings) -> Result<LocationPut, StoreError> {
        unavailable()
    }
}

#[async_trait]
impl Refusals for UnavailableStore {
    async fn dismiss(&self, _: &CommandKey, _: &Dismissal) -> Result<bool, StoreError> {
        unavailable()
    }
}

#[async_trait]
impl Queries for UnavailableStore {
    async fn records(&self, _: &[CommandKey]) -> Result<Vec<Option<Record>>, StoreError> {
        unavailable()
    }
    async fn item(&self, _: &ItemId) -> Result<Option<ItemWithLevels>, StoreError> {
        unavailable()
    }
    async fn holder(&self, _: &[String]) -> Result<Option<(String, ItemId)>, StoreError> {
        unavailable()
    }
    async fn items(&self, _: &ItemFilter, _: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError> {
        unavailable()
    }
    async fn movements(
        &self,
        _: &ItemId,
        _: &MovementFilter,
        _: PageRequest<'_>,
    ) -> Result<Page<Movement>, StoreError> {
        unavailable()
    }
    async fn all_movements(
        &self,
        _: &MovementFilter,
        _: PageRequest<'_>,
    ) -> Result<Option<Page<Movement>>, StoreError> {
        unavailable()
    }
    async fn stock_as_of(
        &self,
        _: &ItemId,
        _: Timestamp,
    ) -> Result<Option<Vec<(LocationId, Quantity, u64)>>, StoreError> {
        unavailable()
    }
    async fn levels(&self, _: &LevelFilter, _: PageRequest<'_>) -> Result<Page<LevelWithItem>, StoreError> {
        unavailable()
    }
    async fn commands(&self, _: &CommandFilter, _: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        unavailable()
    }
    async fn changes(&self, _: &ChangeFilter, _: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        unavailable()
    }
    async fn level_days(&self, _: &DaysFilter, _: PageRequest<'_>) -> Result<Option<DaysPage>, StoreError> {
        unavailable()
    }
    async fn alerts(&self, _: Option<&LocationId>, _: PageRequest<'_>) -> Result<Page<AlertRecord>, StoreError> {
        unavailable()
    }
    async fn ping(&self) -> Result<(), StoreError> {
        unavailable()
    }
}
