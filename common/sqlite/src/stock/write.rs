use rusqlite::{Connection, params};

use super::commit::{Checked, FoundLevel, Prepared, WriterState, claim_key};
use super::fault::Fault;
use super::item_summaries::ItemSummary;
use super::states::state_no;
use super::{change_list, command_lists};
use stockline_core::domain::{ClaimChange, Item, ItemId, Level, Money, Quantity, Record, Status, StockState};

/// Writes a commit after all its conditions were checked.
pub(super) fn write(
    connection: &Connection,
    state: &mut WriterState,
    prepared: &Prepared,
    checked: Checked,
) -> Result<(), Fault> {
    let commit = &prepared.commit;
    state.change_no += 1;
    let change_no = state.change_no;
    let mut summary = match checked.summary {
        Some(summary) => summary,
        None => {
            connection.prepare_cached("INSERT INTO item (item_id) VALUES (?1)")?.execute([commit.item_id.as_str()])?;
            let summary = ItemSummary::unregistered(connection.last_insert_rowid());
            state.items.remember(&commit.item_id, summary);
            summary
        }
    };
    if let (Some(put), Some(body)) = (&commit.item, &prepared.item) {
        let rejudge = summary.low_stock_threshold != put.item.catalogue.low_stock_threshold;
        summary = put_item(connection, (summary.item_no, change_no), &put.item, body)?;
        state.items.remember(&commit.item_id, summary);
        if rejudge {
            refresh_low_levels(connection, &commit.item_id, summary)?;
        }
    }
    for (level, found) in prepared.levels.iter().zip(&checked.levels) {
        put_level(connection, (&commit.item_id, change_no), summary, found, &level.bare, &level.tail)?;
    }
    for (chunk, entries) in commit.chunks.iter().zip(&prepared.chunks) {
        let location_no = state.locations.no_or_new(connection, &chunk.location_id)?;
        if let Some(first) = chunk.entries.first() {
            connection
                .prepare_cached(
                    "INSERT INTO chunk (item_no, location_no, first_seq, first_recorded_at, entries) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    summary.item_no,
                    location_no,
                    first.seq.cast_signed(),
                    first.recorded_at.as_millis(),
                    entries
                ])?;
        }
    }
    put_claims(connection, summary.item_no, &commit.claims)?;
    for ((record, (key, body)), replaced) in commit.records.iter().zip(&prepared.records).zip(checked.replaced) {
        let record_no = match replaced {
            Some(record_no) => {
                replace_record(connection, record_no, record, body)?;
                record_no
            }
            None => {
                let record_no = append_record(connection, summary.item_no, record, body)?;
                state.keys.add(*key, record_no);
                record_no
            }
        };
        if record.outcome.status == Status::Applied {
            command_lists::put(connection, &mut state.locations, summary.item_no, record_no, record)?;
        }
    }
    for (record_no, record) in &checked.marked {
        rewrite_record(connection, *record_no, record)?;
        command_lists::put_reversed(connection, &mut state.locations, summary.item_no, record)?;
    }
    if let (Some(mark), Some(text)) = (&commit.mark, &prepared.mark) {
        let location_no = state.locations.no_or_new(connection, &mark.location_id)?;
        connection
            .prepare_cached("INSERT INTO rejudged (item_no, command_id, location_no, mark) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![summary.item_no, mark.command_id.0.as_bytes(), location_no, text])?;
    }
    Ok(())
}

fn put_item(
    connection: &Connection,
    (item_no, change_no): (i64, i64),
    item: &Item,
    body: &str,
) -> Result<ItemSummary, Fault> {
    let catalogue = &item.catalogue;
    connection
        .prepare_cached(
            "UPDATE item SET name_key = ?2, category = ?3, archived = ?4, low_stock_threshold = ?5, updated_at = ?6, \
             body = ?7, change_no = ?8, supplier = ?9 WHERE item_no = ?1",
        )?
        .execute(params![
            item_no,
            catalogue.name.to_lowercase(),
            catalogue.category,
            item.is_archived(),
            catalogue.low_stock_threshold.map(Quantity::raw),
            item.updated_at.as_millis(),
            body,
            change_no,
            catalogue.planning.supplier
        ])?;
    change_list::change_levels(connection, item_no, change_no)?;
    Ok(ItemSummary {
        item_no,
        version: Some(item.version),
        threshold_version: item.threshold_version,
        low_stock_threshold: catalogue.low_stock_threshold,
    })
}

fn put_level(
    connection: &Connection,
    (item_id, change_no): (&ItemId, i64),
    summary: ItemSummary,
    found: &FoundLevel,
    level: &Level,
    tail: &[u8],
) -> Result<(), Fault> {
    let sql = match found.stored {
        Some(_) => {
            "UPDATE level SET on_hand = ?3, seq = ?4, version = ?5, low_stock_threshold = ?6, state = ?7, \
             alerted = ?8, alert_no = ?9, alert_epoch = ?10, counted_at = ?11, updated_at = ?12, tail = ?13, \
             value = ?14, average_cost = ?15, counted_seq = ?16, change_no = ?17 WHERE item_no = ?1 AND location_no = ?2"
        }
        None => {
            "INSERT INTO level (item_no, location_no, on_hand, seq, version, low_stock_threshold, state, alerted, \
             alert_no, alert_epoch, counted_at, updated_at, tail, value, average_cost, counted_seq, \
             change_no) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
        }
    };
    if found.stored.is_none() {
        connection
            .prepare_cached("UPDATE item SET levels = levels + 4294967296 + ?2 WHERE item_no = ?1")?
            .execute((summary.item_no, found.location_no))?;
    }
    connection.prepare_cached(sql)?.execute(params![
        summary.item_no,
        found.location_no,
        level.on_hand.raw(),
        level.seq.cast_signed(),
        level.version.cast_signed(),
        level.low_stock_threshold.map(Quantity::raw),
        state_no(level.state),
        level.alerted,
        level.alert_no.cast_signed(),
        level.alert_epoch.cast_signed(),
        level.counted_at.map(|at| at.as_millis()),
        level.updated_at.as_millis(),
        tail,
        level.value.raw(),
        level.average_cost.map(Money::raw),
        level.counted_seq.cast_signed(),
        change_no
    ])?;
    if found.stored.is_none() {
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO level_by_location (location_no, item_id, item_no) VALUES (?1, ?2, ?3)",
            )?
            .execute((found.location_no, item_id.as_str(), summary.item_no))?;
    }
    let is_low = |on_hand, threshold: Option<Quantity>| {
        StockState::judge(on_hand, threshold.or(summary.low_stock_threshold)) != StockState::Normal
    };
    let was = found.stored.is_some_and(|stored| is_low(stored.on_hand, stored.low_stock_threshold));
    let is = is_low(level.on_hand, level.low_stock_threshold);
    let (location_no, item_id) = (found.location_no, item_id.as_str());
    match (was, is) {
        (false, true) => connection
            .prepare_cached("INSERT OR IGNORE INTO low_levels (location_no, item_id, item_no) VALUES (?1, ?2, ?3)")?
            .execute((location_no, item_id, summary.item_no))?,
        (true, false) => connection
            .prepare_cached("DELETE FROM low_levels WHERE location_no = ?1 AND item_id = ?2")?
            .execute((location_no, item_id))?,
        _ => 0,
    };
    Ok(())
}

/// Lists the item's low, out and oversold levels again after its default threshold changed.
fn refresh_low_levels(connection: &Connection, item_id: &ItemId, summary: ItemSummary) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM low_levels WHERE item_id = ?1")?.execute([item_id.as_str()])?;
    connection
        .prepare_cached(
            "INSERT INTO low_levels (location_no, item_id, item_no) SELECT location_no, ?2, item_no FROM level \
             WHERE item_no = ?1 AND (on_hand <= 0 OR on_hand < coalesce(low_stock_threshold, ?3))",
        )?
        .execute((summary.item_no, item_id.as_str(), summary.low_stock_threshold.map(Quantity::raw)))?;
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

fn append_record(connection: &Connection, item_no: i64, record: &Record, body: &[u8]) -> Result<i64, Fault> {
    connection
        .prepare_cached("INSERT INTO record (command_id, item_no, body) VALUES (?1, ?2, ?3)")?
        .execute(params![record.outcome.command_id.0.as_bytes(), item_no, body])?;
    let record_no = connection.last_insert_rowid();
    put_refused(connection, record_no, record)?;
    Ok(record_no)
}

/// Replaces an open dead letter by a record.
fn replace_record(connection: &Connection, record_no: i64, record: &Record, body: &[u8]) -> Result<(), Fault> {
    connection.prepare_cached("UPDATE record SET body = ?2 WHERE record_no = ?1")?.execute((record_no, body))?;
    list_refused_again(connection, record_no, record)
}

/// Lists a record among the refused commands, or not, as it says.
pub(super) fn list_refused_again(connection: &Connection, record_no: i64, record: &Record) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM refused WHERE record_no = ?1")?.execute([record_no])?;
    put_refused(connection, record_no, record)
}

/// Writes a record again after it was marked or discarded.
pub(super) fn rewrite_record(connection: &Connection, record_no: i64, record: &Record) -> Result<(), Fault> {
    let body = record.to_bytes().map_err(|error| Fault::record(record.outcome.item_id.as_str(), &error))?;
    replace_record(connection, record_no, record, &body)
}

/// Adds a refused command to the sparse index.
fn put_refused(connection: &Connection, record_no: i64, record: &Record) -> Result<(), Fault> {
    let outcome = &record.outcome;
    if outcome.status == Status::Applied {
        return Ok(());
    }
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
            record.is_settled_otherwise()
        ])?;
    Ok(())
}
