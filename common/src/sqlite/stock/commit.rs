//! One commit: first every condition is checked by reading, then everything is written. Nothing has to be undone
//! unless SQLite itself fails.

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::Fault;
use super::keys::{KeyBook, id_key};
use super::names::{ItemFacts, ItemNames, LocationNames};
use super::rows;
use crate::domain::{
    Claim, ClaimChange, CommandId, Commit, Item, ItemId, Level, Quantity, Record, RejudgeMark, Resubmits, Status,
    StockState, encode_entries,
};
use crate::ports::CommitOutcome;

/// What the writer's thread knows beside its connection.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) items: ItemNames,
    pub(super) locations: LocationNames,
    pub(super) keys: KeyBook,
}

impl Desk {
    /// After a rollback: nothing of the transaction is true.
    pub(super) fn rolled_back(&mut self) {
        self.items.forget();
        self.locations.forget();
        self.keys.rolled_back();
    }

    /// The stored record of a command, as the transaction under way sees it.
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

/// A commit with its rows written out, by the caller: the writer's one thread has less to do.
#[derive(Debug)]
pub(super) struct Prepared {
    commit: Commit,
    item: Option<String>,
    tails: Vec<Vec<u8>>,
    chunks: Vec<Vec<u8>>,
    records: Vec<(i64, String)>,
    mark: Option<String>,
}

impl Prepared {
    /// Writes the rows out.
    pub(super) fn new(commit: Commit) -> Result<Self, serde_json::Error> {
        Ok(Self {
            item: commit.item.as_ref().map(|put| serde_json::to_string(&put.item)).transpose()?,
            tails: commit.levels.iter().map(|put| encode_entries(&put.level.tail)).collect(),
            chunks: commit.chunks.iter().map(|chunk| encode_entries(&chunk.entries)).collect(),
            records: commit
                .records
                .iter()
                .map(|record| {
                    let key = id_key(&commit.item_id, record.outcome.command_id);
                    serde_json::to_string(record).map(|body| (key, body))
                })
                .collect::<Result<_, _>>()?,
            mark: commit.mark.as_ref().map(serde_json::to_string).transpose()?,
            commit,
        })
    }
}

/// What checking found, for writing.
pub(super) struct Checked {
    facts: Option<ItemFacts>,
    levels: Vec<FoundLevel>,
    /// By record: the open dead letter that it replaces.
    replaced: Vec<Option<i64>>,
    marked: Vec<(i64, Record)>,
}

struct FoundLevel {
    location_no: i64,
    stored: Option<StoredLevel>,
}

#[derive(Clone, Copy)]
struct StoredLevel {
    version: u64,
    on_hand: Quantity,
    low_stock_threshold: Option<Quantity>,
}

/// Checks every condition (see [`crate::ports::Store`]) and writes nothing but numbers for new names.
pub(super) fn check(
    connection: &Connection,
    desk: &mut Desk,
    prepared: &Prepared,
) -> Result<Result<Checked, CommitOutcome>, Fault> {
    let commit = &prepared.commit;
    let facts = desk.items.facts(connection, &commit.item_id)?;
    let mut decided = Vec::new();
    let mut replaced = Vec::with_capacity(commit.records.len());
    for (record, (key, _)) in commit.records.iter().zip(&prepared.records) {
        match desk.find_record(connection, &commit.item_id, record.outcome.command_id, *key)? {
            Some((_, stored)) if stored.decides(record.retry) => decided.push(stored),
            stored => replaced.push(stored.map(|(record_no, _)| record_no)),
        }
    }
    if !decided.is_empty() {
        return Ok(Err(CommitOutcome::Decided(decided)));
    }
    if let Some(mark) = &commit.mark
        && let Some(found) = find_mark(connection, desk, facts, mark)?
    {
        return Ok(Err(CommitOutcome::Judged(Box::new(found))));
    }
    let as_loaded = commit.item.as_ref().is_none_or(|put| put.loaded_version == facts.and_then(|f| f.version))
        && commit.threshold_check.is_none_or(|version| {
            facts.is_some_and(|facts| facts.version.is_some() && facts.threshold_version == version)
        });
    if !as_loaded || !claims_hold(connection, facts, &commit.claims)? {
        return Ok(Err(CommitOutcome::Conflict));
    }
    let Some(marked) = find_resubmitted(connection, desk, commit)? else {
        return Ok(Err(CommitOutcome::Conflict));
    };
    let mut levels = Vec::with_capacity(commit.levels.len());
    for put in &commit.levels {
        let location_no = desk.locations.no_or_new(connection, &put.level.location_id)?;
        let stored = find_level(connection, facts, location_no)?;
        if stored.map(|stored| stored.version) != put.loaded_version {
            return Ok(Err(CommitOutcome::Conflict));
        }
        levels.push(FoundLevel { location_no, stored });
    }
    Ok(Ok(Checked { facts, levels, replaced, marked }))
}

fn find_level(
    connection: &Connection,
    facts: Option<ItemFacts>,
    location_no: i64,
) -> Result<Option<StoredLevel>, Fault> {
    let Some(facts) = facts else {
        return Ok(None);
    };
    let mut statement = connection.prepare_cached(
        "SELECT version, on_hand, low_stock_threshold FROM level WHERE item_no = ?1 AND location_no = ?2",
    )?;
    let found = statement.query_row((facts.item_no, location_no), |row| {
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
    desk: &mut Desk,
    facts: Option<ItemFacts>,
    mark: &RejudgeMark,
) -> Result<Option<RejudgeMark>, Fault> {
    let (Some(facts), Some(location_no)) = (facts, desk.locations.no(connection, &mark.location_id)?) else {
        return Ok(None);
    };
    let mut statement = connection
        .prepare_cached("SELECT mark FROM rejudged WHERE item_no = ?1 AND command_id = ?2 AND location_no = ?3")?;
    let text: Option<String> =
        statement.query_row((facts.item_no, mark.command_id.0.as_bytes(), location_no), |row| row.get(0)).optional()?;
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| Fault::Unreadable(format!("the mark of a re-judging: {error}")))
}

fn claims_hold(connection: &Connection, facts: Option<ItemFacts>, claims: &[ClaimChange]) -> Result<bool, Fault> {
    if claims.is_empty() {
        return Ok(true);
    }
    let mine = facts.map(|facts| facts.item_no);
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

/// How a claim is stored: the kind's number must never change.
pub(super) fn claim_key(claim: &Claim) -> (i64, &str) {
    match claim {
        Claim::Barcode(code) => (0, code),
        Claim::ItemKey(key) => (1, key),
    }
}

/// The old records to be marked; `None` where one can't be.
fn find_resubmitted(
    connection: &Connection,
    desk: &Desk,
    commit: &Commit,
) -> Result<Option<Vec<(i64, Record)>>, Fault> {
    let mut marked = Vec::with_capacity(commit.resubmitted.len());
    for (old, command_id) in &commit.resubmitted {
        let key = id_key(&old.item_id, old.command_id);
        let Some((record_no, mut record)) = desk.find_record(connection, &old.item_id, old.command_id, key)? else {
            return Ok(None);
        };
        let new = Resubmits { item_id: commit.item_id.clone(), command_id: *command_id };
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

/// Writes a commit whose conditions hold.
pub(super) fn write(
    connection: &Connection,
    desk: &mut Desk,
    prepared: &Prepared,
    checked: Checked,
) -> Result<(), Fault> {
    let commit = &prepared.commit;
    let mut facts = match checked.facts {
        Some(facts) => facts,
        None => {
            connection.prepare_cached("INSERT INTO item (item_id) VALUES (?1)")?.execute([commit.item_id.as_str()])?;
            let facts = ItemFacts::unregistered(connection.last_insert_rowid());
            desk.items.remember(&commit.item_id, facts);
            facts
        }
    };
    if let (Some(put), Some(body)) = (&commit.item, &prepared.item) {
        let rejudge = facts.low_stock_threshold != put.item.catalogue.low_stock_threshold;
        facts = put_item(connection, facts.item_no, &put.item, body)?;
        desk.items.remember(&commit.item_id, facts);
        if rejudge {
            refresh_unwell(connection, facts)?;
        }
    }
    for ((put, tail), found) in commit.levels.iter().zip(&prepared.tails).zip(&checked.levels) {
        put_level(connection, facts, found, &put.level, tail)?;
    }
    for (chunk, entries) in commit.chunks.iter().zip(&prepared.chunks) {
        let location_no = desk.locations.no_or_new(connection, &chunk.location_id)?;
        if let Some(first) = chunk.entries.first() {
            connection
                .prepare_cached(
                    "INSERT INTO chunk (item_no, location_no, first_seq, first_recorded_at, entries) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    facts.item_no,
                    location_no,
                    first.seq.cast_signed(),
                    first.recorded_at.as_millis(),
                    entries
                ])?;
        }
    }
    put_claims(connection, facts.item_no, &commit.claims)?;
    for ((record, (key, body)), replaced) in commit.records.iter().zip(&prepared.records).zip(checked.replaced) {
        match replaced {
            Some(record_no) => replace_record(connection, record_no, record, body)?,
            None => {
                let record_no = append_record(connection, facts.item_no, record, body)?;
                desk.keys.add(*key, record_no);
            }
        }
    }
    for (record_no, record) in &checked.marked {
        rewrite_record(connection, *record_no, record)?;
    }
    if let (Some(mark), Some(text)) = (&commit.mark, &prepared.mark) {
        let location_no = desk.locations.no_or_new(connection, &mark.location_id)?;
        connection
            .prepare_cached("INSERT INTO rejudged (item_no, command_id, location_no, mark) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![facts.item_no, mark.command_id.0.as_bytes(), location_no, text])?;
    }
    Ok(())
}

fn put_item(connection: &Connection, item_no: i64, item: &Item, body: &str) -> Result<ItemFacts, Fault> {
    let catalogue = &item.catalogue;
    connection
        .prepare_cached(
            "UPDATE item SET name_key = ?2, category = ?3, archived = ?4, low_stock_threshold = ?5, updated_at = ?6, \
             body = ?7 WHERE item_no = ?1",
        )?
        .execute(params![
            item_no,
            catalogue.name.to_lowercase(),
            catalogue.category,
            item.is_archived(),
            catalogue.low_stock_threshold.map(Quantity::raw),
            item.updated_at.as_millis(),
            body
        ])?;
    Ok(ItemFacts {
        item_no,
        version: Some(item.version),
        threshold_version: item.threshold_version,
        low_stock_threshold: catalogue.low_stock_threshold,
    })
}

fn put_level(
    connection: &Connection,
    facts: ItemFacts,
    found: &FoundLevel,
    level: &Level,
    tail: &[u8],
) -> Result<(), Fault> {
    let sql = match found.stored {
        Some(_) => {
            "UPDATE level SET on_hand = ?3, seq = ?4, version = ?5, low_stock_threshold = ?6, state = ?7, \
             alerted = ?8, alert_no = ?9, alert_epoch = ?10, counted_at = ?11, updated_at = ?12, tail = ?13 \
             WHERE item_no = ?1 AND location_no = ?2"
        }
        None => {
            "INSERT INTO level (item_no, location_no, on_hand, seq, version, low_stock_threshold, state, alerted, \
             alert_no, alert_epoch, counted_at, updated_at, tail) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
        }
    };
    connection.prepare_cached(sql)?.execute(params![
        facts.item_no,
        found.location_no,
        level.on_hand.raw(),
        level.seq.cast_signed(),
        level.version.cast_signed(),
        level.low_stock_threshold.map(Quantity::raw),
        rows::state_no(level.state),
        level.alerted,
        level.alert_no.cast_signed(),
        level.alert_epoch.cast_signed(),
        level.counted_at.map(|at| at.as_millis()),
        level.updated_at.as_millis(),
        tail
    ])?;
    let unwell = |on_hand, threshold: Option<Quantity>| {
        StockState::judge(on_hand, threshold.or(facts.low_stock_threshold)) != StockState::Normal
    };
    let was = found.stored.is_some_and(|stored| unwell(stored.on_hand, stored.low_stock_threshold));
    let is = unwell(level.on_hand, level.low_stock_threshold);
    let sql = match (was, is) {
        (false, true) => "INSERT OR IGNORE INTO unwell (item_no, location_no) VALUES (?1, ?2)",
        (true, false) => "DELETE FROM unwell WHERE item_no = ?1 AND location_no = ?2",
        _ => return Ok(()),
    };
    connection.prepare_cached(sql)?.execute((facts.item_no, found.location_no))?;
    Ok(())
}

/// After the default threshold changed: which of the item's levels are low, out or oversold by it.
fn refresh_unwell(connection: &Connection, facts: ItemFacts) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM unwell WHERE item_no = ?1")?.execute([facts.item_no])?;
    connection
        .prepare_cached(
            "INSERT INTO unwell (item_no, location_no) SELECT item_no, location_no FROM level \
             WHERE item_no = ?1 AND (on_hand <= 0 OR on_hand < coalesce(low_stock_threshold, ?2))",
        )?
        .execute((facts.item_no, facts.low_stock_threshold.map(Quantity::raw)))?;
    Ok(())
}

fn put_claims(connection: &Connection, item_no: i64, claims: &[ClaimChange]) -> Result<(), Fault> {
    for change in claims {
        let (kind, claimed) = claim_key(&change.claim);
        if change.held {
            connection
                .prepare_cached("INSERT OR REPLACE INTO claim (kind, claimed, item_no) VALUES (?1, ?2, ?3)")?
                .execute((kind, claimed, item_no))?;
        } else {
            connection
                .prepare_cached("DELETE FROM claim WHERE kind = ?1 AND claimed = ?2")?
                .execute((kind, claimed))?;
        }
    }
    Ok(())
}

fn append_record(connection: &Connection, item_no: i64, record: &Record, body: &str) -> Result<i64, Fault> {
    connection
        .prepare_cached("INSERT INTO record (command_id, item_no, body) VALUES (?1, ?2, ?3)")?
        .execute(params![record.outcome.command_id.0.as_bytes(), item_no, body])?;
    let record_no = connection.last_insert_rowid();
    put_refused(connection, record_no, record)?;
    Ok(record_no)
}

/// Puts a record in the place of an open dead letter.
fn replace_record(connection: &Connection, record_no: i64, record: &Record, body: &str) -> Result<(), Fault> {
    connection.prepare_cached("UPDATE record SET body = ?2 WHERE record_no = ?1")?.execute((record_no, body))?;
    connection.prepare_cached("DELETE FROM refused WHERE record_no = ?1")?.execute([record_no])?;
    put_refused(connection, record_no, record)
}

/// Writes a record again that was marked or discarded.
pub(super) fn rewrite_record(connection: &Connection, record_no: i64, record: &Record) -> Result<(), Fault> {
    let body = serde_json::to_string(record).map_err(|error| Fault::record(record.outcome.item_id.as_str(), &error))?;
    replace_record(connection, record_no, record, &body)
}

/// The sparse index of refused commands.
fn put_refused(connection: &Connection, record_no: i64, record: &Record) -> Result<(), Fault> {
    let outcome = &record.outcome;
    if outcome.status == Status::Applied {
        return Ok(());
    }
    let discarded = outcome.dead_letter.as_ref().is_some_and(|letter| letter.discarded_at.is_some());
    let location = outcome.command.as_ref().and_then(|command| command.action.locations().next());
    connection
        .prepare_cached(
            "INSERT INTO refused (record_no, settled_at, status, code, location_id, settled_otherwise) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            record_no,
            outcome.settled_at.as_millis(),
            outcome.status.as_str(),
            outcome.rejection.as_ref().map(|rejection| rejection.code.as_str()),
            location.map(|location| location.as_str()),
            discarded || record.resubmitted_as.is_some()
        ])?;
    Ok(())
}
