//! The page that asks people to sign in.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::App;
use crate::api::segment;
use crate::page::{Frame, page_with, signs_in_by_links};
use crate::texts::Texts;

/// Where people go on after signing in.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    pub(crate) next: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
pub(crate) struct SignInPage {
    frame: Frame,
    by_links: bool,
    /// The address that leads to the issuer's page.
    start: String,
    next: String,
    code: String,
    /// Whom the link signs in, in words; empty before a link is known.
    whom: String,
    /// What is wrong with the link; empty if nothing is.
    wrong: &'static str,
}

impl SignInPage {
    /// Shows whom a link signs in.
    pub(crate) fn of_link(self, code: String, whom: String) -> Self {
        Self { code, whom, ..self }
    }
}

/// Makes the page; `wrong` says what is wrong with the link.
pub(crate) fn form_page(app: &App, t: &'static Texts, next: &str, wrong: &'static str) -> SignInPage {
    SignInPage {
        frame: Frame::bare(app, t, t.sign_in),
        by_links: signs_in_by_links(app),
        start: format!("{}/console/sign-in/start?next={}", app.config.base, segment(next)),
        next: next.to_owned(),
        code: String::new(),
        whom: String::new(),
        wrong,
    }
}

pub(crate) fn shown(status: StatusCode, page: &impl Template) -> Response {
    page_with(status, page).unwrap_or_else(IntoResponse::into_response)
}
