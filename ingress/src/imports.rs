//! Imports: files that were judged, and those that are being applied.
//!
//! ```text
//!          judged, without faults        apply            every step is settled
//! posted ──────────────────────▶ planned ─────▶ applying ──────────────────────▶ applied
//!                                   ▲              │ no progress, or the process stops
//!                                   └── again ── stopped
//! ```
//!
//! An import lives in the memory of one process, for an hour and within [`Limits::imports_bytes`]. Nothing is lost with it:
//! the same file posted again is the same import, and applying it again goes on where it was, because its commands have
//! the same ids.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockline_import::{Change, Columns, Effect, LineFault, Opened, Options, Plan, Table, Totals};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::Limits;

mod apply;
mod judge;

pub(crate) use apply::apply;
pub(crate) use judge::{Upload, judge};

/// How long an import is kept after it was last asked for.
const KEPT_FOR: Duration = Duration::from_secs(3_600);
/// Files that are read and judged at once.
const JUDGED_AT_ONCE: usize = 2;
/// Imports that are applied at once.
const APPLIED_AT_ONCE: usize = 2;
/// The most lines whose effects are kept for people.
const SHOWN_LINES_MAX: usize = 1_000;
/// Bytes of a kept line beside its text.
const LINE_BYTES: usize = 64;

/// All imports of this process.
#[derive(Debug)]
pub(crate) struct Imports {
    kept: Mutex<HashMap<Uuid, Arc<Import>>>,
    bytes_max: usize,
    pub(crate) judging: Semaphore,
    pub(crate) applying: Arc<Semaphore>,
}

/// A file that was judged.
#[derive(Debug)]
pub(crate) struct Import {
    /// Made of the file, what was said about it, and who posted it.
    pub(crate) id: Uuid,
    /// Who posted it. Nobody else sees it.
    pub(crate) subject: Arc<str>,
    pub(crate) file_name: String,
    pub(crate) options: Options,
    pub(crate) columns: Columns,
    /// What was found out about the file, without its lines.
    pub(crate) opened: Opened,
    pub(crate) table: Table,
    hash: [u8; 32],
    state: Mutex<State>,
}

/// What is known of an import now.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) status: ImportStatus,
    pub(crate) totals: Totals,
    /// Faults of the headings, then of lines.
    pub(crate) faults: Arc<Vec<LineFault>>,
    /// Whether the headings have faults.
    pub(crate) file_faulty: bool,
    pub(crate) lines: Arc<Vec<ShownLine>>,
    pub(crate) progress: Progress,
    pub(crate) refused: Vec<RefusedStep>,
    /// Why it stopped.
    pub(crate) why: Option<String>,
    used: Instant,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImportStatus {
    Planned,
    Applying,
    Applied,
    Stopped,
}

/// The steps of an import that are done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) steps: usize,
    pub(crate) applied: usize,
    pub(crate) already_applied: usize,
    pub(crate) refused: usize,
}

/// A line as it is shown before it is applied.
#[derive(Debug, Clone)]
pub(crate) struct ShownLine {
    pub(crate) line: u32,
    pub(crate) effect: Effect,
    pub(crate) subject: String,
    pub(crate) note: Option<&'static str>,
    pub(crate) changes: Vec<Change>,
}

/// A step that was refused when it was applied.
#[derive(Debug, Clone)]
pub(crate) struct RefusedStep {
    /// The place of its line in the table.
    pub(crate) index: usize,
    pub(crate) line: u32,
    pub(crate) code: String,
    pub(crate) detail: String,
}

impl Imports {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            kept: Mutex::default(),
            bytes_max: limits.imports_bytes,
            judging: Semaphore::new(JUDGED_AT_ONCE),
            applying: Arc::new(Semaphore::new(APPLIED_AT_ONCE)),
        }
    }

    /// Finds an import of this caller.
    pub(crate) fn find(&self, id: Uuid, subject: &str) -> Option<Arc<Import>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let import = kept.get(&id).filter(|import| &*import.subject == subject)?;
        import.state().used = Instant::now();
        Some(Arc::clone(import))
    }

    /// Keeps an import; the ones that were not asked for longest make room. One that is being applied stays as it is.
    /// Returns `None` if there is no room.
    pub(crate) fn keep(&self, import: Import) -> Option<Arc<Import>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = kept.get(&import.id).filter(|same| same.is_applying()) {
            return Some(Arc::clone(same));
        }
        kept.remove(&import.id);
        kept.retain(|_, import| import.is_applying() || import.state().used.elapsed() < KEPT_FOR);
        while kept.values().map(|import| import.bytes()).sum::<usize>() + import.bytes() > self.bytes_max {
            let idle = kept.values().filter(|import| !import.is_applying());
            let oldest = idle.min_by_key(|import| import.state().used).map(|import| import.id)?;
            kept.remove(&oldest);
        }
        let import = Arc::new(import);
        kept.insert(import.id, Arc::clone(&import));
        Some(import)
    }
}

impl Import {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_applying(&self) -> bool {
        self.state().status == ImportStatus::Applying
    }

    fn bytes(&self) -> usize {
        self.table.text_bytes() + self.table.len() * LINE_BYTES
    }
}

impl State {
    fn planned(plan: &Plan) -> Self {
        let shown = plan.lines.iter().filter(|line| !matches!(line.effect, Effect::Leave | Effect::Faulty));
        let lines = shown.take(SHOWN_LINES_MAX).map(|line| ShownLine {
            line: line.line,
            effect: line.effect,
            subject: line.subject.clone(),
            note: line.note,
            changes: line.changes.clone(),
        });
        let totals = plan.totals();
        Self {
            status: ImportStatus::Planned,
            totals,
            faults: Arc::new(plan.file_faults.iter().chain(&plan.faults).cloned().collect()),
            file_faulty: !plan.file_faults.is_empty(),
            lines: Arc::new(lines.collect()),
            progress: Progress { steps: totals.steps, ..Progress::default() },
            refused: Vec::new(),
            why: None,
            used: Instant::now(),
        }
    }
}
