//! What every answer and every request of the console has to keep to.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::App;
use crate::people::SignIn;

/// Our own style, script, pictures and addresses, and nothing else; no inline script or style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Adds the headers that keep pages from being framed, sniffed, cached or fed with the scripts of others.
pub(crate) async fn security_headers(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // With `no-referrer`, browsers would send the origin `null` with forms.
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(self), microphone=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_SECURITY_POLICY, app.policy.clone());
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Returns the policy of the pages. The form that signs out leads on to the issuer, which browsers count as its target.
pub(crate) fn policy(sign_in: &SignIn) -> HeaderValue {
    let origin = match sign_in {
        SignIn::Oidc(oidc) => oidc
            .logout_endpoint
            .parse::<Uri>()
            .ok()
            .and_then(|address| Some(format!(" {}://{}", address.scheme_str()?, address.authority()?))),
        SignIn::Links(_) => None,
    };
    HeaderValue::from_str(&format!("{POLICY}{}", origin.unwrap_or_default()))
        .unwrap_or(HeaderValue::from_static(POLICY))
}

/// Refuses a request that changes something and does not come from our own pages.
pub(crate) async fn same_site(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_safe || is_ours(request.headers(), &app.config.public) {
        return next.run(request).await;
    }
    tracing::warn!("a request from another site was refused");
    (StatusCode::FORBIDDEN, "This request did not come from a page of this server. Open the page again.\n")
        .into_response()
}

/// Browsers say with `Sec-Fetch-Site` whether a request comes from the same origin, but only over HTTPS and on this machine.
/// Elsewhere they say the origin, which must be the host that was asked, or the public one.
fn is_ours(headers: &HeaderMap, public: &str) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site == "same-origin";
    }
    let Some(origin) = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()) else { return false };
    let Some(authority) = origin.split_once("://").map(|(_, authority)| authority) else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let public: Option<Uri> = public.parse().ok();
    let public = public.as_ref().and_then(Uri::authority).map(|authority| authority.as_str());
    [host, public].into_iter().flatten().any(|ours| ours.eq_ignore_ascii_case(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_may_change_something() {
        for (site, origin, host, expected) in [
            (Some("same-origin"), None, "shop", true),
            (Some("cross-site"), Some("http://shop"), "shop", false),
            (Some("same-site"), Some("http://other.shop"), "shop", false),
            (Some("none"), None, "shop", false),
            (None, Some("http://192.168.1.9:8080"), "192.168.1.9:8080", true),
            (None, Some("https://stock.example.com"), "10.0.0.7:8080", true),
            (None, Some("http://evil.example"), "shop", false),
            (None, Some("null"), "shop", false),
            (None, None, "shop", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            if let Some(site) = site {
                headers.insert(SEC_FETCH_SITE, HeaderValue::from_static(site));
            }
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_ours(&headers, "https://stock.example.com"), expected, "{site:?} {origin:?} {host}");
        }
    }
}
