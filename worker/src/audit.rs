//! The audit proves P4 for a whole store: the ledger explains the stock, and the outcomes explain the ledger
//! (design.md §2).
//!
//! It has three passes. The first checks each level against its ledger and keeps a digest of its entries. The second
//! reads all outcomes and builds the same digests from their effects. The third examines the items that failed or
//! disagree once more, entry by entry, so that stock that changes during the audit is no fault.
//!
//! A store may have more items than fit into memory. So the passes run over one range of items after the other, in the order
//! of their ids, and each range reads all outcomes once more. Behind each range is a checkpoint, where another run can go on.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;

use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use stockline_core::domain::{Cost, Item, ItemId, Level, LocationId, Outcome, Record, Status, StockState};
use stockline_core::ports::{AuditReader, PageRequest, Part, Queries, StoreError};

mod chain;
mod checkpoint;
mod examine;
mod outcomes;
mod pairs;
mod report;

use chain::Chain;
pub use checkpoint::{Checkpoint, CheckpointError};
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

/// The most items and levels of one range, some 100 bytes each: the passes of a range fit into half a gigabyte.
pub const AT_ONCE: usize = 2_000_000;

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Items read.
    pub items: u64,
    /// Levels read.
    pub levels: u64,
    /// Ledger entries read.
    pub entries: u64,
    /// Outcomes read; each range of items reads all of them once more, which is not counted.
    pub records: u64,
    /// The end of the last range, unless that was the last one.
    pub checkpoint: Option<Checkpoint>,
    /// The faults so far.
    pub faults: u64,
}

/// How an audit runs.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// The most items and levels of one range. A range has at least one page of items.
    pub at_once: usize,
    /// Where to go on. Only the items behind it are audited.
    pub resume: Option<Checkpoint>,
    /// The most items that the third pass examines.
    pub close_items_max: usize,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self { at_once: AT_ONCE, resume: None, close_items_max: CLOSE_ITEMS_MAX }
    }
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
    /// The last item that is *not* part of a resumed audit: nothing is said about it and the items before it.
    pub after: Option<ItemId>,
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

/// What the first two passes learn about one level, in 56 bytes.
struct Seen {
    /// The hash of its location.
    place: u64,
    /// Entries up to this seq are in the digest.
    seq: u64,
    alert_no: u64,
    /// The entries of the ledger, without those of the outcomes.
    differs: Digest,
    alerts: u64,
    alert_no_max: u64,
}

fn place(location_id: &LocationId) -> u64 {
    let mut hasher = DefaultHasher::new();
    location_id.hash(&mut hasher);
    hasher.finish()
}

/// A sum of hashes, which is the same for the same entries in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Digest {
    entries: u64,
    sum: u64,
}

impl Digest {
    fn add(&mut self, hash: u64) {
        self.entries = self.entries.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash);
    }

    fn take(&mut self, hash: u64) {
        self.entries = self.entries.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash);
    }
}

/// A range of items by their ids.
#[derive(Debug, Clone, Default)]
struct Range {
    after: Option<ItemId>,
    until: Option<ItemId>,
    /// The cursor where its list begins.
    cursor: Option<String>,
}

impl Range {
    fn holds(&self, item_id: &ItemId) -> bool {
        self.after.as_ref().is_none_or(|after| item_id > after)
            && self.until.as_ref().is_none_or(|until| item_id <= until)
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
    range: Range,
    /// Whether this is the first range, which counts the outcomes.
    counts_records: bool,
    /// The items of a repeated run: the suspects of the run before.
    only: Option<BTreeSet<ItemId>>,
    options: AuditOptions,
}

/// Audits the whole store, and calls `progress` once a page.
///
/// Its memory is bounded by [`AuditOptions::at_once`], whatever the store holds. Stock may change meanwhile.
///
/// # Errors
/// Fails if the store does not answer. Whatever can't be read is a fault, not an error, and the audit reads on.
pub async fn audit(
    reader: &dyn AuditReader,
    queries: &dyn Queries,
    progress: &mut (dyn FnMut(&Progress) + Send + Sync),
) -> Result<AuditReport, StoreError> {
    audit_with(reader, queries, progress, AuditOptions::default()).await
}

/// Audits the store as [`audit`] does, with these options.
///
/// # Errors
/// As [`audit`]. The last [`Progress::checkpoint`] says where another run can go on.
pub async fn audit_with(
    reader: &dyn AuditReader,
    queries: &dyn Queries,
    progress: &mut (dyn FnMut(&Progress) + Send + Sync),
    options: AuditOptions,
) -> Result<AuditReport, StoreError> {
    let mut audit = Audit {
        reader,
        queries,
        progress,
        report: AuditReport {
            after: options.resume.as_ref().map(|resume| resume.after.clone()),
            ..AuditReport::default()
        },
        seen: HashMap::new(),
        pairs: Pairs::default(),
        suspects: BTreeSet::new(),
        range: Range::default(),
        counts_records: true,
        only: None,
        options,
    };
    let mut next = audit.options.resume.take();
    loop {
        let (after, cursor) = next.map(|Checkpoint { after, cursor }| (after, cursor)).unzip();
        audit.range = Range { after, until: None, cursor };
        next = audit.audit_range().await?;
        audit.report.read.checkpoint.clone_from(&next);
        audit.report.read.faults = audit.report.fault_count;
        (audit.progress)(&audit.report.read);
        if next.is_none() {
            break;
        }
    }
    for fault in reader.audit_rows().await? {
        audit.report.add(Fault { item_id: fault.item_id, location_id: None, what: fault.what });
    }
    Ok(audit.report)
}

impl Audit<'_> {
    /// Audits the range, and returns its end unless it is the last one.
    async fn audit_range(&mut self) -> Result<Option<Checkpoint>, StoreError> {
        self.only = None;
        let mut end = None;
        for run in 0..RUNS_MAX {
            self.seen.clear();
            let found = self.levels_against_ledgers().await?;
            if run == 0 {
                self.range.until = found.as_ref().map(|checkpoint| checkpoint.after.clone());
                end = found;
            }
            self.outcomes_against_ledgers().await?;
            self.counts_records = false;
            if self.suspects.len() <= self.options.close_items_max {
                break;
            }
            self.only = Some(self.suspects.clone());
        }
        self.seen = HashMap::new();
        self.examine_suspects().await?;
        self.examine_pairs().await?;
        Ok(end)
    }

    /// Returns whether this run is about the item.
    fn is_wanted(&self, item_id: &ItemId) -> bool {
        self.range.holds(item_id) && self.only.as_ref().is_none_or(|only| only.contains(item_id))
    }

    /// Reads the items of the range and their ledgers. The first run finds where the range ends, and returns that.
    async fn levels_against_ledgers(&mut self) -> Result<Option<Checkpoint>, StoreError> {
        self.suspects.clear();
        let mut cursor = self.range.cursor.clone();
        let (mut rows, mut last, mut end) = (0, None, None);
        loop {
            let read = self.reader.audit_items(PageRequest::new(cursor.as_deref(), PAGE)).await;
            let Some(page) = self.report.unless_unreadable("the items", read)? else { return Ok(None) };
            let is_over = page
                .entries
                .iter()
                .any(|view| self.range.until.as_ref().is_some_and(|until| view.item.item_id > *until));
            rows += page.entries.iter().map(|view| 1 + view.levels.len()).sum::<usize>();
            last = page.entries.last().map(|view| view.item.item_id.clone()).or(last);
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
                        place: place(&level.location_id),
                        seq: level.seq,
                        alert_no: level.alert_no,
                        differs: chain.digest,
                        alerts: 0,
                        alert_no_max: 0,
                    });
                }
                self.seen.insert(view.item.item_id.clone(), seen);
            }
            (self.progress)(&self.report.read);
            cursor = page.next_cursor;
            let Some(next) = &cursor else { break };
            if is_over {
                break;
            }
            if let Some(last) = last.as_ref().filter(|_| self.only.is_none() && rows >= self.options.at_once) {
                end = Some(Checkpoint { after: last.clone(), cursor: next.clone() });
                break;
            }
        }
        // What a run does not find again stays suspect.
        let missing = self.only.iter().flatten().filter(|item_id| !self.seen.contains_key(*item_id));
        self.suspects.extend(missing.cloned());
        Ok(end)
    }

    async fn outcomes_against_ledgers(&mut self) -> Result<(), StoreError> {
        let reader = self.reader;
        let mut pages = all_records(reader);
        while let Some(read) = pages.next().await {
            let Some(records) = self.report.unless_unreadable("the outcomes", read)? else { continue };
            if self.counts_records {
                self.report.read.records += records.len() as u64;
            }
            for record in &records {
                self.outcome(record);
            }
            (self.progress)(&self.report.read);
        }
        for (item_id, levels) in &self.seen {
            if levels.iter().any(|seen| seen.differs != Digest::default() || seen.alerts_contradict()) {
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
        let place = place(&location_id);
        match levels.iter_mut().find(|seen| seen.place == place) {
            Some(seen) if entry.seq <= seen.seq => seen.differs.take(chain::hash(&location_id, &entry)),
            Some(_) => {}
            None => known = false,
        }
    }
    for alert in &record.alerts {
        let place = place(&alert.location_id);
        if let Some(seen) = levels.iter_mut().find(|seen| seen.place == place) {
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
