//! Imports, as far as pages show them.

use serde::Deserialize;

/// A file that was judged, and how far it is applied.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Import {
    pub(crate) import_id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// `planned`, `applying`, `applied` or `stopped`.
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) why: Option<String>,
    pub(crate) file: ImportFile,
    pub(crate) columns: Vec<ImportColumn>,
    pub(crate) left_out: Vec<String>,
    pub(crate) totals: ImportTotals,
    pub(crate) can_apply: bool,
    pub(crate) faults: Vec<ImportFault>,
    pub(crate) faults_total: usize,
    pub(crate) lines: Vec<ImportLine>,
    pub(crate) progress: ImportProgress,
    pub(crate) refused: Vec<ImportRefused>,
}

/// What was found out about a file.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ImportFile {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) sheet: Option<String>,
    #[serde(default)]
    pub(crate) system: Option<String>,
    pub(crate) remarks: Vec<String>,
}

/// A column, and the field that it holds.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ImportColumn {
    pub(crate) column: String,
    pub(crate) field: String,
}

/// How many lines do what.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct ImportTotals {
    pub(crate) lines: usize,
    pub(crate) create: usize,
    pub(crate) change: usize,
    pub(crate) leave: usize,
    pub(crate) skip: usize,
    pub(crate) faulty: usize,
}

/// A fault of a file.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ImportFault {
    pub(crate) line: u32,
    #[serde(default)]
    pub(crate) column: Option<String>,
    #[serde(default)]
    pub(crate) value: Option<String>,
    pub(crate) code: String,
    pub(crate) detail: String,
    pub(crate) remedy: String,
}

/// What a line would do.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ImportLine {
    pub(crate) line: u32,
    pub(crate) effect: String,
    pub(crate) subject: String,
    #[serde(default)]
    pub(crate) note: Option<String>,
    pub(crate) changes: Vec<ImportChange>,
}

/// A value that a line sets.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ImportChange {
    pub(crate) field: String,
    #[serde(default)]
    pub(crate) location_id: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct ImportProgress {
    pub(crate) steps: usize,
    pub(crate) done: usize,
    pub(crate) applied: usize,
    pub(crate) already_applied: usize,
    pub(crate) refused: usize,
}

/// A step that was refused.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ImportRefused {
    pub(crate) line: u32,
    pub(crate) code: String,
    pub(crate) detail: String,
}
