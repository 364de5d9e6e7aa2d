use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stockline_core::ports::PAGE_LEVELS_MAX;
use utoipa::ToSchema;

use crate::answer;
use crate::app::Shared;
use crate::params::Params;
use crate::problem::{Problem, codes};
use crate::{Limits, LoginConfig, openapi};

/// The bounds of this installation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limits)]
pub(crate) struct LimitsView {
    /// Bytes of a request body.
    #[schema(example = 1_048_576)]
    body_bytes: usize,
    /// Bytes of all bodies over 16 KiB that are being read; more wait, and are `overloaded` after 1 s.
    #[schema(example = 67_108_864)]
    large_bodies_bytes: usize,
    /// Commands of one batch, and of one status request.
    #[schema(example = 500)]
    batch_commands: usize,
    /// Entries of a list page.
    #[schema(example = 1_000)]
    page_entries: usize,
    /// Levels of a page of items, unless its first item alone has more: such a page ends early.
    #[schema(example = 10_000)]
    page_levels: usize,
    /// The longest `Prefer: wait`, in seconds.
    #[schema(example = 20)]
    wait_s: u64,
    /// Requests waiting for outcomes at once; more are answered without waiting.
    #[schema(example = 1_000)]
    waiters: usize,
    /// Commands that waiting requests together wait for; a request with more is answered without waiting.
    #[schema(example = 20_000)]
    waited_commands: usize,
    /// Commands taken in and not yet in the queue; more is `overloaded`.
    #[schema(example = 20_000)]
    buffered_commands: usize,
    /// Requests in work at once; more wait, and are `overloaded` after 1 to 10 s.
    #[schema(example = 4_000)]
    concurrent_requests: usize,
    /// Open connections; more wait to be accepted, and connections without use give way to them.
    #[schema(example = 10_000)]
    connections: usize,
    /// Time to send a request's head, in seconds.
    #[schema(example = 10)]
    header_timeout_s: u64,
    /// Time for a request besides `Prefer: wait`, in seconds.
    #[schema(example = 30)]
    request_timeout_s: u64,
    /// Requests per second and token; null: not limited.
    rate_per_s: Option<u32>,
    /// Requests a token may make at once when it has been quiet; null: not limited.
    rate_burst: Option<u32>,
    /// The most that one command moves.
    #[schema(example = "9999999.999")]
    command_quantity: String,
}

impl From<&Limits> for LimitsView {
    fn from(limits: &Limits) -> Self {
        Self {
            body_bytes: limits.body_bytes,
            large_bodies_bytes: limits.large_bodies_bytes,
            batch_commands: limits.batch_commands,
            page_entries: limits.page,
            page_levels: PAGE_LEVELS_MAX,
            wait_s: limits.wait_s,
            waiters: limits.waiters,
            waited_commands: limits.waited_commands,
            buffered_commands: limits.buffered_commands,
            concurrent_requests: limits.concurrent_requests,
            connections: limits.connections,
            header_timeout_s: limits.header_timeout_s,
            request_timeout_s: limits.request_timeout_s,
            rate_per_s: limits.rate_per_s,
            rate_burst: limits.rate_per_s.map(|_| limits.rate_burst),
            command_quantity: stockline_core::domain::MAX_COMMAND_QUANTITY.to_string(),
        }
    }
}

/// The bounds of this installation. Needs no token.
#[utoipa::path(
    get,
    path = "/v1/limits",
    tag = "About",
    security(()),
    responses((status = 200, description = "The bounds", body = LimitsView)),
)]
pub(crate) async fn limits(State(app): Shared, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    Params::of(&uri, &[]).finish()?;
    answer::read(&headers, &LimitsView::from(&app.limits))
}

/// Where people log in: OAuth 2, authorization code with PKCE (`S256`); the client has no secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Login)]
pub(crate) struct LoginView<'a> {
    /// Where the browser is sent.
    authorization_endpoint: &'a str,
    /// Where codes and refresh tokens become access tokens.
    token_endpoint: &'a str,
    /// The client to log in with.
    #[schema(example = "1h57kf5cpq17m0eml12EXAMPLE")]
    client_id: &'a str,
    /// What to ask for.
    #[schema(example = "openid")]
    scope: &'a str,
}

impl<'a> From<&'a LoginConfig> for LoginView<'a> {
    fn from(login: &'a LoginConfig) -> Self {
        Self {
            authorization_endpoint: &login.authorization_endpoint,
            token_endpoint: &login.token_endpoint,
            client_id: &login.client_id,
            scope: &login.scope,
        }
    }
}

/// Where people get a token. `stockline login` begins here. Needs no token.
#[utoipa::path(
    get,
    path = "/v1/login",
    tag = "About",
    security(()),
    responses(
        (status = 200, description = "The endpoints and the client", body = LoginView<'static>),
        (status = 400, description = "`invalid_parameter`"),
        (status = 404, description = "`login_not_configured`: this installation's tokens come another way"),
    ),
)]
pub(crate) async fn login(State(app): Shared, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    Params::of(&uri, &[]).finish()?;
    match &app.login {
        Some(login) => answer::read(&headers, &LoginView::from(login)),
        None => Err(Problem::new(codes::LOGIN_NOT_CONFIGURED, "nobody can log in here; ask a manager for a token")),
    }
}

/// How this process is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`
    #[schema(example = "ok")]
    status: &'static str,
}

/// Is the process alive? Depends on nothing. Needs no token.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "About",
    security(()),
    responses((status = 200, description = "It is", body = Health)),
)]
pub(crate) async fn healthz() -> Result<Response, Problem> {
    answer::json(StatusCode::OK, &Health { status: "ok" })
}

/// Is it to be sent requests? Not before start-up is done, and not while it drains. A store that is down does not make
/// it unready: commands are accepted all the same. Needs no token.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "About",
    security(()),
    responses(
        (status = 200, description = "It is", body = Health),
        (status = 503, description = "`not_ready`"),
    ),
)]
pub(crate) async fn readyz(State(app): Shared) -> Result<Response, Problem> {
    if app.is_ready() {
        return answer::json(StatusCode::OK, &Health { status: "ok" });
    }
    Err(Problem::new(codes::NOT_READY, "this process is starting or draining; send requests to another one"))
}

/// This description, as OpenAPI 3.1. Needs no token.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "About",
    security(()),
    responses((status = 200, description = "The document", content_type = "application/json")),
)]
pub(crate) async fn openapi_json(headers: HeaderMap) -> Response {
    fixed(&headers, "application/json", &openapi::pages().json, None)
}

/// This description, for people. Needs no token.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "About",
    security(()),
    responses((status = 200, description = "A page that loads nothing from elsewhere", content_type = "text/html")),
)]
pub(crate) async fn docs(headers: HeaderMap) -> Response {
    let pages = openapi::pages();
    fixed(&headers, "text/html; charset=utf-8", &pages.html, Some(&pages.policy))
}

/// A document that does not change while the process lives.
fn fixed(headers: &HeaderMap, kind: &'static str, page: &openapi::Page, policy: Option<&str>) -> Response {
    let known = headers.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == page.tag.as_bytes());
    let common = [(CACHE_CONTROL, "public, no-cache"), (ETAG, page.tag.as_str())];
    if known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let policy = policy.map(|policy| [(CONTENT_SECURITY_POLICY, policy.to_owned())]);
    let kind = [(CONTENT_TYPE, kind), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    match policy {
        Some(policy) => (common, kind, policy, page.body.clone()).into_response(),
        None => (common, kind, page.body.clone()).into_response(),
    }
}
