use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::Fault;
use stockline_core::domain::{Alert, LocationId, Timestamp};
use stockline_core::ports::{Claimed, RefusedNotice};

/// What a claim row says: held until when, sent or not.
type Held = Option<(i64, Option<i64>)>;

/// Expired claims are forgotten when there are more than these.
const CLAIMS_KEPT: usize = 1_000;

/// The claims that were taken since the file was opened, until when. One process has the file, so whoever took any
/// other has ended: it is not waited for.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<String, i64>);

impl Claims {
    /// May this one be taken? Yes where it is absent, or unsent and past its lease or of a process that has ended.
    fn judge(&self, name: &str, held: Held, now: Timestamp) -> Claimed {
        match held {
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

/// Takes a claim on an alert, which enters the history with it.
pub(super) fn claim(
    connection: &Connection,
    claims: &mut Claims,
    alert: &Alert,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<Claimed, Fault> {
    let id = alert.id();
    let held: Held = connection
        .prepare_cached("SELECT lease_until, sent_at FROM alert WHERE alert_id = ?1")?
        .query_row([&id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let claimed = claims.judge(&id, held, now);
    if claimed == Claimed::Ours {
        match held {
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
    let body = serde_json::to_string(alert).map_err(|error| Fault::Unreadable(format!("an alert: {error}")))?;
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

/// Takes the claim on a day's notice.
pub(super) fn claim_notice(
    connection: &Connection,
    claims: &mut Claims,
    notice: &RefusedNotice,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<Claimed, Fault> {
    let held: Held = connection
        .prepare_cached("SELECT lease_until, sent_at FROM notice WHERE location_id = ?1 AND day = ?2")?
        .query_row((notice.location_id.as_str(), &notice.day), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // No alert has such a name: an item's has no slash.
    let name = format!("{}/{}", notice.location_id, notice.day);
    let claimed = claims.judge(&name, held, now);
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

/// Up to when refused commands of a location have been told.
pub(super) fn notified_until(connection: &Connection, location_id: &LocationId) -> Result<Option<Timestamp>, Fault> {
    let told: Option<i64> = connection
        .prepare_cached("SELECT max(notified_until) FROM notice WHERE location_id = ?1")?
        .query_row([location_id.as_str()], |row| row.get(0))?;
    Ok(told.map(Timestamp::from_millis))
}
