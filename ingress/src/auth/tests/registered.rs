//! Tokens of registered clients: what their rows allow, how old a row may be, and how often it is read.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::json;
use stockline_core::domain::{ClientId, ClientRight, ClientSettings};
use stockline_core::ports::{Clients, Page, PageRequest, StoreError};
use stockline_core::testing::MemoryStore;

use super::*;
use crate::auth::CLIENT_KEPT_S;
use crate::auth::testing::claims;

/// Clients in memory, which count their reads and may be down.
#[derive(Debug, Default)]
struct Rows {
    store: MemoryStore,
    is_down: AtomicBool,
    reads: AtomicUsize,
}

#[async_trait]
impl Clients for Rows {
    async fn client(&self, client_id: &ClientId) -> Result<Option<ClientSettings>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("told to be down".into()));
        }
        self.store.client(client_id).await
    }

    async fn clients(&self, asked: PageRequest<'_>) -> Result<Page<ClientSettings>, StoreError> {
        self.store.clients(asked).await
    }

    async fn put_client(&self, settings: &ClientSettings) -> Result<(), StoreError> {
        self.store.put_client(settings).await
    }
}

struct Registered {
    rows: Arc<Rows>,
    clock: Arc<FixedClock>,
    auth: Arc<Authenticator>,
    _folder: tempfile::TempDir,
}

impl Registered {
    fn new() -> Self {
        let (folder, clock, rows) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Rows::default()));
        std::fs::write(folder.path().join("jwks.json"), jwks(&[TestKey::first()])).unwrap();
        let config = config(JwksSource::File(folder.path().join("jwks.json")), None);
        let auth = Authenticator::start_registered(config, Some(rows.clone()), clock.clone()).unwrap();
        Self { rows, clock, auth, _folder: folder }
    }

    async fn put(&self, client_id: &str, location: &str, disabled: bool) {
        let settings = ClientSettings {
            client_id: client_id.parse().unwrap(),
            name: client_id.into(),
            rights: [ClientRight::Commands].into(),
            locations: Some([location.parse().unwrap()].into()),
            disabled,
            updated_by: "ann".into(),
            updated_at: self.clock.now(),
        };
        self.rows.put_client(&settings).await.unwrap();
    }

    async fn judge(&self, token: &str) -> Result<Principal, &'static str> {
        judge(&self.auth, token).await
    }

    fn reads(&self) -> usize {
        self.rows.reads.swap(0, Ordering::SeqCst)
    }

    fn set_down(&self, is_down: bool) {
        self.rows.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Lets the reads beside the requests end.
    async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

fn token_of(client_id: &str) -> String {
    let mut claims = claims();
    claims["client_id"] = json!(client_id);
    claims["scope"] = json!("stockline/commands");
    claims["jti"] = json!(client_id);
    claims.as_object_mut().unwrap().remove("cognito:groups");
    TestKey::first().token(&claims)
}

#[tokio::test]
async fn five_thousand_shops_each_act_at_their_own_location_only() {
    const SHOPS: usize = 5_000;
    let registered = Registered::new();
    for shop in 0..SHOPS {
        registered.put(&format!("tills-{shop}"), &format!("shop-{shop}"), false).await;
    }
    for round in 0..2 {
        for shop in 0..SHOPS {
            // A token is verified once, so the second round costs no signature.
            let rights = registered.judge(&token_of(&format!("tills-{shop}"))).await.unwrap().rights;
            let own = [format!("shop-{shop}").parse().unwrap()].into();
            assert_eq!(rights.visible_locations(), Some(&own), "round {round}, shop {shop}");
        }
        assert_eq!(registered.reads(), if round == 0 { SHOPS } else { 0 });
    }
}

#[tokio::test]
async fn a_row_is_never_older_than_a_minute_and_is_read_again_before_that_beside_the_requests() {
    let registered = Registered::new();
    let token = token_of("tills");
    registered.put("tills", "shop-1", false).await;
    for second in 0..10 * CLIENT_KEPT_S {
        registered.judge(&token).await.unwrap();
        registered.settle().await;
        registered.clock.advance_ms(1_000);
        assert!(second >= 30 || registered.rows.reads.load(Ordering::SeqCst) == 1);
    }
    let reads = registered.reads();
    assert!((13..=20).contains(&reads), "{reads} reads in ten minutes");

    registered.put("tills", "shop-1", true).await;
    registered.clock.advance_ms(CLIENT_KEPT_S * 1_000);
    assert_eq!(registered.judge(&token).await.unwrap_err(), "token_client_disabled");
}

#[tokio::test]
async fn a_busy_client_is_cut_off_within_a_minute_too() {
    let registered = Registered::new();
    let token = token_of("tills");
    registered.put("tills", "shop-1", false).await;
    registered.judge(&token).await.unwrap();
    registered.put("tills", "shop-1", true).await;
    let mut accepted_s = 0;
    while registered.judge(&token).await.is_ok() {
        registered.settle().await;
        registered.clock.advance_ms(1_000);
        accepted_s += 1;
        assert!(accepted_s <= CLIENT_KEPT_S, "still accepted after {accepted_s} s");
    }
}

#[tokio::test]
async fn an_outage_stops_no_known_client_and_admits_no_unknown_one() {
    let registered = Registered::new();
    let (known, unknown) = (token_of("tills"), token_of("others"));
    registered.put("tills", "shop-1", false).await;
    registered.judge(&known).await.unwrap();
    registered.set_down(true);
    registered.reads();
    for _ in 0..100 {
        registered.clock.advance_ms(1_000);
        assert!(registered.judge(&known).await.is_ok());
        registered.settle().await;
    }
    assert!(registered.reads() <= 20, "a failed read is repeated after seconds, not with every request");
    assert_eq!(registered.judge(&unknown).await.unwrap_err(), "auth_unavailable");
    registered.put("tills", "shop-1", true).await;
    registered.set_down(false);
    registered.clock.advance_ms(5_000);
    assert_eq!(registered.judge(&known).await.unwrap_err(), "token_client_disabled");
}

#[tokio::test]
async fn a_client_that_is_registered_later_is_accepted_seconds_after() {
    let registered = Registered::new();
    let token = token_of("tills");
    for _ in 0..3 {
        assert_eq!(registered.judge(&token).await.unwrap_err(), "token_wrong_client");
    }
    assert_eq!(registered.reads(), 1, "an unregistered client does not cost a read each time");
    registered.put("tills", "shop-1", false).await;
    registered.clock.advance_ms(5_000);
    registered.judge(&token).await.unwrap();
    // A client whose id can't be registered is none.
    assert_eq!(registered.judge(&token_of("a b")).await.unwrap_err(), "token_wrong_client");
    // A forged token learns nothing about clients, and costs no read.
    registered.reads();
    let forged = TestKey::second().token_with(&json!({"alg": "RS256", "kid": "first"}), &claims().to_string());
    assert_eq!(registered.judge(&forged).await.unwrap_err(), "token_invalid_signature");
    assert_eq!(registered.reads(), 0);
}
