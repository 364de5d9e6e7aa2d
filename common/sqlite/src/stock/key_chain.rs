//! The table `key_chain`: the keys of records in order, each with a checksum of itself and the key behind it.
//!
//! An id is taken as new only if its key is absent. A B-tree whose bits have flipped also says "absent": it looks in a
//! wrong page, or finds a key that has changed. Here two neighbours prove the absence: the link of the last key before
//! the place covers the first key behind it, so nothing stands between them. Whatever breaks a link is
//! [`Fault::Index`], and the index is made anew from the records.
//!
//! ```text
//!  (MIN, 0) ──link──► (17, 4) ──link──► (60, 1) ──link──► (MAX, MAX), which is no row
//!  Key 42 is absent: the link of (17, 4) covers (60, 1).
//! ```

use rusqlite::{CachedStatement, Connection};

use super::fault::Fault;
use stockline_core::domain::checksum;

/// The key of a record, which several records may share, and the record's number.
pub(super) type Key = (i64, i64);

/// The first row. No record has the number 0.
const HEAD: Key = (i64::MIN, 0);

/// The place behind the last row.
const END: Key = (i64::MAX, i64::MAX);

#[derive(Debug, Clone, Copy)]
struct Link {
    key: Key,
    link: i64,
}

fn link(from: Key, to: Key) -> i64 {
    let numbers = [from.0, from.1, to.0, to.1].map(i64::to_le_bytes);
    checksum(&[numbers.as_flattened()]).into()
}

impl Link {
    /// Checks that `to` is the next key.
    fn leads_to(self, to: Key) -> Result<(), Fault> {
        if self.link == link(self.key, to) {
            return Ok(());
        }
        Err(Fault::Index(format!("the index of records is damaged between the keys {:?} and {to:?}", self.key)))
    }
}

fn next(statement: &mut CachedStatement<'_>, from: Key) -> Result<Option<Link>, Fault> {
    let mut rows = statement.query(from).map_err(damaged)?;
    match rows.next().map_err(damaged)? {
        Some(row) => read(row).map(Some),
        None => Ok(None),
    }
}

fn read(row: &rusqlite::Row<'_>) -> Result<Link, Fault> {
    let read = || -> rusqlite::Result<Link> { Ok(Link { key: (row.get(0)?, row.get(1)?), link: row.get(2)? }) };
    read().map_err(damaged)
}

/// An unreadable page of the index is damage that can be repaired.
fn damaged(error: rusqlite::Error) -> Fault {
    match Fault::from(error) {
        Fault::Unreadable(what) => Fault::Index(format!("the index of records: {what}")),
        fault => fault,
    }
}

const BEFORE: &str = "SELECT id_key, record_no, link FROM key_chain WHERE (id_key, record_no) < (?1, ?2) \
                      ORDER BY id_key DESC, record_no DESC LIMIT 1";

const BEHIND: &str = "SELECT id_key, record_no, link FROM key_chain WHERE (id_key, record_no) > (?1, ?2) \
                      ORDER BY id_key, record_no LIMIT 1";

const FROM: &str = "SELECT id_key, record_no, link FROM key_chain WHERE (id_key, record_no) > (?1, ?2) \
                    ORDER BY id_key, record_no";

/// Finds the last row before a key.
fn before(connection: &Connection, key: Key) -> Result<Link, Fault> {
    next(&mut connection.prepare_cached(BEFORE)?, key)?
        .ok_or_else(|| Fault::Index(format!("the index of records has no key before {key:?}")))
}

/// Appends the numbers of the records with this key to `found`, and proves that these are all.
pub(super) fn find(connection: &Connection, key: i64, found: &mut Vec<i64>) -> Result<(), Fault> {
    let key = key.max(i64::MIN + 1);
    let mut at = before(connection, (key, i64::MIN))?;
    let mut statement = connection.prepare_cached(FROM)?;
    let mut rows = statement.query(at.key).map_err(damaged)?;
    loop {
        let Some(row) = rows.next().map_err(damaged)? else {
            return at.leads_to(END);
        };
        let next = read(row)?;
        at.leads_to(next.key)?;
        if next.key.0 != key {
            return Ok(());
        }
        found.push(next.key.1);
        at = next;
    }
}

/// Adds keys, which are in ascending order. Keys that are there stay.
pub(super) fn add(connection: &Connection, keys: &[Key]) -> Result<(), Fault> {
    let mut behind = connection.prepare_cached(BEHIND)?;
    let mut insert =
        connection.prepare_cached("INSERT INTO key_chain (id_key, record_no, link) VALUES (?1, ?2, ?3)")?;
    let mut relink =
        connection.prepare_cached("UPDATE key_chain SET link = ?3 WHERE id_key = ?1 AND record_no = ?2")?;
    // The neighbours of the last place.
    let mut place: Option<(Key, Key)> = None;
    for key in keys.iter().map(|(key, record_no)| ((*key).max(i64::MIN + 1), *record_no)) {
        let (from, to) = match place {
            Some((from, to)) if key < to => (from, to),
            _ => {
                let from = before(connection, key)?;
                let to = next(&mut behind, from.key)?.map_or(END, |next| next.key);
                from.leads_to(to)?;
                (from.key, to)
            }
        };
        if to == key {
            continue;
        }
        insert.execute((key.0, key.1, link(key, to))).map_err(damaged)?;
        if relink.execute((from.0, from.1, link(from, key))).map_err(damaged)? != 1 {
            return Err(Fault::Index(format!("the index of records has no key {from:?}, which was just found")));
        }
        place = Some((key, to));
    }
    Ok(())
}

/// Fills the empty table with keys, which are in ascending order without repetition.
pub(super) fn fill(connection: &Connection, keys: impl Iterator<Item = Result<Key, Fault>>) -> Result<(), Fault> {
    let mut insert = connection.prepare("INSERT INTO key_chain (id_key, record_no, link) VALUES (?1, ?2, ?3)")?;
    let mut at = HEAD;
    for key in keys {
        let (key, record_no) = key?;
        let to = (key.max(i64::MIN + 1), record_no);
        insert.execute((at.0, at.1, link(at, to)))?;
        at = to;
    }
    insert.execute((at.0, at.1, link(at, END)))?;
    Ok(())
}

/// Reads all keys, as far as they can be read. Returns the first damage too.
pub(super) fn read_all(connection: &Connection) -> Result<(Vec<Key>, Option<String>), Fault> {
    let mut keys = Vec::new();
    let mut read_on = || -> Result<(), Fault> {
        let mut statement =
            connection.prepare("SELECT id_key, record_no, link FROM key_chain ORDER BY id_key, record_no")?;
        let mut rows = statement.query([]).map_err(damaged)?;
        let mut at: Option<Link> = None;
        let mut broken = None;
        while let Some(row) = rows.next().map_err(damaged)? {
            let next = read(row)?;
            match at {
                Some(at) => broken = broken.or(at.leads_to(next.key).err()),
                None if next.key != HEAD => broken = Some(Fault::Index("the index of records has no begin".into())),
                None => {}
            }
            if next.key != HEAD {
                keys.push(next.key);
            }
            at = Some(next);
        }
        let end = at.map_or_else(|| Err(Fault::Index("the index of records is empty".into())), |at| at.leads_to(END));
        broken.or(end.err()).map_or(Ok(()), Err)
    };
    match read_on() {
        Ok(()) => Ok((keys, None)),
        Err(Fault::Index(what)) => Ok((keys, Some(what))),
        Err(fault) => Err(fault),
    }
}
