//! `folder`: shows what belongs to a data folder, and replaces a part that is lost for good.

use anyhow::Context as _;
use stockline_core::ports::Clock as _;
use stockline_service::SystemClock;
use stockline_service::output;
use stockline_sqlite::DataFolder;

use crate::args::FolderCommand;
use crate::exit;
use crate::folder::manifest::{Manifest, Part, What};
use crate::folder::{Folder, entry};
use crate::stores;

/// Runs `stockline folder`.
pub(crate) fn folder(command: &FolderCommand) -> anyhow::Result<u8> {
    match command {
        FolderCommand::Show { data } => show(&Folder::at(&data.data)),
        FolderCommand::Replace { part, data } => replace(&Folder::at(&data.data), part),
    }
}

fn show(folder: &Folder) -> anyhow::Result<u8> {
    stores::require_stock(folder)?;
    let manifest = Manifest::read(folder)?;
    let manifest = manifest.with_context(|| {
        format!("{} has no {} yet: the next start makes it", folder.path().display(), folder.manifest().display())
    })?;
    output::line(format_args!("identity     {}", manifest.id))?;
    output::line(format_args!("created      {}", manifest.created_at))?;
    for (part, since) in &manifest.parts {
        output::line(format_args!("{:<12} since {since}", part.name()))?;
    }
    for broken in &manifest.breaks {
        match &broken.what {
            What::Restored { backup_of } => {
                output::line(format_args!("restored     {} from a backup of {backup_of}", broken.at))?
            }
            What::Moved => output::line(format_args!("moved        {} or copied", broken.at))?,
            What::Replaced { part } => output::line(format_args!("replaced     {} {}", broken.at, part.name()))?,
        }
    }
    if let Some(place) = &manifest.place {
        output::line(format_args!("served as    {} since {}", place.path, place.since))?;
    }
    entry::check(folder)?;
    output::line(format_args!("the folder is whole"))?;
    Ok(exit::OK)
}

fn replace(folder: &Folder, name: &str) -> anyhow::Result<u8> {
    let part = Part::ALL.into_iter().find(|part| part.name() == name).context("no such part")?;
    stores::require_any(folder)?;
    let _lock = DataFolder::open(folder.path())?;
    entry::replace(folder, part, SystemClock.now())?;
    output::line(format_args!("{name} is an empty one now; what was left of the old one is beside it"))?;
    output::line(format_args!(
        "{}",
        match part {
            Part::Queue => "commands that were accepted and not applied are lost: tills may send them again",
            Part::Stock => "the stock and its history are lost, and every command id counts as new",
            Part::Keys => "every issued token is invalid: issue new ones (stockline token)",
        }
    ))?;
    Ok(exit::OK)
}
