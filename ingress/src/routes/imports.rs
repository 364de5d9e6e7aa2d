use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use jiff::tz::TimeZone;
use stockline_core::domain::LocationId;
use stockline_import::format::{DateMeans, Decimal};
use stockline_import::{Kind, Options, result_file, template};
use uuid::Uuid;

use super::path::InPath;
use crate::access::Caller;
use crate::answer;
use crate::app::{App, Shared};
use crate::body;
use crate::imports::{self, Import, Upload};
use crate::openapi::parameters;
use crate::params::Params;
use crate::problem::{Problem, codes};
use crate::view::ImportView;
use crate::web::link;

/// Faults and lines of an answer without `show`.
const SHOWN: usize = 100;
/// The most faults and lines of an answer.
const SHOWN_MAX: usize = 1_000;
const DELIMITERS: [(&str, u8); 3] = [("comma", b','), ("semicolon", b';'), ("tab", b'\t')];

/// Judges a file, and changes nothing.
///
/// For the group Manager. The body is the file itself: CSV or TSV (UTF-8, UTF-16 or Windows-1252; commas, semicolons or
/// tabs) or XLSX. Its first line names the columns, in any order and case; exports of WooCommerce, Shopify, Square and
/// Lightspeed are known. The answer names every fault, and what would be made, changed or left. Then
/// `POST /v1/imports/{import_id}/apply` does it.
///
/// An import is kept in the memory of one process for an hour. If it is not found later, post the same file again: it gets
/// the same id, and applying it goes on where it was, because its commands have the same ids.
#[utoipa::path(
    post,
    operation_id = "create_import",
    path = "/v1/imports",
    tag = "Imports",
    params(
        ("type" = String, Query, description = "`items`, `stock` (opening stock), `counts`, `thresholds` or `locations`", example = "items"),
        ("file" = Option<String>, Query, description = "The name of the file, for texts", example = "products.csv"),
        ("map" = Option<Vec<String>>, Query, description = "`field=heading`, for a column whose heading does not say it; repeat the parameter for further ones", example = json!(["item_id=Art. no"])),
        ("ignore_unknown" = Option<bool>, Query, description = "`true`: columns that mean nothing here are left out"),
        ("decimal" = Option<String>, Query, description = "The mark before fractions, `point` or `comma`, if numbers such as 1.250 could be read in two ways", example = "comma"),
        ("delimiter" = Option<String>, Query, description = "What separates columns, `comma`, `semicolon` or `tab`; else the headings tell", example = "semicolon"),
        ("sheet" = Option<String>, Query, description = "The sheet of a workbook that has several", example = "Products"),
        ("location_id" = Option<String>, Query, description = "The location of lines that name none", example = "shop-1"),
        ("place" = Option<Vec<String>>, Query, description = "`name=location_id`, for a location that the file calls otherwise; repeat the parameter for further ones", example = json!(["Main Street=shop-1"])),
        ("time_zone" = Option<String>, Query, description = "The time zone of times without an offset; else that of the location", example = "Europe/Berlin"),
        ("date_means" = Option<String>, Query, description = "When on its day something was counted: `start`, `end` or a time", example = "18:30"),
        ("batch" = Option<String>, Query, description = "A name for the events of the file: the same counts under another name are other counts", example = "2026-01"),
        ("show" = Option<u64>, Query, description = "Faults and lines of the answer, 0 to 1,000; 100 by default"),
    ),
    request_body(content = String, content_type = "application/octet-stream", description = "The file"),
    responses(
        (status = 200, description = "The file was judged; nothing was changed", body = ImportView<'static>),
        (status = 400, description = "`invalid_parameter`"),
        (status = 403, description = "`no_role`, `forbidden`"),
        (status = 408, description = "`request_timeout`"),
        (status = 413, description = "`body_too_large`"),
        (status = 415, description = "`unsupported_media_type`: the body has a Content-Encoding"),
        (status = 422, description = "`invalid_import`: the file can't be read, or its columns make no sense"),
        (status = 503, description = "`overloaded`, `store_unavailable`, `timeout`, `auth_unavailable`"),
    ),
)]
pub(crate) async fn create(
    State(app): Shared,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    request: Body,
) -> Result<Response, Problem> {
    caller.may_import()?;
    let asked = Asked::of(&uri)?;
    let bytes = body::read_file(&headers, request, &app.limits, &app.body_budget).await?;
    let Asked { options, delimiter, sheet, file_name, show } = asked;
    let query = query_without(&uri, &["show", "file"]);
    let upload = Upload { bytes: bytes.shared(), file_name, options, delimiter, sheet, query };
    let import = imports::judge(&app, &caller, upload).await?;
    drop(bytes);
    let import = app.imports.keep(import).ok_or_else(|| {
        Problem::new(codes::OVERLOADED, "other imports take all the memory for imports; send the file again later")
    })?;
    answer(&import, StatusCode::OK, show)
}

/// Returns an import: its faults, what it would do, and how far it is applied.
#[utoipa::path(
    get,
    operation_id = "get_import",
    path = "/v1/imports/{import_id}",
    tag = "Imports",
    params(
        parameters::ImportInPath,
        ("show" = Option<u64>, Query, description = "Faults and lines of the answer, 0 to 1,000; 100 by default"),
    ),
    responses(
        (status = 200, description = "The import", body = ImportView<'static>),
        (status = 400, description = "`invalid_parameter`"),
        (status = 404, description = "`import_not_found`: post the file again"),
    ),
)]
pub(crate) async fn import(
    State(app): Shared,
    caller: Caller,
    InPath(import_id): InPath<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    caller.may_import()?;
    let mut params = Params::of(&uri, &["show"]);
    let show = show(&mut params);
    params.finish()?;
    let import = found(&app, &caller, &import_id)?;
    answer(&import, StatusCode::OK, show)
}

/// Applies an import.
///
/// It is judged again first, because the store may have changed. Then its commands go through the queue as everybody's do;
/// `GET /v1/imports/{import_id}` tells how far it is. Applying it again changes nothing: what took effect is known by its
/// command id.
#[utoipa::path(
    post,
    operation_id = "apply_import",
    path = "/v1/imports/{import_id}/apply",
    tag = "Imports",
    params(
        parameters::ImportInPath,
        ("faulty" = Option<String>, Query, description = "`skip`: lines with faults are left out, and stand in the result file; else they refuse all", example = "skip"),
    ),
    responses(
        (status = 202, description = "It is being applied", body = ImportView<'static>),
        (status = 400, description = "`invalid_parameter`"),
        (status = 404, description = "`import_not_found`: post the file again"),
        (status = 409, description = "`import_faulty`: nothing was applied"),
    ),
)]
pub(crate) async fn apply(
    State(app): Shared,
    caller: Caller,
    InPath(import_id): InPath<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    caller.may_import()?;
    let mut params = Params::of(&uri, &["faulty"]);
    let skip = params.word("faulty", &[("skip", true)]).unwrap_or(false);
    params.finish()?;
    let import = found(&app, &caller, &import_id)?;
    let import = imports::apply(&app, &caller, import, skip).await?;
    let mut response = answer(&import, StatusCode::ACCEPTED, SHOWN)?;
    if let Ok(value) = HeaderValue::from_str(&link(&format!("/v1/imports/{}", import.id))) {
        response.headers_mut().insert(LOCATION, value);
    }
    Ok(response)
}

/// Returns the lines that have faults or were refused, as CSV: with the reason and what to do, before their own cells.
///
/// Corrected, it can be imported; the columns of the reasons are left out then.
#[utoipa::path(
    get,
    operation_id = "get_import_result",
    path = "/v1/imports/{import_id}/result",
    tag = "Imports",
    params(parameters::ImportInPath),
    responses(
        (status = 200, description = "The lines; only headings if there are none", content_type = "text/csv", body = String),
        (status = 404, description = "`import_not_found`: post the file again"),
    ),
)]
pub(crate) async fn result(
    State(app): Shared,
    caller: Caller,
    InPath(import_id): InPath<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    caller.may_import()?;
    Params::of(&uri, &[]).finish()?;
    let import = found(&app, &caller, &import_id)?;
    let state = import.state().clone();
    // One line may have several faults and refused steps; each line stands once.
    let mut lines: BTreeMap<usize, (String, String, String)> = BTreeMap::new();
    let mut add = |index: usize, code: &str, detail: String, remedy: &str| {
        let (codes, details, remedies) = lines.entry(index).or_default();
        for (all, one) in [(codes, code), (details, &detail), (remedies, remedy)] {
            if !all.is_empty() && !one.is_empty() {
                all.push_str("; ");
            }
            all.push_str(one);
        }
    };
    let of_lines = state.faults.iter().filter(|fault| !(state.file_faulty && fault.code == "unknown_column"));
    for fault in of_lines {
        let detail = format!("{} {}", fault.column.as_deref().unwrap_or_default(), fault.detail);
        add(fault.index, fault.code, detail.trim().to_owned(), &fault.remedy);
    }
    for step in &state.refused {
        add(step.index, &step.code, step.detail.clone(), "");
    }
    let rows =
        lines.iter().map(|(index, (code, detail, remedy))| (*index, code.as_str(), detail.as_str(), remedy.as_str()));
    Ok(csv(result_file(&import.table, rows), "result.csv"))
}

/// Returns a file to start from, as CSV.
#[utoipa::path(
    get,
    operation_id = "get_import_template",
    path = "/v1/import-templates/{type}",
    tag = "Imports",
    params(("type" = String, Path, description = "`items`, `stock`, `counts`, `thresholds` or `locations`", example = "items")),
    responses(
        (status = 200, description = "The file", content_type = "text/csv", body = String),
        (status = 400, description = "`invalid_id`"),
    ),
)]
pub(crate) async fn import_template(
    caller: Caller,
    InPath(kind): InPath<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    caller.may_import()?;
    Params::of(&uri, &[]).finish()?;
    let kind: Kind = kind.parse().map_err(|error| Problem::new(codes::INVALID_ID, format!("the type {error}")))?;
    Ok(csv(template(kind).into(), &format!("{kind}.csv")))
}

/// What a request says about a file.
struct Asked {
    options: Options,
    delimiter: Option<u8>,
    sheet: Option<String>,
    file_name: String,
    show: usize,
}

impl Asked {
    fn of(uri: &Uri) -> Result<Self, Problem> {
        let known = [
            "type",
            "file",
            "map",
            "ignore_unknown",
            "decimal",
            "delimiter",
            "sheet",
            "location_id",
            "place",
            "time_zone",
            "date_means",
            "batch",
            "show",
        ];
        let mut params = Params::of(uri, &known);
        let kind = params.word("type", &Kind::ALL.map(|kind| (kind.as_str(), kind)));
        if kind.is_none() {
            params.missing("type");
        }
        let decimals = [("point", Decimal::Point), ("comma", Decimal::Comma)];
        let place = |text: &str| {
            let (name, location_id) = text.rsplit_once('=').ok_or("must be name=location_id")?;
            let location_id = location_id.trim().parse::<LocationId>().map_err(|_| "must end in a location id")?;
            Ok((name.trim().to_owned(), location_id))
        };
        let map = |text: &str| {
            let (field, heading) = text.split_once('=').ok_or("must be field=heading, such as item_id=SKU")?;
            Ok((field.trim().to_owned(), heading.trim().to_owned()))
        };
        let options = Options {
            map: params.all("map", map),
            ignore_unknown: params.flag("ignore_unknown"),
            decimal: params.word("decimal", &decimals),
            zone: params.read("time_zone", |text| {
                TimeZone::get(text).map_err(|_| "is not an IANA time zone such as Europe/Berlin")
            }),
            date_means: params.parsed::<DateMeans>("date_means"),
            location: params.parsed("location_id"),
            places: params.all("place", place),
            batch: params.text("batch"),
            ..Options::of(kind.unwrap_or(Kind::Items))
        };
        let delimiter = params.word("delimiter", &DELIMITERS);
        let (sheet, file_name) = (params.text("sheet"), params.text("file").unwrap_or_else(|| "the file".into()));
        let show = show(&mut params);
        params.finish()?;
        Ok(Self { options, delimiter, sheet, file_name, show })
    }
}

fn show(params: &mut Params) -> usize {
    let number = |text: &str| match text.parse() {
        Ok(number) if number <= SHOWN_MAX => Ok(number),
        _ => Err("must be a whole number from 0 to 1000"),
    };
    params.read("show", number).unwrap_or(SHOWN)
}

/// Returns the query without some parameters: what is left makes the import's id.
fn query_without(uri: &Uri, names: &[&str]) -> String {
    let query = uri.query().unwrap_or_default();
    let kept = query.split('&').filter(|pair| !names.contains(&pair.split('=').next().unwrap_or_default()));
    kept.collect::<Vec<_>>().join("&")
}

fn found(app: &App, caller: &Caller, import_id: &str) -> Result<Arc<Import>, Problem> {
    let found = Uuid::try_parse(import_id).ok().and_then(|id| app.imports.find(id, caller.subject()));
    found.ok_or_else(|| {
        let detail = "this process knows no such import of yours; post the file again: it gets the same id, and goes on where it was";
        Problem::new(codes::IMPORT_NOT_FOUND, detail)
    })
}

fn answer(import: &Import, status: StatusCode, show: usize) -> Result<Response, Problem> {
    let state = import.state().clone();
    answer::json(status, &ImportView::of(import, &state, show))
}

fn csv(bytes: Vec<u8>, name: &str) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}
