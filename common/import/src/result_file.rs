//! The lines that took no effect, as a file that can be corrected and imported again.

use crate::table::Table;

/// The columns that a result file has before those of the original file: the line, why, and what to do. An import leaves
/// them out.
pub const OWN_COLUMNS: [&str; 4] = ["stockline_line", "stockline_code", "stockline_detail", "stockline_remedy"];

/// Writes lines with their reasons as CSV (UTF-8, commas). `lines` are places in the table with code, detail and remedy.
pub fn result_file<'a>(table: &Table, lines: impl IntoIterator<Item = (usize, &'a str, &'a str, &'a str)>) -> Vec<u8> {
    let kept: Vec<usize> = (0..table.headings.len())
        .filter(|index| table.headings.get(*index).is_none_or(|heading| !OWN_COLUMNS.contains(&heading.as_str())))
        .collect();
    let mut out = csv::Writer::from_writer(Vec::new());
    let heading = |index: &usize| table.headings.get(*index).map_or("", String::as_str);
    // Writing to memory can't fail, and every record has as many cells.
    let _ = out.write_record(OWN_COLUMNS.into_iter().chain(kept.iter().map(heading)));
    for (index, code, detail, remedy) in lines {
        let Some(row) = table.row(index) else { continue };
        let line = row.line().to_string();
        let own = [line.as_str(), code, detail, remedy];
        let _ = out.write_record(own.into_iter().chain(kept.iter().map(|column| row.cell(*column))));
    }
    out.into_inner().unwrap_or_default()
}
