//! The console: the pages for people, at `/console` (design.md §13).
//!
//! The console is a client of the API. It calls the API's router in process, with the token of the person who is signed in,
//! so it can do nothing that the API refuses. It keeps no state: what is chosen and typed is in the address, in the form or
//! in the session's cookie. The pages work without a script; `assets/console.js` adds what a page can't do alone.
//!
//! # How a page is made
//!
//! A page is one template, one struct and one handler. This is all of a page that shows an item's name:
//!
//! 1. `templates/manager/hello.html`. Templates hold words only from the table, and no logic but loops and conditions:
//!
//!    ```html
//!    {% extends "frame.html" %}
//!    {% block main %}<h1>{{ frame.title }}</h1><p class="card">{{ name }}</p>{% endblock %}
//!    ```
//! 2. The words: a name in `texts.rs`, and its text in `texts/en.rs` (and in the file of every other language; the
//!    compiler names those that lack it). `fill(t.sold, &[…])` puts values into the places `{}`.
//! 3. `manager/hello.rs`. `Visit` is the person who asks: it has the API (`visit.api`), the words (`visit.t`), the
//!    formats of numbers and times (`visit.locale`), and makes the frame around the page. `Form` is what was posted.
//!
//!    ```ignore
//!    #[derive(Template)]
//!    #[template(path = "manager/hello.html")]
//!    struct HelloPage { frame: Frame, name: String }
//!
//!    pub(crate) async fn hello(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
//!        let item: Item = visit.api.get(&format!("/v1/items/{}", segment(&id))).await?;
//!        let places = visit.places().await?;
//!        let frame = visit.frame_at(visit.t.hello, Section::Items, &places);
//!        page(&HelloPage { frame, name: item.name })
//!    }
//!    ```
//! 4. A line in `routes`: `.route("/console/hello/{item_id}", get(manager::hello::hello))`. A page that changes something
//!    is a `post`; the middleware has then checked that the form comes from our own page.
//!
//! What everybody can rely on:
//!
//! - A `Fault` that a handler returns becomes a page or, for the script, a fragment. If the token has expired, everything
//!   that was typed is shown again with a button to send it once more.
//! - A form that submits a command has the command's id in it (`visit.new_id()`): a double click, a reload and the back
//!   button then do it once. Show what was refused beside its field, and keep what was typed.
//! - `visit.api.gather` fills a screen from a list. One page of the API may be empty and not the last one.
//! - The script swaps parts of a page: `<form data-part="#target">` is posted in the background, and the answer takes the
//!   place of `#target`. Such a request has `Visit::wants_part`; answer it with the part alone.
//! - `data-live="30"` on an element reloads it every 30 seconds while somebody looks.
//! - Classes of the style sheet: `card`, `grid`, `facts`, `table` (in `<div class="scroll">`), `field`, `button` (`primary`,
//!   `danger`, `quiet`), `notice` (`good`, `bad`), `tag` (`low`, `out`, `oversold`), `empty`. There are no inline styles and
//!   no inline scripts: the policy refuses them.
//! - Every page is visited by the tests' browser (`tests/console`): add it to the list of pages there.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use stockline_core::ports::{Clock, Lately};
use tokio::sync::Semaphore;

mod api;
mod asked;
mod assets;
mod chart;
mod entrance;
mod fault;
mod form;
mod guard;
mod locale;
mod manager;
mod oidc;
mod page;
pub mod people;
mod places;
mod problem;
mod rates;
mod sealed;
mod session;
mod sign_in;
mod sign_in_page;
mod staff;
mod texts;
pub mod upkeep;
mod visit;

pub use sealed::SessionKeys;

use self::api::Api;
use self::people::SignIn;
use self::rates::Rates;
use self::upkeep::Upkeep;

/// The most bytes of a posted form.
const FORM_BYTES_MAX: usize = 256 * 1024;

/// The most bytes of a form with a file: what the API takes, and the rest of the form.
const FILE_BYTES_MAX: usize = 33 * 1024 * 1024;
/// Files that are taken at once: each is in memory until it is judged.
const UPLOADS_AT_ONCE: usize = 2;

/// How the console runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// The path that a proxy mounts the server at, such as `/stock`; empty for none.
    pub base: String,
    /// The address at which people reach the server, such as `https://stock.example.com`.
    pub public: String,
    /// The keys that seal the sessions' cookies.
    pub keys: SessionKeys,
    /// How people sign in.
    pub sign_in: SignIn,
    /// Whether Staff may count.
    pub staff_may_count: bool,
    /// What is measured here; `None` where the figures are elsewhere.
    pub metrics: Option<Metrics>,
    /// The machine, where the console may look after it.
    pub upkeep: Option<Arc<dyn Upkeep>>,
    /// What was accepted lately; `None` where several processes accept.
    pub lately: Option<Arc<Lately>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What is measured, in the text format of Prometheus.
#[derive(Clone)]
pub struct Metrics(Arc<dyn Fn() -> String + Send + Sync>);

impl Metrics {
    /// Names the function that writes the text.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(render))
    }

    fn text(&self) -> String {
        (self.0)()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// What all requests share.
#[derive(Debug)]
struct App {
    config: Config,
    api: Api,
    /// Whether people reach the server by HTTPS, so that the cookie must not leave it.
    is_secure: bool,
    /// What the pages may load, and where their forms may lead.
    policy: HeaderValue,
    /// How fast the counters grow.
    rates: Rates,
    /// A permit for each file that may be taken now.
    uploads: Semaphore,
}

/// Returns the console's routes. They call `api`, which is the API's router with its middleware.
pub fn router(config: Config, api: Router) -> Router {
    let is_secure = config.public.starts_with("https://");
    let policy = guard::policy(&config.sign_in);
    let app = Arc::new(App {
        policy,
        config,
        api: Api(api),
        is_secure,
        rates: Rates::default(),
        uploads: Semaphore::new(UPLOADS_AT_ONCE),
    });
    let signed = routes().layer(from_fn_with_state(Arc::clone(&app), entrance::required));
    signed
        .merge(sign_in::routes())
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&app), guard::same_site))
        .merge(assets::routes())
        .layer(from_fn_with_state(Arc::clone(&app), guard::security_headers))
        .with_state(app)
}

/// The pages of people who are signed in.
fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/console", get(staff::station::home))
        .route("/console/slip", post(staff::slip::slip))
        .route("/console/lookup", get(staff::lookup::lookup))
        .route("/console/suggest", get(staff::lookup::suggest))
        .route("/console/count", get(staff::count::list).post(staff::count::take))
        .route("/console/place", post(entrance::choose_place))
        .route("/console/sign-out", post(sign_in::sign_out))
        .route("/console/today", get(manager::today::today))
        .route("/console/refused", get(manager::refused::refused).post(manager::refused::resubmit))
        .route("/console/items", get(manager::items::items).post(manager::items::change))
        .route("/console/items/new", get(manager::edit::blank).post(manager::edit::register))
        .route("/console/locations", get(manager::locations::locations).post(manager::locations::put))
        .route("/console/people", get(manager::people::people).post(manager::people::change))
        .route("/console/today/orders", get(manager::orders::first))
        .route("/console/reports", get(manager::reports::list))
        .route("/console/reports/reorder", get(manager::orders::list))
        .route("/console/reports/{report}", get(manager::reports::report))
        .route("/console/reports/{report}/csv", get(manager::report_csv::csv))
        .route(
            "/console/import",
            get(manager::import::ask).merge(post(manager::import::judge).layer(DefaultBodyLimit::max(FILE_BYTES_MAX))),
        )
        .route("/console/import/{import_id}", get(manager::import::progress).post(manager::import::apply))
        .route("/console/import/{import_id}/result", get(manager::import::result))
        .route("/console/import-templates/{kind}", get(manager::import::template))
        .route("/console/export", get(manager::export::lists))
        .route("/console/export/{list}", get(manager::export::list))
        .route("/console/operations", get(manager::operations::operations).post(manager::operations::decide))
        .route("/console/{*rest}", get(page::not_found))
        .route("/console/items/{item_id}", get(manager::item::item).post(manager::edit::change))
}
