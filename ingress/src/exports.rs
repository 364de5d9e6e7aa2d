//! Exports: a whole list as CSV or as lines of JSON.
//!
//! A list is read page by page, and a page is sent while the next one is read. So an export of any size takes the memory of
//! a few pages. It gives way to the write path as every list does, and few exports run at once.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use futures_util::future::BoxFuture;
use futures_util::stream;
use stockline_core::domain::{LocationId, Record, Timestamp};
use stockline_core::ports::{
    AlertRecord, ChangeFilter, CommandFilter, ItemFilter, ItemWithLevels, LevelFilter, LevelWithItem, Movement,
    MovementFilter, Page, PageRequest, Queries, Since, Snapshot, StoreError,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::app::App;
use crate::problem::{Problem, codes};
use crate::view::Viewer;

mod days;
mod rows;

pub(crate) use days::DaySource;

/// Exports at once.
pub(crate) const EXPORTS_AT_ONCE: usize = 2;
/// Entries of a page.
const PAGE: usize = 1_000;
/// Pages that are made and not sent yet.
const PAGES_AHEAD: usize = 2;
/// Bytes of an entry, about.
const ENTRY_BYTES: usize = 256;
/// The columns for those who see costs.
const COSTS: [&str; 3] = ["unit_cost", "average_cost", "cost"];
/// Tells the moment of an export.
const AS_OF: &str = "stockline-as-of";

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Csv,
    Lines,
}

impl Form {
    /// Returns the form that a request asks for; `None` for the pages of the API. The first form that is known counts.
    pub(crate) fn asked(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let kinds =
            values.flat_map(|value| value.split(',')).map(|kind| kind.split(';').next().unwrap_or_default().trim());
        for kind in kinds {
            match kind.to_ascii_lowercase().as_str() {
                "text/csv" => return Some(Self::Csv),
                "application/x-ndjson" | "application/jsonl" => return Some(Self::Lines),
                "application/json" | "application/*" | "*/*" => return None,
                _ => {}
            }
        }
        None
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Lines => "application/x-ndjson",
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Lines => "ndjson",
        }
    }
}

/// An entry of a list that can be exported.
pub(crate) trait Row: Send + 'static {
    /// The list's name, which is the name of the file.
    const LIST: &'static str;
    /// The headings of the columns; those of [`COSTS`] are for who sees costs.
    const HEADINGS: &'static [&'static str];

    /// May the caller see it?
    fn is_seen(&self, viewer: &Viewer) -> bool;
    /// Writes its cells, one for each heading that the caller sees.
    fn cells(&self, viewer: &Viewer, line: &mut Line<'_>);
    /// Writes it as JSON, as the list has it.
    fn json(&self, viewer: &Viewer, out: &mut Vec<u8>) -> serde_json::Result<()>;
}

/// The lists of a store without snapshots: each page is of a moment of its own.
#[derive(Debug)]
struct Live(Arc<dyn Queries>);

#[async_trait::async_trait]
impl Snapshot for Live {
    async fn items(&self, filter: &ItemFilter, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError> {
        self.0.items(filter, asked).await
    }

    async fn levels(&self, filter: &LevelFilter, asked: PageRequest<'_>) -> Result<Page<LevelWithItem>, StoreError> {
        self.0.levels(filter, asked).await
    }

    async fn all_movements(
        &self,
        filter: &MovementFilter,
        asked: PageRequest<'_>,
    ) -> Result<Option<Page<Movement>>, StoreError> {
        self.0.all_movements(filter, asked).await
    }

    async fn commands(&self, filter: &CommandFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        self.0.commands(filter, asked).await
    }

    async fn changes(&self, filter: &ChangeFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        self.0.changes(filter, asked).await
    }

    async fn alerts(
        &self,
        location_id: Option<&LocationId>,
        asked: PageRequest<'_>,
    ) -> Result<Page<AlertRecord>, StoreError> {
        self.0.alerts(location_id, asked).await
    }
}

/// Reads the pages of a list.
pub(crate) type Pages<T> =
    Box<dyn Fn(Arc<dyn Snapshot>, Option<String>) -> BoxFuture<'static, Result<Page<T>, StoreError>> + Send + Sync>;

/// A list that is exported.
struct Export<T> {
    form: Form,
    viewer: Viewer,
    lists: Arc<dyn Snapshot>,
    pages: Pages<T>,
    _place: OwnedSemaphorePermit,
}

/// Returns the time at or after which what is exported has changed.
///
/// # Errors
/// `cursor_invalid`: the place of a reader of pages.
pub(crate) fn since(since: Option<Since>) -> Result<Option<Timestamp>, Problem> {
    match since {
        None => Ok(None),
        Some(Since::Time(at)) => Ok(Some(at)),
        Some(Since::Mark(_)) => {
            let detail = "next_updated_since is for pages; an export takes a time";
            Err(Problem::new(codes::CURSOR_INVALID, detail))
        }
    }
}

/// Returns the page request of an export.
pub(crate) fn page(cursor: Option<&String>) -> PageRequest<'_> {
    PageRequest { cursor: cursor.map(String::as_str), limit: PAGE }
}

/// Answers a whole list. Its first page is read before the answer begins, so that its faults are problems.
///
/// # Errors
/// `overloaded` if other exports run; the store's errors.
pub(crate) async fn answer<T: Row>(
    app: &App,
    viewer: Viewer,
    form: Form,
    pages: Pages<T>,
) -> Result<Response, Problem> {
    let place = place(app)?;
    let (lists, as_of): (Arc<dyn Snapshot>, Option<Timestamp>) = match app.queries.snapshot().await? {
        Some(snapshot) => (snapshot, Some(app.clock.now())),
        None => (Arc::new(Live(Arc::clone(&app.queries))), None),
    };
    send(place, viewer, form, pages, lists, as_of).await
}

/// As [`answer`], for pages that are each of a moment of their own.
///
/// # Errors
/// As [`answer`].
pub(crate) async fn answer_live<T: Row>(
    app: &App,
    viewer: Viewer,
    form: Form,
    pages: Pages<T>,
) -> Result<Response, Problem> {
    send(place(app)?, viewer, form, pages, Arc::new(Live(Arc::clone(&app.queries))), None).await
}

fn place(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    let busy = || Problem::new(codes::OVERLOADED, "other exports are running; send the request again later");
    Arc::clone(&app.exports).try_acquire_owned().map_err(|_| busy())
}

async fn send<T: Row>(
    place: OwnedSemaphorePermit,
    viewer: Viewer,
    form: Form,
    pages: Pages<T>,
    lists: Arc<dyn Snapshot>,
    as_of: Option<Timestamp>,
) -> Result<Response, Problem> {
    let export = Export { form, viewer, lists, pages, _place: place };
    let first = (export.pages)(Arc::clone(&export.lists), None).await?;
    let (sender, receiver) = mpsc::channel::<Result<Bytes, io::Error>>(PAGES_AHEAD);
    tokio::spawn(export.send(first, sender));
    let chunks =
        stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|chunk| (chunk, receiver)) });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(VARY, HeaderValue::from_static("authorization, accept"));
    let named = format!("attachment; filename=\"{}.{}\"", T::LIST, form.extension());
    headers.extend(HeaderValue::from_str(&named).ok().map(|value| (CONTENT_DISPOSITION, value)));
    let moment = as_of.and_then(|as_of| HeaderValue::from_str(&as_of.to_string()).ok());
    headers.extend(moment.map(|value| (HeaderName::from_static(AS_OF), value)));
    Ok(response)
}

impl<T: Row> Export<T> {
    /// Sends all pages. If the client has gone, it ends; if the store fails, the answer is cut off, so that nobody takes the
    /// part for the whole.
    async fn send(self, first: Page<T>, sender: mpsc::Sender<Result<Bytes, io::Error>>) {
        let mut head = Vec::new();
        if self.form == Form::Csv {
            let mut line = Line::begin(&mut head);
            let is_seen = |heading: &&&str| self.viewer.costs || !COSTS.contains(heading);
            T::HEADINGS.iter().filter(is_seen).for_each(|heading| line.plain(heading));
            line.end();
        }
        let (mut page, mut head) = (first, Some(head));
        loop {
            let next =
                page.next_cursor.take().map(|cursor| tokio::spawn((self.pages)(Arc::clone(&self.lists), Some(cursor))));
            let mut out = head.take().unwrap_or_default();
            out.reserve(page.entries.len() * ENTRY_BYTES);
            let written = self.write(&page, &mut out);
            let chunk = written.map(|()| Bytes::from(out)).map_err(io::Error::other);
            if sender.send(chunk).await.is_err() {
                return;
            }
            page = match next {
                None => return,
                Some(next) => match next.await {
                    Ok(Ok(page)) => page,
                    Ok(Err(error)) => return cut(&sender, T::LIST, &error.to_string()).await,
                    Err(error) => return cut(&sender, T::LIST, &error.to_string()).await,
                },
            };
        }
    }

    fn write(&self, page: &Page<T>, out: &mut Vec<u8>) -> serde_json::Result<()> {
        for entry in page.entries.iter().filter(|entry| entry.is_seen(&self.viewer)) {
            match self.form {
                Form::Csv => {
                    let mut line = Line::begin(out);
                    entry.cells(&self.viewer, &mut line);
                    line.end();
                }
                Form::Lines => {
                    entry.json(&self.viewer, out)?;
                    out.push(b'\n');
                }
            }
        }
        Ok(())
    }
}

async fn cut(sender: &mpsc::Sender<Result<Bytes, io::Error>>, list: &'static str, why: &str) {
    tracing::warn!(list, why, "an export was cut off");
    // A client that has gone needs no error.
    let _ = sender.send(Err(io::Error::other(why.to_owned()))).await;
}

/// A line of CSV while it is written (RFC 4180, with a line feed at its end).
#[derive(Debug)]
pub(crate) struct Line<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Line<'a> {
    pub(crate) fn begin(out: &'a mut Vec<u8>) -> Self {
        Self { out, first: true }
    }

    fn separate(&mut self) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
    }

    /// Writes a word that needs no quotes: a number, a time, a code of ours.
    pub(crate) fn plain(&mut self, word: impl std::fmt::Display) {
        use std::io::Write as _;
        self.separate();
        // A Vec accepts every write.
        let _ = write!(self.out, "{word}");
    }

    /// As [`Line::plain`], for a value that may be missing.
    pub(crate) fn option(&mut self, word: Option<impl std::fmt::Display>) {
        match word {
            Some(word) => self.plain(word),
            None => self.separate(),
        }
    }

    /// Writes a text of a person. What a spreadsheet would take for a formula gets an apostrophe before it, which marks text
    /// in spreadsheets and is taken off by an import. So does what an import would take such an apostrophe off.
    pub(crate) fn text(&mut self, text: &str) {
        self.separate();
        let behind = text.trim_start_matches('\'');
        let number =
            behind.len() < text.len() && !behind.is_empty() && behind.bytes().all(|byte| byte.is_ascii_digit());
        let marked = number || behind.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let quoted = text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r' | b';' | b'\t'))
            || text.starts_with(' ')
            || text.ends_with(' ');
        if quoted {
            self.out.push(b'"');
        }
        if marked {
            self.out.push(b'\'');
        }
        for (at, part) in text.split('"').enumerate() {
            if at > 0 {
                self.out.extend_from_slice(b"\"\"");
            }
            self.out.extend_from_slice(part.as_bytes());
        }
        if quoted {
            self.out.push(b'"');
        }
    }

    /// As [`Line::text`], for a text that may be missing.
    pub(crate) fn optional_text(&mut self, text: Option<&str>) {
        self.text(text.unwrap_or_default());
    }

    fn end(self) {
        self.out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_a_spreadsheet_would_run_is_marked_as_text() {
        let written = |text: &str| {
            let mut out = Vec::new();
            let mut line = Line::begin(&mut out);
            line.text("x");
            line.text(text);
            line.end();
            String::from_utf8(out).unwrap()
        };
        for (text, cell) in [
            ("Cola", "Cola"),
            ("=1+1", "'=1+1"),
            ("+49", "'+49"),
            ("-x", "'-x"),
            ("@sum", "'@sum"),
            ("\tx", "\"'\tx\""),
            ("a,b", "\"a,b\""),
            ("=a\"b", "\"'=a\"\"b\""),
            ("", ""),
        ] {
            assert_eq!(written(text), format!("x,{cell}\n"), "{text:?}");
        }
    }

    #[test]
    fn the_first_form_that_is_known_counts() {
        let asked = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            Form::asked(&headers)
        };
        assert_eq!(asked("text/csv"), Some(Form::Csv));
        assert_eq!(asked("text/html, Text/CSV;q=0.9, */*"), Some(Form::Csv));
        assert_eq!(asked("application/x-ndjson"), Some(Form::Lines));
        assert_eq!(asked("application/json, text/csv"), None);
        assert_eq!(asked("*/*"), None);
        assert_eq!(Form::asked(&HeaderMap::new()), None);
    }
}
