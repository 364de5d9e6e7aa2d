use serde::Serialize;
use stockline_import::{Change, Effect, LineFault, separators};
use utoipa::ToSchema;
use uuid::Uuid;

use super::words::{ImportEffectWord, ImportFaultCodeWord, ImportKindWord, ImportRefusalWord, ImportStatusWord};
use crate::imports::{Import, ImportStatus, State};

/// A file that was judged, and how far it is applied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Import)]
pub(crate) struct ImportView<'a> {
    /// Names this import. The same file posted again, with the same parameters, has the same id.
    #[schema(value_type = String, example = "0b1f6c1e-7a7e-5d0c-9a52-0d9a7a3f1b11")]
    import_id: Uuid,
    /// What is imported.
    #[serde(rename = "type")]
    #[schema(value_type = ImportKindWord)]
    kind: &'static str,
    /// `planned`: nothing was changed yet. `applying`; `applied`: every step has an outcome. `stopped`: `why` says why;
    /// apply it again, it goes on where it was.
    #[schema(value_type = ImportStatusWord)]
    status: &'static str,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    why: Option<&'a str>,
    /// What was found out about the file.
    file: ImportFileView<'a>,
    /// The columns that hold a field.
    columns: Vec<ImportColumnView<'a>>,
    /// The headings that are left out.
    left_out: &'a [String],
    /// How many lines do what.
    totals: ImportTotalsView,
    /// Whether it can be applied as it is. If not, correct the file, or leave out the lines with faults.
    can_apply: bool,
    /// The faults: those of the columns first, then by line. `show` bounds them; the result file has all.
    faults: Vec<ImportFaultView<'a>>,
    /// How many faults there are.
    #[schema(example = 0)]
    faults_total: usize,
    /// The first lines that make or change something, or are left out of a vendor's file. `show` bounds them.
    lines: Vec<ImportLineView<'a>>,
    /// The steps that are done.
    progress: ImportProgressView,
    /// The steps that were refused when they were applied. `show` bounds them; the result file has all.
    refused: Vec<ImportRefusedView<'a>>,
}

/// What was found out about a file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportFile)]
struct ImportFileView<'a> {
    /// The name that it was posted with.
    #[schema(example = "products.csv")]
    name: &'a str,
    /// `csv`, `tsv` or `xlsx`.
    #[schema(example = "csv")]
    format: &'static str,
    /// The encoding of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "Windows-1252")]
    encoding: Option<&'static str>,
    /// What separates the columns of a text: `comma`, `semicolon` or `tab`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "semicolon")]
    delimiter: Option<&'static str>,
    /// The sheet of a workbook.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sheet: Option<&'a str>,
    /// The system that the file is from, if its headings are known: `WooCommerce`, `Shopify`, `Shopify inventory`, `Square`
    /// or `Lightspeed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    system: Option<&'static str>,
    /// What a person should know: formulas, merged cells, further sheets.
    remarks: Vec<String>,
}

/// A column and its field.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportColumn)]
struct ImportColumnView<'a> {
    /// The heading.
    #[schema(example = "SKU")]
    column: &'a str,
    /// The field.
    #[schema(example = "item_id")]
    field: String,
}

/// How many lines do what.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportTotals)]
struct ImportTotalsView {
    /// All lines with content.
    lines: usize,
    /// Lines that make something new.
    create: usize,
    /// Lines that change something.
    change: usize,
    /// Lines that the store has so already.
    leave: usize,
    /// Lines of a vendor's file that are nothing of their own.
    skip: usize,
    /// Lines with faults.
    faulty: usize,
    /// Commands and settings to submit.
    steps: usize,
}

/// A fault of the file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportFault)]
struct ImportFaultView<'a> {
    /// The line of the file, as an editor counts; the row of a sheet.
    #[schema(example = 7)]
    line: u32,
    /// The heading of the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "Stock")]
    column: Option<&'a str>,
    /// What the cell holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "1.250")]
    value: Option<&'a str>,
    /// A stable name.
    #[schema(value_type = ImportFaultCodeWord)]
    code: &'static str,
    /// What is wrong.
    #[schema(example = "may be a whole number or a fraction")]
    detail: &'a str,
    /// What to do.
    remedy: &'a str,
}

/// What a line does.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportLine)]
struct ImportLineView<'a> {
    /// The line of the file.
    line: u32,
    /// What it does.
    #[schema(value_type = ImportEffectWord)]
    effect: Effect,
    /// The item or location that it is about.
    #[schema(example = "cola-033")]
    subject: &'a str,
    /// Why it is left out, or what of it is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    note: Option<&'static str>,
    /// The values that it sets.
    changes: Vec<ImportChangeView<'a>>,
}

/// A value that a line sets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportChange)]
struct ImportChangeView<'a> {
    /// The field.
    #[schema(example = "on_hand")]
    field: &'static str,
    /// The location, where it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "shop-1")]
    location_id: Option<&'a str>,
    /// The value before; null if there was none.
    #[schema(required = true)]
    from: Option<&'a str>,
    /// The value after; null if it is cleared.
    #[schema(required = true)]
    to: Option<&'a str>,
}

/// The steps that are done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportProgress)]
struct ImportProgressView {
    /// All steps.
    steps: usize,
    /// Steps with an outcome.
    done: usize,
    /// Steps that took effect.
    applied: usize,
    /// Steps that had taken effect before, of the same file.
    already_applied: usize,
    /// Steps that were refused.
    refused: usize,
}

/// A step that was refused when it was applied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportRefused)]
struct ImportRefusedView<'a> {
    /// The line of the file.
    line: u32,
    /// The code of the rejection, or `dead_lettered`.
    #[schema(value_type = ImportRefusalWord)]
    code: &'a str,
    /// Why.
    detail: &'a str,
}

impl<'a> ImportView<'a> {
    pub(crate) fn of(import: &'a Import, state: &'a State, show: usize) -> Self {
        let progress = state.progress;
        let totals = state.totals;
        Self {
            import_id: import.id,
            kind: import.options.kind.as_str(),
            status: word(state.status),
            why: state.why.as_deref(),
            file: ImportFileView::of(import),
            columns: columns(import),
            left_out: &import.columns.left_out,
            totals: ImportTotalsView {
                lines: totals.lines,
                create: totals.create,
                change: totals.change,
                leave: totals.leave,
                skip: totals.skip,
                faulty: totals.faulty,
                steps: totals.steps,
            },
            can_apply: !state.file_faulty && totals.faulty == 0,
            faults: state.faults.iter().take(show).map(fault).collect(),
            faults_total: state.faults.len(),
            lines: state
                .lines
                .iter()
                .take(show)
                .map(|line| ImportLineView {
                    line: line.line,
                    effect: line.effect,
                    subject: &line.subject,
                    note: line.note,
                    changes: line.changes.iter().map(change).collect(),
                })
                .collect(),
            progress: ImportProgressView {
                steps: progress.steps,
                done: progress.applied + progress.already_applied + progress.refused,
                applied: progress.applied,
                already_applied: progress.already_applied,
                refused: progress.refused,
            },
            refused: state
                .refused
                .iter()
                .take(show)
                .map(|step| ImportRefusedView { line: step.line, code: &step.code, detail: &step.detail })
                .collect(),
        }
    }
}

impl<'a> ImportFileView<'a> {
    fn of(import: &'a Import) -> Self {
        let opened = &import.opened;
        let mut remarks = opened.remarks.clone();
        if !opened.other_sheets.is_empty() {
            let names: Vec<_> = opened.other_sheets.iter().map(|sheet| sheet.name.as_str()).collect();
            remarks.push(format!("further sheets are left out: {}", names.join(", ")));
        }
        Self {
            name: &import.file_name,
            format: opened.format,
            encoding: opened.encoding,
            delimiter: opened.delimiter.map(separators::word),
            sheet: opened.sheet.as_deref(),
            system: import.columns.vendor.map(stockline_import::Vendor::name),
            remarks,
        }
    }
}

const fn word(status: ImportStatus) -> &'static str {
    match status {
        ImportStatus::Planned => "planned",
        ImportStatus::Applying => "applying",
        ImportStatus::Applied => "applied",
        ImportStatus::Stopped => "stopped",
    }
}

fn columns(import: &Import) -> Vec<ImportColumnView<'_>> {
    let heading = |column: usize| import.table.headings.get(column).map_or("", String::as_str);
    let fields = import.columns.fields.iter();
    fields.map(|(field, column)| ImportColumnView { column: heading(*column), field: field.name() }).collect()
}

fn fault(fault: &LineFault) -> ImportFaultView<'_> {
    ImportFaultView {
        line: fault.line,
        column: fault.column.as_deref(),
        value: fault.value.as_deref(),
        code: fault.code,
        detail: &fault.detail,
        remedy: &fault.remedy,
    }
}

fn change(change: &Change) -> ImportChangeView<'_> {
    ImportChangeView {
        field: change.field,
        location_id: change.location_id.as_deref(),
        from: change.from.as_deref(),
        to: change.to.as_deref(),
    }
}
