//! A start without a way to the issuer: the keys that another process has kept, how old they may be, and what is no key.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use stockline_core::domain::ReceiptKeys;
use stockline_core::ports::{IssuerKeys, StoreError};
use tokio::net::TcpListener;

use super::*;
use crate::auth::testing::{NOW_S, claims};

/// The store's row.
#[derive(Debug, Default)]
struct Row(Mutex<HashMap<String, String>>, std::sync::atomic::AtomicBool);

#[async_trait]
impl IssuerKeys for Row {
    async fn kept_keys(&self, address: &str) -> Result<Option<String>, StoreError> {
        if self.1.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(StoreError::Unavailable("told to be down".into()));
        }
        Ok(self.0.lock().unwrap().get(address).cloned())
    }

    async fn keep_keys(&self, address: &str, text: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap().insert(address.to_owned(), text.to_owned());
        Ok(())
    }
}

impl Row {
    fn text(&self) -> Option<String> {
        self.0.lock().unwrap().values().next().cloned()
    }
}

const SECRET: [u8; 32] = [7; 32];
const OTHER_SECRET: [u8; 32] = [8; 32];

/// A port that nobody listens at once the listener is dropped.
async fn address() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    (listener, url)
}

fn start(url: &str, row: &Arc<Row>, secrets: &[[u8; 32]], clock: Arc<FixedClock>) -> Arc<Authenticator> {
    let kept_keys = Some(KeptKeys::new(row.clone(), &ReceiptKeys::new(secrets).unwrap()));
    let config = AuthConfig { kept_keys, ..config(JwksSource::Url(url.into()), None) };
    let pace = Pace { unknown_key: Duration::ZERO, ..Pace::default() };
    Authenticator::start_with(config, None, clock, pace).unwrap()
}

/// Returns the row that a process has written which reached the issuer, and the issuer's address, where nobody is any more.
async fn kept() -> (Arc<Row>, String) {
    let (listener, url) = address().await;
    let row = Arc::new(Row::default());
    let published = jwks(&[TestKey::first()]);
    let router = Router::new().route("/jwks.json", get(move || async move { published }));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let auth = start(&url, &row, &[SECRET], clock());
    while row.text().is_none() {
        let _ = judge(&auth, &TestKey::first().token(&claims())).await;
    }
    serving.abort();
    let _ = serving.await;
    (row, url)
}

/// Returns a token that is valid for days.
fn token_of(key: &TestKey) -> String {
    let mut claims = claims();
    (claims["iat"], claims["exp"]) = (json!(NOW_S - 3_600), json!(NOW_S + 3 * crate::auth::KEYS_KEPT_S));
    key.token(&claims)
}

fn token() -> String {
    token_of(TestKey::first())
}

/// Waits for the first fetch, which fails, and for what follows from it.
async fn settled(auth: &Authenticator) -> Result<Principal, &'static str> {
    let first = judge(auth, &token()).await;
    if first.is_ok() { first } else { judge(auth, &token()).await }
}

#[tokio::test]
async fn a_start_without_a_way_to_the_issuer_is_ready_from_the_kept_keys() {
    let (row, url) = kept().await;
    let auth = start(&url, &row, &[SECRET], clock());
    assert!(settled(&auth).await.is_ok());
    assert_eq!(auth.why_unready().await, None);
    let strange = TestKey::second().token(&claims());
    assert!(judge(&auth, &strange).await.is_err(), "only the kept keys");

    let rotated = start(&url, &row, &[OTHER_SECRET, SECRET], clock());
    assert!(settled(&rotated).await.is_ok(), "the keys of receipts were rotated since");
}

#[tokio::test]
async fn kept_keys_are_never_older_than_a_day() {
    let (row, url) = kept().await;
    let young = clock();
    young.advance_ms(crate::auth::KEYS_KEPT_S * 1_000);
    let auth = start(&url, &row, &[SECRET], young.clone());
    assert!(settled(&auth).await.is_ok());
    young.advance_ms(1);
    let strange = token_of(TestKey::second());
    // An unknown key asks for a fetch, which fails: then the keys are found to be too old.
    while auth.is_ready() {
        let _ = judge(&auth, &strange).await;
    }
    assert_eq!(judge(&auth, &token()).await.unwrap_err(), "auth_unavailable");

    let old = clock();
    old.advance_ms(crate::auth::KEYS_KEPT_S * 1_000 + 1);
    let auth = start(&url, &row, &[SECRET], old);
    assert_eq!(settled(&auth).await.unwrap_err(), "auth_unavailable");
    assert!(!auth.is_ready());
    let ahead = Arc::new(FixedClock::at(Timestamp::from_millis(NOW_S * 1_000 - 600_000)));
    assert!(!ready(&start(&url, &row, &[SECRET], ahead)).await, "kept by a clock that was ahead");
}

async fn ready(auth: &Authenticator) -> bool {
    let _ = settled(auth).await;
    auth.is_ready()
}

#[tokio::test]
async fn a_poisoned_or_unreadable_row_makes_nobody_valid() {
    let (row, url) = kept().await;
    let whole = row.text().unwrap();
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&whole).unwrap();
        edit(&mut value);
        value.to_string()
    };
    let poisoned = [
        edited(&|value| value["keys"] = json!(jwks(&[TestKey::second()]))),
        edited(&|value| value["fetched_at"] = json!("2027-01-15T08:00:01.000Z")),
        edited(&|value| value["seal"] = json!("")),
        edited(&|value| value["seal"] = json!("?")),
        edited(&|value| value["v"] = json!(2)),
        whole[..whole.len() / 2].to_owned(),
        jwks(&[TestKey::first()]),
        String::new(),
    ];
    for text in poisoned {
        row.keep_keys(&url, &text).await.unwrap();
        assert!(!ready(&start(&url, &row, &[SECRET], clock())).await, "{text}");
    }
    row.keep_keys(&url, &whole).await.unwrap();
    assert!(!ready(&start(&url, &row, &[OTHER_SECRET], clock())).await, "sealed by another installation");
    let (listener, elsewhere) = address().await;
    drop(listener);
    row.keep_keys(&elsewhere, &whole).await.unwrap();
    assert!(!ready(&start(&elsewhere, &row, &[SECRET], clock())).await, "kept for another issuer");
    row.1.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(!ready(&start(&url, &row, &[SECRET], clock())).await, "the store is down too");
    row.1.store(false, std::sync::atomic::Ordering::SeqCst);
    assert!(ready(&start(&url, &row, &[SECRET], clock())).await);
}
