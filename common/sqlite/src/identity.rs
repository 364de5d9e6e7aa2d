//! The identity of a data folder inside each of its databases, so that a file of another folder is told from its own.

use std::io::ErrorKind;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use crate::queue_db::QUEUE;
use crate::schema::{self, OpenOptions, Schema, SchemaError};
use crate::stock::SCHEMA as STOCK;

/// A database of a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// `queue.db`
    Queue,
    /// `stock.db`
    Stock,
}

/// The state of a database file, as far as its folder's identity goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// There is no such file.
    Missing,
    /// The file has no table.
    Empty,
    /// The file is a database of this kind. A file of an earlier version has no identity.
    Ours(Option<Uuid>),
}

/// One row. The table is outside of the migrations: a version that does not know it ignores it.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS folder_identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id  BLOB NOT NULL
) STRICT";

impl Database {
    const fn schema(self) -> Schema {
        match self {
            Self::Queue => QUEUE,
            Self::Stock => STOCK,
        }
    }

    /// Reads the state of the file and changes nothing.
    ///
    /// # Errors
    /// The file can't be read, is damaged, or is of another program, another kind or a newer version.
    pub fn inspect(self, path: &Path) -> Result<Held, SchemaError> {
        let failed = |source| SchemaError::of(path, source);
        match std::fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Held::Missing),
            Ok(metadata) if metadata.is_file() && metadata.len() == 0 => return Ok(Held::Empty),
            _ => {}
        }
        let connection = schema::open_reader(path, &OpenOptions::default())?;
        // Version 0 is a file in which no transaction of ours has been committed.
        if schema::check(path, &connection, self.schema())? == 0 {
            return Ok(Held::Empty);
        }
        read(&connection).map(Held::Ours).map_err(failed)
    }

    /// Writes the identity durably. It creates or migrates the file if necessary.
    ///
    /// # Errors
    /// As [`Database::inspect`], and if the file can't be written.
    pub fn put_identity(self, path: &Path, id: Uuid) -> Result<(), SchemaError> {
        let failed = |source| SchemaError::of(path, source);
        let mut connection = schema::open(path, self.schema(), &OpenOptions::default())?;
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(TABLE).map_err(failed)?;
        transaction
            .execute("INSERT OR REPLACE INTO folder_identity (one, id) VALUES (1, ?1)", [id.as_bytes().as_slice()])
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
        connection.close().map_err(|(_, source)| failed(source))
    }
}

fn read(connection: &Connection) -> rusqlite::Result<Option<Uuid>> {
    let exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'folder_identity'";
    if connection.query_row(exists, [], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let id: Option<Vec<u8>> =
        connection.query_row("SELECT id FROM folder_identity", [], |row| row.get(0)).optional()?;
    // A damaged identity is nobody's: the file is refused as foreign.
    Ok(Some(id.and_then(|bytes| Uuid::from_slice(&bytes).ok()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_missing_empty_of_an_earlier_version_or_has_an_identity() {
        let folder = tempfile::tempdir().unwrap();
        for (database, other) in [(Database::Queue, Database::Stock), (Database::Stock, Database::Queue)] {
            let path = folder.path().join(format!("{database:?}.db"));
            assert_eq!(database.inspect(&path).unwrap(), Held::Missing);
            std::fs::write(&path, "").unwrap();
            assert_eq!(database.inspect(&path).unwrap(), Held::Empty);
            drop(schema::open(&path, database.schema(), &OpenOptions::default()).unwrap());
            assert_eq!(database.inspect(&path).unwrap(), Held::Ours(None));
            database.put_identity(&path, Uuid::from_u128(7)).unwrap();
            database.put_identity(&path, Uuid::from_u128(8)).unwrap();
            assert_eq!(database.inspect(&path).unwrap(), Held::Ours(Some(Uuid::from_u128(8))));
            assert!(matches!(other.inspect(&path), Err(SchemaError::Foreign { .. })));
            let connection = Connection::open(&path).unwrap();
            connection.execute("UPDATE folder_identity SET id = x'01'", []).unwrap();
            assert_eq!(database.inspect(&path).unwrap(), Held::Ours(Some(Uuid::nil())), "a damaged one is nobody's");
            std::fs::write(&path, [7; 5_000]).unwrap();
            assert!(matches!(database.inspect(&path), Err(SchemaError::NotADatabase { .. })));
        }
    }
}
