//! `clock`: shows the server's time, and confirms a step of the machine's clock.

use crate::args::ClockArgs;
use crate::exit::Unavailable;
use crate::folder::Folder;
use crate::serve::control::{self, AnyOrder, ClockOrder};

/// Runs `stockline clock`.
pub(crate) async fn clock(args: &ClockArgs) -> anyhow::Result<u8> {
    let folder = Folder::at(&args.data.data);
    let clock = if args.confirm { ClockOrder::Confirm } else { ClockOrder::Show };
    let Some(reply) = control::ask(&folder.control_socket(), &AnyOrder::Clock { clock }).await? else {
        let text = format!("no server runs on {}: start it, then ask again", folder.path().display());
        return Err(Unavailable(text).into());
    };
    reply.print()
}
