//! What a file would do.

use std::collections::HashMap;

use serde::Serialize;
use stockline_core::domain::{Command, CommandId, CommandKey, LocationId, LocationSettings, Record, Status};

/// The most lines whose effect is kept for people.
const SHOWN_MAX: usize = 1_000;

/// What a caller may do.
pub struct May<'a> {
    /// Returns why a command may not be submitted.
    pub submit: &'a dyn Fn(&Command) -> Result<(), String>,
    /// Returns why a location may not be changed, or registered if it does not exist.
    pub manage: &'a dyn Fn(&LocationId, bool) -> Result<(), String>,
}

impl std::fmt::Debug for May<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("May")
    }
}

/// What a line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It makes something new.
    Create,
    /// It changes something.
    Change,
    /// The store has it so already.
    Leave,
    /// It is no line of its own in the vendor's file.
    Skip,
    /// It has faults.
    Faulty,
}

/// A step of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A command for the queue.
    Command(Box<Command>),
    /// The settings of a location.
    Location(Box<LocationSettings>),
}

/// A value that a line sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The field.
    pub field: &'static str,
    /// The location, where it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_id: Option<String>,
    /// The value before; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The value after; absent if it is cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What a line would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedLine {
    /// Its place in the table.
    pub index: usize,
    /// Its line in the file.
    pub line: u32,
    /// What it does.
    pub effect: Effect,
    /// The item or location that it is about.
    pub subject: String,
    /// The values that it sets; kept for the first lines only.
    pub changes: Vec<Change>,
    /// Why it is left or skipped.
    pub note: Option<&'static str>,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// A fault of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineFault {
    /// The place in the table.
    #[serde(skip)]
    pub index: usize,
    /// The line of the file.
    pub line: u32,
    /// The heading of the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What the cell holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The stable code.
    pub code: &'static str,
    /// What is wrong.
    pub detail: String,
    /// What to do.
    pub remedy: String,
}

/// A command that may have been applied before: the plan depends on its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    /// The planned line, by its place among [`Plan::lines`].
    pub at: usize,
    /// The command.
    pub key: CommandKey,
    /// The fault of the line if the command was not applied before; `None` if it then is as planned.
    pub else_fault: Option<LineFault>,
    /// The quantity that the command moves.
    pub quantity: String,
}

/// How many lines do what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// All lines with content.
    pub lines: usize,
    /// Lines that make something new.
    pub create: usize,
    /// Lines that change something.
    pub change: usize,
    /// Lines that the store has so already.
    pub leave: usize,
    /// Lines of a vendor's file that are nothing of their own.
    pub skip: usize,
    /// Lines with faults.
    pub faulty: usize,
    /// Commands and settings to submit.
    pub steps: usize,
}

/// What a file would do.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Every line.
    pub lines: Vec<PlannedLine>,
    /// Every fault, by line.
    pub faults: Vec<LineFault>,
    /// Faults of the headings. With one of them nothing can be applied, not even other lines.
    pub file_faults: Vec<LineFault>,
    questions: Vec<Question>,
}

impl Plan {
    /// Returns the commands that must be looked up before the plan is right: were they applied before?
    pub fn questions(&self) -> impl ExactSizeIterator<Item = &CommandKey> {
        self.questions.iter().map(|question| &question.key)
    }

    /// Takes the records of [`Plan::questions`], in order. A command that was applied before leaves its line.
    pub fn answer(&mut self, records: impl IntoIterator<Item = Option<Record>>) {
        let questions = std::mem::take(&mut self.questions);
        for (question, record) in questions.into_iter().zip(records) {
            let applied = record.as_ref().filter(|record| record.outcome.status == Status::Applied);
            let same = applied.is_some_and(|record| moved(record) == Some(question.quantity.clone()));
            let Some(line) = self.lines.get_mut(question.at) else { continue };
            if same {
                let id = question.key.command_id;
                line.steps.retain(|step| !matches!(step, Step::Command(command) if command.command_id == id));
                if line.steps.is_empty() {
                    line.effect = Effect::Leave;
                    line.note = Some("was applied before");
                    line.changes.clear();
                }
            } else if let Some(fault) = question.else_fault {
                line.effect = Effect::Faulty;
                line.steps.clear();
                line.changes.clear();
                self.faults.push(fault);
            }
        }
        self.faults.sort_by_key(|fault| fault.index);
    }

    pub(crate) fn ask(&mut self, question: Question) {
        self.questions.push(question);
    }

    /// Counts the lines by what they do.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { lines: self.lines.len(), ..Totals::default() };
        for line in &self.lines {
            let count = match line.effect {
                Effect::Create => &mut totals.create,
                Effect::Change => &mut totals.change,
                Effect::Leave => &mut totals.leave,
                Effect::Skip => &mut totals.skip,
                Effect::Faulty => &mut totals.faulty,
            };
            *count += 1;
            totals.steps += line.steps.len();
        }
        totals
    }

    /// Returns whether a further line's changes are kept for people.
    pub(crate) const fn shows(shown: usize) -> bool {
        shown < SHOWN_MAX
    }

    /// Returns the first fault of each faulty line, by the line's place in the table.
    pub fn first_faults(&self) -> HashMap<usize, &LineFault> {
        let mut first = HashMap::new();
        for fault in &self.faults {
            first.entry(fault.index).or_insert(fault);
        }
        first
    }
}

/// Returns the quantity of a record's movement.
fn moved(record: &Record) -> Option<String> {
    use stockline_core::domain::Action;
    match &record.outcome.command.as_ref()?.action {
        Action::Receive { quantity, .. } | Action::Adjust { quantity, .. } => Some(quantity.to_string()),
        Action::Count { counted, .. } => Some(counted.to_string()),
        _ => None,
    }
}

/// Returns the key of a command.
pub(crate) fn key_of(command: &Command) -> CommandKey {
    CommandKey { item_id: command.item_id.clone(), command_id: command.command_id }
}

/// Returns the id of an import's command before it is known.
pub(crate) const NO_ID: CommandId = CommandId(uuid::Uuid::nil());
