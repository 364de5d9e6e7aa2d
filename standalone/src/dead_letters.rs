//! `dead-letters`: what was set aside is listed, tried again or discarded.

use std::sync::Arc;

use stockline_worker::operator::{Op, Operator, Order};

use crate::cli::{DeadLetterArgs, DeadLettersCommand};
use crate::client::{Client, Request};
use crate::control;
use crate::folder::Folder;
use crate::{exit, refused, serve};

/// The most dead letters that are listed.
const LISTED_MAX: u64 = 1_000;

/// `stockline dead-letters`
pub(crate) async fn run(command: &DeadLettersCommand) -> anyhow::Result<u8> {
    match command {
        DeadLettersCommand::List { json, client } => {
            let client = Client::new(client)?;
            let request =
                Request::get("/v1/commands").query("status", Some("dead_lettered")).query("limit", Some(LISTED_MAX));
            let body = client.send(&request).await?.body;
            let letters = body["commands"].as_array().map(Vec::as_slice).unwrap_or_default();
            if *json {
                println!("{}", serde_json::to_string_pretty(letters)?);
            } else {
                refused::refused_table(letters).print();
            }
            Ok(exit::OK)
        }
        DeadLettersCommand::Retry(args) => order(Op::Retry, args).await,
        DeadLettersCommand::Discard(args) => order(Op::Discard, args).await,
    }
}

/// By the running server, or here where none runs.
async fn order(op: Op, args: &DeadLetterArgs) -> anyhow::Result<u8> {
    let folder = Folder::at(&args.data.data);
    let order = Order { op, item_id: args.item_id.clone(), command_id: args.command_id };
    let done = match control::ask(&folder.control_socket(), &order).await? {
        Some(done) => done,
        None => {
            let stores = serve::Stores::open_existing(&folder)?;
            let operator = Operator {
                queries: stores.store.clone(),
                store: stores.store.clone(),
                sender: stores.queue.clone(),
                clock: Arc::clone(&stores.clock),
            };
            control::carry_out(&operator, &order).await
        }
    };
    if done.code == exit::OK {
        println!("{}", done.text);
    } else {
        eprintln!("error: {}", done.text);
    }
    Ok(done.code)
}
