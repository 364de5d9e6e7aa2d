//! How browsers and proxies reach the API: the web pages that may call it, and the path that it is mounted at.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use tower::ServiceExt as _;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what it may send.
const PREFLIGHT_AGE: Duration = Duration::from_secs(3_600);
/// Further headers that a page may send.
const SENT: [&str; 4] = ["idempotency-key", "prefer", "x-request-id", "traceparent"];
/// Further headers of an answer that a page may read.
const READ: [&str; 2] = ["x-request-id", "preference-applied"];
/// The first parts of the API's own paths: under one of them, a path could be read in two ways.
const OWN: [&str; 6] = ["v1", "docs", "openapi.json", "healthz", "readyz", "console"];

/// How browsers and proxies reach the API. By default no page of another origin may call it, and it is mounted at `/`.
#[derive(Debug, Clone, Default)]
pub struct Web {
    /// The origins whose pages may call the API (CORS).
    pub origins: Vec<Origin>,
    /// The path that a proxy mounts the API at.
    pub base_path: BasePath,
    /// Pages that are served beside the API.
    pub pages: Option<Pages>,
}

/// Pages beside the API, such as the console: made from the API's router, so that they can call it in process.
#[derive(Clone)]
pub struct Pages(Arc<dyn Fn(Router) -> Router + Send + Sync>);

impl Pages {
    /// Names the pages by the function that makes their routes.
    pub fn new(make: impl Fn(Router) -> Router + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(crate) fn beside(&self, api: Router) -> Router {
        (self.0)(api)
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pages")
    }
}

/// The origin of a web page, as browsers name it: `https://till.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// The text is not an [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an origin as browsers send it, such as https://till.example.com or http://192.168.1.20:3000: a scheme and a \
     host in ASCII without a path; \"*\" would let every page in the world use a token that it gets hold of"
)]
pub struct OriginError;

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let text = text.trim().to_ascii_lowercase();
        let uri: Uri = text.parse().map_err(|_| OriginError)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(OriginError) };
        let is_bare = text == format!("{scheme}://{authority}") && !authority.as_str().contains(['@', '*']);
        if !is_bare || authority.host().is_empty() {
            return Err(OriginError);
        }
        // Browsers leave the usual port out.
        let usual = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => "",
        };
        let origin = text.strip_suffix(usual).unwrap_or(&text);
        HeaderValue::from_str(origin).map(Self).map_err(|_| OriginError)
    }
}

/// The path that a proxy mounts the API at, such as `/stock`; empty for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasePath(String);

/// The text is not a [`BasePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a path such as /stock: letters, digits and . _ ~ -, and no path of the API itself (/v1, /docs, /healthz and others)"
)]
pub struct BasePathError;

impl FromStr for BasePath {
    type Err = BasePathError;

    fn from_str(text: &str) -> Result<Self, BasePathError> {
        let path = text.trim().trim_end_matches('/');
        if path.is_empty() {
            return Ok(Self::default());
        }
        let parts: Vec<&str> = path.strip_prefix('/').ok_or(BasePathError)?.split('/').collect();
        let is_plain = |part: &&str| {
            !matches!(*part, "" | "." | "..")
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-'))
        };
        let is_own = parts.first().is_some_and(|first| OWN.contains(first));
        if parts.iter().all(is_plain) && !is_own { Ok(Self(path.to_owned())) } else { Err(BasePathError) }
    }
}

impl BasePath {
    /// Returns the path, such as `/stock`; empty for none.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path of a request without the base path. Some proxies take it away, and some do not.
    fn strip(&self, uri: &Uri) -> Option<Uri> {
        let rest = uri.path_and_query()?.as_str().strip_prefix(self.0.as_str())?;
        let rest = match rest.chars().next() {
            Some('/') => rest.to_owned(),
            None | Some('?') => format!("/{rest}"),
            Some(_) => return None,
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
        Uri::from_parts(parts).ok()
    }
}

impl BasePath {
    /// The links of the pages are relative, so the first page must end in a slash.
    fn is_reached_without_slash(&self, uri: &Uri) -> bool {
        uri.path() == self.0
    }

    fn with_slash(&self, uri: &Uri) -> Response {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        Redirect::permanent(&format!("{}/{query}", self.0)).into_response()
    }
}

tokio::task_local! {
    /// The base path of the request in progress.
    static BASE: Arc<BasePath>;
}

/// Returns the address of a path of the API for a client: under the base path, if there is one.
pub(crate) fn link(path: &str) -> String {
    BASE.try_with(|base| format!("{}{path}", base.0)).unwrap_or_else(|_| path.to_owned())
}

/// Lets the pages of some origins call the API, and mounts it.
pub(crate) fn reached(api: Router, web: &Web) -> Router {
    let api = if web.origins.is_empty() { api } else { api.layer(cors(&web.origins)) };
    if web.base_path == BasePath::default() {
        return api;
    }
    let base = Arc::new(web.base_path.clone());
    Router::new().fallback_service(tower::service_fn(move |mut request: Request| {
        let (api, base) = (api.clone(), Arc::clone(&base));
        BASE.scope(Arc::clone(&base), async move {
            if base.is_reached_without_slash(request.uri()) {
                return Ok(base.with_slash(request.uri()));
            }
            if let Some(uri) = base.strip(request.uri()) {
                *request.uri_mut() = uri;
            }
            api.oneshot(request).await
        })
    }))
}

fn cors(origins: &[Origin]) -> CorsLayer {
    let named = |names: &[&'static str]| names.iter().copied().map(HeaderName::from_static).collect::<Vec<_>>();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().map(|origin| origin.0.clone())))
        .allow_methods([Method::GET, Method::POST, Method::PUT])
        .allow_headers([vec![AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH], named(&SENT)].concat())
        .expose_headers([vec![ETAG, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE], named(&READ)].concat())
        .allow_private_network(true)
        .max_age(PREFLIGHT_AGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for (text, origin) in [
            ("https://till.example.com", "https://till.example.com"),
            ("HTTPS://Till.Example.com:443", "https://till.example.com"),
            ("http://192.168.1.20:80", "http://192.168.1.20"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().0, origin, "{text}");
        }
        for bad in [
            "",
            "*",
            "null",
            "https://*",
            "https://*.shop",
            "till.shop",
            "https://till.shop/",
            "https://a@b",
            "https://bü",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_base_path_is_taken_away_once_and_only_whole() {
        let base: BasePath = "/stock/".parse().unwrap();
        for (path, rest) in [
            ("/stock/v1/items?limit=1", Some("/v1/items?limit=1")),
            ("/stock", Some("/")),
            ("/stock?a=b", Some("/?a=b")),
            ("/stock/stock/v1", Some("/stock/v1")),
            ("/stocks/v1/items", None),
            ("/v1/stock", None),
        ] {
            let found = base.strip(&path.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), rest, "{path}");
        }
        assert_eq!("/".parse::<BasePath>().unwrap(), BasePath::default());
        for bad in ["stock", "/v1", "/docs/x", "//", "/a//b", "/../a", "/a?b", "/a b", "/{x}", "/%2e"] {
            assert!(bad.parse::<BasePath>().is_err() || bad == "//", "{bad}");
        }
    }
}
