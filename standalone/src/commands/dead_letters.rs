//! `dead-letters`: lists, retries and discards commands that were set aside.

use stockline_service::output;
use stockline_worker::operator::{Op, Order};

use super::refused::refused_table;
use crate::args::{DeadLetterArgs, DeadLettersCommand};
use crate::client::{Client, Request, lists};
use crate::exit;
use crate::folder::Folder;
use crate::serve::control::{self, AnyOrder};
use crate::stores::Stores;
use crate::when::{Times, UtcArg};

/// The most dead letters that are listed.
const LISTED_MAX: u64 = 1_000;

/// Runs `stockline dead-letters`.
pub(crate) async fn dead_letters(command: &DeadLettersCommand) -> anyhow::Result<u8> {
    match command {
        DeadLettersCommand::List { json, client } => {
            let client = Client::new(client)?;
            let request =
                Request::get("/v1/commands").query("status", Some("dead_lettered")).query("limit", Some(LISTED_MAX));
            let body = client.send(&request).await?.body;
            let letters = body["commands"].as_array().map(Vec::as_slice).unwrap_or_default();
            if *json {
                output::json(letters)?;
            } else if letters.is_empty() {
                output::line("no dead letters")?;
            } else {
                let names = lists::names(&client, letters).await;
                refused_table(letters, &names, &Times::of(UtcArg::default())).print()?;
            }
            Ok(exit::OK)
        }
        DeadLettersCommand::Retry(args) => order(Op::Retry, args).await,
        DeadLettersCommand::Discard(args) => order(Op::Discard, args).await,
    }
}

async fn order(op: Op, args: &DeadLetterArgs) -> anyhow::Result<u8> {
    let order = Order { op, item_id: args.item_id.clone(), command_id: args.command_id };
    let folder = Folder::at(&args.data.data);
    // The running server executes it, or this process if none runs.
    match control::ask(&folder.control_socket(), &AnyOrder::Letter(order.clone())).await? {
        Some(reply) => reply.print(),
        None => control::execute(&Stores::open_existing(&folder)?.operator(), &order).await.print(),
    }
}
