use std::path::{Path, PathBuf};

/// Where things are in a data folder, besides the databases.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`; nothing is made or looked at.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Keys and tokens: the owner's only.
    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// Mails as files, where no SMTP server is named.
    pub(crate) fn mail(&self) -> PathBuf {
        self.0.join("mail")
    }

    /// The command queue.
    pub(crate) fn queue_db(&self) -> PathBuf {
        self.0.join("queue.db")
    }

    /// The stock.
    pub(crate) fn stock_db(&self) -> PathBuf {
        self.0.join("stock.db")
    }

    /// The public keys that tokens are verified by.
    pub(crate) fn jwks(&self) -> PathBuf {
        self.keys().join("jwks.json")
    }

    /// One `jti` a line: tokens taken back.
    pub(crate) fn revoked(&self) -> PathBuf {
        self.keys().join("revoked")
    }

    /// Where a running server takes orders from the command line.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// The address that the server last listened at, so that the command line finds it.
    pub(crate) fn address(&self) -> PathBuf {
        self.0.join("address")
    }
}
