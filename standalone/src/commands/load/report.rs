//! The result of a load: its tally, the refused lines as CSV, and the summary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use serde_json::json;
use stockline_core::domain::CommandId;
use stockline_service::output;

use crate::exit::{self, Usage};
use crate::files::{self, PUBLIC};

/// The most refused lines: more of them mean that the mapping is wrong, not the lines.
pub(super) const MAX_REFUSED: usize = 200_000;

/// A line that took no effect.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) line: u64,
    pub(super) code: String,
    pub(super) detail: String,
    pub(super) command_id: CommandId,
    pub(super) record: csv::ByteRecord,
}

/// The outcomes of the lines so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Lines that took effect in this run.
    pub(super) applied: u64,
    /// Lines that took effect before this run: their ids were known.
    pub(super) already_applied: u64,
    /// Lines that `--distinct` left out.
    pub(super) repeated: u64,
    /// Lines that took no effect.
    pub(super) refused: Vec<Refused>,
}

impl Tally {
    /// Returns the number of lines whose outcome is known.
    pub(super) fn settled(&self) -> u64 {
        self.applied + self.already_applied + self.repeated + self.refused.len() as u64
    }
}

/// The file for refused lines.
#[derive(Debug)]
pub(super) struct RefusedFile(pub(super) PathBuf);

impl RefusedFile {
    /// Chooses the named file, or a file beside the input, or in the current folder if the input's folder is read-only.
    /// Fails before anything is sent if the file can't be written.
    pub(super) fn choose(named: Option<&Path>, input: &Path) -> anyhow::Result<Self> {
        if let Some(path) = named {
            try_write(path).with_context(|| format!("--refused: can't write {}", path.display()))?;
            return Ok(Self(path.to_owned()));
        }
        let name = input.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(".gz").unwrap_or(&name);
        let name = format!("{}.refused.csv", stem.strip_suffix(".csv").unwrap_or(stem));
        for path in [input.with_file_name(&name), PathBuf::from(&name)] {
            if try_write(&path).is_ok() {
                return Ok(Self(path));
            }
        }
        bail!(Usage(format!("can't write {name}, the file for refused lines: choose another with --refused")))
    }

    /// Writes the refused lines in order: number, code, detail, command id, then the original line.
    pub(super) fn write(&self, headers: &csv::ByteRecord, refused: &[Refused]) -> anyhow::Result<()> {
        files::replace_atomic(&self.0, PUBLIC, |file| {
            let mut out = csv::Writer::from_writer(std::io::BufWriter::new(file));
            let own: [&[u8]; 4] = [b"line", b"code", b"detail", b"command_id"];
            out.write_byte_record(&own.into_iter().chain(headers).collect())?;
            for entry in refused {
                let (line, id) = (entry.line.to_string(), entry.command_id.to_string());
                let own = [line.as_bytes(), entry.code.as_bytes(), entry.detail.as_bytes(), id.as_bytes()];
                out.write_byte_record(&own.into_iter().chain(&entry.record).collect())?;
            }
            out.flush()?;
            Ok(())
        })
    }
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
    as_json: bool,
) -> anyhow::Result<u8> {
    tally.refused.sort_by_key(|refused| refused.line);
    if !tally.refused.is_empty() || file.0.exists() {
        file.write(headers, &tally.refused)?;
    }
    let mut by_code: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    for refused in &tally.refused {
        by_code.entry(&refused.code).or_insert((0, &refused.detail)).0 += 1;
    }
    let unknown = lines.saturating_sub(tally.settled());
    if as_json {
        let codes: BTreeMap<_, _> = by_code.iter().map(|(code, (count, _))| (*code, *count)).collect();
        let summary = json!({
            "lines": lines,
            "applied": tally.applied,
            "already_applied": tally.already_applied,
            "repeated": tally.repeated,
            "refused": tally.refused.len(),
            "refused_by_code": codes,
            "unknown": unknown,
            "seconds": (took.as_secs_f64() * 1_000.0).round() / 1_000.0,
        });
        output::line(serde_json::to_string_pretty(&summary)?)?;
    } else {
        let per_second = lines as f64 / took.as_secs_f64().max(0.001);
        output::line(format_args!(
            "{} lines in {:.1} s ({} lines/s)",
            grouped(lines),
            took.as_secs_f64(),
            grouped(per_second as u64)
        ))?;
        let row = |what: &str, count: u64, always: bool| {
            if count == 0 && !always {
                return Ok(());
            }
            output::line(format_args!("  {what:<16} {:>12}", grouped(count)))
        };
        row("applied", tally.applied, true)?;
        row("already applied", tally.already_applied, true)?;
        row("repeated", tally.repeated, false)?;
        row("refused", tally.refused.len() as u64, true)?;
        row("not known", unknown, false)?;
        for (code, (count, detail)) in &by_code {
            output::line(format_args!("    {code} {}: {detail}", grouped(*count)))?;
        }
        if !tally.refused.is_empty() {
            output::line(format_args!("the refused lines are in {}", file.0.display()))?;
        }
    }
    Ok(if tally.refused.is_empty() { exit::OK } else { exit::FOUND })
}

/// Formats `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
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
pub(super) fn bar(total: u64, what: &'static str, bytes: bool) -> ProgressBar {
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
        assert_eq!(file.0, folder.path().join("sales.refused.csv"));
        let id: CommandId = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b".parse().unwrap();
        let refused = |line: u64| Refused {
            line,
            code: "invalid_value".into(),
            detail: "/quantity must be above 0, not 0".into(),
            command_id: id,
            record: csv::ByteRecord::from(vec!["a,b", "0"]),
        };
        let mut tally = Tally { refused: vec![refused(7), refused(3)], ..Tally::default() };
        let headers = csv::ByteRecord::from(vec!["item", "quantity"]);
        let code = report(&mut tally, 2, Duration::from_secs(1), &headers, &file, true).unwrap();
        assert_eq!(code, exit::FOUND);
        let text = std::fs::read_to_string(&file.0).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "line,code,detail,command_id,item,quantity");
        assert_eq!(lines[1], format!("3,invalid_value,\"/quantity must be above 0, not 0\",{id},\"a,b\",0"));
        assert!(lines[2].starts_with("7,"));
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
