//! Checks every condition of a commit by reading, before `write.rs` writes all of it. Nothing has to be undone unless
//! SQLite itself fails.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::alert_book::Claims;
use super::fault::Fault;
use super::hot_rows::{HotLevel, HotRows};
use super::id_key::id_key;
use super::item_summaries::{ItemSummaries, ItemSummary};
use super::names::LocationNames;
use super::record_index::RecordIndex;
use super::{rows, sealed};
use stockline_core::domain::{
    Claim, ClaimChange, CommandId, CommandKey, Commit, ItemId, Quantity, Record, RejudgeMark, Status, seal,
};
use stockline_core::ports::CommitOutcome;

/// The state of the writer's thread besides its connection.
#[derive(Debug)]
pub(super) struct WriterState {
    pub(super) items: ItemSummaries,
    pub(super) locations: LocationNames,
    pub(super) keys: RecordIndex,
    pub(super) claims: Claims,
    /// The number of the last change. A rolled back transaction leaves a gap.
    pub(super) change_no: i64,
    pub(super) hot: Arc<HotRows>,
    /// Whether a task of the open transaction has changed an item, a level or a location.
    pub(super) rows_changed: bool,
}

impl WriterState {
    /// Forgets everything that a rolled back transaction may have changed.
    pub(super) fn rolled_back(&mut self) {
        self.items.forget();
        self.locations.forget();
        self.keys.rolled_back();
        self.rows_changed = false;
        self.hot.clear();
        // `claims` may stay: without a stored row, a claim is free in any case.
    }

    /// Returns the stored record of a command as the open transaction sees it.
    pub(super) fn find_record(
        &self,
        connection: &Connection,
        item_id: &ItemId,
        command_id: CommandId,
        key: i64,
    ) -> Result<Option<(i64, Record)>, Fault> {
        let mut candidates = Vec::new();
        self.keys.find(connection, key, &mut candidates)?;
        rows::find_record(connection, &candidates, item_id, command_id)
    }
}

/// A commit with its rows in their stored form. The caller prepares it, so that the writer's one thread has less work.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) commit: Commit,
    pub(super) item: Option<String>,
    pub(super) levels: Vec<Arc<HotLevel>>,
    pub(super) chunks: Vec<Vec<u8>>,
    pub(super) records: Vec<(i64, Vec<u8>)>,
    pub(super) mark: Option<String>,
}

impl Prepared {
    /// Converts the rows into their stored form.
    pub(super) fn new(mut commit: Commit) -> Result<Self, serde_json::Error> {
        let puts = commit.levels.iter_mut();
        let levels = puts.map(|put| Arc::new(HotLevel::of(&commit.item_id, &mut put.level))).collect();
        Ok(Self {
            item: commit.item.as_ref().map(|put| serde_json::to_string(&put.item).map(seal)).transpose()?,
            levels,
            chunks: commit
                .chunks
                .iter()
                .map(|chunk| sealed::chunk(&commit.item_id, &chunk.location_id, &chunk.entries))
                .collect(),
            records: commit
                .records
                .iter()
                .map(|record| {
                    let key = id_key(&commit.item_id, record.outcome.command_id);
                    record.to_bytes().map(|body| (key, body))
                })
                .collect::<Result<_, _>>()?,
            mark: commit.mark.as_ref().map(|mark| serde_json::to_string(mark).map(seal)).transpose()?,
            commit,
        })
    }
}

/// The results of the check, for writing.
pub(super) struct Checked {
    pub(super) summary: Option<ItemSummary>,
    pub(super) levels: Vec<FoundLevel>,
    /// For each record, the open dead letter that it replaces.
    pub(super) replaced: Vec<Option<i64>>,
    pub(super) marked: Vec<(i64, Record)>,
}

/// The stored form of a level that the commit writes.
pub(super) struct FoundLevel {
    pub(super) location_no: i64,
    pub(super) stored: Option<StoredLevel>,
}

#[derive(Clone, Copy)]
pub(super) struct StoredLevel {
    version: u64,
    pub(super) on_hand: Quantity,
    pub(super) low_stock_threshold: Option<Quantity>,
}

/// Checks every condition (see [`stockline_core::ports::Store`]). It writes nothing but the numbers of new locations.
pub(super) fn check(
    connection: &Connection,
    state: &mut WriterState,
    prepared: &Prepared,
) -> Result<Result<Checked, CommitOutcome>, Fault> {
    let commit = &prepared.commit;
    let summary = state.items.get(connection, &commit.item_id)?;
    let mut decided = Vec::new();
    let mut replaced = Vec::with_capacity(commit.records.len());
    for (record, (key, _)) in commit.records.iter().zip(&prepared.records) {
        match state.find_record(connection, &commit.item_id, record.outcome.command_id, *key)? {
            Some((_, stored)) if stored.decides(record.retry) => decided.push(stored),
            stored => replaced.push(stored.map(|(record_no, _)| record_no)),
        }
    }
    if !decided.is_empty() {
        return Ok(Err(CommitOutcome::Decided(decided)));
    }
    if let Some(mark) = &commit.mark
        && let Some(found) = find_mark(connection, state, summary, mark)?
    {
        return Ok(Err(CommitOutcome::Judged(Box::new(found))));
    }
    let as_loaded =
        commit.item.as_ref().is_none_or(|put| put.loaded_version == summary.and_then(|summary| summary.version))
            && commit.threshold_check.is_none_or(|version| {
                summary.is_some_and(|summary| summary.version.is_some() && summary.threshold_version == version)
            });
    if !as_loaded || !claims_hold(connection, summary, &commit.claims)? {
        return Ok(Err(CommitOutcome::Conflict));
    }
    let (Some(mut marked), Some(taken_back)) =
        (find_resubmitted(connection, state, commit)?, find_reversed(connection, state, commit)?)
    else {
        return Ok(Err(CommitOutcome::Conflict));
    };
    marked.extend(taken_back);
    let mut levels = Vec::with_capacity(commit.levels.len());
    for put in &commit.levels {
        let location_no = state.locations.no_or_new(connection, &put.level.location_id)?;
        let stored = find_level(connection, summary, location_no)?;
        if stored.map(|stored| stored.version) != put.loaded_version {
            return Ok(Err(CommitOutcome::Conflict));
        }
        levels.push(FoundLevel { location_no, stored });
    }
    Ok(Ok(Checked { summary, levels, replaced, marked }))
}

fn find_level(
    connection: &Connection,
    summary: Option<ItemSummary>,
    location_no: i64,
) -> Result<Option<StoredLevel>, Fault> {
    let Some(summary) = summary else {
        return Ok(None);
    };
    let mut statement = connection.prepare_cached(
        "SELECT version, on_hand, low_stock_threshold FROM level WHERE item_no = ?1 AND location_no = ?2",
    )?;
    let found = statement.query_row((summary.item_no, location_no), |row| {
        Ok(StoredLevel {
            version: row.get::<_, i64>(0)?.cast_unsigned(),
            on_hand: Quantity::from_raw(row.get(1)?),
            low_stock_threshold: row.get::<_, Option<i64>>(2)?.map(Quantity::from_raw),
        })
    });
    Ok(found.optional()?)
}

fn find_mark(
    connection: &Connection,
    state: &mut WriterState,
    summary: Option<ItemSummary>,
    mark: &RejudgeMark,
) -> Result<Option<RejudgeMark>, Fault> {
    let (Some(summary), Some(location_no)) = (summary, state.locations.no(connection, &mark.location_id)?) else {
        return Ok(None);
    };
    let mut statement = connection
        .prepare_cached("SELECT mark FROM rejudged WHERE item_no = ?1 AND command_id = ?2 AND location_no = ?3")?;
    let text: Option<String> = statement
        .query_row((summary.item_no, mark.command_id.0.as_bytes(), location_no), |row| row.get(0))
        .optional()?;
    text.map(|text| sealed::read_json("the mark of a re-judging", &text)).transpose()
}

fn claims_hold(connection: &Connection, summary: Option<ItemSummary>, claims: &[ClaimChange]) -> Result<bool, Fault> {
    if claims.is_empty() {
        return Ok(true);
    }
    let mine = summary.map(|summary| summary.item_no);
    let mut statement = connection.prepare_cached("SELECT item_no FROM claim WHERE kind = ?1 AND claimed = ?2")?;
    for change in claims {
        let holder: Option<i64> = statement.query_row(claim_key(&change.claim), |row| row.get(0)).optional()?;
        let holds = match (holder, change.held) {
            (None, held) => held,
            (holder, _) => holder == mine,
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the stored key of a claim. The number of a kind must never change.
pub(super) fn claim_key(claim: &Claim) -> (i64, &str) {
    match claim {
        Claim::Barcode(code) => (0, code),
        Claim::ItemKey(key) => (1, key),
    }
}

/// Returns the records of the movements to take back; `None` if one was taken back before.
fn find_reversed(
    connection: &Connection,
    state: &WriterState,
    commit: &Commit,
) -> Result<Option<Vec<(i64, Record)>>, Fault> {
    let mut marked = Vec::with_capacity(commit.reversed.len());
    for reversal in &commit.reversed {
        let key = id_key(&commit.item_id, reversal.command_id);
        let found = state.find_record(connection, &commit.item_id, reversal.command_id, key)?;
        let Some((record_no, mut record)) = found
            .filter(|(_, record)| record.outcome.status == Status::Applied && record.outcome.reversed_by.is_none())
        else {
            return Ok(None);
        };
        record.outcome.reversed_by = Some(reversal.reversed_by);
        marked.push((record_no, record));
    }
    Ok(Some(marked))
}

/// Returns the old records to mark; `None` if one can't be marked.
fn find_resubmitted(
    connection: &Connection,
    state: &WriterState,
    commit: &Commit,
) -> Result<Option<Vec<(i64, Record)>>, Fault> {
    let mut marked = Vec::with_capacity(commit.resubmitted.len());
    for (old, command_id) in &commit.resubmitted {
        let key = id_key(&old.item_id, old.command_id);
        let Some((record_no, mut record)) = state.find_record(connection, &old.item_id, old.command_id, key)? else {
            return Ok(None);
        };
        let new = CommandKey { item_id: commit.item_id.clone(), command_id: *command_id };
        let open = record.outcome.status != Status::Applied
            && record.outcome.dead_letter.as_ref().is_none_or(|letter| letter.discarded_at.is_none())
            && record.resubmitted_as.as_ref().is_none_or(|other| *other == new);
        if !open {
            return Ok(None);
        }
        record.resubmitted_as = Some(new);
        marked.push((record_no, record));
    }
    Ok(Some(marked))
}
