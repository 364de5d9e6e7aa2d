//! The file of a backup: a tar archive whose first entry lists the others with their digests.
//!
//! The last entry is a digest of everything before it, so that a flipped bit is noticed wherever it is: also in the names,
//! the padding and the list itself.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use stockline_core::domain::Timestamp;

use crate::files::{self, SECRET};
use crate::folder::MANIFEST;

/// The name of the first entry of every backup.
const CONTENTS: &str = "stockline-backup.json";
/// The name of the last entry.
const SEAL: &str = "stockline-backup.sha256";
/// The version of the layout.
const VERSION: u32 = 2;
/// The version whose entries have no digests.
const WITHOUT_DIGESTS: u32 = 1;
/// The longest list of files, in bytes.
const MAX_CONTENTS_BYTES: u64 = 1024 * 1024;

const INCOMPLETE: &str = "it is incomplete: copy it again, or use another backup";
const NOT_OURS: &str = "it is not a backup of stockline";

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    name: String,
    bytes: u64,
    sha256: String,
}

/// The first entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Contents {
    version: u32,
    /// When the backup began.
    created_at: Timestamp,
    /// The files, in order.
    files: Vec<Entry>,
}

/// The first entry of a backup without digests.
#[derive(Debug, Deserialize)]
struct OldContents {
    created_at: Timestamp,
    files: Vec<(String, u64)>,
}

/// A backup that was read completely.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checked {
    /// The moment of the backup.
    pub(crate) created_at: Timestamp,
    /// Whether it has digests, so that every bit was checked.
    pub(crate) has_digests: bool,
    /// The owner of the folder. Backups of earlier versions name root.
    pub(crate) owner: Owner,
}

/// Who owns a folder, by the numbers of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Owner {
    pub(crate) const ROOT: Self = Self { uid: 0, gid: 0 };

    /// Returns the owner of a file or folder.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let found = std::fs::metadata(path)?;
        Ok(Self { uid: found.uid(), gid: found.gid() })
    }

    /// Returns the owner that an entry names; root, if it names nobody.
    fn of_header(header: &tar::Header) -> Self {
        let number = |number: io::Result<u64>| number.ok().and_then(|number| u32::try_from(number).ok());
        number(header.uid()).zip(number(header.gid())).map_or(Self::ROOT, |(uid, gid)| Self { uid, gid })
    }
}

/// Where the content of a file comes from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    File(&'a Path),
    Bytes(&'a [u8]),
}

impl Source<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::File(path) => Box::new(BufReader::new(File::open(path)?)),
            Self::Bytes(bytes) => Box::new(*bytes),
        })
    }

    fn entry(&self, name: &str) -> anyhow::Result<Entry> {
        let mut digest = Digest::new(io::sink());
        let bytes = io::copy(&mut self.open()?, &mut digest).with_context(|| format!("can't read {name}"))?;
        Ok(Entry { name: name.to_owned(), bytes, sha256: digest.hex() })
    }
}

/// Writes a backup in one step and returns its size in bytes. Its entries name the owner of the folder.
pub(crate) fn write(
    target: &Path,
    files: &[(&str, Source<'_>)],
    created_at: Timestamp,
    owner: Owner,
) -> anyhow::Result<u64> {
    let entries: anyhow::Result<Vec<Entry>> = files.iter().map(|(name, source)| source.entry(name)).collect();
    let contents = Contents { version: VERSION, created_at, files: entries? };
    let listed = serde_json::to_vec_pretty(&contents)?;
    let seconds = u64::try_from(created_at.as_millis() / 1_000).unwrap_or_default();
    files::replace_atomic(target, SECRET, |file| {
        let mut tar = tar::Builder::new(Digest::new(BufWriter::new(file)));
        tar.append_data(&mut header(listed.len() as u64, seconds, owner), CONTENTS, listed.as_slice())?;
        for ((name, source), entry) in files.iter().zip(&contents.files) {
            tar.append_data(&mut header(entry.bytes, seconds, owner), name, source.open()?)?;
        }
        let digest = tar.get_ref().hex();
        append_seal(&mut tar, &digest)?;
        Ok(tar.into_inner()?.flush()?)
    })?;
    Ok(std::fs::metadata(target)?.len())
}

/// Reads a backup completely and compares every digest. Writes its files into a folder, synced, if one is given.
///
/// # Errors
/// The file is not a backup, is incomplete, or a bit of it has changed. The text names the damaged part.
pub(crate) fn read(backup: &Path, folder: Option<&Path>) -> anyhow::Result<Checked> {
    let mut tar = tar::Archive::new(BufReader::new(File::open(backup)?));
    let mut entries = tar.entries()?;
    let first = entries.next().context(INCOMPLETE)?.context(NOT_OURS)?;
    if first.path()?.as_os_str() != CONTENTS {
        bail!(NOT_OURS);
    }
    let owner = Owner::of_header(first.header());
    let mut listed = Vec::new();
    first.take(MAX_CONTENTS_BYTES).read_to_end(&mut listed).with_context(|| format!("{CONTENTS}: {INCOMPLETE}"))?;
    let (created_at, expected) = parse(&listed)?;
    for (name, bytes, sha256) in &expected {
        let mut entry = entries.next().context(INCOMPLETE)?.with_context(|| damaged(name))?;
        if entry.path()?.to_string_lossy() != *name || !is_expected(name) {
            bail!("its entry {} does not belong in a backup", entry.path()?.display());
        }
        let (copied, digest) = copy(&mut entry, folder, name).with_context(|| format!("{name}: {INCOMPLETE}"))?;
        if copied != *bytes {
            bail!("{name}: {INCOMPLETE}");
        }
        if sha256.as_ref().is_some_and(|expected| *expected != digest) {
            bail!(damaged(name));
        }
    }
    let has_digests = expected.iter().all(|(.., sha256)| sha256.is_some());
    if has_digests {
        check_seal(backup)?;
    }
    Ok(Checked { created_at, has_digests, owner })
}

fn damaged(name: &str) -> String {
    format!("{name} is damaged in it: copy it again, or use another backup")
}

/// A file's name, its size in bytes and its digest.
type Expected = (String, u64, Option<String>);

fn parse(listed: &[u8]) -> anyhow::Result<(Timestamp, Vec<Expected>)> {
    let damaged = || damaged(CONTENTS);
    let value: serde_json::Value = serde_json::from_slice(listed).with_context(damaged)?;
    let version = value["version"].as_u64().with_context(damaged)?;
    if version > u64::from(VERSION) {
        bail!("it was written by a newer stockline (layout {version}, this one knows {VERSION}), or {}", damaged());
    }
    if version == u64::from(WITHOUT_DIGESTS) {
        let OldContents { created_at, files } = serde_json::from_value(value).with_context(damaged)?;
        return Ok((created_at, files.into_iter().map(|(name, bytes)| (name, bytes, None)).collect()));
    }
    let Contents { created_at, files, .. } = serde_json::from_value(value).with_context(damaged)?;
    Ok((created_at, files.into_iter().map(|file| (file.name, file.bytes, Some(file.sha256))).collect()))
}

/// Copies an entry into the folder, or nowhere. Returns its size and digest.
fn copy(entry: &mut impl Read, folder: Option<&Path>, name: &str) -> anyhow::Result<(u64, String)> {
    let Some(folder) = folder else {
        let mut digest = Digest::new(io::sink());
        return Ok((io::copy(entry, &mut digest)?, digest.hex()));
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(SECRET).open(folder.join(name))?;
    let mut digest = Digest::new(file);
    let copied = io::copy(entry, &mut digest)?;
    digest.inner.sync_all()?;
    Ok((copied, digest.hex()))
}

/// Compares the last entry, to the end of the file, with the digest of everything before it.
fn check_seal(backup: &Path) -> anyhow::Result<()> {
    let length = seal("")?.len() as u64;
    let mut file = File::open(backup)?;
    let before = file.metadata()?.len().checked_sub(length).context(INCOMPLETE)?;
    let mut digest = Digest::new(io::sink());
    io::copy(&mut BufReader::new(Read::by_ref(&mut file).take(before)), &mut digest)?;
    let mut last = Vec::new();
    file.seek(SeekFrom::Start(before))?;
    file.read_to_end(&mut last)?;
    if last != seal(&digest.hex())? {
        bail!(
            "its list of files or the space between them is damaged, or its end is missing ({SEAL}): copy it again, or use another backup"
        );
    }
    Ok(())
}

/// Returns the last entry and the end of the archive.
fn seal(digest: &str) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    append_seal(&mut tar, digest)?;
    tar.into_inner()
}

fn append_seal(tar: &mut tar::Builder<impl Write>, digest: &str) -> io::Result<()> {
    let content = format!("{digest:0>64}\n");
    tar.append_data(&mut header(content.len() as u64, 0, Owner::ROOT), SEAL, content.as_bytes())
}

fn header(bytes: u64, seconds: u64, owner: Owner) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(SECRET);
    header.set_mtime(seconds);
    // Earlier versions named nobody, and the seal is compared byte by byte.
    if owner != Owner::ROOT {
        header.set_uid(owner.uid.into());
        header.set_gid(owner.gid.into());
    }
    header
}

/// Accepts the databases, the manifest and plain names among the keys: no name leads out of the folder.
fn is_expected(name: &str) -> bool {
    let plain = |name: &str| {
        !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    matches!(name, "queue.db" | "stock.db" | MANIFEST)
        || name.strip_prefix("keys/").is_some_and(|key| !key.is_empty() && plain(key))
}

/// Passes bytes on and keeps their SHA-256.
struct Digest<W> {
    inner: W,
    digest: Context,
}

impl<W> Digest<W> {
    fn new(inner: W) -> Self {
        Self { inner, digest: Context::new(&SHA256) }
    }

    fn hex(&self) -> String {
        files::hex(self.digest.clone().finish().as_ref())
    }
}

impl<W: Write> Write for Digest<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(folder: &Path) -> std::path::PathBuf {
        let file = folder.join("backup.tar");
        let files = [
            ("queue.db", Source::Bytes(&[1; 3_000])),
            ("stock.db", Source::Bytes(&[2; 9_000])),
            (MANIFEST, Source::Bytes(b"{}")),
            ("keys/issuer", Source::Bytes(b"https://issuer")),
        ];
        write(&file, &files, Timestamp::from_millis(1_700_000_000_000), Owner { uid: 1_000, gid: 100 }).unwrap();
        file
    }

    /// Every byte of a small backup: its headers, contents, padding and end.
    #[test]
    fn a_flipped_bit_in_any_byte_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let file = sample(temp.path());
        let checked = read(&file, None).unwrap();
        assert!(checked.has_digests);
        assert_eq!(checked.owner, Owner { uid: 1_000, gid: 100 });
        let whole = std::fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            std::fs::write(&file, damaged).unwrap();
            let error = read(&file, None).expect_err(&format!("byte {at}"));
            assert!(!format!("{error:#}").is_empty());
        }
    }

    #[test]
    fn a_damaged_file_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let file = sample(temp.path());
        let whole = std::fs::read(&file).unwrap();
        let of = |needle: &[u8]| whole.windows(needle.len()).rposition(|window| window == needle).unwrap();
        let cases = [
            (of(&[1; 100]), "queue.db is damaged"),
            (of(&[2; 100]), "stock.db is damaged"),
            (of(b"https://issuer"), "keys/issuer is damaged"),
            (of(b"keys/issuer"), "keys/issuer is damaged"),
            (of(b"\"sha256\""), "stockline-backup.json is damaged"),
            (of(b"https://issuer") + 100, "the space between them is damaged"),
            (whole.len() - 1, "its end is missing"),
        ];
        for (at, part) in cases {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            std::fs::write(&file, damaged).unwrap();
            let text = format!("{:#}", read(&file, None).unwrap_err());
            assert!(text.contains(part) && text.contains("another backup"), "{part}: {text}");
        }
        for more in [&whole[..whole.len() - 512], &[whole.as_slice(), &[0; 512]].concat()] {
            std::fs::write(&file, more).unwrap();
            assert!(read(&file, None).is_err());
        }
    }

    #[test]
    fn no_entry_leads_out_of_the_folder() {
        for name in ["queue.db", "stock.db", MANIFEST, "keys/jwks.json", "keys/signing-1.pem"] {
            assert!(is_expected(name), "{name}");
        }
        for foreign in ["../x", "/etc/passwd", "keys/../x", "keys/", "keys/.lock", "keys/a/b", "other"] {
            assert!(!is_expected(foreign), "{foreign}");
        }
    }
}
