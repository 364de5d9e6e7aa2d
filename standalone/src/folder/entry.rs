//! The start on a data folder: its first files are created, and a folder that is not whole is refused.
//!
//! A missing file beside the others was lost; an empty one in its place would lose stock, accepted commands or the list
//! of revoked tokens silently. So the parts are created once, under a manifest without parts, and the manifest names the
//! parts only when all of them are on disk. A crash before that is continued by the next start. Nothing is accepted
//! before.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use stockline_core::domain::Timestamp;
use stockline_sqlite::{Database, Held};
use uuid::Uuid;

use super::Folder;
use super::manifest::{Break, Manifest, Part, What};
use super::place::Place;
use crate::issuer::keys::{self, Keys};
use crate::issuer::{lists, receipt_keys};

/// A folder whose parts are all there and belong together.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) manifest: Manifest,
    /// Whether this start created the folder.
    pub(crate) is_new: bool,
}

/// Called after each durable step of a creation, with its name; tests end the process's life there.
pub(crate) type Step<'a> = &'a mut dyn FnMut(&'static str) -> anyhow::Result<()>;

/// Checks that the folder is whole. Creates its files at the first start, and gives a folder of an earlier version its
/// manifest. The caller holds the folder's lock.
///
/// # Errors
/// A part is missing, empty, damaged or of another folder. The text says which, and what to do.
pub(crate) fn enter(folder: &Folder, now: Timestamp) -> anyhow::Result<Entered> {
    enter_by_steps(folder, now, &mut |_| Ok(()))
}

fn enter_by_steps(folder: &Folder, now: Timestamp, step: Step<'_>) -> anyhow::Result<Entered> {
    let found = Found::look(folder)?;
    match Manifest::read(folder)? {
        Some(manifest) if manifest.is_complete() => {
            found.require_whole(folder, manifest.id, &manifest)?;
            let _lock = keys::lock(folder)?;
            Keys::open(folder)?.republish()?;
            Ok(Entered { manifest, is_new: false })
        }
        Some(manifest) => create(folder, &found, manifest, now, step),
        None if found.is_nothing(folder) => {
            #[expect(clippy::disallowed_methods, reason = "the first start names the installation")]
            let manifest = Manifest::new(Uuid::new_v4(), now);
            manifest.write(folder)?;
            step("manifest")?;
            create(folder, &found, manifest, now, step)
        }
        None => adopt(folder, &found, now, step),
    }
}

/// Checks that a folder with a manifest is whole; a folder without one is let through. Changes nothing, and works while a
/// server runs.
pub(crate) fn check(folder: &Folder) -> anyhow::Result<()> {
    match Manifest::read(folder)? {
        Some(manifest) if manifest.is_complete() => Found::look(folder)?.require_whole(folder, manifest.id, &manifest),
        _ => Ok(()),
    }
}

/// Remembers where the folder is served. If it was last served elsewhere, receipts get a new key: what another copy
/// accepts from then on is told from what this one accepted. Returns the former place in that case.
pub(crate) fn settle(folder: &Folder, manifest: &mut Manifest, now: Timestamp) -> anyhow::Result<Option<Place>> {
    let here = Place::of(folder, manifest.id, now)?;
    let former = match &manifest.place {
        Some(place) if place.is_same(&here) => return Ok(None),
        former => former.clone(),
    };
    if former.is_some() {
        break_off(folder, manifest, What::Moved, now)?;
    }
    manifest.place = Some(here);
    manifest.write(folder)?;
    Ok(former)
}

/// Makes a new receipt key and notes in the manifest why. The caller writes the manifest; if it dies before, the key is
/// one more and no harm is done.
pub(crate) fn break_off(folder: &Folder, manifest: &mut Manifest, what: What, now: Timestamp) -> anyhow::Result<()> {
    let _lock = keys::lock(folder)?;
    let at = Keys::open(folder)?.rotate_receipts(now)?;
    manifest.breaks.retain(|earlier| !receipt_keys::is_forgotten(earlier.at, now));
    manifest.breaks.push(Break { at, what });
    Ok(())
}

/// Creates the parts of a folder in which nothing has been accepted yet; continues where an earlier start ended.
fn create(
    folder: &Folder,
    found: &Found,
    mut manifest: Manifest,
    now: Timestamp,
    step: Step<'_>,
) -> anyhow::Result<Entered> {
    let id = manifest.id;
    found.refuse_foreign(folder, id)?;
    Database::Queue.put_identity(&folder.queue_db(), id)?;
    step("queue.db")?;
    Database::Stock.put_identity(&folder.stock_db(), id)?;
    step("stock.db")?;
    Keys::open_or_create(folder, id, now)?;
    step("keys")?;
    manifest.complete(now);
    manifest.write(folder)?;
    step("complete")?;
    Ok(Entered { manifest, is_new: true })
}

/// Gives a folder without a manifest one: an earlier version wrote it, or the manifest was deleted.
fn adopt(folder: &Folder, found: &Found, now: Timestamp, step: Step<'_>) -> anyhow::Result<Entered> {
    let Some(id) = found.keys else { return Err(found.refusal(folder, Part::Keys, "is missing or incomplete", None)) };
    let mut manifest = Manifest::new(id, now);
    found.require_databases(folder, id, true, None)?;
    // Where a database has an identity, this version has served the folder, and the list of revoked tokens was made.
    let by_earlier_version = found.queue == Held::Ours(None) && found.stock == Held::Ours(None);
    {
        let _lock = keys::lock(folder)?;
        let keys = Keys::open(folder)?;
        keys.receipt_keys(&[])?;
        keys.republish()?;
        if by_earlier_version {
            lists::create_lists(&keys)?;
        }
        lists::check_lists(&keys)?;
    }
    step("lists")?;
    Database::Queue.put_identity(&folder.queue_db(), id)?;
    step("queue.db")?;
    Database::Stock.put_identity(&folder.stock_db(), id)?;
    step("stock.db")?;
    manifest.complete(now);
    manifest.write(folder)?;
    step("complete")?;
    tracing::info!(%id, "the data folder has its manifest now: {}", folder.manifest().display());
    Ok(Entered { manifest, is_new: false })
}

/// The parts as they were found.
#[derive(Debug)]
struct Found {
    queue: Held,
    stock: Held,
    /// The identity of the keys, if none of their files is missing.
    keys: Option<Uuid>,
    /// Whether any file of the keys exists.
    has_keys: bool,
}

impl Found {
    fn look(folder: &Folder) -> anyhow::Result<Self> {
        let missing = keys::missing(folder)?;
        let keys = if missing.is_empty() { Some(keys::identity(folder)?) } else { None };
        Ok(Self {
            queue: Database::Queue.inspect(&folder.queue_db())?,
            stock: Database::Stock.inspect(&folder.stock_db())?,
            keys,
            has_keys: missing.len() < keys::FILES.len(),
        })
    }

    fn databases(&self, folder: &Folder) -> [(Part, Held, PathBuf); 2] {
        [(Part::Queue, self.queue, folder.queue_db()), (Part::Stock, self.stock, folder.stock_db())]
    }

    /// Reports whether nothing was ever kept here. A log without its database is something.
    fn is_nothing(&self, folder: &Folder) -> bool {
        let nothing = |(_, held, path): (Part, Held, PathBuf)| {
            let log = path.with_extension("db-wal");
            !matches!(held, Held::Ours(_)) && std::fs::metadata(log).map_or(0, |log| log.len()) == 0
        };
        !self.has_keys && self.databases(folder).into_iter().all(nothing)
    }

    fn require_whole(&self, folder: &Folder, id: Uuid, manifest: &Manifest) -> anyhow::Result<()> {
        self.require_databases(folder, id, false, Some(manifest))?;
        match self.keys {
            Some(keys) if keys == id => {}
            Some(_) => return Err(self.refusal(folder, Part::Keys, "belongs to another folder", Some(manifest))),
            None => {
                let missing = keys::missing(folder)?.join(", ");
                let what = if self.has_keys { format!("lacks {missing}") } else { "is missing or empty".to_owned() };
                return Err(self.refusal(folder, Part::Keys, &what, Some(manifest)));
            }
        }
        let keys = Keys::open(folder)?;
        keys.receipt_keys(&manifest.breaks)?;
        lists::check_lists(&keys)
    }

    fn require_databases(
        &self,
        folder: &Folder,
        id: Uuid,
        may_lack_identity: bool,
        manifest: Option<&Manifest>,
    ) -> anyhow::Result<()> {
        for (part, held, _) in self.databases(folder) {
            let what = match held {
                Held::Ours(Some(own)) if own == id => continue,
                Held::Ours(None) if may_lack_identity => continue,
                Held::Ours(Some(_)) => "belongs to another folder",
                Held::Ours(None) => "is of an earlier version of stockline, and was not written in this folder",
                Held::Empty => "is empty",
                Held::Missing => "is missing",
            };
            return Err(self.refusal(folder, part, what, manifest));
        }
        Ok(())
    }

    /// In a folder that was not completed, a part with another identity was put there by someone.
    fn refuse_foreign(&self, folder: &Folder, id: Uuid) -> anyhow::Result<()> {
        for (part, held, _) in self.databases(folder) {
            if matches!(held, Held::Ours(Some(own)) if own != id) {
                return Err(self.refusal(folder, part, "belongs to another folder", None));
            }
        }
        if self.keys.is_some_and(|own| own != id) {
            return Err(self.refusal(folder, Part::Keys, "belongs to another folder", None));
        }
        Ok(())
    }

    /// Says what is wrong, where, and what to do.
    fn refusal(&self, folder: &Folder, part: Part, what: &str, manifest: Option<&Manifest>) -> anyhow::Error {
        let (path, name) = (folder.path().display(), part.name());
        let since = manifest.and_then(|manifest| manifest.parts.get(&part));
        let since = since.map(|since| format!(" (part of the folder since {since})")).unwrap_or_default();
        anyhow!(
            "the data folder {path} is not whole: {name}{since} {what}. Nothing was changed. Put the right {name} back; \
             or restore a backup (stockline restore FILE --data NEW_FOLDER); or, if it is lost for good, start over \
             without it: stockline folder replace {name} --data {path}"
        )
    }
}

/// Puts an empty part in the place of one that was lost. The caller holds the folder's lock.
///
/// # Errors
/// The part is not lost, or another part is not whole.
pub(crate) fn replace(folder: &Folder, part: Part, now: Timestamp) -> anyhow::Result<()> {
    let id = identity_without(folder, part)?;
    let mut manifest = Manifest::read(folder)?.unwrap_or_else(|| Manifest::new(id, now));
    if manifest.id != id {
        bail!("{} belongs to another folder than the parts that are left", folder.manifest().display());
    }
    if part != Part::Keys {
        break_off(folder, &mut manifest, What::Replaced { part }, now)?;
        manifest.write(folder)?;
    }
    put_aside(folder, part, now)?;
    match part {
        Part::Queue => Database::Queue.put_identity(&folder.queue_db(), id)?,
        Part::Stock => Database::Stock.put_identity(&folder.stock_db(), id)?,
        Part::Keys => drop(Keys::open_or_create(folder, id, now)?),
    }
    if !manifest.is_complete() {
        manifest.complete(now);
    }
    manifest.parts.insert(part, now);
    manifest.write(folder)
}

/// Returns the identity of the other parts, after checking that they are whole and that this one is not.
fn identity_without(folder: &Folder, part: Part) -> anyhow::Result<Uuid> {
    let mut ids = Vec::new();
    let mut lost = false;
    for other in Part::ALL {
        let held = match other {
            Part::Queue => Database::Queue.inspect(&folder.queue_db()).map_err(anyhow::Error::from),
            Part::Stock => Database::Stock.inspect(&folder.stock_db()).map_err(anyhow::Error::from),
            Part::Keys if !keys::missing(folder)?.is_empty() => Ok(Held::Missing),
            Part::Keys => keys::identity(folder).and_then(|id| {
                lists::check_lists(&Keys::open(folder)?)?;
                Ok(Held::Ours(Some(id)))
            }),
        };
        match held {
            Ok(Held::Ours(id)) if other != part => ids.extend(id),
            Ok(Held::Ours(own)) => lost |= Manifest::read(folder)?.is_some_and(|manifest| own != Some(manifest.id)),
            Ok(Held::Missing | Held::Empty) | Err(_) if other == part => lost = true,
            Ok(Held::Missing | Held::Empty) => bail!("{} is lost too: restore a backup", other.name()),
            Err(error) => return Err(error.context(format!("{} can't be used either", other.name()))),
        }
    }
    if !lost {
        bail!("{} is there and belongs to the folder: nothing is to be replaced", part.name());
    }
    let id = *ids.first().context("the parts that are left have no identity: restore a backup")?;
    if ids.iter().any(|other| *other != id) {
        bail!("the parts that are left belong to different folders: restore a backup");
    }
    Ok(id)
}

/// Renames what is left of a part, with the files that SQLite keeps beside it.
fn put_aside(folder: &Folder, part: Part, now: Timestamp) -> anyhow::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let path = folder.path().join(format!("{}{suffix}", part.name()));
        let aside = folder.path().join(format!("{}.replaced-{}{suffix}", part.name(), now.as_millis()));
        match std::fs::rename(&path, &aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("can't rename {}", path.display()));
            }
            _ => {}
        }
    }
    crate::files::sync_folder_of(&folder.manifest())
}

#[cfg(test)]
mod tests;
