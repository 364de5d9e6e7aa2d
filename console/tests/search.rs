//! Searches over an API whose pages come back empty: what is far down the list is found, or the page says how far it came.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::extract::Query;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use stockline_console::people::{Grant, Issued, People, PeopleError, SignIn, Token};
use stockline_console::{Config, SessionKeys};
use stockline_core::domain::{ReceiptKeys, Timestamp};
use stockline_core::ports::FixedClock;
use tower::ServiceExt as _;

const NOW_S: i64 = 1_800_000_000;
/// How long the API works for a page.
const PAGE: Duration = Duration::from_millis(20);
/// Pages of the API that a screen may take.
const PAGES_MAX: usize = 50;

/// Signs a manager in by any link.
#[derive(Debug)]
struct AnyLink;

#[async_trait]
impl People for AnyLink {
    async fn whom(&self, _: &str) -> Result<Option<Grant>, PeopleError> {
        Ok(None)
    }

    async fn redeem(&self, _: &str) -> Result<Option<Token>, PeopleError> {
        let claims = json!({"sub": "anna", "exp": NOW_S + 3_600, "cognito:groups": ["Manager"]});
        Ok(Some(Token(format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string())))))
    }

    async fn sign_out(&self, _: &str) -> Result<(), PeopleError> {
        Ok(())
    }

    fn id_of(&self, _: &str) -> Option<String> {
        None
    }

    async fn issued(&self) -> Result<Vec<Issued>, PeopleError> {
        Ok(Vec::new())
    }

    async fn invite(&self, _: &Grant) -> Result<String, PeopleError> {
        Err(PeopleError("nobody is invited".into()))
    }

    async fn connect_till(&self, _: &str, _: &[String]) -> Result<Token, PeopleError> {
        Err(PeopleError("there are no tills".into()))
    }

    async fn revoke(&self, _: &str) -> Result<(), PeopleError> {
        Ok(())
    }
}

async fn locations() -> Json<Value> {
    let main = json!({"location_id": "main", "name": "Main", "time_zone": "UTC", "closed": false});
    Json(json!({"locations": [main], "next_cursor": null}))
}

/// What is asked of the list.
#[derive(Debug, Deserialize)]
struct Asked {
    limit: usize,
    cursor: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    barcode: String,
}

impl Asked {
    /// Which page it is, from 0. A cursor is `page-1`, `page-2`, ….
    fn page(&self) -> usize {
        self.cursor.as_deref().map_or(0, |cursor| cursor.strip_prefix("page-").unwrap().parse().unwrap())
    }

    /// Whether the list has something on this page. A name such as `7 of 90` is on page 7 of a list of 90 pages alone, and
    /// `90 of 90` is on none of them.
    fn is_here(&self) -> (bool, bool) {
        let wanted = if self.state.is_empty() { &self.name } else { &self.state };
        let (at, pages) = wanted.split_once(" of ").unwrap_or(("7", "9"));
        let (at, pages): (usize, usize) = (at.parse().unwrap(), pages.parse().unwrap());
        (self.page() == at, self.page() + 1 < pages)
    }
}

async fn items(Query(asked): Query<Asked>) -> Json<Value> {
    if !asked.barcode.is_empty() {
        return Json(json!({"items": [], "next_cursor": null}));
    }
    tokio::time::sleep(PAGE).await;
    let (is_here, is_more) = asked.is_here();
    let item = json!({
        "item_id": "zebra", "name": "Zebra", "unit": "each", "decimals": 0, "barcodes": [], "category": null,
        "low_stock_threshold": null, "shortage_policy": "allow", "archived": false, "on_hand": "3", "levels": [],
    });
    assert!(asked.limit >= 1);
    let found = if is_here { vec![item] } else { Vec::new() };
    Json(json!({"items": found, "next_cursor": is_more.then(|| format!("page-{}", asked.page() + 1))}))
}

async fn levels(Query(asked): Query<Asked>) -> Json<Value> {
    tokio::time::sleep(PAGE).await;
    let (is_here, is_more) = asked.is_here();
    let level = json!({
        "item_id": "zebra", "item_name": "Zebra", "location_id": "main", "on_hand": "3", "low_stock_threshold": "5",
        "state": "low", "counted_at": null,
    });
    let found = if is_here { vec![level] } else { Vec::new() };
    Json(json!({"levels": found, "next_cursor": is_more.then(|| format!("page-{}", asked.page() + 1))}))
}

/// A console with a person who is signed in.
struct Visit {
    console: Router,
    cookie: String,
}

impl Visit {
    async fn begin() -> Self {
        let config = Config {
            base: String::new(),
            public: "http://localhost".into(),
            keys: SessionKeys::of(&ReceiptKeys::new(&[[1_u8; 32]]).unwrap()),
            sign_in: SignIn::Links(Arc::new(AnyLink)),
            staff_may_count: false,
            metrics: None,
            upkeep: None,
            lately: None,
            clock: Arc::new(FixedClock::at(Timestamp::from_millis(NOW_S * 1_000))),
        };
        let api = Router::new()
            .route("/v1/locations", get(locations))
            .route("/v1/items", get(items))
            .route("/v1/stock", get(levels))
            .fallback(|| async { (StatusCode::NOT_FOUND, Json(json!({"status": 404, "code": "not_found"}))) });
        let console = stockline_console::router(config, api);
        let form = Request::post("/console/sign-in")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .body(Body::from("code=any"))
            .unwrap();
        let entered = console.clone().oneshot(form).await.unwrap();
        let cookie = entered.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        Self { console, cookie }
    }

    async fn send(&self, request: Request<Body>) -> String {
        let answer: Response = self.console.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        String::from_utf8(to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
    }

    async fn get(&self, path: &str) -> String {
        self.send(Request::get(path).header(COOKIE, &self.cookie).body(Body::empty()).unwrap()).await
    }
}

/// Returns what stands between two texts.
fn between<'a>(page: &'a str, before: &str, after: &str) -> &'a str {
    let rest = page.split_once(before).unwrap_or_else(|| panic!("no {before} in {page}")).1;
    rest.split_once(after).unwrap().0
}

/// Returns the address of the link with this text.
fn link<'a>(page: &'a str, text: &str) -> &'a str {
    let before = page.split_once(&format!("\">{text}</a>")).unwrap_or_else(|| panic!("no link {text} in {page}")).0;
    before.rsplit_once("href=\"").unwrap().1
}

#[tokio::test(start_paused = true)]
async fn an_item_behind_many_empty_pages_is_on_the_first_screen() {
    let visit = Visit::begin().await;
    for path in ["/console/items?q=30+of+31", "/console/items?category=drinks", "/console/items?state=low"] {
        let page = visit.get(path).await;
        assert!(page.contains("<strong>Zebra</strong>"), "{path}: {page}");
        assert!(!page.contains("Search on") && !page.contains(">More<"), "{path}: the list ends");
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_that_takes_too_long_says_so_and_goes_on_from_there() {
    let visit = Visit::begin().await;
    let page = visit.get("/console/items?q=90+of+95&category=drinks").await;
    assert!(page.contains("Nothing found so far") && page.contains("The search has stopped after 1 s."), "{page}");
    assert!(!page.contains("No items found") && !page.contains("Zebra"), "{page}");
    let on = link(&page, "Search on").replace("&amp;", "&").replace("&#38;", "&");
    assert_eq!(on, format!("/console/items?cursor=page-{PAGES_MAX}&q=90%20of%2095&category=drinks"));
    let page = visit.get(&on).await;
    assert!(page.contains("<strong>Zebra</strong>") && !page.contains("Search on"), "{page}");
    let page = visit.get("/console/items?q=10+of+95").await;
    assert!(page.contains("<strong>Zebra</strong>") && page.contains("Search on"), "what was found is shown: {page}");
    let page = visit.get("/console/items?q=9+of+9").await;
    assert!(page.contains("No items found") && !page.contains("Search on"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn the_station_finds_a_name_behind_empty_pages_and_searches_on_when_asked() {
    let visit = Visit::begin().await;
    for path in ["lookup", "suggest"] {
        let part = visit.get(&format!("/console/{path}?code=30+of+31")).await;
        assert!(part.contains("<span>Zebra</span>") && !part.contains("Search on"), "{path}: {part}");
    }
    let part = visit.get("/console/lookup?code=90+of+95").await;
    assert!(part.contains("Nothing found so far") && !part.contains("Nothing is known"), "{part}");
    let further = between(&part, "name=\"further\" value=\"", "\"");
    assert_eq!(further, format!("page-{PAGES_MAX} 90 of 95"));
    let query = further.replace(' ', "+");
    let part = visit.get(&format!("/console/lookup?further={query}")).await;
    assert!(part.contains("<span>Zebra</span>") && !part.contains("Search on"), "{part}");
    let plain = Request::post("/console/slip")
        .header(COOKIE, &visit.cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .body(Body::from(format!("at=main&code=&further={query}")))
        .unwrap();
    let page = visit.send(plain).await;
    assert!(page.contains("<span>Zebra</span>"), "without the script: {page}");
    let part = visit.get(&format!("/console/lookup?further=page-{PAGES_MAX}+20+of+60")).await;
    assert!(part.contains("Nothing more is known as “20 of 60”"), "{part}");
    let part = visit.get("/console/lookup?code=9+of+9").await;
    assert!(part.contains("Nothing is known as “9 of 9”"), "{part}");
}
