//! `console`: makes sign-in links.

use crate::args::{ConsoleCommand, LinkArgs};
use crate::exit::Unavailable;
use crate::folder::Folder;
use crate::issuer::tokens::TokenRequest;
use crate::serve::control::{self, AnyOrder, ConsoleOrder};

/// Runs `stockline console`.
pub(crate) async fn console(command: ConsoleCommand) -> anyhow::Result<u8> {
    let ConsoleCommand::Link(args) = command;
    link(args).await
}

async fn link(args: LinkArgs) -> anyhow::Result<u8> {
    let folder = Folder::at(&args.data.data);
    let request = TokenRequest {
        role: args.role,
        write_only: false,
        subject: args.subject.unwrap_or_else(|| args.role.as_str().to_owned()),
        locations: args.locations,
        ttl_s: args.ttl.seconds(),
    };
    let order = AnyOrder::Console { console: ConsoleOrder::Link(request) };
    let Some(reply) = control::ask(&folder.control_socket(), &order).await? else {
        let text = format!("no server runs on {}: start it, then ask for a link again", folder.path().display());
        return Err(Unavailable(text).into());
    };
    reply.print()
}
