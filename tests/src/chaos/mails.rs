use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

/// The path, inode and time of a mail file. A rewritten file of the same name has another inode or time.
type Written = (PathBuf, u64, i64, i64);

/// The `.eml` files of a data folder. It is read whenever the process is dead. A file that was rewritten in between is
/// a second mail.
#[derive(Debug)]
pub struct MailFolder {
    data: PathBuf,
    seen: BTreeMap<Written, Vec<String>>,
    /// How often a kill left an alert mailed and not marked. Only in this case P6 allows a second mail.
    excused: BTreeMap<String, usize>,
}

impl MailFolder {
    /// Returns the mail folder of this data folder.
    pub fn of(data: &Path) -> Self {
        Self { data: data.to_owned(), seen: BTreeMap::new(), excused: BTreeMap::new() }
    }

    /// Notes, after a kill, which alerts the process mailed and which of them it did not mark.
    pub fn after_a_death(&mut self) {
        self.look();
        let marked = self.marked();
        for id in self.times_mailed().into_keys() {
            if !marked.contains(&id) {
                *self.excused.entry(id).or_default() += 1;
            }
        }
    }

    /// Notes the mails that were written since the last call.
    pub fn look(&mut self) {
        let Ok(files) = std::fs::read_dir(self.data.join("mail")) else { return };
        for path in files.map(|file| file.unwrap().path()) {
            if path.extension().is_none_or(|extension| extension != "eml") {
                continue;
            }
            // Files are replaced and never deleted, so this file still exists.
            let facts = std::fs::metadata(&path).unwrap();
            let written = (path.clone(), facts.ino(), facts.mtime(), facts.mtime_nsec());
            self.seen.entry(written).or_insert_with(|| alerts_of(&std::fs::read_to_string(&path).unwrap()));
        }
    }

    /// Reads which alerts the store has marked as sent. It opens the file read-only.
    fn marked(&self) -> BTreeSet<String> {
        let path = self.data.join("stock.db");
        let store = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut sent = store.prepare("SELECT alert_id FROM alert WHERE sent_at IS NOT NULL").unwrap();
        let ids = sent.query_map([], |row| row.get(0)).unwrap();
        ids.map(Result::unwrap).collect()
    }

    fn times_mailed(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for id in self.seen.values().flatten() {
            *times.entry(id.clone()).or_default() += 1;
        }
        times
    }

    /// Returns the number of mails after the first one of each alert.
    pub fn duplicates(&self) -> usize {
        self.times_mailed().values().map(|times| times - 1).sum()
    }

    /// Returns how often a kill left an alert mailed and not marked.
    pub fn excused(&self) -> usize {
        self.excused.values().sum()
    }

    /// Returns how many alerts are in mails, each counted once.
    pub fn alerts(&self) -> usize {
        self.times_mailed().len()
    }

    /// Returns the faults in words: an alert that is in no mail, a mail of no alert, a second mail of a marked alert.
    pub fn faults(&self, raised: &BTreeSet<String>) -> Vec<String> {
        let times = self.times_mailed();
        let mailed: BTreeSet<String> = times.keys().cloned().collect();
        let lost = raised.difference(&mailed).map(|id| format!("P6: no mail has {id}"));
        let made_up = mailed.difference(raised).map(|id| format!("P6: a mail has {id}, which was not raised"));
        let again = times.iter().filter(|(id, times)| **times > 1 + self.excused.get(*id).copied().unwrap_or(0));
        let again = again.map(|(id, times)| format!("P6: {id} was mailed {times} times, and was marked"));
        lost.chain(made_up).chain(again).collect()
    }
}

/// Returns the ids of the alerts in a mail's text part.
fn alerts_of(mail: &str) -> Vec<String> {
    mail.lines().filter_map(|line| line.strip_prefix("Alert ")).map(|id| id.trim().to_owned()).collect()
}
