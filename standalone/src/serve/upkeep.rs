//! What the console can tell and do about this machine.

use async_trait::async_trait;
use stockline_console::upkeep::{Ended, LetterAct, Storage, Upkeep};
use stockline_core::domain::Timestamp;
use stockline_worker::operator::{Op, Order};

use super::control::{self, AnyOrder};
use crate::exit;
use crate::folder::Folder;

/// The machine with this folder.
#[derive(Debug)]
pub(super) struct Machine(pub(super) Folder);

#[async_trait]
impl Upkeep for Machine {
    async fn letter(&self, act: LetterAct, item_id: &str, command_id: &str) -> Ended {
        let not_done = |text: String| Ended { is_done: false, text };
        let (Ok(item_id), Ok(command_id)) = (item_id.parse(), command_id.parse()) else {
            return not_done("this is no command".to_owned());
        };
        let op = match act {
            LetterAct::Retry => Op::Retry,
            LetterAct::Discard => Op::Discard,
        };
        // The same way as that of the command line.
        let order = AnyOrder::Letter(Order { op, item_id, command_id });
        match control::ask(&self.0.control_socket(), &order).await {
            Ok(Some(reply)) => Ended { is_done: reply.code == exit::OK, text: reply.text },
            Ok(None) => not_done("the server takes no orders now; try again in a moment".to_owned()),
            Err(error) => not_done(format!("{error:#}")),
        }
    }

    async fn storage(&self) -> Option<Storage> {
        let folder = self.0.clone();
        let read = tokio::task::spawn_blocking(move || storage(&folder)).await;
        read.map_err(anyhow::Error::from)
            .flatten()
            .inspect_err(|error| tracing::warn!("the room on the disk can't be told: {error:#}"))
            .ok()
    }
}

fn storage(folder: &Folder) -> anyhow::Result<Storage> {
    let disk = rustix::fs::statvfs(folder.path())?;
    let mut used_bytes = 0;
    for entry in std::fs::read_dir(folder.path())? {
        // A file that is being replaced may be gone already.
        let Ok(found) = entry?.metadata() else { continue };
        used_bytes += if found.is_file() { found.len() } else { 0 };
    }
    let noted = std::fs::read_to_string(folder.last_backup()).ok();
    let backup_at = noted.and_then(|text| text.trim().parse::<Timestamp>().ok());
    Ok(Storage {
        used_bytes,
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        backup_at: backup_at.map(|at| at.to_string()),
    })
}
