//! What is asked for, by whomever.

use axum::extract::Request;
use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::{HeaderMap, HeaderValue, Method};

use crate::App;
use crate::locale::Locale;

/// The header with which the script asks for a part of a page instead of the whole.
const PART: &str = "console-part";

/// What is asked for, by whomever.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) is_post: bool,
    pub(crate) wants_part: bool,
    pub(crate) locale: Locale,
}

impl Asked {
    pub(crate) fn of(request: &Request) -> Self {
        let path = request.uri().path_and_query().map_or("", |path| path.as_str()).to_owned();
        let is_post = request.method() == Method::POST;
        let (wants_part, locale) = (wants_part(request.headers()), locale_of(request.headers()));
        Self { path, is_post, wants_part, locale }
    }
}

pub(crate) fn wants_part(headers: &HeaderMap) -> bool {
    headers.contains_key(PART)
}

pub(crate) fn locale_of(headers: &HeaderMap) -> Locale {
    Locale::of(headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default())
}

/// Returns an address of the console: a path of ours, else the first page. No other site can be named.
pub(crate) fn own_path(app: &App, path: &str) -> HeaderValue {
    let is_ours = path == "/console" || path.starts_with("/console/") || path.starts_with("/console?");
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let path = if is_ours && is_plain { path } else { "/console" };
    HeaderValue::from_str(&format!("{}{path}", app.config.base)).unwrap_or(HeaderValue::from_static("/console"))
}
