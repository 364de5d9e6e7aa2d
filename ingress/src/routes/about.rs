use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::response::Response;

use super::read::Read;
use crate::answer;
use crate::app::Shared;
use crate::problem::{Problem, codes};
use crate::view::{Health, LimitsView, LoginView};

/// Returns the bounds of this installation. Needs no token; one that is sent must be valid.
#[utoipa::path(
    get,
    operation_id = "get_limits",
    path = "/v1/limits",
    tag = "About",
    security(()),
    responses(
        (status = 200, description = "The bounds", body = LimitsView),
        (status = 400, description = "`invalid_parameter`"),
        (status = 401, description = "The token that was sent is not valid"),
    ),
)]
pub(crate) async fn limits(read: Read) -> Result<Response, Problem> {
    if let Some(sent) = read.headers.get(AUTHORIZATION) {
        read.app.token_check.authenticate(sent).await.map_err(Problem::unauthorized)?;
    }
    read.params(&[]).finish()?;
    read.answer(&LimitsView::of(&read.app.limits, &read.app.staff_may))
}

/// Returns where people get a token. `stockline login` begins here. Needs no token.
#[utoipa::path(
    get,
    operation_id = "get_login",
    path = "/v1/login",
    tag = "About",
    security(()),
    responses(
        (status = 200, description = "The endpoints and the client", body = LoginView<'static>),
        (status = 400, description = "`invalid_parameter`"),
        (status = 404, description = "`login_not_configured`: people can't log in here, and get their tokens in another way"),
    ),
)]
pub(crate) async fn login(read: Read) -> Result<Response, Problem> {
    read.params(&[]).finish()?;
    match &read.app.login {
        Some(login) => read.answer(&LoginView::from(login)),
        None => Err(Problem::new(codes::LOGIN_NOT_CONFIGURED, "people can't log in here; ask a manager for a token")),
    }
}

/// Answers while the process is alive. It depends on nothing else. Needs no token.
#[utoipa::path(
    get,
    operation_id = "get_health",
    path = "/healthz",
    tag = "About",
    security(()),
    responses((status = 200, description = "The process is alive", body = Health)),
)]
pub(crate) async fn healthz() -> Result<Response, Problem> {
    answer::json(StatusCode::OK, &Health::of(Vec::new()))
}

/// Answers whether the process should be sent requests. It is ready after its start and until it drains, unless a part that
/// every request needs is down, or its machine's clock has stepped.
///
/// If the stock store is down, the process is still ready, because it accepts commands all the same. `faults` names each part
/// that does not do its work, and why. Needs no token.
#[utoipa::path(
    get,
    operation_id = "get_readiness",
    path = "/readyz",
    tag = "About",
    security(()),
    responses(
        (status = 200, description = "The process is ready", body = Health),
        (status = 503, description = "`not_ready`; its detail names the part and the reason"),
    ),
)]
pub(crate) async fn readyz(State(app): Shared) -> Result<Response, Problem> {
    match app.unready().await.or_else(|| app.clock.doubt()) {
        Some(why) => Err(Problem::not_ready(&why)),
        None => answer::json(StatusCode::OK, &Health::of(app.faults.all())),
    }
}
