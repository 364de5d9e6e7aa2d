//! Keys that change while the authenticator runs, from a file and from a real server.

use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::*;
use crate::auth::testing::{NOW_S, claims, claims_with};

#[tokio::test]
async fn a_key_rotated_in_the_file_is_known_at_once_and_a_withdrawn_one_is_forgotten() {
    let on = OnFile::new();
    let (old, new) = (TestKey::first().token(&claims()), TestKey::second().token(&claims()));
    assert!(on.judge(&old).await.is_ok());
    assert_eq!(on.judge(&new).await.unwrap_err(), "token_unknown_key");

    on.write("jwks.json", &jwks(&[TestKey::first(), TestKey::second()]));
    assert!(on.judge(&new).await.is_ok(), "a token minted right after the rotation is no false 401");
    assert!(on.judge(&old).await.is_ok());

    on.write("jwks.json", &jwks(&[TestKey::second()]));
    on.clock.advance_ms(1_000);
    assert_eq!(on.judge(&old).await.unwrap_err(), "token_unknown_key", "though it was verified before");
    assert!(on.judge(&new).await.is_ok());
}

/// As with the list of revoked tokens: a key may have been withdrawn, and nobody knows.
#[tokio::test]
async fn while_the_key_file_can_t_be_read_no_token_is_accepted_and_the_server_is_unready() {
    let on = OnFile::new();
    let (known, new) = (TestKey::first().token(&claims()), TestKey::second().token(&claims()));
    let whole = jwks(&[TestKey::first()]);
    let path = on.folder.path().join("jwks.json");
    for broken in ["", "{ half a fi", r#"{"keys":[]}"#] {
        assert!(on.judge(&known).await.is_ok());
        on.write("jwks.json", broken);
        on.clock.advance_ms(1_000);
        for token in [&known, &new] {
            assert_eq!(on.judge(token).await.unwrap_err(), "auth_unavailable", "{broken:?}");
        }
        assert!(on.auth.why_unready().await.unwrap().contains("keys"));
        on.write("jwks.json", &whole);
        on.clock.advance_ms(1_000);
        assert_eq!(on.auth.why_unready().await, None);
    }
    let aside = on.folder.path().join("aside");
    std::fs::rename(&path, &aside).unwrap();
    assert_eq!(on.judge(&new).await.unwrap_err(), "auth_unavailable", "a token of an unknown key looks at once");
    std::fs::rename(&aside, &path).unwrap();
    on.clock.advance_ms(1_000);
    assert!(on.judge(&known).await.is_ok(), "the same file is readable again");
}

#[tokio::test]
async fn a_start_without_usable_keys_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let start = |jwks: JwksSource| Authenticator::start(config(jwks, None), clock()).unwrap_err().to_string();
    assert!(start(JwksSource::File(path.clone())).contains("can't be read"));
    std::fs::write(&path, "no json").unwrap();
    assert!(start(JwksSource::File(path.clone())).contains("not a JWK set"));
    std::fs::write(&path, r#"{"keys":[{"kty":"EC"}]}"#).unwrap();
    assert!(start(JwksSource::File(path.clone())).contains("key 0 is not RSA"));
    std::fs::write(&path, vec![b' '; keyset::KEY_SET_BYTES + 1]).unwrap();
    assert!(start(JwksSource::File(path)).contains("larger than"));
    for url in ["", "issuer.test/jwks", "ftp://issuer.test/jwks", "file:///etc/passwd", "https://a:b@issuer.test/jwks"]
    {
        assert!(start(JwksSource::Url(url.into())).contains("address of the issuer's keys"), "{url}");
    }
    let nobody = AuthConfig { client_ids: vec![], ..config(JwksSource::Url("https://issuer.test".into()), None) };
    assert!(Authenticator::start(nobody, clock()).unwrap_err().to_string().contains("client id"));
}

/// An issuer on a loopback port.
struct Issuer {
    answer: Arc<Mutex<(StatusCode, String)>>,
    fetches: watch::Receiver<usize>,
    url: String,
}

impl Issuer {
    async fn start(answer: (StatusCode, String)) -> Self {
        let answer = Arc::new(Mutex::new(answer));
        let (count, fetches) = watch::channel(0);
        let served = Arc::clone(&answer);
        let router = Router::new().route(
            "/jwks.json",
            get(move || {
                count.send_modify(|count| *count += 1);
                let answer = served.lock().unwrap().clone();
                async move { answer }
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { answer, fetches, url }
    }

    fn publish(&self, keys: &[&TestKey]) {
        *self.answer.lock().unwrap() = (StatusCode::OK, jwks(keys));
    }

    fn fetches(&self) -> usize {
        *self.fetches.borrow()
    }

    async fn fetched(&self, times: usize) {
        self.fetches.clone().wait_for(|count| *count >= times).await.unwrap();
    }

    fn auth(&self, pace: Pace) -> Arc<Authenticator> {
        Authenticator::start_with(config(JwksSource::Url(self.url.clone()), None), None, clock(), pace).unwrap()
    }
}

async fn ready(auth: &Authenticator) {
    // The first fetch is caused by this token and answers it.
    while judge(auth, &TestKey::first().token(&claims())).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert!(auth.is_ready());
}

#[tokio::test]
async fn a_flood_of_unknown_keys_causes_one_fetch_and_does_not_touch_known_ones() {
    let issuer = Issuer::start((StatusCode::OK, jwks(&[TestKey::first()]))).await;
    // The first fetch must not limit the flood, and the flood must not wait for it.
    let auth = issuer.auth(Pace { unknown_key: Duration::from_secs(600), ..Pace::default() });
    ready(&auth).await;
    assert_eq!(issuer.fetches(), 1);

    let stranger = TestKey::second();
    let flood: Vec<_> = (0..1_000)
        .map(|n| {
            let head = json!({"alg": "RS256", "kid": format!("kid-{n}")});
            let issued_before_the_fetch = n % 2 == 0;
            let iat = if issued_before_the_fetch { NOW_S - 60 } else { NOW_S };
            // All share one signature, because the unknown key is noticed first.
            let message = [head.to_string(), claims_with("iat", json!(iat)).to_string()];
            format!("{}.{}.AAAA", crate::auth::testing::encode(&message[0]), crate::auth::testing::encode(&message[1]))
        })
        .collect();
    let mut tasks = tokio::task::JoinSet::new();
    for (n, token) in flood.into_iter().enumerate() {
        let auth = Arc::clone(&auth);
        tasks.spawn(async move { (n, judge(&auth, &token).await.unwrap_err()) });
    }
    while let Some(result) = tasks.join_next().await {
        let (n, code) = result.unwrap();
        // The clock of this test stands still, so all tokens arrived when the keys were fetched.
        assert_eq!(code, "token_unknown_key", "{n}");
        assert!(judge(&auth, &TestKey::first().token(&claims())).await.is_ok());
    }
    assert_eq!(issuer.fetches(), 1, "the pause since the first fetch is not over");
    assert_eq!(judge(&auth, &stranger.token(&claims())).await.unwrap_err(), "token_unknown_key");
}

#[tokio::test]
async fn a_token_newer_than_the_keys_is_not_refused_for_an_unknown_key() {
    let issuer = Issuer::start((StatusCode::OK, jwks(&[TestKey::first()]))).await;
    let clock = clock();
    let config = config(JwksSource::Url(issuer.url.clone()), None);
    let pace = Pace { unknown_key: Duration::from_secs(600), ..Pace::default() };
    let auth = Authenticator::start_with(config, None, clock.clone(), pace).unwrap();
    ready(&auth).await;

    clock.advance_ms(60_000);
    let fresh = TestKey::second().token(&claims_with("iat", json!(NOW_S + 59)));
    let error = auth.authenticate(Some(&bearer(&fresh))).await.unwrap_err();
    assert_eq!((error.code, error.status().as_u16()), ("auth_unavailable", 503));
    assert!((590..=600).contains(&error.retry_after_s.unwrap()), "{error:?}");
    let stale = TestKey::second().token(&claims_with("iat", json!(NOW_S - 3_000)));
    assert_eq!(judge(&auth, &stale).await.unwrap_err(), "token_unknown_key", "issued before the keys were fetched");
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_key_rotated_at_the_address_is_fetched_when_a_token_names_it() {
    let issuer = Issuer::start((StatusCode::OK, jwks(&[TestKey::first()]))).await;
    let auth = issuer.auth(Pace { unknown_key: Duration::ZERO, ..Pace::default() });
    ready(&auth).await;
    let before = issuer.fetches();
    issuer.publish(&[TestKey::second()]);
    let new = TestKey::second().token(&claims());
    assert!(judge(&auth, &new).await.is_ok());
    assert_eq!(issuer.fetches(), before + 1);
    assert!(judge(&auth, &new).await.is_ok());
    assert_eq!(judge(&auth, &TestKey::first().token(&claims())).await.unwrap_err(), "token_unknown_key");

    *issuer.answer.lock().unwrap() = (StatusCode::INTERNAL_SERVER_ERROR, String::new());
    let strange = TestKey::first().token(&claims_with("sub", json!("eve")));
    assert!(judge(&auth, &strange).await.is_err());
    assert!(judge(&auth, &new).await.is_ok(), "a broken issuer takes no key away");
}

/// A clock that runs in real time, from the time of the tests.
#[derive(Debug)]
struct Running(std::time::Instant);

impl Clock for Running {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(NOW_S * 1_000).plus_millis(self.0.elapsed().as_millis() as i64)
    }
}

/// Returns a token whose key does not exist, quickly and without a fetch.
fn strange(n: usize) -> String {
    let part = |value: serde_json::Value| crate::auth::testing::encode(value.to_string());
    let header = part(json!({"alg": "RS256", "kid": format!("../kid-{n}")}));
    format!("{header}.{}.AAAA", part(claims_with("iat", json!(NOW_S - 3_600))))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_amid_a_flood_of_unknown_keys_costs_no_good_token_a_401() {
    const PAUSE: Duration = Duration::from_millis(200);
    let issuer = Issuer::start((StatusCode::OK, jwks(&[TestKey::first()]))).await;
    let clock = Arc::new(Running(std::time::Instant::now()));
    let config = config(JwksSource::Url(issuer.url.clone()), None);
    let pace = Pace { unknown_key: PAUSE, ..Pace::default() };
    let auth = Authenticator::start_with(config, None, clock.clone(), pace).unwrap();
    ready(&auth).await;
    let mut flood = tokio::task::JoinSet::new();
    for task in 0..4 {
        let auth = Arc::clone(&auth);
        flood.spawn(async move {
            for n in 0.. {
                let code = judge(&auth, &strange(n * 4 + task)).await.unwrap_err();
                assert!(["token_unknown_key", "auth_unavailable"].contains(&code), "{code}");
                tokio::task::yield_now().await;
            }
        });
    }

    issuer.publish(&[TestKey::first(), TestKey::second()]);
    // New tokens each time, which the cache does not know.
    let fresh = |key: &TestKey, n: u32| {
        let mut claims = claims_with("iat", json!(clock.now().as_millis() / 1_000));
        claims["jti"] = json!(n.to_string());
        key.token(&claims)
    };
    let mut waited = 0;
    while let Err(code) = judge(&auth, &fresh(TestKey::second(), waited)).await {
        assert_eq!(code, "auth_unavailable", "a key that was published before it signed");
        waited += 1;
        assert!(judge(&auth, &fresh(TestKey::first(), waited)).await.is_ok(), "a key that was known all the time");
    }
    for n in 0..20 {
        assert!(judge(&auth, &fresh(TestKey::first(), 1_000 + n)).await.is_ok());
        assert!(judge(&auth, &fresh(TestKey::second(), 1_000 + n)).await.is_ok());
    }
    flood.abort_all();
    while let Some(ended) = flood.join_next().await {
        assert!(ended.unwrap_err().is_cancelled(), "the flood was answered to its end");
    }
    let allowed = clock.0.elapsed().as_millis() / PAUSE.as_millis() + 1;
    assert!(issuer.fetches() as u128 <= allowed, "{} fetches, {allowed} allowed", issuer.fetches());
}

#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_is_tried_until_it_is_up() {
    let broken = (StatusCode::OK, "<html>starting</html>".to_owned());
    let issuer = Issuer::start(broken).await;
    let auth = issuer.auth(Pace::default());
    issuer.fetched(1).await;
    assert!(!auth.is_ready());
    let error = auth.authenticate(Some(&bearer(&TestKey::first().token(&claims())))).await.unwrap_err();
    assert_eq!((error.code, error.retry_after_s.is_some()), ("auth_unavailable", true));
    issuer.publish(&[TestKey::first()]);
    // The background retries, although requests may not cause a fetch for ten seconds.
    issuer.fetched(2).await;
    while !auth.is_ready() {
        tokio::task::yield_now().await;
    }
    assert!(judge(&auth, &TestKey::first().token(&claims())).await.is_ok());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let issuer = Issuer::start((StatusCode::OK, jwks(&[TestKey::first()]))).await;
    let target = issuer.url.clone();
    let router = Router::new().route(
        "/jwks.json",
        get(move || {
            let target = target.clone();
            async move { axum::response::Redirect::temporary(&target) }
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let auth = Authenticator::start(config(JwksSource::Url(url), None), clock()).unwrap();
    assert_eq!(judge(&auth, &TestKey::first().token(&claims())).await.unwrap_err(), "auth_unavailable");
    assert_eq!(issuer.fetches(), 0);
}
