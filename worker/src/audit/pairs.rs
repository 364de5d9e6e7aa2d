//! Movements that were taken back: each is marked by exactly the reversal that names it.

use std::collections::HashMap;

use stockline_core::domain::{CommandId, CommandKey, Record, Status};
use stockline_core::ports::StoreError;

use super::Audit;

/// What the second pass learns of one movement. A pair that agrees is forgotten.
#[derive(Debug, Default)]
pub(super) struct Pairs(HashMap<CommandKey, Pair>);

#[derive(Debug, Default)]
struct Pair {
    /// The applied reversals that name the movement.
    claimed_by: Vec<CommandId>,
    /// The reversal that the movement's outcome names.
    marked_by: Option<CommandId>,
}

impl Pairs {
    /// Adds an applied command.
    pub(super) fn add(&mut self, record: &Record) {
        let outcome = &record.outcome;
        let of = |command_id| CommandKey { item_id: outcome.item_id.clone(), command_id };
        if let Some(reverses) = outcome.command.as_ref().and_then(|command| command.action.reverses()) {
            self.0.entry(of(reverses)).or_default().claimed_by.push(outcome.command_id);
        }
        if let Some(by) = outcome.reversed_by {
            self.0.entry(of(outcome.command_id)).or_default().marked_by = Some(by);
        }
    }

    /// Forgets the pairs that agree.
    pub(super) fn keep_suspects(&mut self) {
        self.0.retain(|_, pair| pair.marked_by.as_slice() != pair.claimed_by);
    }
}

impl Audit<'_> {
    /// Looks at the suspect pairs once more, as they are now.
    pub(super) async fn examine_pairs(&mut self) -> Result<(), StoreError> {
        for (key, pair) in std::mem::take(&mut self.pairs).0 {
            let CommandKey { item_id, command_id } = &key;
            let names = pair.claimed_by.iter().chain(&pair.marked_by);
            let others = names.map(|by| CommandKey { item_id: item_id.clone(), command_id: *by });
            let keys: Vec<_> = [key.clone()].into_iter().chain(others).collect();
            let mut records = match self.queries.records(&keys).await {
                Ok(records) => records.into_iter(),
                // The second pass has reported it.
                Err(StoreError::Unreadable(_)) => continue,
                Err(error) => return Err(error),
            };
            let marked_by = records.next().flatten().and_then(|record| record.outcome.reversed_by);
            let takes_back = |record: &Record| {
                let command = record.outcome.command.as_ref();
                let reverses = command.and_then(|command| command.action.reverses());
                record.outcome.status == Status::Applied && reverses == Some(*command_id)
            };
            let mut claimed_by: Vec<_> =
                records.flatten().filter(takes_back).map(|record| record.outcome.command_id).collect();
            claimed_by.sort_unstable();
            claimed_by.dedup();
            if marked_by.as_slice() != claimed_by {
                let text = |ids: &[CommandId]| match ids {
                    [] => "none".to_owned(),
                    ids => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "),
                };
                let what = format!(
                    "command {command_id} is marked as taken back by {}, and is taken back by {}",
                    text(marked_by.as_slice()),
                    text(&claimed_by)
                );
                self.report.fault(item_id, None, what);
            }
        }
        Ok(())
    }
}
