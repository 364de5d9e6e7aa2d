//! Movements that were taken back: each is marked by exactly the reversal that names it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use stockline_core::domain::{CommandId, CommandKey, ItemId, Record, Status};
use stockline_core::ports::StoreError;

use super::Audit;

/// The number of digests of pairs. Only the pairs of those that do not cancel out are kept in the third pass.
const DIGESTS: usize = 1 << 16;

/// What the second pass learns of the movements that were taken back: however many there are, it keeps sums of hashes. A
/// pair that agrees adds and takes the same.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    sums: Vec<u64>,
    /// The pairs of the third pass.
    kept: HashMap<CommandKey, Pair>,
}

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
        self.sums.resize(DIGESTS, 0);
        let outcome = &record.outcome;
        if let Some(reverses) = reverses(record) {
            let (at, hash) = digest(&outcome.item_id, reverses, outcome.command_id);
            self.sums[at] = self.sums[at].wrapping_add(hash);
        }
        if let Some(by) = outcome.reversed_by {
            let (at, hash) = digest(&outcome.item_id, outcome.command_id, by);
            self.sums[at] = self.sums[at].wrapping_sub(hash);
        }
    }

    /// Returns whether the third pass must look at pairs.
    pub(super) fn are_suspect(&self) -> bool {
        self.sums.iter().any(|sum| *sum != 0)
    }

    /// Keeps what an applied command says of a pair that may not agree.
    pub(super) fn keep_if_suspect(&mut self, record: &Record) {
        let outcome = &record.outcome;
        let is_suspect = |sums: &[u64], (at, _): (usize, u64)| sums.get(at).is_some_and(|sum| *sum != 0);
        let of = |command_id| CommandKey { item_id: outcome.item_id.clone(), command_id };
        if let Some(reverses) = reverses(record)
            && is_suspect(&self.sums, digest(&outcome.item_id, reverses, outcome.command_id))
        {
            self.kept.entry(of(reverses)).or_default().claimed_by.push(outcome.command_id);
        }
        if let Some(by) = outcome.reversed_by
            && is_suspect(&self.sums, digest(&outcome.item_id, outcome.command_id, by))
        {
            self.kept.entry(of(outcome.command_id)).or_default().marked_by = Some(by);
        }
    }
}

fn reverses(record: &Record) -> Option<CommandId> {
    record.outcome.command.as_ref()?.action.reverses()
}

/// Returns the number of a movement's digest, and the hash of the movement with what takes it back.
fn digest(item_id: &ItemId, movement: CommandId, by: CommandId) -> (usize, u64) {
    let mut hasher = DefaultHasher::new();
    (item_id, movement).hash(&mut hasher);
    let at = (hasher.finish() % DIGESTS as u64) as usize;
    by.hash(&mut hasher);
    (at, hasher.finish())
}

impl Audit<'_> {
    /// Looks at the suspect pairs once more, as they are now.
    pub(super) async fn examine_pairs(&mut self) -> Result<(), StoreError> {
        for (key, pair) in std::mem::take(&mut self.pairs).kept {
            if pair.marked_by.as_slice() == pair.claimed_by {
                continue;
            }
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
