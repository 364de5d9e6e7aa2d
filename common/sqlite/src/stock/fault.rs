use rusqlite::ErrorCode;

use stockline_core::domain::{CodecError, RecordError};
use stockline_core::ports::StoreError;
use stockline_core::ports::cursor::CursorError;

/// A fault inside the store: an error of SQLite, or bytes that can't be read.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Unreadable(String),
    Newer(String),
    /// The index of records is damaged. It can be made anew.
    Index(String),
    Cursor,
}

impl Fault {
    /// Returns whether SQLite refuses this write for ever: it is too large or breaks a constraint.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Sql(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
            ),
            Self::Unreadable(_) | Self::Newer(_) | Self::Index(_) | Self::Cursor => false,
        }
    }

    /// Returns whether the fault concerns one row only, so that others can continue.
    pub(super) const fn is_of_one_row(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::Newer(_))
    }

    pub(super) fn record(item: &str, error: &serde_json::Error) -> Self {
        Self::Unreadable(format!("a record of item {item}: {error}"))
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match &error {
            E::FromSqlConversionFailure(..) | E::IntegralValueOutOfRange(..) | E::InvalidColumnType(..) => {
                Self::Unreadable(error.to_string())
            }
            _ => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Unreadable(error.to_string()),
                _ => Self::Sql(error),
            },
        }
    }
}

impl From<CursorError> for Fault {
    fn from(_: CursorError) -> Self {
        Self::Cursor
    }
}

impl From<CodecError> for Fault {
    fn from(error: CodecError) -> Self {
        if error.is_newer() { Self::Newer(error.to_string()) } else { Self::Unreadable(error.to_string()) }
    }
}

impl From<RecordError> for Fault {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Newer(_) => Self::Newer(error.to_string()),
            RecordError::Text(_) | RecordError::Bytes(_) | RecordError::Checksum | RecordError::Key => {
                Self::Unreadable(error.to_string())
            }
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unreadable(what) | Fault::Index(what) => Self::Unreadable(what),
            Fault::Newer(what) => Self::Newer(what),
            Fault::Cursor => Self::Cursor,
            Fault::Sql(error) => Self::Unavailable(match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => format!("{error}: free some disk space for the data folder"),
                _ => error.to_string(),
            }),
        }
    }
}
