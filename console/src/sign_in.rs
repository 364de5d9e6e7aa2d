//! Signing in and out.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::App;
use crate::asked::{locale_of, own_path};
use crate::fault::Fault;
use crate::form::Form;
use crate::oidc;
use crate::page::Frame;
use crate::people::{PeopleError, Role};
use crate::session::{Session, no_cookie};
use crate::sign_in_page::{Next, form_page, shown};
use crate::texts::{Texts, fill};
use crate::visit::Visit;

/// The pages for people who are not signed in.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/console/sign-in", get(ask).post(enter))
        .route("/console/sign-in/start", get(oidc::begin))
        .route("/console/sign-in/done", get(oidc::done))
        .route("/console/sign-in/{code}", get(confirm))
        .route("/console/signed-out", get(signed_out))
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage {
    frame: Frame,
}

/// Asks for a link.
async fn ask(State(app): State<Arc<App>>, Query(next): Query<Next>, headers: HeaderMap) -> Response {
    let t = locale_of(&headers).texts();
    shown(StatusCode::OK, &form_page(&app, t, &next.next, ""))
}

/// Shows whom a link signs in, and asks for a press of a button: programs that look at links, such as mail scanners, must
/// not use it up, and nobody is to be signed in unnoticed.
async fn confirm(State(app): State<Arc<App>>, Path(code): Path<String>, headers: HeaderMap) -> Response {
    let t = locale_of(&headers).texts();
    let Some(people) = app.config.sign_in.people() else { return Fault::NotFound.into_response() };
    match people.whom(&code).await {
        Ok(Some(grant)) => {
            let role = if grant.role == Role::Manager { t.manager } else { t.staff };
            let whom = match grant.locations.as_slice() {
                [] => fill(t.sign_in_as, &[&grant.subject, role]),
                some => fill(t.sign_in_as_at, &[&grant.subject, role, &some.join(", ")]),
            };
            shown(StatusCode::OK, &form_page(&app, t, "", "").of_link(code, whom))
        }
        Ok(None) => shown(StatusCode::GONE, &form_page(&app, t, "", t.link_gone)),
        Err(error) => failed(&app, t, &error),
    }
}

fn failed(app: &App, t: &'static Texts, error: &PeopleError) -> Response {
    tracing::error!(%error, "nobody can sign in");
    shown(StatusCode::SERVICE_UNAVAILABLE, &form_page(app, t, "", t.sign_in_failed))
}

/// Signs a person in by a link, or by the code at its end. The session is a new one, whatever cookie the browser had.
async fn enter(State(app): State<Arc<App>>, headers: HeaderMap, form: Form) -> Response {
    let t = locale_of(&headers).texts();
    let Some(people) = app.config.sign_in.people() else { return Fault::NotFound.into_response() };
    let code = form.text("code").rsplit('/').next().unwrap_or_default();
    let token = match people.redeem(code).await {
        Ok(Some(token)) => token,
        Ok(None) => return shown(StatusCode::GONE, &form_page(&app, t, form.text("next"), t.link_gone)),
        Err(error) => return failed(&app, t, &error),
    };
    let cookie = Session::of(token.0).ok_or(Fault::Broken).and_then(|session| session.cookie(&app));
    match cookie {
        Ok(cookie) => {
            let next = own_path(&app, form.text("next"));
            (StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, next)]).into_response()
        }
        Err(fault) => fault.into_response(),
    }
}

/// Ends the session here, and revokes its token.
pub(crate) async fn sign_out(visit: Visit) -> Result<Response, Fault> {
    if let Some(people) = visit.app.config.sign_in.people() {
        people.sign_out(visit.session.token()).await.map_err(|error| Fault::broken(&error))?;
    }
    let to = match oidc::sign_out_address(&visit.app) {
        Some(address) => HeaderValue::from_str(&address).map_err(|error| Fault::broken(&error))?,
        None => own_path(&visit.app, "/console/signed-out"),
    };
    Ok((StatusCode::SEE_OTHER, [(SET_COOKIE, no_cookie(&visit.app)?), (LOCATION, to)]).into_response())
}

async fn signed_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let t = locale_of(&headers).texts();
    shown(StatusCode::OK, &SignedOutPage { frame: Frame::bare(&app, t, t.signed_out) })
}
