use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use stockline_core::ports::{Clock, Mail, MailError, Mailer};
use stockline_sqlite::{keep_owner, keep_owner_of};
use uuid::Uuid;

use super::message::{self, Sender};

/// The longest file name without its ending, in bytes. File systems allow 255 with it.
const NAME_MAX_BYTES: usize = 200;

/// Writes each mail into a folder as `<id>.eml`, which mail programs open. `Ok` means that it survives a power loss.
///
/// The same id replaces its file, so a mail sent twice is there once. Files are never deleted; the operator may do so.
#[derive(Debug)]
pub struct EmlMailer {
    folder: PathBuf,
    sender: Sender,
    clock: Arc<dyn Clock>,
    /// Locked during a write, because two writers of one id would share its temporary file.
    writing: Arc<Mutex<()>>,
}

impl EmlMailer {
    /// Returns a mailer that writes into this folder, and creates the folder if it is missing.
    ///
    /// # Errors
    /// Fails if the folder can't be created.
    pub fn new(folder: impl Into<PathBuf>, sender: Sender, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let folder = folder.into();
        if !folder.is_dir() {
            std::fs::create_dir_all(&folder)?;
            keep_owner(&folder)?;
        }
        Ok(Self { folder, sender, clock, writing: Arc::default() })
    }

    /// Returns the path of the mail with this id.
    pub fn path_of(&self, mail_id: &str) -> PathBuf {
        self.folder.join(format!("{}.eml", file_name(mail_id)))
    }
}

#[async_trait]
impl Mailer for EmlMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let bytes = message::build(mail, &self.sender, self.clock.now())?.formatted();
        let path = self.path_of(&mail.id);
        let writing = Arc::clone(&self.writing);
        let written = tokio::task::spawn_blocking(move || {
            let _one_at_a_time = writing.lock().unwrap_or_else(PoisonError::into_inner);
            replace(&path, &bytes).map_err(|error| (path, error))
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err((path, error))) => Err(MailError::Unavailable(format!(
                "{} can't be written: {error}; make room or correct the folder's permissions",
                path.display()
            ))),
            Err(_) => Err(MailError::Unavailable("the write was cancelled: the process is stopping".into())),
        }
    }
}

/// Replaces a file durably, as a whole or not at all: temporary file, fsync, rename, fsync of the folder.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("eml.{}.tmp", std::process::id()));
    let write = || {
        let mut file = create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().inspect_err(|_| {
        // The remains would only use space. The first error is the one to report.
        let _ = std::fs::remove_file(&temporary);
    })
}

/// Creates a file, and its folder if somebody has removed that. The folder above is not replaced: without it the data folder
/// itself is gone.
fn create(path: &Path) -> io::Result<File> {
    match (File::create(path), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir(folder)?;
            keep_owner(folder)?;
            File::create(path)
        }
        (created, _) => created,
    }
    .and_then(|file| keep_owner_of(&file, path).map(|()| file))
}

/// Returns a file name for a mail id. Different ids have different names. `:` becomes `~`, other unsafe bytes `%XX`.
fn file_name(mail_id: &str) -> String {
    let mut name = String::with_capacity(mail_id.len());
    for (index, byte) in mail_id.bytes().enumerate() {
        match byte {
            b':' => name.push('~'),
            b'.' if index == 0 => name.push_str("%2E"),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'+' => name.push(char::from(byte)),
            _ => {
                let _ = write!(name, "%{byte:02X}");
            }
        }
    }
    if name.is_empty() {
        name.push_str("%00");
    }
    if name.len() > NAME_MAX_BYTES {
        name.truncate(NAME_MAX_BYTES - 40);
        let _ = write!(name, "~~{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, mail_id.as_bytes()));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_id_names_a_file_in_the_folder_and_no_other() {
        assert_eq!(file_name("SKU-1.5:main:4"), "SKU-1.5~main~4");
        assert_eq!(file_name("../../etc/passwd"), "%2E.%2F..%2Fetc%2Fpasswd");
        assert_eq!(file_name(""), "%00");
        let ids = ["a:b", "a~b", "a%7Eb", "a/b", "a_b", "a b", ".a", "a+2", "é"];
        let names: std::collections::BTreeSet<String> = ids.iter().map(|id| file_name(id)).collect();
        assert_eq!(names.len(), ids.len());
        let (long, other) = ("x".repeat(400), format!("{}y", "x".repeat(400)));
        assert!(file_name(&long).len() <= NAME_MAX_BYTES);
        assert_ne!(file_name(&long), file_name(&other));
    }
}
