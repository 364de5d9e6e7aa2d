//! Refused commands and their resubmissions: each names the other, also across items.

use std::collections::BTreeSet;

use stockline_core::domain::{CommandKey, DeadLetter, Record, Status, Timestamp};
use stockline_core::ports::StoreError;

use super::super::key::Key;
use super::super::{DynamoStore, row};
use super::scan::Link;
use super::write::{Change, of_record};
use super::{Made, Repair, RepairLine, RepairReport};

impl DynamoStore {
    /// Marks refused commands as resubmitted if their resubmission is there, and takes the mark off if it is not. `made` are
    /// the outcomes that the repair has made, or would make.
    pub(super) async fn repair_links(
        &self,
        links: BTreeSet<Link>,
        repair: Repair,
        made: &Made,
        report: &mut RepairReport,
    ) -> Result<(), StoreError> {
        for (old, new) in links {
            let keys = [&old, &new].map(|key| Key::record(&key.item_id, key.command_id));
            let rows = self.get_many(keys.clone(), true).await;
            let was = rows.row(&keys[0])?.cloned();
            let there = made.records.contains(&new) || rows.row(&keys[1])?.is_some();
            let record = was.as_ref().map(row::record).transpose()?;
            let Some((record, what)) = linked(record, &old, &new, there, repair.restored_at) else { continue };
            let mut line = RepairLine { item_id: old.item_id.clone(), rows: Some(1), what: vec![what] };
            if repair.apply {
                let change = Change::put(of_record(&record, was.as_ref())?, was);
                if let Err(why) = self.write_changes(vec![change]).await? {
                    line = RepairLine { rows: None, what: vec![why], ..line };
                }
            }
            report.add(line);
        }
        Ok(())
    }
}

/// Returns the old command's outcome as it must be, if it is not.
fn linked(
    record: Option<Record>,
    old: &CommandKey,
    new: &CommandKey,
    there: bool,
    now: Timestamp,
) -> Option<(Record, String)> {
    let (id, by) = (old.command_id, new.command_id);
    match record {
        Some(record) if there && record.resubmitted_as.is_none() && record.outcome.status != Status::Applied => {
            let record = Record { resubmitted_as: Some(new.clone()), ..record };
            Some((record, format!("marked {id} as resubmitted as {by}")))
        }
        Some(record) if !there && record.resubmitted_as.as_ref() == Some(new) => {
            let record = Record { resubmitted_as: None, ..record };
            Some((record, format!("took the mark off {id}: its resubmission {by} is lost")))
        }
        // Sent again, it would be judged beside its resubmission.
        None if there => {
            let letter = DeadLetter::of("a restore has lost its outcome; it was resubmitted".into(), String::new());
            let record = Record::dead_letter(None, letter, (old.item_id.clone(), id), now);
            let record = Record { resubmitted_as: Some(new.clone()), ..record };
            Some((record, format!("made the outcome of {id}, which was resubmitted as {by}")))
        }
        _ => None,
    }
}
