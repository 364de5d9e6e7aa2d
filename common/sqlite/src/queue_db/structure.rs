//! What SQLite itself finds wrong with the pages of queue.db. A flipped bit in a page's own header may hide rows, and one
//! in the file's header makes every write fail; no row says so.

use rusqlite::Connection;

/// The most findings that are read.
const FINDINGS_MAX: usize = 100;

/// The damage of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// What is wrong with the file as a whole, so that nothing can be written to it.
    pub(super) of_file: Option<String>,
    /// Whether pages may hide rows: their space is not accounted for.
    pub(super) hides_rows: bool,
}

impl Damage {
    /// Looks at every page. What can't be read at all is found by those who read it.
    pub(super) fn of(connection: &Connection) -> Self {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut check = connection.prepare(&format!("PRAGMA quick_check({FINDINGS_MAX})"))?;
            check.query_map([], |row| row.get(0))?.collect()
        };
        Self::in_words(&read().unwrap_or_default())
    }

    /// Reads SQLite's words. A row's key that is out of order is a changed key, which its checksum brings back: it hides
    /// nothing, and the row would not be found where it would have to be copied from.
    fn in_words(findings: &[String]) -> Self {
        let has = |word: &str| findings.iter().any(|finding| finding.contains(word));
        let of_file = ["reelist", "max rootpage", "ptr map"].into_iter().find(|word| has(word));
        let line = |word: &str| findings.iter().flat_map(|finding| finding.lines()).find(|line| line.contains(word));
        Self {
            of_file: of_file.and_then(line).map(str::to_owned),
            hides_rows: has("Fragmentation of ") && !has(" out of order"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flips a bit of a file of our two tables, with rows deleted before.
    fn flipped(at: impl Fn(&[u8]) -> (usize, u8)) -> Damage {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE message (n INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT").unwrap();
        for n in 0..60 {
            connection.execute("INSERT INTO message VALUES (?1, ?2)", (n, "x".repeat(300))).unwrap();
        }
        connection.execute("DELETE FROM message WHERE n < 10", []).unwrap();
        drop(connection);
        let mut bytes = std::fs::read(&path).unwrap();
        let (byte, bit) = at(&bytes);
        bytes[byte] ^= bit;
        std::fs::write(&path, bytes).unwrap();
        Damage::of(&Connection::open(&path).unwrap())
    }

    #[test]
    fn a_sound_file_has_no_damage() {
        assert_eq!(flipped(|_| (100, 0)), Damage::default());
    }

    #[test]
    fn headers_that_stop_every_write_or_hide_rows_are_found() {
        for (byte, bit) in [(53, 0x40), (36, 0x10), (39, 0x01)] {
            let damage = flipped(|_| (byte, bit));
            assert!(damage.of_file.is_some() && !damage.hides_rows, "byte {byte}: {damage:?}");
        }
        // A leaf of the table, whose number of rows falls. One without any row is found by those who read it.
        let leaf = |bytes: &[u8]| {
            let keeps_rows = |page: &usize| bytes[page * 4_096] == 13 && bytes[page * 4_096 + 4].count_ones() > 1;
            (1..bytes.len() / 4_096).rfind(keeps_rows).unwrap() * 4_096
        };
        let highest = |bytes: &[u8]| {
            let leaf = leaf(bytes);
            (leaf + 4, 1 << (7 - bytes[leaf + 4].leading_zeros()))
        };
        assert_eq!(flipped(highest), Damage { of_file: None, hides_rows: true });
    }
}
