//! The audit proves P4 for a whole store: the ledger explains the stock, and the outcomes explain the ledger
//! (design.md §2).
//!
//! It has three passes. The first checks each level against its ledger and keeps a digest of its entries. The second
//! reads all outcomes and builds the same digests from their effects. The third examines the items that failed or
//! disagree once more, entry by entry, so that stock that changes during the audit is no fault.

use std::collections::{BTreeSet, HashMap};
use std::pin::pin;

use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use stockline_core::domain::{Cost, Item, ItemId, Level, LocationId, Outcome, Record, Status, StockState};
use stockline_core::ports::{AuditReader, PageRequest, Part, Queries, StoreError};

mod chain;
mod examine;
mod outcomes;
mod pairs;
mod report;

use chain::Chain;
use pairs::Pairs;

/// The most items, records or entries of one read.
const PAGE: usize = 1_000;

/// How many ledgers are read at once. Each read waits for the store, so one after the other they would take days for a large
/// one.
const LEDGERS_AT_ONCE: usize = 32;

/// The most faults that a report lists. All are counted.
pub const FAULTS_LISTED_MAX: usize = 1_000;

/// The most items that the third pass examines. The others are reported as they are.
const CLOSE_ITEMS_MAX: usize = 10_000;

/// How often the first two passes run at most. Beside a bulk load most suspects are new items, which the next run clears.
const RUNS_MAX: usize = 4;

/// A contradiction in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The item, if it is known.
    pub item_id: Option<ItemId>,
    /// The location, if the fault is about one level.
    pub location_id: Option<LocationId>,
    /// What was found, and what was expected.
    pub what: String,
}

/// The progress of an audit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Items read.
    pub items: u64,
    /// Levels read.
    pub levels: u64,
    /// Ledger entries read.
    pub entries: u64,
    /// Outcomes read.
    pub records: u64,
}

/// The result of an audit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// The number of rows read.
    pub read: Progress,
    /// The first faults, at most [`FAULTS_LISTED_MAX`].
    pub faults: Vec<Fault>,
    /// The number of all faults.
    pub fault_count: u64,
}

impl AuditReport {
    /// Returns whether there is no fault.
    pub const fn is_sound(&self) -> bool {
        self.fault_count == 0
    }

    fn fault(&mut self, item_id: &ItemId, location_id: Option<&LocationId>, what: String) {
        self.add(Fault { item_id: Some(item_id.clone()), location_id: location_id.cloned(), what });
    }

    fn add(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_LISTED_MAX {
            self.faults.push(fault);
        }
    }
}

impl AuditReport {
    /// Reports a list that can't be read to its end. Rows that can't be read don't end a list; this is its own index.
    fn unless_unreadable<T>(&mut self, list: &str, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match read {
            Ok(page) => Ok(Some(page)),
            Err(StoreError::Unreadable(what)) => {
                let what = format!("{list} can't be listed to the end: {what}");
                self.add(Fault { item_id: None, location_id: None, what });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// What the first two passes learn about one level, in some 100 bytes.
struct Seen {
    location_id: LocationId,
    /// Entries up to this seq are in the ledger's digest.
    seq: u64,
    alert_no: u64,
    ledger: Digest,
    outcomes: Digest,
    alerts: u64,
    alert_no_max: u64,
}

/// A sum of hashes, which is the same for the same entries in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Digest {
    entries: u64,
    sum: u64,
}

impl Digest {
    fn add(&mut self, hash: u64) {
        self.entries += 1;
        self.sum = self.sum.wrapping_add(hash);
    }
}

struct Audit<'a> {
    reader: &'a dyn AuditReader,
    queries: &'a dyn Queries,
    progress: &'a mut (dyn FnMut(&Progress) + Send + Sync),
    report: AuditReport,
    seen: HashMap<ItemId, Vec<Seen>>,
    /// The movements that were taken back, and the reversals.
    pairs: Pairs,
    /// The items for the third pass.
    suspects: BTreeSet<ItemId>,
    /// The items of a repeated run: the suspects of the run before.
    only: Option<BTreeSet<ItemId>>,
    /// The most items that the third pass examines.
    close_items_max: usize,
}

/// Audits the whole store, and calls `progress` once a page.
///
/// It needs a few hundred bytes of memory for each item and level, and the outcomes of suspect items. Stock may change
/// meanwhile.
///
/// # Errors
/// Fails if the store does not answer. Whatever can't be read is a fault, not an error, and the audit reads on.
pub async fn audit(
    reader: &dyn AuditReader,
    queries: &dyn Queries,
    progress: &mut (dyn FnMut(&Progress) + Send + Sync),
) -> Result<AuditReport, StoreError> {
    audit_within(reader, queries, progress, CLOSE_ITEMS_MAX).await
}

/// Audits the whole store, and examines at most `close_items_max` items closely.
pub(crate) async fn audit_within(
    reader: &dyn AuditReader,
    queries: &dyn Queries,
    progress: &mut (dyn FnMut(&Progress) + Send + Sync),
    close_items_max: usize,
) -> Result<AuditReport, StoreError> {
    let (seen, suspects, report) = (HashMap::new(), BTreeSet::new(), AuditReport::default());
    let mut audit = Audit {
        reader,
        queries,
        progress,
        report,
        seen,
        pairs: Pairs::default(),
        suspects,
        only: None,
        close_items_max,
    };
    for _ in 0..RUNS_MAX {
        audit.levels_against_ledgers().await?;
        audit.outcomes_against_ledgers().await?;
        if audit.suspects.len() <= close_items_max {
            break;
        }
        audit.seen.clear();
        audit.only = Some(audit.suspects.clone());
    }
    audit.pairs.keep_suspects();
    audit.examine_suspects().await?;
    audit.examine_pairs().await?;
    for fault in reader.audit_rows().await? {
        audit.report.add(Fault { item_id: fault.item_id, location_id: None, what: fault.what });
    }
    Ok(audit.report)
}

impl Audit<'_> {
    /// Returns whether this run is about the item.
    fn is_wanted(&self, item_id: &ItemId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(item_id))
    }

    async fn levels_against_ledgers(&mut self) -> Result<(), StoreError> {
        self.suspects.clear();
        let mut cursor: Option<String> = None;
        loop {
            let read = self.reader.audit_items(PageRequest::new(cursor.as_deref(), PAGE)).await;
            let Some(page) = self.report.unless_unreadable("the items", read)? else { return Ok(()) };
            let wanted: Vec<_> = page.entries.into_iter().filter(|view| self.is_wanted(&view.item.item_id)).collect();
            let levels = wanted.iter().flat_map(|view| view.levels.iter().map(|level| (&view.item.item_id, level)));
            let reads: Vec<_> = levels.map(|(item_id, level)| Chain::read(self.reader, item_id, level)).collect();
            let mut chains = pin!(stream::iter(reads).buffered(LEDGERS_AT_ONCE));
            for view in &wanted {
                self.report.read.items += u64::from(self.only.is_none());
                let mut seen = Vec::with_capacity(view.levels.len());
                for level in &view.levels {
                    let Some(chain) = chains.try_next().await? else { break };
                    if self.only.is_none() {
                        self.report.read.levels += 1;
                        self.report.read.entries += chain.digest.entries;
                    }
                    if !chain.faults.is_empty() || !level_faults(&view.item, level, &chain).is_empty() {
                        self.suspects.insert(view.item.item_id.clone());
                    }
                    seen.push(Seen {
                        location_id: level.location_id.clone(),
                        seq: level.seq,
                        alert_no: level.alert_no,
                        ledger: chain.digest,
                        outcomes: Digest::default(),
                        alerts: 0,
                        alert_no_max: 0,
                    });
                }
                self.seen.insert(view.item.item_id.clone(), seen);
            }
            (self.progress)(&self.report.read);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        // What a run does not find again stays suspect.
        let missing = self.only.iter().flatten().filter(|item_id| !self.seen.contains_key(*item_id));
        self.suspects.extend(missing.cloned());
        Ok(())
    }

    async fn outcomes_against_ledgers(&mut self) -> Result<(), StoreError> {
        let mut pages = all_records(self.reader);
        while let Some(read) = pages.next().await {
            let Some(records) = self.report.unless_unreadable("the outcomes", read)? else { continue };
            if self.only.is_none() {
                self.report.read.records += records.len() as u64;
            }
            for record in &records {
                self.outcome(record);
            }
            (self.progress)(&self.report.read);
        }
        for (item_id, levels) in &self.seen {
            if levels.iter().any(|seen| seen.ledger != seen.outcomes || seen.alerts_contradict()) {
                self.suspects.insert(item_id.clone());
            }
        }
        Ok(())
    }

    fn outcome(&mut self, record: &Record) {
        let outcome = &record.outcome;
        if !self.is_wanted(&outcome.item_id) {
            return;
        }
        // A record never changes into a faulty one, so the first run reports it.
        for what in outcomes::faults(record).into_iter().filter(|_| self.only.is_none()) {
            self.report.fault(&outcome.item_id, None, format!("command {}: {what}", outcome.command_id));
        }
        if outcome.status != Status::Applied {
            return;
        }
        if self.only.is_none() {
            self.pairs.add(record);
        }
        let known = self.seen.get_mut(&outcome.item_id).is_some_and(|levels| tally(levels, outcome, record));
        if !known {
            self.suspects.insert(outcome.item_id.clone());
        }
    }
}

/// Returns all outcomes in pages, read in as many parts at once as the store has. A part ends with its first error.
fn all_records(reader: &dyn AuditReader) -> BoxStream<'_, Result<Vec<Record>, StoreError>> {
    let of = reader.audit_parts().max(1);
    let pages = |number| {
        stream::try_unfold(Some(None::<String>), move |next| async move {
            let Some(cursor) = next else { return Ok(None) };
            let asked = PageRequest::new(cursor.as_deref(), PAGE);
            let page = reader.audit_part(Part { number, of }, asked).await?;
            Ok(Some((page.entries, page.next_cursor.map(Some))))
        })
    };
    stream::select_all((0..of).map(|number| pages(number).boxed())).boxed()
}

/// Adds an outcome's effects and alerts to the levels. Returns `false` if an effect names a level that the first pass did
/// not see.
fn tally(levels: &mut [Seen], outcome: &Outcome, record: &Record) -> bool {
    let mut known = true;
    for (location_id, entry) in outcomes::entries(outcome) {
        match levels.iter_mut().find(|seen| seen.location_id == location_id) {
            Some(seen) if entry.seq <= seen.seq => seen.outcomes.add(chain::hash(&location_id, &entry)),
            Some(_) => {}
            None => known = false,
        }
    }
    for alert in &record.alerts {
        if let Some(seen) = levels.iter_mut().find(|seen| seen.location_id == alert.location_id) {
            seen.alerts += 1;
            seen.alert_no_max = seen.alert_no_max.max(alert.alert_no);
        }
    }
    known
}

impl Seen {
    /// Returns whether the alert numbers contradict the level. Alerts are numbered 1, 2, 3 …; alerts of re-judging are not
    /// in outcomes, so numbers may be missing here.
    const fn alerts_contradict(&self) -> bool {
        self.alert_no_max > self.alert_no || self.alerts > self.alert_no_max
    }
}

/// Returns the contradictions between a level, its item and the end of its ledger.
fn level_faults(item: &Item, level: &Level, chain: &Chain) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |holds: bool, what: &dyn Fn() -> String| {
        if !holds {
            faults.push(what());
        }
    };
    let (on_hand, seq) = (level.on_hand, level.seq);
    check(chain.seq == seq, &|| format!("the level is at seq {seq}, its ledger ends at {}", chain.seq));
    let stock = chain.stock;
    check(stock.on_hand == on_hand, &|| format!("the level says {on_hand} on hand, its ledger {}", stock.on_hand));
    check(stock.value == level.value, &|| {
        format!("the level says its stock is worth {}, its ledger {}", level.value, stock.value)
    });
    check(stock.average_cost == level.average_cost, &|| {
        let text = |cost: Option<Cost>| cost.map_or_else(|| "unknown".to_owned(), |cost| cost.to_string());
        format!(
            "the level's average cost is {}, its ledger makes it {}",
            text(level.average_cost),
            text(stock.average_cost)
        )
    });
    check(level.tail.last().is_none_or(|entry| entry.seq == seq), &|| {
        format!("the level is at seq {seq}, its tail ends at another seq")
    });
    check(level.updated_at >= chain.recorded_at, &|| {
        format!("the level was last changed at {}, before its last entry at {}", level.updated_at, chain.recorded_at)
    });
    if level.alert_epoch == item.alert_epoch {
        let judged = StockState::judge(on_hand, level.threshold(item));
        check(level.state == judged, &|| {
            let (state, judged) = (level.state.as_str(), judged.as_str());
            format!("the alert state is {state}, balance and threshold make it {judged}")
        });
    }
    check(level.state != StockState::Normal || level.alerted == 0, &|| {
        "the level is normal, yet alerts of an episode are marked as raised".to_owned()
    });
    faults
}
