//! Target: a CSV file, as `stockline load` reads it.

use std::cell::RefCell;

use indicatif::ProgressBar;
use stockline::lines::format::{Decimal, Format};
use stockline::lines::kinds::Kinds;
use stockline::lines::mapping::{self, Mapping};
use stockline::lines::recipe::{NAMESPACE, Part, Recipe};
use stockline::lines::source;
use stockline_core::domain::{CommandKind, Json, ParseContext, parse_command};
use tempfile::NamedTempFile;

use crate::faults;

pub(crate) fn run(bytes: &[u8]) -> bool {
    thread_local!(static FILE: RefCell<NamedTempFile> = RefCell::new(NamedTempFile::new().unwrap()));
    FILE.with_borrow(|file| {
        std::fs::write(file.path(), bytes).unwrap();
        read(file.path()).unwrap_or_else(|error| {
            assert!(!format!("{error:#}").is_empty());
            false
        })
    })
}

/// Returns whether a line became a command. A faulty file is an error and is never read in part.
fn read(path: &std::path::Path) -> Result<bool, Box<dyn std::error::Error>> {
    let (headers, _) = source::open(path, None)?;
    let names: Vec<_> = headers.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let fields = ["item_id", "quantity", "location_id", "occurred_at", "note", "type"];
    let map: Vec<_> = fields.iter().zip(&names).map(|(field, name)| format!("{field}={name}")).collect();
    let zone = (headers.len() % 2 == 0).then(|| mapping::zone("Europe/Berlin").unwrap());
    let decimal = (headers.len() % 3 == 0).then_some(Decimal::Comma);
    let format = Format { zone, decimal, date_means: None };
    let kinds = Kinds::from(CommandKind::Sell).with_negative(Some(CommandKind::Return))?;
    let kinds = kinds.with_words(&["V=skip".to_owned(), "R=return".to_owned()])?;
    let mut mapping = Mapping::new(kinds, &map, &[], format, &headers)?;
    let parts: Vec<_> = (0..headers.len()).map(Part::Column).chain([Part::Occurrence]).collect();
    let mut recipe = Recipe::new(NAMESPACE, parts);
    let scan = source::scan(path, &mapping, recipe.clone(), &ProgressBar::hidden())?;
    assert_eq!((scan.repeated_count, scan.repeated.len()), (0, 0), "repeated lines differ by their number");

    // The second pass must not find new faults.
    let (_, mut lines) = source::open(path, None)?;
    let (mut record, mut count, mut commands) = (csv::ByteRecord::new(), 0, 0);
    while source::next(path, &mut lines, &mut record).expect("the first pass read it").is_some() {
        let mut body = Vec::new();
        let Some(kind) = mapping.kind(&record).expect("the first pass knew each word") else { continue };
        let command_id = recipe.next(kind, &record);
        mapping.write(kind, &record, command_id, &mut body);
        let json: Json<'_> = serde_json::from_slice(&body).expect("a line becomes JSON, whatever is in its cells");
        match parse_command(&json, &ParseContext::submitted()) {
            Ok(command) => {
                assert_eq!(command.item_id.as_str(), mapping.item(&record));
                assert_eq!(command.command_id, command_id);
                commands += 1;
            }
            Err(found) => faults::check(&json, "", &found),
        }
        count += 1;
    }
    assert_eq!(count, scan.lines);
    Ok(commands > 0)
}
