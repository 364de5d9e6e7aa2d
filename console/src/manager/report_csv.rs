//! A whole report as CSV.

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query};
use axum::http::header::{CONTENT_DISPOSITION, LINK};
use axum::response::Response;
use http_body_util::BodyExt as _;
use stockline_core::domain::analytics::ReportName;

use super::reports::{Wanted, path};
use crate::api::next_cursor;
use crate::fault::Fault;
use crate::visit::Visit;

/// Rows of one page of the API.
const ROWS: usize = 1_000;

/// Returns a whole report as CSV: the next page is read when the one before is sent.
pub(crate) async fn csv(
    visit: Visit,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Fault> {
    const CSV: &str = "text/csv";
    let report = ReportName::from_word(&name).ok_or(Fault::NotFound)?;
    let path = path(report, &Wanted { cursor: String::new(), ..wanted }, ROWS);
    let first = visit.api.file(&path, CSV).await?;
    let headers = first.headers().clone();
    let (api, state) = (visit.api, Some((first, true)));
    let pages = futures_util::stream::try_unfold(state, move |state| {
        let (api, path) = (api.clone(), path.clone());
        async move {
            let Some((answer, is_first)) = state else { return Ok::<_, std::io::Error>(None) };
            let next = next_cursor(answer.headers());
            let read = answer.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes();
            let next = match next {
                None => None,
                Some(cursor) => {
                    let answer = api.file(&format!("{path}&cursor={cursor}"), CSV).await;
                    // The answer is cut off, so that nobody takes the part for the whole.
                    Some((answer.map_err(|_| std::io::Error::other("the report could not be read to its end"))?, false))
                }
            };
            Ok(Some((if is_first { read } else { without_headings(&read) }, next)))
        }
    });
    let mut response = Response::new(Body::from_stream(pages));
    response.headers_mut().extend(headers);
    response.headers_mut().remove(LINK);
    let named = format!("attachment; filename=\"{}.csv\"", report.as_str());
    let named = named.parse().map_err(|error| Fault::broken(&error))?;
    response.headers_mut().insert(CONTENT_DISPOSITION, named);
    Ok(response)
}

/// Returns a page of CSV without its first line, whose texts have no line ends.
fn without_headings(page: &Bytes) -> Bytes {
    let end = page.iter().position(|byte| *byte == b'\n').map_or(page.len(), |end| end + 1);
    page.slice(end..)
}
