use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, ffi};

use crate::owner::keep_owner;

/// The schema of a database file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema {
    /// The name in messages: `queue`, `stock`.
    pub(super) name: &'static str,
    /// The id in the file's header, which distinguishes our files from others.
    pub(super) application_id: i32,
    /// The migrations. The n-th, counted from 0, changes a file of version n to version n + 1.
    pub(super) migrations: &'static [&'static str],
    /// The tables that the migrations make and the program drops once it has taken them over.
    pub(super) transient: &'static [&'static str],
}

/// The options for opening files. All but the default are for tests of power loss.
#[doc(hidden)]
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// The name of a registered SQLite VFS; `None` means the system's.
    pub vfs: Option<String>,
    /// Whether to skip all syncs, which loses acknowledged writes.
    pub synchronous_off: bool,
}

/// Why a database file can't be used. Each text names the file and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The file is not a database.
    #[error(
        "{} is not a database, or is damaged: move it away, or restore the folder from a backup (stockline restore)",
        .path.display()
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The database belongs to another program, or is another of our files.
    #[error("{} is a database, but not stockline's {name}: move it away, or choose another folder (--data)", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The expected file.
        name: &'static str,
    },
    /// A later version wrote the file.
    #[error(
        "{} has schema version {found}, but this stockline knows versions up to {known}: a newer stockline wrote the \
         folder; upgrade this one, or choose another folder (--data)",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of the file.
        found: i64,
        /// The latest version that this program knows.
        known: i64,
    },
    /// The backup before a migration failed, so nothing was migrated.
    #[error("can't back up {} before its migration: {source}; free some space in its folder and start again", .path.display())]
    Backup {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file can't be given to the owner of its folder.
    #[error("can't use {}: {source}", .path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The writer of the file could not start.
    #[error("can't start the writer of {}: {source}; allow this user more threads", .path.display())]
    Thread {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Any other error of SQLite.
    #[error("can't open {}: {source}; {}", .path.display(), advice(.source))]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
}

/// How long a connection waits for a lock before it reports the file as busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The page cache of one connection, in KiB, allocated on use.
const CACHE_KIB: i64 = 8 * 1024;

/// How many pages the WAL has at a checkpoint (16 MiB). It is large enough that a frequently written page is written
/// back once, and small enough that a checkpoint is short.
const WAL_AUTOCHECKPOINT_PAGES: i64 = 4_096;

/// The size to which a larger WAL is cut when it is reused, in bytes.
const JOURNAL_SIZE_LIMIT_BYTES: i64 = 64 * 1024 * 1024;

/// Opens a file for its one writer. It creates or migrates the file, and refuses a file that is not ours. Commits are
/// synced.
pub(super) fn open(path: &Path, what: Schema, options: &OpenOptions) -> Result<Connection, SchemaError> {
    let failed = |source| SchemaError::of(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = connect(path, flags, options).map_err(failed)?;
    // Without write access, SQLite opens the file read-only.
    if connection.is_readonly("main").map_err(failed)? {
        return Err(failed(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY), None)));
    }
    // Nothing may be written before the file is known to be ours.
    let version = check(path, &connection, what)?;
    // SQLite gives its logs to the owner of the file, once they are made.
    if options.vfs.is_none() {
        keep_owner(path).map_err(|source| SchemaError::Owner { path: path.to_owned(), source })?;
    }
    configure(&connection, options).map_err(failed)?;
    if version < known_version(what) {
        if version > 0 {
            back_up(path, &connection, version, options)?;
        }
        migrate(&mut connection, what, version).map_err(failed)?;
    }
    if shape(&connection).map_err(failed)?.is_superset(&expected_shape(what).map_err(failed)?) {
        return Ok(connection);
    }
    // A bit has flipped in the text that defines a table: SQLite would look for its columns in vain.
    Err(SchemaError::NotADatabase { path: path.to_owned() })
}

/// Returns the columns of all tables and indexes.
fn shape(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = connection.prepare(
        "SELECT s.name || '.' || i.name || ' ' || i.type || ' ' || i.\"notnull\" || ' ' || i.pk \
         FROM sqlite_schema AS s, pragma_table_info(s.name) AS i WHERE s.type = 'table' \
         UNION ALL \
         SELECT s.name || '.' || i.seqno || ' ' || ifnull(i.name, '') || ' ' || i.\"desc\" || ' ' || i.coll \
         FROM sqlite_schema AS s, pragma_index_xinfo(s.name) AS i WHERE s.type = 'index'",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Returns the shape that the migrations make of an empty file.
fn expected_shape(what: Schema) -> rusqlite::Result<BTreeSet<String>> {
    let mut empty = Connection::open_in_memory()?;
    migrate(&mut empty, what, 0)?;
    let mut shape = shape(&empty)?;
    shape.retain(|part| !what.transient.iter().any(|table| part.contains(table)));
    Ok(shape)
}

/// Opens a file for reading only, after [`open`].
pub(super) fn open_reader(path: &Path, options: &OpenOptions) -> Result<Connection, SchemaError> {
    let failed = |source| SchemaError::of(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = connect(path, flags, options).map_err(failed)?;
    connection.pragma_update(None, "query_only", true).map_err(failed)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(failed)?;
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(failed)?;
    Ok(connection)
}

fn connect(path: &Path, flags: OpenFlags, options: &OpenOptions) -> rusqlite::Result<Connection> {
    let connection = match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs.as_str())?,
        None => Connection::open_with_flags(path, flags)?,
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Returns the version of the file; 0 for an empty file.
pub(super) fn check(path: &Path, connection: &Connection, what: Schema) -> Result<i64, SchemaError> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let failed = |source| SchemaError::of(path, source);
    let version = number("PRAGMA user_version").map_err(failed)?;
    let application_id = number("PRAGMA application_id").map_err(failed)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    let empty = version == 0 && application_id == 0 && tables == 0;
    if !empty && application_id != i64::from(what.application_id) {
        return Err(SchemaError::Foreign { path: path.to_owned(), name: what.name });
    }
    let known = known_version(what);
    if version > known {
        return Err(SchemaError::Newer { path: path.to_owned(), found: version, known });
    }
    Ok(version)
}

fn known_version(what: Schema) -> i64 {
    i64::try_from(what.migrations.len()).unwrap_or(i64::MAX)
}

fn configure(connection: &Connection, options: &OpenOptions) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", if options.synchronous_off { "OFF" } else { "FULL" })?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_AUTOCHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_SIZE_LIMIT_BYTES)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

/// Copies the file to `<file>.v<version>.bak`, whole or not at all.
fn back_up(path: &Path, connection: &Connection, version: i64, options: &OpenOptions) -> Result<(), SchemaError> {
    let failed = |source| SchemaError::of(path, source);
    let (part, done) = (beside(path, &format!(".v{version}.part")), beside(path, &format!(".v{version}.bak")));
    let io_failed = |source| SchemaError::Backup { path: path.to_owned(), source };
    if part.exists() {
        std::fs::remove_file(&part).map_err(io_failed)?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = connect(&part, flags, options).map_err(failed)?;
    // All pages in one step, because no other writer waits.
    Backup::new(connection, &mut copy)
        .and_then(|backup| backup.run_to_completion(i32::MAX, Duration::ZERO, None))
        .map_err(failed)?;
    copy.close().map_err(|(_, source)| failed(source))?;
    if options.vfs.is_none() {
        keep_owner(&part).map_err(io_failed)?;
    }
    std::fs::rename(&part, &done).map_err(io_failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_failed)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn migrate(connection: &mut Connection, what: Schema, from: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in what.migrations.iter().skip(usize::try_from(from).unwrap_or(usize::MAX)) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", what.application_id)?;
    transaction.pragma_update(None, "user_version", known_version(what))?;
    transaction.commit()
}

impl SchemaError {
    /// Translates an error of SQLite from opening a file.
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::NotADatabase { path },
            _ => Self::Sqlite { path, source },
        }
    }
}

fn advice(source: &rusqlite::Error) -> &'static str {
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "free some space, or choose a folder on another disk (--data)",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "give this user write access to the folder and its files, or choose another folder (--data)"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "end the program that uses it, and start again",
        _ => "check the disk, or restore the folder from a backup (stockline restore)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: Schema = Schema {
        name: "test",
        application_id: 0x5445_5354,
        migrations: &["CREATE TABLE a (x INTEGER) STRICT;"],
        transient: &[],
    };
    const V2: Schema = Schema {
        migrations: &["CREATE TABLE a (x INTEGER) STRICT;", "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x;"],
        ..V1
    };

    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        (folder, path)
    }

    fn open_default(path: &Path, what: Schema) -> Result<Connection, SchemaError> {
        open(path, what, &OpenOptions::default())
    }

    fn number(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_new_file_syncs_every_commit_in_wal_mode() {
        let (_folder, path) = file();
        let connection = open_default(&path, V1).unwrap();
        assert_eq!(number(&connection, "PRAGMA synchronous"), 2);
        let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        let reader = open_reader(&path, &OpenOptions::default()).unwrap();
        assert_eq!(number(&reader, "SELECT count(*) FROM a"), 0);
        assert!(reader.execute("INSERT INTO a VALUES (1)", []).is_err());
    }

    #[test]
    fn an_older_file_is_backed_up_then_migrated() {
        let (_folder, path) = file();
        open_default(&path, V1).unwrap().execute("INSERT INTO a VALUES (7)", []).unwrap();
        let migrated = open_default(&path, V2).unwrap();
        assert_eq!(number(&migrated, "SELECT y FROM a"), 7);
        assert_eq!(number(&migrated, "PRAGMA user_version"), 2);
        let kept = Connection::open(beside(&path, ".v1.bak")).unwrap();
        assert_eq!(number(&kept, "PRAGMA user_version"), 1);
        assert_eq!(number(&kept, "SELECT x FROM a"), 7);
        assert!(!beside(&path, ".v1.part").exists());
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        const BROKEN: Schema =
            Schema { migrations: &["", "CREATE TABLE b (x INTEGER) STRICT;", "INSERT INTO nowhere VALUES (1);"], ..V1 };
        let (_folder, path) = file();
        drop(open_default(&path, V1).unwrap());
        assert!(matches!(open_default(&path, BROKEN), Err(SchemaError::Sqlite { .. })));
        let same = open_default(&path, V1).unwrap();
        assert_eq!(number(&same, "PRAGMA user_version"), 1);
        assert_eq!(number(&same, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0);
    }

    #[test]
    fn a_file_without_write_access_is_named_with_the_remedy() {
        let (folder, path) = file();
        // SQLite opens neither a folder nor a file without access.
        let text = open_default(folder.path(), V1).unwrap_err().to_string();
        assert!(text.contains(&folder.path().display().to_string()) && text.contains("write access"), "{text}");
        let code = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        assert!(SchemaError::of(&path, code(ffi::SQLITE_READONLY)).to_string().contains("write access"));
        assert!(SchemaError::of(&path, code(ffi::SQLITE_FULL)).to_string().contains("free some space"));
    }

    #[test]
    fn a_newer_file_is_refused_naming_both_versions() {
        let (_folder, path) = file();
        drop(open_default(&path, V2).unwrap());
        let text = open_default(&path, V1).unwrap_err().to_string();
        assert!(text.contains("version 2") && text.contains("up to 1") && text.contains("upgrade"), "{text}");
    }

    #[test]
    fn another_programs_file_is_refused_and_left_alone() {
        let (_folder, path) = file();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(open_default(&path, V1), Err(SchemaError::Foreign { name: "test", .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);

        std::fs::write(&path, "x".repeat(5_000)).unwrap();
        assert!(matches!(open_default(&path, V1), Err(SchemaError::NotADatabase { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), "x".repeat(5_000).into_bytes());
    }
}
