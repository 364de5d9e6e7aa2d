use std::path::Path;

use stockline_core::domain::Timestamp;

use super::rows::{self, record_columns};
use crate::schema::{self, OpenOptions, SchemaError};

/// How many records are read. A retried dead letter keeps its old time, so the last record alone may mislead.
const RECORDS_READ: usize = 64;

/// Returns the latest time of acceptance among the last commands of an opened store; `None` if there is none. It bounds
/// the machine's clock at the next start. A record that can't be read says nothing here.
pub fn last_accepted_at(path: &Path, open: &OpenOptions) -> Result<Option<Timestamp>, SchemaError> {
    let failed = |source| SchemaError::Sqlite { path: path.to_owned(), source };
    let connection = schema::open_reader(path, open)?;
    let mut statement = connection
        .prepare(concat!("SELECT ", record_columns!(), " ORDER BY record_no DESC LIMIT ?1"))
        .map_err(failed)?;
    let mut rows = statement.query([RECORDS_READ]).map_err(failed)?;
    let mut last = None;
    while let Some(row) = rows.next().map_err(failed)? {
        last = last.max(rows::record(row, 0).ok().map(|record| record.outcome.accepted_at));
    }
    Ok(last)
}
