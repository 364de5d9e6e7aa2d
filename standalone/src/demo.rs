//! `demo`: a shop that can be thrown away, on a folder of its own.

use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use serde_json::json;
use stockline_core::ports::Clock as _;
use stockline_service::{SystemClock, output};

use crate::args::{Cli, ClientArgs, Command, DataArg, DemoArgs};
use crate::client::{Client, Request};
use crate::exit::Usage;
use crate::folder::Folder;
use crate::serve;

mod shop;

/// Commands of a batch.
const BATCH: usize = 500;
/// How long the server may take to begin, and to accept a batch.
const PATIENCE: Duration = Duration::from_secs(60);
/// Days of movements that the server accepts: more than the demo has.
const MAX_AGE_DAYS: i64 = shop::DAYS + 10;

/// Runs `stockline demo`: serves the folder, and loads the shop if the folder is new.
pub(crate) async fn demo(args: DemoArgs) -> anyhow::Result<u8> {
    let folder = Folder::at(&args.data);
    let is_new = !folder.manifest().exists();
    let loading = async {
        if is_new && let Err(error) = load(&args).await {
            output::note(format_args!("error: the demo shop could not be loaded: {error:#}"));
        }
        std::future::pending().await
    };
    tokio::select! {
        served = Box::pin(serve::serve(serve_args(&args)?)) => served,
        never = loading => never,
    }
}

/// Returns the options of the server: those of `serve`, with the demo's folder.
fn serve_args(args: &DemoArgs) -> anyhow::Result<crate::args::ServeArgs> {
    let data = args.data.to_string_lossy();
    let (listen, days) = (args.listen.to_string(), MAX_AGE_DAYS.to_string());
    let mail = ["--alert-email", "owner@shop.example"];
    let words = ["stockline", "serve", "--data", &data, "--listen", &listen, "--max-age-days", &days, "--log", "error"]
        .into_iter()
        .chain(mail);
    match Cli::try_parse_from(words).map_err(|error| Usage(error.to_string()))?.command {
        Command::Serve(serve) => Ok(*serve),
        _ => Err(Usage("these are the options of serve".into()).into()),
    }
}

async fn load(args: &DemoArgs) -> anyhow::Result<()> {
    let address = Folder::at(&args.data).address();
    tokio::time::timeout(PATIENCE, async {
        while !address.exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .context("the server did not begin")?;
    let client = Client::new(&ClientArgs {
        url: None,
        token: None,
        token_file: None,
        logins: None,
        ca_cert: None,
        data: DataArg { data: args.data.clone() },
    })?;
    for (id, settings) in shop::places() {
        client.send_until(&Request::put(format!("/v1/locations/{id}"), settings.to_string()), PATIENCE).await?;
    }
    let commands = shop::commands(args.seed, SystemClock.now());
    let batches = commands.len().div_ceil(BATCH);
    for (at, batch) in commands.chunks(BATCH).enumerate() {
        let body = json!({ "commands": batch }).to_string();
        let request = Request::post("/v1/commands/batch", body).wait(20);
        let answer = client.send_until(&request, PATIENCE).await?;
        let invalid = answer.body["invalid"].as_u64().unwrap_or_default();
        anyhow::ensure!(invalid == 0, "{invalid} commands of the demo are not valid: {}", answer.body);
        if (at + 1) % 20 == 0 {
            output::note(format_args!("the demo shop is loaded to {} %", (at + 1) * 100 / batches));
        }
    }
    output::note(format_args!(
        "the demo shop is complete: 200 products, 2 locations, {} days. To throw it away: rm -r {}",
        shop::DAYS,
        args.data.display()
    ));
    Ok(())
}
