//! `import`: has the server judge a spreadsheet, shows what it found, and applies it if asked to.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::Value;
use stockline_service::output;

use crate::args::ImportArgs;
use crate::client::{Client, Request};
use crate::commands::load::report;
use crate::exit::{self, Usage};
use crate::files;
use crate::problem::Problem;

mod show;

/// The most bytes of a file; the server has a bound of its own.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// How often the server is asked how far it is.
const POLL: Duration = Duration::from_millis(200);
/// How often a server that has forgotten the import gets its file again.
const POSTED_AGAIN_MAX: u32 = 20;
/// Faults and lines that are asked for.
const SHOWN: usize = 1_000;

/// An import, as the server answers it.
#[derive(Debug, Deserialize)]
struct Import {
    import_id: String,
    status: String,
    why: Option<String>,
    totals: Totals,
    #[serde(default)]
    faults_total: usize,
    progress: Progress,
}

#[derive(Debug, Deserialize)]
struct Totals {
    faulty: usize,
    steps: usize,
}

#[derive(Debug, Deserialize)]
struct Progress {
    steps: u64,
    done: u64,
    refused: u64,
}

/// The file and how it is posted.
struct Posted<'a> {
    client: &'a Client,
    args: &'a ImportArgs,
    request: Request,
}

/// Runs `stockline import`.
pub(crate) async fn import(args: ImportArgs) -> anyhow::Result<u8> {
    let Some(file) = args.file.clone() else {
        return print_template(&args);
    };
    let bytes = read(&file)?;
    let client = Client::new(&args.client)?;
    let posted = Posted { client: &client, args: &args, request: request(&args, &file, bytes) };
    let (mut import, mut body) = posted.post().await?;
    if !args.json {
        show::plan(&body, args.apply)?;
    }
    let has_faults = import.faults_total > 0;
    if args.apply && (!has_faults || args.skip_faulty) && import.totals.steps > 0 {
        (import, body) = posted.apply(import).await?;
        if !args.json {
            show::result(&body)?;
        }
    }
    if args.json {
        output::json(&body)?;
    }
    let found = import.totals.faulty > 0 || import.progress.refused > 0;
    if found {
        let path = posted.write_result(&import, &file).await?;
        if !args.json {
            output::line(format_args!(
                "lines with faults: {}; correct them there and import that file",
                path.display()
            ))?;
        }
    }
    if import.status == "stopped" {
        bail!("the import stopped: {}", import.why.unwrap_or_default());
    }
    if !args.json && !args.apply && !has_faults && import.totals.steps > 0 {
        output::line("nothing was changed; to apply it, run the same command with --apply")?;
    }
    Ok(if found || has_faults { exit::FOUND } else { exit::OK })
}

fn print_template(args: &ImportArgs) -> anyhow::Result<u8> {
    let kind = args.kind.as_str().parse::<stockline_import::Kind>().map_err(Usage)?;
    output::print(stockline_import::template(kind))?;
    Ok(exit::OK)
}

/// Reads the whole file, unpacked if it is gzip.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let at = || format!("can't read {}", path.display());
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(FILE_BYTES_MAX).read_to_end(&mut bytes).with_context(at)?;
    } else {
        let file = std::fs::File::open(path).with_context(at)?;
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).with_context(at)?;
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        MultiGzDecoder::new(bytes.as_slice()).take(FILE_BYTES_MAX).read_to_end(&mut plain).with_context(at)?;
        bytes = plain;
    }
    Ok(bytes)
}

fn request(args: &ImportArgs, file: &Path, bytes: Vec<u8>) -> Request {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
    let decimal = args.decimal.as_deref().map(|mark| match mark {
        "." => "point",
        "," => "comma",
        other => other,
    });
    let mut request = Request::file("/v1/imports", bytes)
        .query("type", Some(args.kind.as_str()))
        .query("file", name)
        .query("ignore_unknown", args.ignore_unknown.then_some("true"))
        .query("decimal", decimal)
        .query("delimiter", args.delimiter.as_ref())
        .query("sheet", args.sheet.as_ref())
        .query("location_id", args.location_id.as_ref())
        .query("time_zone", args.time_zone.as_ref())
        .query("date_means", args.date_means.as_ref())
        .query("batch", args.batch.as_ref())
        .query("show", Some(SHOWN));
    for map in &args.map {
        request = request.query("map", Some(map));
    }
    for place in &args.place {
        request = request.query("place", Some(place));
    }
    request
}

impl Posted<'_> {
    async fn post(&self) -> anyhow::Result<(Import, Value)> {
        self.send(&self.request).await
    }

    async fn send(&self, request: &Request) -> anyhow::Result<(Import, Value)> {
        let body = self.client.send_until(request, self.args.retry_for.0).await?.body;
        let import =
            Import::deserialize(&body).context("the server's answer can't be read: is it a Stockline server?")?;
        Ok((import, body))
    }

    /// Applies the import and waits for its end. If the server has started anew, it gets the file again, and goes on where
    /// it was.
    async fn apply(&self, planned: Import) -> anyhow::Result<(Import, Value)> {
        let bar = report::bar(planned.totals.steps as u64, "importing", false);
        let mut import = planned;
        for _ in 0..POSTED_AGAIN_MAX {
            match self.apply_here(&import.import_id, &bar).await {
                Err(error) if is_forgotten(&error) => (import, _) = self.post().await?,
                done => {
                    bar.finish_and_clear();
                    return done;
                }
            }
        }
        bar.finish_and_clear();
        bail!("the server forgets the import again and again: is it restarting?")
    }

    async fn apply_here(&self, id: &str, bar: &indicatif::ProgressBar) -> anyhow::Result<(Import, Value)> {
        let apply = Request::post(format!("/v1/imports/{id}/apply"), "")
            .query("faulty", self.args.skip_faulty.then_some("skip"));
        let (mut import, mut body) = self.send(&apply).await?;
        while import.status == "applying" {
            bar.set_length(import.progress.steps);
            bar.set_position(import.progress.done);
            tokio::time::sleep(POLL).await;
            let ask = Request::get(format!("/v1/imports/{id}")).query("show", Some(SHOWN));
            (import, body) = self.send(&ask).await?;
        }
        Ok((import, body))
    }

    /// Writes the lines that have faults or were refused.
    async fn write_result(&self, import: &Import, file: &Path) -> anyhow::Result<PathBuf> {
        let ask = Request::get(format!("/v1/imports/{}/result", import.import_id));
        let bytes = self.client.send_raw(&ask, self.args.retry_for.0).await?.bytes;
        if let Some(path) = &self.args.result {
            return files::write_beside(path, true, &bytes);
        }
        let name = match file.to_str() {
            Some("-") => "stdin".into(),
            _ => file.file_name().unwrap_or_default().to_string_lossy(),
        };
        let stem = name.strip_suffix(".gz").unwrap_or(&name);
        let stem = [".csv", ".tsv", ".txt", ".xlsx"].iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(stem);
        let stem = stem.strip_suffix(".result").unwrap_or(stem);
        files::write_beside(&file.with_file_name(format!("{stem}.result.csv")), false, &bytes)
    }
}

fn is_forgotten(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Problem>().is_some_and(|problem| problem.code == "import_not_found")
}
