use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::Fault;
use stockline_core::domain::{Alert, LocationId, Timestamp, seal};
use stockline_core::ports::{Claimed, RefusedNotice};

/// A stored claim: the end of its lease, and when the mail was sent.
type ClaimRow = (i64, Option<i64>);

/// How many claims are kept before the expired ones are forgotten.
const CLAIMS_KEPT: usize = 1_000;

/// The claims taken since the file was opened, with the ends of their leases. One process has the file, so the process
/// that took any other claim has ended, and nothing waits for it.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<String, i64>);

impl Claims {
    /// Decides whether a claim can be taken: if it is absent, or unsent and either past its lease or from an ended
    /// process.
    fn judge(&self, name: &str, stored: Option<ClaimRow>, now: Timestamp) -> Claimed {
        match stored {
            Some((_, Some(_))) => Claimed::Sent,
            Some((lease_until, None)) if lease_until > now.as_millis() && self.0.contains_key(name) => Claimed::Held,
            _ => Claimed::Ours,
        }
    }

    fn take(&mut self, name: String, now: Timestamp, lease_until: Timestamp) {
        if self.0.len() >= CLAIMS_KEPT {
            self.0.retain(|_, until| *until > now.as_millis());
        }
        self.0.insert(name, lease_until.as_millis());
    }
}

/// Claims an alert, and adds it to the history.
pub(super) fn claim(
    connection: &Connection,
    claims: &mut Claims,
    alert: &Alert,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<Claimed, Fault> {
    let id = alert.id();
    let stored: Option<ClaimRow> = connection
        .prepare_cached("SELECT lease_until, sent_at FROM alert WHERE alert_id = ?1")?
        .query_row([&id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let claimed = claims.judge(&id, stored, now);
    if claimed == Claimed::Ours {
        match stored {
            None => put(connection, alert, lease_until, None)?,
            Some(_) => {
                connection
                    .prepare_cached("UPDATE alert SET lease_until = ?2 WHERE alert_id = ?1")?
                    .execute((&id, lease_until.as_millis()))?;
            }
        }
        claims.take(id, now, lease_until);
    }
    Ok(claimed)
}

/// Marks an alert as mailed.
pub(super) fn mark_sent(connection: &Connection, alert: &Alert, sent_at: Timestamp) -> Result<(), Fault> {
    let marked = connection
        .prepare_cached("UPDATE alert SET sent_at = coalesce(sent_at, ?2) WHERE alert_id = ?1")?
        .execute((alert.id(), sent_at.as_millis()))?;
    if marked == 0 {
        put(connection, alert, sent_at, Some(sent_at))?;
    }
    Ok(())
}

fn put(
    connection: &Connection,
    alert: &Alert,
    lease_until: Timestamp,
    sent_at: Option<Timestamp>,
) -> Result<(), Fault> {
    let body =
        serde_json::to_string(alert).map(seal).map_err(|error| Fault::Unreadable(format!("an alert: {error}")))?;
    connection
        .prepare_cached(
            "INSERT INTO alert (alert_id, raised_at, location_id, lease_until, sent_at, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            alert.id(),
            alert.raised_at.as_millis(),
            alert.location_id.as_str(),
            lease_until.as_millis(),
            sent_at.map(|at| at.as_millis()),
            body
        ])?;
    Ok(())
}

/// Claims a day's notice.
pub(super) fn claim_notice(
    connection: &Connection,
    claims: &mut Claims,
    notice: &RefusedNotice,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<Claimed, Fault> {
    let stored: Option<ClaimRow> = connection
        .prepare_cached("SELECT lease_until, sent_at FROM notice WHERE location_id = ?1 AND day = ?2")?
        .query_row((notice.location_id.as_str(), &notice.day), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // No alert has such an id: it contains no slash.
    let name = format!("{}/{}", notice.location_id, notice.day);
    let claimed = claims.judge(&name, stored, now);
    if claimed == Claimed::Ours {
        connection
            .prepare_cached("INSERT OR REPLACE INTO notice (location_id, day, lease_until) VALUES (?1, ?2, ?3)")?
            .execute((notice.location_id.as_str(), &notice.day, lease_until.as_millis()))?;
        claims.take(name, now, lease_until);
    }
    Ok(claimed)
}

/// Marks a notice as mailed.
pub(super) fn mark_notice_sent(connection: &Connection, notice: &RefusedNotice, until: Timestamp) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO notice (location_id, day, lease_until, sent_at, notified_until) \
             VALUES (?1, ?2, ?3, ?3, ?3)",
        )?
        .execute((notice.location_id.as_str(), &notice.day, until.as_millis()))?;
    Ok(())
}

/// Returns the time up to which notices cover the refused commands of a location.
pub(super) fn notified_until(connection: &Connection, location_id: &LocationId) -> Result<Option<Timestamp>, Fault> {
    let until: Option<i64> = connection
        .prepare_cached("SELECT max(notified_until) FROM notice WHERE location_id = ?1")?
        .query_row([location_id.as_str()], |row| row.get(0))?;
    Ok(until.map(Timestamp::from_millis))
}
