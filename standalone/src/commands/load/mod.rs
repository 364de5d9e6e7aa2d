//! `load`: submits every line of a CSV file as a command. Running it again is safe.
//!
//! It reads the file twice: the first pass checks all of it before anything is sent, the second pass sends it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use stockline_core::domain::{CommandKind, Timestamp};
use stockline_core::ports::Clock as _;
use stockline_service::{SystemClock, output};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::args::LoadArgs;
use crate::client::{Client, Request};
use crate::exit::{self, Usage};
use crate::lines::format::Format;
use crate::lines::kinds::Kinds;
use crate::lines::mapping::{self, Mapping};
use crate::lines::recipe::{self, Part, Recipe};
use crate::lines::source;

mod answers;
mod journal;
mod line;
pub(super) mod report;
mod send;
mod settings;

use journal::{Journal, Run};
use line::Line;
use report::{COMMAND_ID, OWN_COLUMNS, RESUBMITS, RefusedFile, Replaces, Tally, Told};
use send::Sender;

/// The most lines that wait for a lane.
const LANE_LINES: usize = 1_000;
/// The most repeated lines that are shown.
const REPEATED_SHOWN: usize = 20;

impl LoadArgs {
    fn format(&self) -> Format {
        Format { zone: self.time_zone.clone(), decimal: self.decimal, date_means: self.date_means }
    }

    fn kinds(&self) -> anyhow::Result<Kinds> {
        Kinds::from(self.kind.0).with_negative(self.negative.map(|kind| kind.0))?.with_words(&self.word)
    }

    /// Reports whether the ids tell one event from the next: by a name, by a column, or because the file has them.
    fn names_events(&self, mapping: &Mapping, recipe: &Recipe) -> bool {
        self.batch.is_some()
            || self.namespace != recipe::NAMESPACE
            || recipe.carries()
            || recipe.columns().any(|column| mapping.names_an_event(column))
    }

    /// Returns how the ids of the lines are made.
    fn recipe(&self, headers: &csv::ByteRecord) -> anyhow::Result<Recipe> {
        // Without a comma in a heading, each comma of the list begins another column.
        let commas = headers.iter().any(|header| header.contains(&b','));
        let begins = |piece: &str| !commas || piece == "#" || headers.iter().any(|header| header == piece.as_bytes());
        let part = |name: &str| match name {
            "#" => Ok(Part::Occurrence),
            name => mapping::column(headers, name).map(Part::Column),
        };
        let parts: Vec<Part> =
            mapping::pieces(&self.id, begins).iter().map(|name| part(name)).collect::<anyhow::Result<_>>()?;
        if !parts.iter().any(|part| matches!(part, Part::Column(_))) {
            bail!(Usage("--id needs a column: the number # alone changes when a line is inserted".into()));
        }
        let namespace = match &self.batch {
            Some(name) => Uuid::new_v5(&self.namespace, name.as_bytes()),
            None => self.namespace,
        };
        let carried = headers.iter().position(|header| header == OWN_COLUMNS[COMMAND_ID].as_bytes());
        Ok(Recipe::new(namespace, parts).with_carried(carried))
    }
}

/// Runs `stockline load`.
pub(crate) async fn load(mut args: LoadArgs) -> anyhow::Result<u8> {
    let refused_file = RefusedFile::choose(args.refused.as_deref(), &args.file)?;
    let on_disk = source::OnDisk::of(&args.file)?;
    let named = std::mem::replace(&mut args.file, on_disk.path.clone());
    let (headers, _) = source::open(&args.file, None)?;
    let planned = Mapping::new(args.kinds()?, &args.map, &args.set, args.format(), &headers)
        .and_then(|mapping| Ok((mapping, args.recipe(&headers)?)));
    let (mapping, recipe) = planned.map_err(|error| source::with_place_of_headings(&args.file, error))?;
    let names_events = args.names_events(&mapping, &recipe);
    if !names_events && mapping.kinds().any(adds_up) {
        bail!(Usage(format!(
            "--id {} says what moved, and not by which event: the same line in a later file would count as already applied. \
             Name the events of this file, as --batch {} or --batch opening, or add to --id the column of a receipt or \
             delivery number, or of the time",
            args.id.join(","),
            today()
        )));
    }
    let client = Client::new(&args.client)?;

    let scan = {
        let (path, mapping, recipe) = (args.file.clone(), mapping.clone(), recipe.clone());
        let bar = report::bar(std::fs::metadata(&path).map_or(0, |meta| meta.len()), "reading", true);
        let scan = tokio::task::spawn_blocking(move || {
            let scan = source::scan(&path, &mapping, recipe, &bar);
            bar.finish_and_clear();
            scan
        });
        scan.await?.context("nothing was sent")?
    };
    if scan.repeated_count > 0 && !args.distinct {
        return Err(repeated(&named, &args.id.join(","), &scan));
    }
    if scan.lines == 0 {
        output::line(format_args!("{} has no lines after its headings", named.display()))?;
        return Ok(exit::OK);
    }

    let started = tokio::time::Instant::now();
    let sender = Arc::new(Sender {
        started_at: server_time(&client, args.retry_for.0).await?,
        client,
        batch_lines: args.request_lines.into(),
        patience: args.retry_for.0,
        bar: report::bar(scan.lines, "loading", false),
        tally: Mutex::new(Tally::default()),
    });
    let told = Told {
        may_be_another: !names_events && mapping.kinds().any(|kind| kind == CommandKind::Count),
        sets: mapping.kinds().all(settings::sets),
        as_json: args.json,
    };
    let sent = send(args, mapping, recipe, sender.clone()).await;
    sender.bar.finish_and_clear();
    let mut tally = std::mem::take(&mut *sender.tally.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some(journal) = sender.client.folder().map(Journal::of) {
        tally.already_by = tally.already_between.map(|between| journal.files(between)).unwrap_or_default();
        if tally.applied > 0 {
            let file = named.display().to_string();
            journal.note(&Run { from: sender.started_at, until: SystemClock.now(), file });
        }
    }
    let reported = report::report(&mut tally, scan.lines, started.elapsed(), &headers, &refused_file, told);
    sent.with_context(|| format!("stopped: run the same command again to continue with {}", named.display()))?;
    reported
}

/// Reports whether a command of this type moves stock by a quantity: a second one is another movement.
const fn adds_up(kind: CommandKind) -> bool {
    kind.is_movement() && !matches!(kind, CommandKind::Count)
}

/// Returns the day, as an example of a batch's name.
fn today() -> String {
    SystemClock.now().to_string().chars().take("2026-11-20".len()).collect()
}

/// Names the lines whose ids repeat, and what to do.
fn repeated(file: &Path, id: &str, scan: &source::Scan) -> anyhow::Error {
    let mut lines = vec![format!(
        "{}: {} line(s) have the same {id} as an earlier line and would count as the same command; nothing was sent",
        file.display(),
        scan.repeated_count
    )];
    lines.extend(
        scan.repeated.iter().take(REPEATED_SHOWN).map(|(line, first)| format!("  line {line} repeats line {first}")),
    );
    if scan.repeated_count > REPEATED_SHOWN as u64 {
        lines.push(format!("  … and {} more", scan.repeated_count - REPEATED_SHOWN as u64));
    }
    lines.push(format!("if they are separate events, add the occurrence number to the id: --id {id},#"));
    lines.push("if they repeat the same event, send only the first of each: --distinct".to_owned());
    anyhow!(lines.join("\n"))
}

/// Reads the server's clock: a command accepted before this moment is from an earlier run. It is also the first check that
/// the server is reachable and accepts the token.
async fn server_time(client: &Client, patience: Duration) -> anyhow::Result<Timestamp> {
    let answer = client.send_raw(&Request::get("/v1/limits"), patience).await.context("nothing was sent")?;
    let now = SystemClock.now();
    if client.is_local() {
        return Ok(now);
    }
    let date = answer.date.and_then(|date| jiff::fmt::rfc2822::parse(&date).ok());
    Ok(date.map_or(now, |date| Timestamp::from_millis(date.timestamp().as_millisecond())))
}

/// Runs the second pass.
async fn send(args: LoadArgs, mapping: Mapping, recipe: Recipe, sender: Arc<Sender>) -> anyhow::Result<()> {
    let mut lanes = JoinSet::new();
    let mut to_lanes = Vec::new();
    for _ in 0..args.lanes {
        let (to_lane, lines) = mpsc::channel(LANE_LINES);
        to_lanes.push(to_lane);
        lanes.spawn(sender.clone().lane(lines));
    }
    let reading = {
        let sender = sender.clone();
        tokio::task::spawn_blocking(move || read(&args, mapping, recipe, &to_lanes, &sender))
    };
    let mut first_error = None;
    while let Some(ended) = lanes.join_next().await {
        if let Err(error) = ended.map_err(anyhow::Error::from).and_then(|result| result) {
            first_error.get_or_insert(error);
            // The other lanes would also fail. Dropping their channels ends the reader.
            lanes.abort_all();
        }
    }
    let read = reading.await?;
    match first_error {
        Some(error) => Err(error),
        None => read,
    }
}

fn read(
    args: &LoadArgs,
    mut mapping: Mapping,
    mut recipe: Recipe,
    to_lanes: &[mpsc::Sender<Line>],
    sender: &Sender,
) -> anyhow::Result<()> {
    let (headers, mut lines) = source::open(&args.file, None)?;
    let replaces = headers.iter().position(|header| header == OWN_COLUMNS[RESUBMITS].as_bytes());
    let mut seen = HashSet::new();
    let mut record = csv::ByteRecord::new();
    while let Some(number) = source::next(&args.file, &mut lines, &mut record)? {
        // The first pass has refused every word that is no type.
        let Ok(Some(kind)) = mapping.kind(&record) else {
            sender.tally.lock().unwrap_or_else(PoisonError::into_inner).skipped += 1;
            continue;
        };
        let command_id = recipe.next(kind, &record);
        if args.distinct && !seen.insert(recipe::first_64_bits(command_id.0)) {
            sender.tally.lock().unwrap_or_else(PoisonError::into_inner).repeated += 1;
            sender.bar.inc(1);
            continue;
        }
        let mut json = Vec::with_capacity(256);
        mapping.write(kind, &record, command_id, &mut json);
        let item = mapping.item(&record).into_owned();
        let lane = send::lane_of(&item, to_lanes.len());
        let replaces = replaces.and_then(|column| Replaces::of(record.get(column)?, command_id));
        let line = Line {
            number,
            kind,
            item,
            command_id,
            json,
            record: record.clone(),
            replaces,
            refused_before: None,
            set_again: false,
        };
        if to_lanes[lane].blocking_send(line).is_err() {
            // The lane has ended and reports why.
            return Ok(());
        }
    }
    Ok(())
}
