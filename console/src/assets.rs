//! The style sheet, the script and the icon. Their addresses have a digest of their content, so browsers keep them for good.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::App;

const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// A file that never changes under its name.
#[derive(Debug)]
struct Asset {
    /// `console.0123456789abcdef.css`
    name: String,
    kind: &'static str,
    content: &'static str,
}

impl Asset {
    fn of(stem: &str, ending: &str, kind: &'static str, content: &'static str) -> Self {
        let tag: String =
            digest(&SHA256, content.as_bytes()).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("{stem}.{tag}.{ending}"), kind, content }
    }
}

static CSS: LazyLock<Asset> =
    LazyLock::new(|| Asset::of("console", "css", "text/css; charset=utf-8", include_str!("../assets/console.css")));
static JS: LazyLock<Asset> = LazyLock::new(|| {
    Asset::of("console", "js", "text/javascript; charset=utf-8", include_str!("../assets/console.js"))
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::of("icon", "svg", "image/svg+xml", include_str!("../assets/icon.svg")));

/// Returns the name of the style sheet.
pub(crate) fn css() -> &'static str {
    &CSS.name
}

/// Returns the name of the script.
pub(crate) fn js() -> &'static str {
    &JS.name
}

/// Returns the name of the icon.
pub(crate) fn icon() -> &'static str {
    &ICON.name
}

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/console/assets/{name}", get(asset)).route("/console/count-worker.js", get(count_worker))
}

/// The script that keeps the page that counts. Browsers look for a newer one under the same address.
async fn count_worker() -> Response {
    let script = include_str!("../assets/count-worker.js");
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, "no-cache")], script).into_response()
}

async fn asset(Path(name): Path<String>) -> Response {
    match [&*CSS, &*JS, &*ICON].into_iter().find(|asset| asset.name == name) {
        Some(asset) => ([(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, FOR_GOOD)], asset.content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
