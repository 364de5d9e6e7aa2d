//! The entrance: who is signed in goes through, who is not signs in first, and what was typed is kept.

use std::sync::Arc;

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::segment;
use crate::asked::Asked;
use crate::fault::{Fault, Unshown};
use crate::form::Form;
use crate::page::{Frame, of_fault};
use crate::session::Session;
use crate::sign_in_page::shown;
use crate::texts::Texts;
use crate::visit::Visit;
use crate::{App, FORM_BYTES_MAX};

#[derive(Template)]
#[template(path = "again.html")]
struct AgainPage {
    frame: Frame,
    action: String,
    typed: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "again_part.html")]
struct AgainPart {
    root: String,
    t: &'static Texts,
}

/// Lets signed-in people through, and makes pages of what the handlers could not do. A form that arrives without a session
/// is shown again, with all that was typed.
pub(crate) async fn required(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let asked = Asked::of(&request);
    let session = Session::read(&app, request.headers());
    let typed = match typed(&mut request).await {
        Ok(typed) => typed,
        Err(status) => return status.into_response(),
    };
    let response = match &session {
        Some(session) => {
            request.extensions_mut().insert(session.clone());
            next.run(request).await
        }
        None => Fault::SignedOut.into_response(),
    };
    match response.extensions().get::<Unshown>().cloned() {
        None => response,
        Some(_) if response.status() == StatusCode::UNAUTHORIZED => signed_out(&app, &asked, typed),
        Some(unshown) => of_fault(&app, &asked, session.as_ref(), response.status(), unshown),
    }
}

/// Reads the form of a request, and leaves it there for the handler.
async fn typed(request: &mut Request) -> Result<Form, StatusCode> {
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if request.method() != Method::POST || !kind.starts_with(b"application/x-www-form-urlencoded") {
        return Ok(Form::default());
    }
    let body = std::mem::take(request.body_mut());
    let bytes = to_bytes(body, FORM_BYTES_MAX).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let form = Form::read(&bytes);
    *request.body_mut() = Body::from(bytes);
    Ok(form)
}

fn signed_out(app: &App, asked: &Asked, typed: Form) -> Response {
    if asked.is_post || asked.wants_part {
        return again(app, asked, typed);
    }
    let back = format!("{}/console/sign-in?next={}", app.config.base, segment(&asked.path));
    let Ok(back) = HeaderValue::from_str(&back) else { return StatusCode::BAD_REQUEST.into_response() };
    (StatusCode::SEE_OTHER, [(LOCATION, back)]).into_response()
}

/// Chooses the location at which the person works, and goes back to the page.
pub(crate) async fn choose_place(visit: Visit, form: Form) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let place = places.named(form.text("place")).ok_or(Fault::BadForm)?;
    let cookie = visit.session.clone().at(&place.location_id).cookie(&visit.app)?;
    let back = visit.back_to(form.text("next"));
    Ok((StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, back)]).into_response())
}

/// Shows a form again that arrived without a session, with everything that was typed, and a way to sign in beside it.
fn again(app: &App, asked: &Asked, typed: Form) -> Response {
    let t = asked.locale.texts();
    if asked.wants_part {
        let part = AgainPart { root: app.config.base.clone(), t };
        return shown(StatusCode::UNAUTHORIZED, &part);
    }
    let page = AgainPage {
        frame: Frame::bare(app, t, t.session_over),
        action: format!("{}{}", app.config.base, asked.path),
        typed: typed.0,
    };
    shown(StatusCode::UNAUTHORIZED, &page)
}
