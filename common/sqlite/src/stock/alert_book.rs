use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::listed::listed;
use super::sealed;
use stockline_core::domain::{Alert, LocationId, Timestamp, seal};
use stockline_core::ports::{
    AlertRecord, Claimed, Gathered, Lease, MailState, MailTally, Opening, RefusedNotice, Rest, latest_lease_end,
};

/// How many claims are kept before the expired ones are forgotten.
const CLAIMS_KEPT: usize = 1_000;

/// What is stored of an alert's mail, or of a notice's.
#[derive(Debug)]
struct Stored {
    lease_until: i64,
    sent_at: Option<i64>,
    told: Told,
}

/// What an alert's stored JSON has beside the fields of the alert.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// When it was gathered, in milliseconds. It is dropped with the first mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gathered_at: Option<i64>,
    /// Who does not have the mail yet, after others got it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
    /// Whom the mail has reached.
    #[serde(default, rename = "mail_tally", skip_serializing_if = "Option::is_none")]
    tally: Option<MailTally>,
    /// Whether nobody was to get it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    no_recipient: bool,
}

/// An alert's stored JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Body<A> {
    #[serde(flatten)]
    alert: A,
    #[serde(flatten)]
    told: Told,
}

/// The claims taken since the file was opened. One process has the file, so the process that took any other claim has
/// ended, and nothing waits for it. The same is true of a claim that was given up.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<String, Lease>);

impl Claims {
    /// Decides whether a claim can be taken: if it is absent, or not mailed to all and nobody else mails it now. A
    /// void lease holds nobody up.
    fn judge(&self, name: &str, stored: Option<Stored>, lease: &Lease) -> Claimed {
        let live = lease.from.as_millis() + 1..=latest_lease_end(lease.until).as_millis();
        match stored {
            Some(stored) if stored.is_sent() => Claimed::Sent,
            Some(Stored { lease_until, .. }) if live.contains(&lease_until) && self.is_anothers(name, lease) => {
                Claimed::Held
            }
            Some(Stored { told: Told { missing, tally, .. }, .. }) if !missing.is_empty() => {
                Claimed::OursFor(Rest { missing, tally: tally.unwrap_or_default() })
            }
            _ => Claimed::Ours,
        }
    }

    fn is_anothers(&self, name: &str, lease: &Lease) -> bool {
        self.0.get(name).is_some_and(|held| held.holder != lease.holder)
    }

    fn take(&mut self, name: String, lease: &Lease) {
        if self.0.len() >= CLAIMS_KEPT {
            self.0.retain(|_, held| held.until > lease.from);
        }
        self.0.insert(name, lease.clone());
    }

    /// Ends this claim, if it is still the last one of this name. Nothing is written: only this map makes a claim hold.
    pub(super) fn give_up(&mut self, name: &str, lease: &Lease) {
        if self.0.get(name) == Some(lease) {
            self.0.remove(name);
        }
    }
}

impl Stored {
    /// Returns whether all recipients have the mail.
    const fn is_sent(&self) -> bool {
        self.sent_at.is_some() && self.told.missing.is_empty()
    }
}

/// Adds an alert to the history, unless it is there.
pub(super) fn gather(connection: &Connection, alert: &Alert, at: Timestamp) -> Result<Gathered, Fault> {
    match stored(connection, &alert.id())? {
        Some(stored) if stored.is_sent() => return Ok(Gathered::Sent),
        Some(_) => {}
        None => {
            let told = Told { gathered_at: Some(at.as_millis()), ..Told::default() };
            put(connection, alert, Timestamp::EPOCH, None, told)?;
        }
    }
    Ok(Gathered::Waiting)
}

/// Lists the openings of a location that are not mailed to all, by the time at which they were raised.
pub(super) fn openings(
    connection: &Connection,
    location_id: &LocationId,
    (from, until): (Timestamp, Timestamp),
    limit: usize,
) -> Result<Vec<Opening>, Fault> {
    // A quote inside a text of the body has a backslash before it.
    let mut statement = connection.prepare_cached(
        "SELECT body FROM alert WHERE location_id = ?1 AND raised_at BETWEEN ?2 AND ?3 \
         AND (sent_at IS NULL OR instr(body, '\"missing\":') > 0) ORDER BY raised_at, alert_id",
    )?;
    let mut rows = statement.query((location_id.as_str(), from.as_millis(), until.as_millis()))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let opening = listed(opening(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?))?;
        found.extend(opening.filter(|opening| opening.alert.opening));
        if found.len() == limit {
            break;
        }
    }
    Ok(found)
}

fn opening(body: &str) -> Result<Opening, Fault> {
    let (alert, Told { gathered_at, .. }) = read(body)?;
    Ok(Opening { alert, gathered_at: gathered_at.map(Timestamp::from_millis) })
}

fn read(body: &str) -> Result<(Alert, Told), Fault> {
    let Body { alert, told } = sealed::read_json("an alert", body)?;
    Ok((alert, told))
}

/// Reads an alert of the history.
pub(super) fn record(alert_id: String, sent_at: Option<Timestamp>, body: &str) -> Result<AlertRecord, Fault> {
    let (alert, Told { missing, tally, no_recipient, .. }) = read(body)?;
    let waiting = u32::try_from(missing.len()).unwrap_or(u32::MAX);
    Ok(AlertRecord { alert_id, alert, sent_at, mail: MailState { no_recipient, tally, waiting } })
}

/// Claims an alert, and adds it to the history.
pub(super) fn claim(
    connection: &Connection,
    claims: &mut Claims,
    alert: &Alert,
    lease: &Lease,
) -> Result<Claimed, Fault> {
    let id = alert.id();
    let stored = stored(connection, &id)?;
    let is_new = stored.is_none();
    let claimed = claims.judge(&id, stored, lease);
    if matches!(claimed, Claimed::Ours | Claimed::OursFor(_)) {
        if is_new {
            put(connection, alert, lease.until, None, Told::default())?;
        } else {
            connection
                .prepare_cached("UPDATE alert SET lease_until = ?2 WHERE alert_id = ?1")?
                .execute((&id, lease.until.as_millis()))?;
        }
        claims.take(id, lease);
    }
    Ok(claimed)
}

fn stored(connection: &Connection, id: &str) -> Result<Option<Stored>, Fault> {
    let row: Option<(i64, Option<i64>, String)> = connection
        .prepare_cached("SELECT lease_until, sent_at, body FROM alert WHERE alert_id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((lease_until, sent_at, body)) = row else { return Ok(None) };
    // A body whose bytes have changed says nothing of who lacks the mail. It must not hold the mail up.
    let told = sealed::read_json("an alert", &body).unwrap_or_else(|fault| {
        tracing::error!(alert = id, ?fault, "an alert can't be read: its mail goes to all, unless it was sent");
        Told::default()
    });
    Ok(Some(Stored { lease_until, sent_at, told }))
}

fn unreadable(error: serde_json::Error) -> Fault {
    Fault::Unreadable(format!("an alert: {error}"))
}

/// Marks an alert as mailed to all its recipients, unless it is.
pub(super) fn mark_sent(
    connection: &Connection,
    alert: &Alert,
    sent_at: Timestamp,
    tally: MailTally,
) -> Result<(), Fault> {
    let told = Told { tally: Some(tally), ..Told::default() };
    match stored(connection, &alert.id())? {
        Some(stored) if stored.is_sent() => Ok(()),
        Some(_) => mark(connection, alert, Some(sent_at), told),
        None => put(connection, alert, sent_at, Some(sent_at), told),
    }
}

/// Notes that an alert has no recipient, unless it was mailed.
pub(super) fn mark_unaddressed(connection: &Connection, alert: &Alert) -> Result<(), Fault> {
    match stored(connection, &alert.id())? {
        Some(Stored { sent_at: None, told, .. }) if !told.no_recipient => {
            mark(connection, alert, None, Told { no_recipient: true, ..Told::default() })
        }
        _ => Ok(()),
    }
}

/// Marks an alert as mailed but for those who still wait, and ends the claim, unless another has claimed it since or
/// nobody waits.
pub(super) fn mark_part_sent(
    connection: &Connection,
    claims: &mut Claims,
    alert: &Alert,
    lease: &Lease,
    sent_at: Timestamp,
    rest: &Rest,
) -> Result<(), Fault> {
    let id = alert.id();
    let Some(stored) = stored(connection, &id)? else { return Ok(()) };
    if claims.is_anothers(&id, lease) || stored.is_sent() {
        return Ok(());
    }
    let told = Told { missing: rest.missing.clone(), tally: Some(rest.tally), ..Told::default() };
    mark(connection, alert, Some(sent_at), told)?;
    claims.give_up(&id, lease);
    Ok(())
}

fn mark(connection: &Connection, alert: &Alert, sent_at: Option<Timestamp>, told: Told) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE alert SET sent_at = coalesce(sent_at, ?2), body = ?3 WHERE alert_id = ?1")?
        .execute((alert.id(), sent_at.map(|at| at.as_millis()), body(alert, told)?))?;
    Ok(())
}

fn body(alert: &Alert, told: Told) -> Result<String, Fault> {
    Ok(seal(serde_json::to_string(&Body { alert, told }).map_err(unreadable)?))
}

fn put(
    connection: &Connection,
    alert: &Alert,
    lease_until: Timestamp,
    sent_at: Option<Timestamp>,
    told: Told,
) -> Result<(), Fault> {
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
            body(alert, told)?
        ])?;
    Ok(())
}

/// Returns the name of a notice's claim. No alert has such an id: it contains no slash.
pub(super) fn notice_name(notice: &RefusedNotice) -> String {
    format!("{}/{}", notice.location_id, notice.day)
}

/// Claims a day's notice.
pub(super) fn claim_notice(
    connection: &Connection,
    claims: &mut Claims,
    notice: &RefusedNotice,
    lease: &Lease,
) -> Result<Claimed, Fault> {
    let stored: Option<Stored> = connection
        .prepare_cached("SELECT lease_until, sent_at FROM notice WHERE location_id = ?1 AND day = ?2")?
        .query_row((notice.location_id.as_str(), &notice.day), |row| {
            Ok(Stored { lease_until: row.get(0)?, sent_at: row.get(1)?, told: Told::default() })
        })
        .optional()?;
    let name = notice_name(notice);
    // The row of a sent notice has the time that it covers as the end of its lease.
    let covers = |stored: &Stored| stored.lease_until <= latest_lease_end(lease.until).as_millis();
    let claimed = claims.judge(&name, stored.filter(covers), lease);
    if claimed == Claimed::Ours {
        connection
            .prepare_cached("INSERT OR REPLACE INTO notice (location_id, day, lease_until) VALUES (?1, ?2, ?3)")?
            .execute((notice.location_id.as_str(), &notice.day, lease.until.as_millis()))?;
        claims.take(name, lease);
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
pub(super) fn notified_until(
    connection: &Connection,
    location_id: &LocationId,
    now: Timestamp,
) -> Result<Option<Timestamp>, Fault> {
    let until: Option<i64> = connection
        .prepare_cached("SELECT max(notified_until) FROM notice WHERE location_id = ?1 AND notified_until <= ?2")?
        .query_row((location_id.as_str(), now.as_millis()), |row| row.get(0))?;
    Ok(until.map(Timestamp::from_millis))
}
