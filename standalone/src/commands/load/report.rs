//! The result of a load: its tally, the refused lines as CSV, and the summary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use serde_json::json;
use stockline_core::domain::{CommandId, ItemId, Timestamp};
use stockline_service::output;

use crate::exit::{self, Usage};
use crate::files;
use crate::when::{Times, UtcArg};

/// The most refused lines: more of them mean that the mapping is wrong, not the lines.
pub(super) const MAX_REFUSED: usize = 200_000;

/// The columns that a refused file has before those of the original file. Their names are no shop's own.
pub(super) const OWN_COLUMNS: [&str; 5] =
    ["stockline_line", "stockline_code", "stockline_detail", "stockline_command_id", "stockline_resubmits"];
/// The places of the command id, and of the refused command that it replaces, in [`OWN_COLUMNS`].
pub(super) const COMMAND_ID: usize = 3;
pub(super) const RESUBMITS: usize = 4;

/// A refused command that a line replaces: its id and its item, as the refused file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replaces {
    pub(super) command_id: CommandId,
    pub(super) item_id: ItemId,
}

impl std::fmt::Display for Replaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.command_id, self.item_id)
    }
}

impl Replaces {
    /// Reads the cell of a line. The line's id must be the one of this resubmission.
    pub(super) fn of(cell: &[u8], command_id: CommandId) -> Option<Self> {
        let (old, item_id) = str::from_utf8(cell).ok()?.trim().split_once(' ')?;
        let replaces = Self { command_id: old.parse().ok()?, item_id: item_id.parse().ok()? };
        (replaces.command_id.of_resubmission(&replaces.item_id) == command_id).then_some(replaces)
    }
}

/// A line that took no effect.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) line: u64,
    /// When it was accepted, if that was before this run.
    pub(super) earlier: Option<Timestamp>,
    pub(super) code: String,
    pub(super) detail: String,
    pub(super) command_id: CommandId,
    pub(super) replaces: Option<Replaces>,
    pub(super) record: csv::ByteRecord,
}

/// The outcomes of the lines so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Lines that took effect in this run.
    pub(super) applied: u64,
    /// Lines of `applied` that occurred before a count, so that the stock did not change.
    pub(super) late: u64,
    /// Lines of `applied` whose time was in the future, so that the time of their acceptance was taken.
    pub(super) clock_ahead: u64,
    /// Lines of `applied` that are counts with movements after them, which were kept.
    pub(super) kept_later: u64,
    /// Lines of `applied` that took effect before this run too, and something else was set since.
    pub(super) set_again: u64,
    /// Lines that their type left out.
    pub(super) skipped: u64,
    /// Lines that took effect before this run: their ids were known.
    pub(super) already_applied: u64,
    /// When the first and the last of them were accepted.
    pub(super) already_between: Option<(Timestamp, Timestamp)>,
    /// The files that were loaded then, as far as they are known.
    pub(super) already_by: Vec<String>,
    /// Lines that `--distinct` left out.
    pub(super) repeated: u64,
    /// Lines that took no effect.
    pub(super) refused: Vec<Refused>,
}

impl Tally {
    /// Counts a line that took effect before this run.
    pub(super) fn count_earlier(&mut self, at: Timestamp) {
        self.already_applied += 1;
        let (first, last) = self.already_between.unwrap_or((at, at));
        self.already_between = Some((first.min(at), last.max(at)));
    }

    /// Returns the number of lines whose outcome is known.
    pub(super) fn settled(&self) -> u64 {
        self.applied + self.already_applied + self.repeated + self.refused.len() as u64
    }
}

/// How a load is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// Whether a line that took effect earlier may be meant as another event: a count whose id names none.
    pub(super) may_be_another: bool,
    /// Whether every line sets something, so that a line that changes nothing is as it should be.
    pub(super) sets: bool,
    /// Whether it is told to a program.
    pub(super) as_json: bool,
}

/// The file for refused lines.
#[derive(Debug)]
pub(super) struct RefusedFile {
    path: PathBuf,
    /// The path was named, so that the file is replaced.
    named: bool,
}

impl RefusedFile {
    /// Chooses the named file, or a file beside the input, or in the current folder if the input's folder is read-only.
    /// Fails before anything is sent if the file can't be written.
    pub(super) fn choose(named: Option<&Path>, input: &Path) -> anyhow::Result<Self> {
        if let Some(path) = named {
            if path == input {
                bail!(Usage("--refused names the file that is loaded: choose another".into()));
            }
            try_write(path).with_context(|| format!("--refused: can't write {}", path.display()))?;
            return Ok(Self { path: path.to_owned(), named: true });
        }
        let name = match input.to_str() {
            Some("-") => "stdin".into(),
            _ => input.file_name().unwrap_or_default().to_string_lossy(),
        };
        let stem = name.strip_suffix(".gz").unwrap_or(&name);
        let stem = stem.strip_suffix(".csv").unwrap_or(stem);
        let name = format!("{}.refused.csv", stem.strip_suffix(".refused").unwrap_or(stem));
        for path in [input.with_file_name(&name), PathBuf::from(&name)] {
            if try_write(&path).is_ok() {
                return Ok(Self { path, named: false });
            }
        }
        bail!(Usage(format!("can't write {name}, the file for refused lines: choose another with --refused")))
    }

    /// Writes the refused lines in order: number, code, detail, command id, what it replaces, then the original line.
    /// Returns the path.
    pub(super) fn write(&self, headers: &csv::ByteRecord, refused: &[Refused]) -> anyhow::Result<PathBuf> {
        files::write_beside(&self.path, self.named, &content(headers, refused)?)
    }
}

fn content(headers: &csv::ByteRecord, refused: &[Refused]) -> anyhow::Result<Vec<u8>> {
    // What is loaded may be a refused file itself.
    let kept: Vec<usize> = (0..headers.len())
        .filter(|index| OWN_COLUMNS.iter().all(|own| headers.get(*index) != Some(own.as_bytes())))
        .collect();
    let original = |record: &csv::ByteRecord| -> Vec<Vec<u8>> {
        kept.iter().map(|index| record.get(*index).unwrap_or_default().to_vec()).collect()
    };
    let mut out = csv::Writer::from_writer(Vec::new());
    let own = OWN_COLUMNS.iter().map(|name| name.as_bytes().to_vec());
    out.write_record(own.chain(original(headers)))?;
    for entry in refused {
        let replaces = entry.replaces.as_ref().map(ToString::to_string).unwrap_or_default();
        let id = entry.command_id.to_string();
        let own = [entry.line.to_string(), entry.code.clone(), entry.detail.clone(), id, replaces];
        out.write_record(own.into_iter().map(String::into_bytes).chain(original(&entry.record)))?;
    }
    Ok(out.into_inner()?)
}

fn try_write(path: &Path) -> std::io::Result<()> {
    let probe = files::beside(path, "probe");
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(&probe)
}

/// Writes the refused lines, prints the summary and returns the exit code.
pub(super) fn report(
    tally: &mut Tally,
    lines: u64,
    took: Duration,
    headers: &csv::ByteRecord,
    file: &RefusedFile,
    told: Told,
) -> anyhow::Result<u8> {
    tally.refused.sort_by_key(|refused| refused.line);
    let written = if tally.refused.is_empty() { None } else { Some(file.write(headers, &tally.refused)?) };
    let unknown = lines.saturating_sub(tally.settled());
    let nothing_new = tally.applied == 0 && tally.already_applied > 0 && tally.refused.is_empty() && unknown == 0;
    // They may be those of another day: nobody can tell.
    let unnamed = told.may_be_another && tally.already_applied > 0;
    if told.as_json {
        print_json(tally, lines, unknown, took)?;
    } else {
        print_table(tally, lines, unknown, took, written.as_deref())?;
        if nothing_new && told.sets {
            output::line("nothing of this file is new: the items are as it says")?;
        } else if nothing_new {
            output::line("nothing of this file is new: every id took effect before this run")?;
        } else if unnamed {
            let (count, noun) = (grouped(tally.already_applied), noun(tally.already_applied));
            output::line(format_args!("{count} {noun} changed nothing: the same took effect before this run"))?;
        }
        if (nothing_new && !told.sets) || unnamed {
            output::line("if these are other events, name them: --batch NAME, such as --batch 2026-11-20")?;
        }
    }
    Ok(if !tally.refused.is_empty() {
        exit::FOUND
    } else if nothing_new || unnamed {
        exit::NOTHING_NEW
    } else {
        exit::OK
    })
}

fn print_json(tally: &Tally, lines: u64, unknown: u64, took: Duration) -> anyhow::Result<()> {
    let mut codes: BTreeMap<&str, u64> = BTreeMap::new();
    for refused in &tally.refused {
        *codes.entry(&refused.code).or_default() += 1;
    }
    let summary = json!({
        "lines": lines,
        "applied": tally.applied,
        "late": tally.late,
        "clock_ahead": tally.clock_ahead,
        "kept_later": tally.kept_later,
        "set_again": tally.set_again,
        "skipped": tally.skipped,
        "already_applied": tally.already_applied,
        "already_applied_by": tally.already_by,
        "repeated": tally.repeated,
        "refused": tally.refused.len(),
        "refused_earlier": tally.refused.iter().filter(|refused| refused.earlier.is_some()).count(),
        "refused_by_code": codes,
        "unknown": unknown,
        "seconds": (took.as_secs_f64() * 1_000.0).round() / 1_000.0,
    });
    output::json(&summary)?;
    Ok(())
}

fn print_table(tally: &Tally, lines: u64, unknown: u64, took: Duration, written: Option<&Path>) -> anyhow::Result<()> {
    let per_second = grouped((lines as f64 / took.as_secs_f64().max(0.001)) as u64);
    output::line(format_args!(
        "{} {} in {:.1} s ({per_second} lines/s)",
        grouped(lines),
        noun(lines),
        took.as_secs_f64()
    ))?;
    let row = |what: &str, count: u64, always: bool| {
        if count == 0 && !always {
            return Ok(());
        }
        output::line(format_args!("  {what:<16} {:>12}", grouped(count)))
    };
    row("applied", tally.applied, true)?;
    for (count, what) in [
        (tally.late, "late: a later count had included them, the stock did not change"),
        (tally.clock_ahead, "in the future: the time of their acceptance was taken"),
        (tally.kept_later, "counts of an earlier time: the movements since then were kept"),
        (tally.set_again, "set again: they took effect earlier, and something else was set since"),
    ] {
        if count > 0 {
            output::line(format_args!("    {} of them {what}", grouped(count)))?;
        }
    }
    row("already applied", tally.already_applied, true)?;
    if let Some((first, last)) = tally.already_between {
        let by =
            if tally.already_by.is_empty() { String::new() } else { format!(", by {}", tally.already_by.join(", ")) };
        output::line(format_args!("    accepted {}{by}", between(first, last)))?;
    }
    row("repeated", tally.repeated, false)?;
    row("left out", tally.skipped, false)?;
    let (earlier, now): (Vec<&Refused>, Vec<&Refused>) =
        tally.refused.iter().partition(|refused| refused.earlier.is_some());
    row("refused", now.len() as u64, true)?;
    print_codes(&now)?;
    row("refused earlier", earlier.len() as u64, false)?;
    print_codes(&earlier)?;
    let times = earlier.iter().filter_map(|refused| refused.earlier);
    if let (Some(first), Some(last)) = (times.clone().min(), times.max()) {
        output::line(format_args!("    accepted {}; an outcome is final for its id", between(first, last)))?;
        output::line("    when the cause is mended: stockline refused --resubmit, or load the refused file")?;
    }
    row("not known", unknown, false)?;
    if let Some(path) = written {
        output::line(format_args!("the refused lines are in {}", path.display()))?;
    }
    Ok(())
}

fn print_codes(refused: &[&Refused]) -> anyhow::Result<()> {
    let mut by_code: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    for refused in refused {
        by_code.entry(&refused.code).or_insert((0, &refused.detail)).0 += 1;
    }
    for (code, (count, detail)) in &by_code {
        output::line(format_args!("    {code} {}: {}", grouped(*count), detail))?;
    }
    Ok(())
}

fn between(first: Timestamp, last: Timestamp) -> String {
    let times = Times::of(UtcArg::default());
    let [first, last] = [first, last].map(|time| times.second(&time.to_string()));
    if first == last { first } else { format!("between {first} and {last}") }
}

const fn noun(lines: u64) -> &'static str {
    if lines == 1 { "line" } else { "lines" }
}

/// Formats `1234567` as `1,234,567`.
pub(in crate::commands) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Creates a progress bar; it is invisible unless standard error is a terminal.
pub(in crate::commands) fn bar(total: u64, what: &'static str, bytes: bool) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let counts = if bytes { "{bytes}/{total_bytes}" } else { "{human_pos}/{human_len}  {per_sec}  {eta}" };
    let template = format!("{{msg:>10}} {{wide_bar}} {counts}");
    if let Ok(style) = indicatif::ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_lines_are_written_in_order_with_their_reasons() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("sales.csv.gz");
        let file = RefusedFile::choose(None, &input).unwrap();
        assert_eq!(file.path, folder.path().join("sales.refused.csv"));
        let id: CommandId = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b".parse().unwrap();
        let refused = |line: u64| Refused {
            line,
            earlier: None,
            code: "invalid_value".into(),
            detail: "/quantity must be above 0, not 0".into(),
            command_id: id,
            replaces: None,
            record: csv::ByteRecord::from(vec!["a,b", "0"]),
        };
        let mut tally = Tally { refused: vec![refused(7), refused(3)], ..Tally::default() };
        let headers = csv::ByteRecord::from(vec!["item", "quantity"]);
        let code = report(
            &mut tally,
            2,
            Duration::from_secs(1),
            &headers,
            &file,
            Told { may_be_another: false, sets: false, as_json: true },
        )
        .unwrap();
        assert_eq!(code, exit::FOUND);
        let text = std::fs::read_to_string(&file.path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "stockline_line,stockline_code,stockline_detail,stockline_command_id,stockline_resubmits,item,quantity"
        );
        assert_eq!(lines[1], format!("3,invalid_value,\"/quantity must be above 0, not 0\",{id},,\"a,b\",0"));
        assert!(lines[2].starts_with("7,"));

        assert_eq!(file.write(&headers, &tally.refused).unwrap(), file.path, "the same lines need no second file");
        std::fs::write(&file.path, "being mended").unwrap();
        let second = file.write(&headers, &tally.refused).unwrap();
        assert_eq!(second, folder.path().join("sales.refused-2.csv"));
        assert_eq!(std::fs::read_to_string(&file.path).unwrap(), "being mended");
        let own = csv::ByteRecord::from(OWN_COLUMNS.to_vec());
        let again: csv::ByteRecord = own.iter().chain(headers.iter()).collect();
        let record: csv::ByteRecord = ["3", "x", "y", "z", "r", "a,b", "0"].into_iter().collect();
        let lines = content(&again, &[Refused { record, ..refused(3) }]).unwrap();
        assert_eq!(lines, content(&headers, &[refused(3)]).unwrap(), "own columns are not repeated");
    }

    #[test]
    fn the_file_of_a_refused_file_and_of_standard_input_have_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let name = |input: &str| {
            let file = RefusedFile::choose(None, &folder.path().join(input)).unwrap();
            file.path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(name("sales.refused.csv"), "sales.refused.csv");
        assert_eq!(name("x.txt"), "x.txt.refused.csv");
        let input = folder.path().join("x.csv");
        assert!(RefusedFile::choose(Some(&input), &input).is_err());
    }

    #[test]
    fn a_place_that_cant_be_written_is_found_before_anything_is_sent() {
        let missing = Path::new("/nonexistent/refused.csv");
        assert!(RefusedFile::choose(Some(missing), Path::new("x.csv")).is_err());
    }

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 148_193, 1_234_567].map(grouped), ["0", "999", "1,000", "148,193", "1,234,567"]);
    }
}
