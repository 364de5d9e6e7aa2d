//! Rows of lists that can't be read: a list leaves them out and shows the others.

use rusqlite::Row;

use super::fault::Fault;

/// Returns what was read of one row; `None` if it can't be read. Every other fault ends the list.
pub(super) fn listed<T>(read: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match read {
        Ok(entry) => Ok(Some(entry)),
        Err(Fault::Unreadable(what)) => {
            tracing::error!(what, "a row can't be read: lists leave it out; run `stockline audit`");
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// Reads the first two columns, which are the place of a row in its list. If their types have changed, the row is left out.
pub(super) fn two(row: &Row<'_>) -> Result<(i64, i64), Fault> {
    Ok((row.get(0)?, row.get(1)?))
}

/// Reads a text of a key. Its bytes may have changed: then the row is left out, and the list goes on behind it.
pub(super) fn shown(row: &Row<'_>, at: usize) -> Result<String, Fault> {
    let bytes = row.get_ref(at)?.as_bytes().map_err(rusqlite::Error::from)?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}
