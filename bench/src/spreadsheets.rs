//! Measures how long a shop waits for its spreadsheets: imports by the command line, and exports.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use stockline_core::ports::Clock as _;
use stockline_service::SystemClock;
use stockline_sqlite::{DataFolder, SqliteStore};

use crate::prefill;
use crate::server::{Server, stockline_binary};

const COUNTS_S_MAX: f64 = 10.0;
const ITEMS_S_MAX: f64 = 15.0;
const DRY_RUN_S_MAX: f64 = 2.0;
const EXPORT_ROWS_PER_S_MIN: f64 = 200_000.0;
const EXPORT_MB_MAX: f64 = 64.0;

/// The locations with opening stock.
const SHOPS: [&str; 3] = ["shop-1", "shop-2", "shop-3"];

/// Options of `spreadsheets`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SpreadsheetsOptions {
    /// Items of the file with opening stock at three locations
    #[arg(long, default_value_t = 30_000)]
    items: usize,
    /// Lines of the file of counts
    #[arg(long, default_value_t = 20_000)]
    counts: usize,
    /// Lines of the file that is only judged
    #[arg(long, default_value_t = 100_000)]
    judged: usize,
    /// Movements that are exported
    #[arg(long, default_value_t = 10_000_000)]
    movements: usize,
}

/// One figure and its target.
struct Figure {
    what: String,
    is: f64,
    unit: &'static str,
    target: f64,
    /// Whether the figure must be at least the target, not at most.
    at_least: bool,
}

/// Measures all of it, and fails if a target is missed.
pub(crate) async fn run(options: &SpreadsheetsOptions) -> Result<()> {
    let mut missed = false;
    for Figure { what, is, unit, target, at_least } in measure(options).await? {
        let met = if at_least { is >= target } else { is <= target };
        missed |= !met;
        let (sign, verdict) = (if at_least { '≥' } else { '≤' }, if met { "met" } else { "MISSED" });
        println!("{what:<48} {is:>12.1} {unit} ({sign} {target}) {verdict}");
    }
    if missed {
        bail!("a target was missed");
    }
    Ok(())
}

async fn measure(options: &SpreadsheetsOptions) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut figures = imports(folder.path(), &data, options)?;
    let exported = folder.path().join("exported");
    drop(Server::start(&exported)?);
    {
        let of = DataFolder::open(&exported)?;
        let store = SqliteStore::open(&of.stock_db(), Default::default(), &Default::default())?;
        prefill::fill(&store, 1_000, options.movements, SystemClock.now()).await?;
    }
    figures.extend(export(&exported)?);
    Ok(figures)
}

/// Runs `stockline` on the folder, and returns the seconds that it took.
fn timed(data: &Path, words: &[&str]) -> Result<f64> {
    let began = Instant::now();
    let output = Command::new(stockline_binary()?).args(words).arg("--data").arg(data).output()?;
    if !output.status.success() {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        bail!("{words:?}: {}{}", text(&output.stdout), text(&output.stderr));
    }
    Ok(began.elapsed().as_secs_f64())
}

fn imports(folder: &Path, data: &Path, options: &SpreadsheetsOptions) -> Result<Vec<Figure>> {
    let server = Server::start(data)?;
    for shop in SHOPS {
        timed(data, &["locations", "put", shop, "--name", shop])?;
    }
    let file = |name: &str, text: String| -> Result<String> {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let mut items = String::from("item_id,name,unit_cost,on_hand:shop-1,on_hand:shop-2,on_hand:shop-3\n");
    for n in 0..options.items {
        let _ = writeln!(items, "item-{n},Thing number {n},0.41,{},{},{}", 10 + n % 7, 20 + n % 11, 30 + n % 13);
    }
    let items = file("items.csv", items)?;
    let mut counts = String::from("item_id,location_id,counted\n");
    for n in 0..options.counts {
        let _ = writeln!(counts, "item-{},{},{}", n % options.items, SHOPS[n / options.items % SHOPS.len()], n % 50);
    }
    let counts = file("counts.csv", counts)?;
    let mut judged = String::from("item_id,name,category,unit_cost\n");
    for n in 0..options.judged {
        let _ = writeln!(judged, "new-{n},New thing {n},things,1.20");
    }
    let judged = file("judged.csv", judged)?;
    let at_most = |what: String, is, target| Figure { what, is, unit: "s", target, at_least: false };
    let figures = vec![
        at_most(
            format!("{} items with opening stock at 3 locations", options.items),
            timed(data, &["import", "items", &items, "--apply"])?,
            ITEMS_S_MAX,
        ),
        at_most(
            format!("{} counts applied", options.counts),
            timed(data, &["import", "counts", &counts, "--apply"])?,
            COUNTS_S_MAX,
        ),
        at_most(
            format!("dry run of {} lines", options.judged),
            timed(data, &["import", "items", &judged])?,
            DRY_RUN_S_MAX,
        ),
    ];
    server.stop()?;
    Ok(figures)
}

/// Exports all movements, and looks at the server's memory meanwhile.
fn export(data: &Path) -> Result<Vec<Figure>> {
    let server = Server::start(data)?;
    let before = server.rss_mb();
    let file = data.with_extension("csv");
    let began = Instant::now();
    let mut child = Command::new(stockline_binary()?)
        .args(["export", "movements", "--output"])
        .arg(&file)
        .arg("--data")
        .arg(data)
        .stdout(Stdio::null())
        .spawn()?;
    let mut most = before;
    let status = loop {
        most = most.max(server.rss_mb());
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let elapsed_s = began.elapsed().as_secs_f64();
    if !status.success() {
        bail!("the export ended with {status}");
    }
    let rows = {
        use std::io::BufRead as _;
        std::io::BufReader::new(std::fs::File::open(&file)?).lines().count().saturating_sub(1)
    };
    server.stop()?;
    Ok(vec![
        Figure {
            what: format!("export of {rows} movements"),
            is: rows as f64 / elapsed_s,
            unit: "rows/s",
            target: EXPORT_ROWS_PER_S_MIN,
            at_least: true,
        },
        Figure {
            what: "memory that it takes".into(),
            is: most - before,
            unit: "MB",
            target: EXPORT_MB_MAX,
            at_least: false,
        },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_spreadsheets_go_in_and_movements_out() {
        let options = SpreadsheetsOptions { items: 40, counts: 30, judged: 50, movements: 4_000 };
        let figures = measure(&options).await.unwrap();
        assert!(figures.iter().all(|figure| figure.is >= 0.0 && figure.is.is_finite()));
        assert!(figures[3].what.starts_with("export of ") && figures[3].is > 0.0);
    }
}
