//! Imports: a file is judged, its columns are mapped, and it is applied.
//!
//! Nothing is kept here. To map its columns anew, the browser posts the file again: the form keeps it.

use askama::Template;
use axum::extract::{Multipart, Path};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use stockline_import::Kind;

use super::mapping::{self, Mapping};
use crate::api::{Import, ImportChange, segment};
use crate::fault::Fault;
use crate::form::{FileForm, Form};
use crate::page::{Frame, Section, page};
use crate::texts::{Texts, fill};
use crate::visit::{Places, Visit};

/// Faults and lines that a page shows; the result file has all.
const SHOWN: usize = 200;
/// The longest name of a file that is told to the API, in characters.
const NAME_CHARS_MAX: usize = 128;

/// What is said about a file, as it was chosen.
#[derive(Debug, Default)]
struct Said {
    kind: String,
    location: String,
    decimal: String,
    delimiter: String,
    sheet: String,
    date_means: String,
}

#[derive(Template)]
#[template(path = "manager/import.html")]
struct ImportPage {
    frame: Frame,
    kinds: Vec<(&'static str, &'static str)>,
    places: Vec<(String, String)>,
    said: Said,
    judged: Option<Judged>,
    mapping: Mapping,
    /// Why the file can't be read; empty if it can.
    wrong: String,
}

#[derive(Template)]
#[template(path = "manager/import_judged.html")]
struct JudgedPart {
    frame: Frame,
    judged: Option<Judged>,
    mapping: Mapping,
    wrong: String,
}

#[derive(Template)]
#[template(path = "manager/import_progress.html")]
struct ProgressPage {
    frame: Frame,
    judged: Judged,
    wrong: String,
}

/// A file that was judged, in words.
#[derive(Debug)]
struct Judged {
    id: String,
    file: String,
    remarks: Vec<String>,
    totals: String,
    status: String,
    why: String,
    can_apply: bool,
    /// Whether it can be applied without the lines that have faults.
    can_skip: bool,
    is_nothing_to_do: bool,
    skip_text: String,
    faults: Vec<Marked>,
    faults_text: String,
    lines: Vec<Line>,
    steps: usize,
    done: usize,
    progress: String,
    refused: Vec<Marked>,
    has_result: bool,
}

/// A fault of a cell.
#[derive(Debug)]
struct Marked {
    line: u32,
    column: String,
    value: String,
    what: String,
    remedy: String,
}

/// What a line would do.
#[derive(Debug)]
struct Line {
    line: u32,
    effect: &'static str,
    subject: String,
    changes: Vec<String>,
}

/// Asks for a file.
pub(crate) async fn ask(visit: Visit) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let said = Said { kind: "items".into(), location: places.here_id().to_owned(), ..Said::default() };
    shown(&visit, &places, said, None, Mapping::default(), String::new())
}

fn shown(
    visit: &Visit,
    places: &Places,
    said: Said,
    judged: Option<Judged>,
    mapping: Mapping,
    wrong: String,
) -> Result<Response, Fault> {
    let frame = visit.frame_at(visit.t.import, Section::Exchange, places);
    if visit.wants_part {
        return page(&JudgedPart { frame, judged, mapping, wrong });
    }
    page(&ImportPage {
        frame,
        kinds: Kind::ALL.map(|kind| (kind.as_str(), visit.t.import_kind(kind.as_str()))).to_vec(),
        places: places.pairs(),
        said,
        judged,
        mapping,
        wrong,
    })
}

/// Judges a file.
pub(crate) async fn judge(visit: Visit, parts: Multipart) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let _turn = visit.app.uploads.try_acquire().map_err(|_| Fault::Busy)?;
    let FileForm { form, file_name, file } = FileForm::read(parts).await?;
    let said = Said::of(&form);
    if file.is_empty() {
        let why = visit.t.import_no_file.to_owned();
        return shown(&visit, &places, said, None, Mapping::default(), why);
    }
    match visit.api.post_file::<Import>(&path(&form, &said, &file_name), file.clone()).await {
        Ok(import) => {
            let mapping = Mapping::of(visit.t, &import, &places, &form);
            let judged = Judged::of(&visit, &places, &import);
            shown(&visit, &places, said, Some(judged), mapping, String::new())
        }
        Err(Fault::Problem(problem)) if [400, 413, 422].contains(&problem.status) => {
            let mapping = mapping::of_unread(visit.t, file, &form).await?;
            shown(&visit, &places, said, None, mapping, problem.in_words())
        }
        Err(fault) => Err(fault),
    }
}

/// Returns the path of the API, with what was said about the file.
fn path(form: &Form, said: &Said, file_name: &str) -> String {
    let name: String = file_name.chars().take(NAME_CHARS_MAX).collect();
    let mut path = format!("/v1/imports?type={}&show={SHOWN}", segment(&said.kind));
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            path.push_str(&format!("&{name}={}", segment(value)));
        }
    };
    add("file", &name);
    // A file of locations names them itself.
    if said.kind != Kind::Locations.as_str() {
        add("location_id", &said.location);
    }
    add("decimal", &said.decimal);
    add("delimiter", &said.delimiter);
    add("sheet", &said.sheet);
    add("date_means", &said.date_means);
    add("ignore_unknown", form.text("ignore_unknown"));
    form.all("map").for_each(|map| add("map", map));
    form.all("place").for_each(|place| add("place", place));
    path
}

/// Shows an import, and how far it is.
pub(crate) async fn progress(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let places = visit.places().await?;
    shown_progress(&visit, &places, &id, String::new()).await
}

async fn shown_progress(visit: &Visit, places: &Places, id: &str, wrong: String) -> Result<Response, Fault> {
    let import = visit.api.find::<Import>(&format!("/v1/imports/{}?show={SHOWN}", segment(id))).await?;
    let Some(import) = import else {
        let said = Said { kind: "items".into(), ..Said::default() };
        return shown(visit, places, said, None, Mapping::default(), visit.t.import_forgotten.to_owned());
    };
    let frame = visit.frame_at(visit.t.import, Section::Exchange, places);
    page(&ProgressPage { frame, judged: Judged::of(visit, places, &import), wrong })
}

/// Applies an import, and leads to its progress.
pub(crate) async fn apply(visit: Visit, Path(id): Path<String>, form: Form) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let skip = if form.text("faulty") == "skip" { "?faulty=skip" } else { "" };
    match visit.api.post::<Import>(&format!("/v1/imports/{}/apply{skip}", segment(&id)), &serde_json::Value::Null).await
    {
        Ok(_) => {
            let to = visit.back_to(&format!("/console/import/{}", segment(&id)));
            Ok((StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response())
        }
        Err(Fault::Problem(problem)) if [404, 409].contains(&problem.status) => {
            shown_progress(&visit, &places, &id, problem.detail).await
        }
        Err(fault) => Err(fault),
    }
}

/// Returns the lines that took no effect, as a file to correct and import again.
pub(crate) async fn result(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    visit.api.file(&format!("/v1/imports/{}/result", segment(&id)), "text/csv").await
}

/// Returns a file to start from.
pub(crate) async fn template(visit: Visit, Path(kind): Path<String>) -> Result<Response, Fault> {
    visit.api.file(&format!("/v1/import-templates/{}", segment(&kind)), "text/csv").await
}

impl Said {
    fn of(form: &Form) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            kind: text("type"),
            location: text("location"),
            decimal: text("decimal"),
            delimiter: text("delimiter"),
            sheet: text("sheet"),
            date_means: text("date_means"),
        }
    }
}

impl Judged {
    fn of(visit: &Visit, places: &Places, import: &Import) -> Self {
        let t = visit.t;
        let number = |count: usize| visit.locale.number(&count.to_string());
        let totals = import.totals;
        let parts = [
            (totals.create, t.import_create),
            (totals.change, t.import_change),
            (totals.leave, t.import_leave),
            (totals.skip, t.import_skip),
            (totals.faulty, t.import_faulty),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, text)| fill(text, &[&number(count)])).collect();
        let system = import.file.system.as_ref().map(|system| fill(t.import_system, &[system]));
        let sheet = import.file.sheet.as_ref().map(|sheet| fill(t.import_of_sheet, &[sheet]));
        let progress = import.progress;
        let is_of_columns = |code: &str| code == "unknown_column";
        let of_file = import.faults.iter().any(|fault| is_of_columns(&fault.code));
        Self {
            id: import.import_id.clone(),
            file: format!("{}: {}", import.file.name, t.import_kind(&import.kind)),
            remarks: system.into_iter().chain(sheet).chain(import.file.remarks.iter().cloned()).collect(),
            totals: format!("{}: {}", fill(t.import_lines, &[&number(totals.lines)]), parts.join(" · ")),
            status: import.status.clone(),
            why: import.why.clone().unwrap_or_default(),
            can_apply: import.can_apply,
            can_skip: !import.can_apply && !of_file && totals.create + totals.change > 0,
            is_nothing_to_do: import.can_apply && progress.steps == 0,
            skip_text: fill(t.import_apply_skip, &[&number(totals.faulty)]),
            faults: import.faults.iter().map(Marked::of).collect(),
            faults_text: fill(t.import_faults, &[&number(import.faults_total)]),
            lines: import.lines.iter().take(SHOWN).map(|line| Line::of(t, places, line)).collect(),
            steps: progress.steps,
            done: progress.done,
            progress: fill(
                t.import_progress,
                &[
                    &number(progress.applied + progress.already_applied),
                    &number(progress.refused),
                    &number(progress.steps),
                ],
            ),
            refused: import
                .refused
                .iter()
                .map(|step| Marked {
                    line: step.line,
                    column: String::new(),
                    value: String::new(),
                    what: step.detail.clone(),
                    remedy: step.code.clone(),
                })
                .collect(),
            has_result: import.faults_total > 0 || !import.refused.is_empty(),
        }
    }
}

impl Marked {
    fn of(fault: &crate::api::ImportFault) -> Self {
        Self {
            line: fault.line,
            column: fault.column.clone().unwrap_or_default(),
            value: fault.value.clone().unwrap_or_default(),
            what: fault.detail.clone(),
            remedy: fault.remedy.clone(),
        }
    }
}

impl Line {
    fn of(t: &'static Texts, places: &Places, line: &crate::api::ImportLine) -> Self {
        let written = |change: &ImportChange| {
            let place = change.location_id.as_deref().map(|id| format!(" ({})", places.name(id)));
            let (from, to) = (change.from.as_deref().unwrap_or("–"), change.to.as_deref().unwrap_or("–"));
            format!("{}{}: {from} → {to}", t.field(&change.field), place.unwrap_or_default())
        };
        let note = line.note.iter().cloned();
        Self {
            line: line.line,
            effect: t.import_effect(&line.effect),
            subject: line.subject.clone(),
            changes: line.changes.iter().map(written).chain(note).collect(),
        }
    }
}
