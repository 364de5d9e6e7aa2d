//! The layout of a data folder.

use std::path::{Path, PathBuf};

pub(crate) mod entry;
pub(crate) mod manifest;
mod place;

/// The name of the file with the folder's identity and its parts.
pub(crate) const MANIFEST: &str = "stockline.json";

/// Names the files of a data folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Names the folder at `path`, without creating or reading anything.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the folder of keys and tokens, readable only by its owner.
    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// Returns the folder for mails as .eml files.
    pub(crate) fn mail(&self) -> PathBuf {
        self.0.join("mail")
    }

    /// Returns the file with what became of the mails. It is no part of the folder: without it, nothing is lost but the
    /// past of `stockline mail status`.
    pub(crate) fn mail_status(&self) -> PathBuf {
        self.0.join("mail-status.json")
    }

    /// Returns the file with who sent movements lately. It is no part of the folder: without it, a till that fell silent long
    /// ago is not told.
    pub(crate) fn senders(&self) -> PathBuf {
        self.0.join("senders.json")
    }

    /// Returns the file with the time of the newest backup. It is no part of the folder.
    pub(crate) fn last_backup(&self) -> PathBuf {
        self.0.join("last-backup")
    }

    /// Returns the folder for a certificate of the shop's own authority.
    pub(crate) fn tls(&self) -> PathBuf {
        self.0.join("tls")
    }

    /// Returns the file with the folder's identity and its parts.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.0.join(MANIFEST)
    }

    /// Returns the database of the command queue.
    pub(crate) fn queue_db(&self) -> PathBuf {
        self.0.join("queue.db")
    }

    /// Returns the database of the stock.
    pub(crate) fn stock_db(&self) -> PathBuf {
        self.0.join("stock.db")
    }

    /// Returns the file of the public keys that verify tokens.
    pub(crate) fn jwks(&self) -> PathBuf {
        self.keys().join("jwks.json")
    }

    /// Returns the file of revoked tokens.
    pub(crate) fn revoked(&self) -> PathBuf {
        self.keys().join("revoked")
    }

    /// Returns the socket where a running server accepts orders from the command line.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// Returns the journal of `load`: which file was loaded when.
    pub(crate) fn loads(&self) -> PathBuf {
        self.0.join("loads.jsonl")
    }

    /// Returns the file with the address that the server last listened at; the command line reads it.
    pub(crate) fn address(&self) -> PathBuf {
        self.0.join("address")
    }
}
