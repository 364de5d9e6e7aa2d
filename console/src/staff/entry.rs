//! One entry of a count: what a person found on the shelf, and when.

use serde_json::{Value, json};

use crate::api::{BatchAnswer, CommandStatus, Item, Movement, MovementPage, segment};
use crate::fault::Fault;
use crate::form::Form;
use crate::texts::fill;
use crate::visit::{Places, Visit};

/// The most entries of one request.
const ENTRIES_MAX: usize = 200;

/// An entry. Its command's id makes it count once.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) item_id: String,
    pub(crate) command_id: String,
    /// As it was typed.
    pub(crate) counted: String,
    /// The item's last count that the person's list knew; empty for none.
    seen: String,
    /// When the shelf was counted, by the clock of the person's device; empty for now.
    when: String,
    /// What that clock said when the entry was sent.
    sent_at: String,
    /// Whether it counts although somebody else has counted since.
    anyway: bool,
}

impl Entry {
    /// Reads the entries of a form that have a quantity.
    pub(crate) fn all_of(form: &Form) -> Vec<Self> {
        let fields = form.all("item").zip(form.all("id")).zip(form.all("counted")).zip(form.all("seen"));
        let rows = fields.filter(|(((_, _), counted), _)| !counted.is_empty()).take(ENTRIES_MAX);
        rows.map(|(((item_id, command_id), counted), seen)| Self {
            item_id: item_id.to_owned(),
            command_id: command_id.to_owned(),
            counted: counted.to_owned(),
            seen: seen.to_owned(),
            when: form.text("when").to_owned(),
            sent_at: form.text("sent_at").to_owned(),
            anyway: form.all("anyway").any(|id| id == command_id),
        })
        .collect()
    }
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) command_id: String,
    /// `done`, `conflict` (somebody else has counted since), `refused`, or `open` (it may be sent again).
    pub(crate) status: &'static str,
    pub(crate) text: String,
    /// The moment of the count that counts now, for the next entry of the same list; empty if it is not known.
    pub(crate) seen: String,
}

impl Verdict {
    pub(crate) fn is_done(&self) -> bool {
        self.status == "done"
    }
}

/// Submits an entry, unless it was before, or somebody else has counted the item since the person's list was made.
pub(crate) async fn taken(visit: &Visit, places: &Places, entry: Entry) -> Result<Verdict, Fault> {
    let seen = |outcome: &CommandStatus| {
        let effects = outcome.effects.as_deref().unwrap_or_default();
        effects.first().filter(|effect| !effect.late).map_or(String::new(), |effect| effect.occurred_at.clone())
    };
    let of = |status, text, seen| Ok(Verdict { command_id: entry.command_id.clone(), status, text, seen });
    let verdict = |status, text| of(status, text, String::new());
    let item_path = format!("/v1/items/{}", segment(&entry.item_id));
    let own = format!("{item_path}/commands/{}", segment(&entry.command_id));
    if let Some(outcome) = visit.api.find::<CommandStatus>(&own).await? {
        let (status, text) = judged(visit, places, &outcome);
        return of(status, text, seen(&outcome));
    }
    let Some(item) = visit.api.find::<Item>(&item_path).await? else {
        return verdict("refused", visit.t.not_found.to_owned());
    };
    let level = item.levels.iter().find(|level| level.location_id == places.here_id());
    let counted_at = level.and_then(|level| level.counted_at.as_deref()).unwrap_or_default();
    if counted_at > entry.seen.as_str() && !entry.anyway {
        let text = match last_counts(visit, places, &item_path).await?.first() {
            Some(other) => theirs(visit, places, other, visit.t.count_conflict, &entry.counted),
            None => visit.t.count_conflict_unknown.to_owned(),
        };
        return verdict("conflict", text);
    }
    let command = command(visit, places, &entry);
    let mut batch = json!({ "commands": [command] });
    if !entry.when.is_empty() && !entry.sent_at.is_empty() {
        batch["sent_at"] = entry.sent_at.as_str().into();
    }
    let answer: BatchAnswer = visit.api.post("/v1/commands/batch", &batch).await?;
    let Some(line) = answer.results.into_iter().next() else { return Err(Fault::Broken) };
    if let Some(problem) = line.problem {
        let detail = problem.errors.into_iter().next().map_or(problem.detail, |error| error.detail);
        let status = if line.status == "failed" { "open" } else { "refused" };
        return verdict(status, detail);
    }
    let Some(outcome) = line.outcome else { return verdict("done", visit.t.count_accepted.to_owned()) };
    let (status, mut text) = judged(visit, places, &outcome);
    // Two who count at the same moment both pass the question above. Then the later one reads of the earlier.
    let counts = last_counts(visit, places, &item_path).await?;
    let other = counts.iter().find(|other| other.command_id != entry.command_id);
    if let Some(other) = other.filter(|other| !entry.seen_before(other)) {
        text = format!("{text} {}", theirs(visit, places, other, visit.t.count_both, &entry.counted));
    }
    of(status, text, seen(&outcome))
}

impl Entry {
    /// Whether the person has decided against this other count.
    fn seen_before(&self, other: &Movement) -> bool {
        self.anyway || other.occurred_at <= self.seen
    }
}

fn command(visit: &Visit, places: &Places, entry: &Entry) -> Value {
    let mut command = json!({
        "type": "count",
        "command_id": entry.command_id,
        "item_id": entry.item_id,
        "location_id": places.here_id(),
        "counted": visit.locale.typed(&entry.counted),
    });
    if !entry.when.is_empty() {
        command["occurred_at"] = entry.when.as_str().into();
    }
    command
}

async fn last_counts(visit: &Visit, places: &Places, item_path: &str) -> Result<Vec<Movement>, Fault> {
    let here = segment(places.here_id());
    let path = format!("{item_path}/movements?type=count&location_id={here}&limit=2");
    Ok(visit.api.get::<MovementPage>(&path).await?.movements)
}

fn theirs(visit: &Visit, places: &Places, other: &Movement, text: &str, mine: &str) -> String {
    let who = other.operator.as_deref().unwrap_or(&other.submitted_by);
    let when = visit.locale.moment(&other.occurred_at, places.zone());
    fill(text, &[who, &visit.locale.number(&other.quantity), &when, mine])
}

/// Says what an outcome means for the one who counted.
fn judged(visit: &Visit, places: &Places, outcome: &CommandStatus) -> (&'static str, String) {
    let t = visit.t;
    if outcome.status == "queued" {
        return ("done", t.count_accepted.to_owned());
    }
    if let Some(rejection) = &outcome.rejection {
        return ("refused", format!("{}: {}", t.refused, rejection.detail));
    }
    if let Some(letter) = &outcome.dead_letter {
        return ("refused", format!("{}: {}", t.refused, letter.reason));
    }
    let effects = outcome.effects.as_deref().unwrap_or_default();
    let effect = effects.iter().find(|effect| effect.location_id == places.here_id());
    let Some(effect) = effect else { return ("done", t.count_done.to_owned()) };
    let text = if effect.late {
        t.done_late.to_owned()
    } else if effect.delta == "0" {
        t.count_right.to_owned()
    } else {
        fill(t.count_differs, &[&visit.locale.number(&effect.before), &visit.locale.change(&effect.delta)])
    };
    ("done", text)
}
