use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::read::Read;
use crate::answer;
use crate::app::Shared;
use crate::problem::{Problem, codes};
use crate::view::{Health, LimitsView, LoginView};

/// The bounds of this installation. Needs no token.
#[utoipa::path(
    get,
    path = "/v1/limits",
    tag = "About",
    security(()),
    responses((status = 200, description = "The bounds", body = LimitsView)),
)]
pub(crate) async fn limits(read: Read) -> Result<Response, Problem> {
    read.params(&[]).finish()?;
    read.answer(&LimitsView::from(&read.app.limits))
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
pub(crate) async fn login(read: Read) -> Result<Response, Problem> {
    read.params(&[]).finish()?;
    match &read.app.login {
        Some(login) => read.answer(&LoginView::from(login)),
        None => Err(Problem::new(codes::LOGIN_NOT_CONFIGURED, "nobody can log in here; ask a manager for a token")),
    }
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
