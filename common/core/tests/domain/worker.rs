//! The five steps of the worker over [`TestStore`]. Every commit is checked against its limits and tried twice.

use std::collections::BTreeMap;

use stockline_core::domain::{
    Alert, Claim, CommandId, Commit, Effect, Fold, FoldLimits, ItemId, LoadRequest, Record, Rules, Slot, Timestamp,
    encode_entries, fold, rejudge,
};
use stockline_core::ports::CommitOutcome;

use super::store::TestStore;

#[derive(Debug, Clone)]
pub struct Worker {
    pub store: TestStore,
    pub rules: Rules,
    pub limits: FoldLimits,
    pub now: Timestamp,
    /// Every published alert, repetitions included.
    pub published: Vec<Alert>,
    /// How many folds were committed.
    pub folds: usize,
}

impl Worker {
    pub fn new(now: Timestamp) -> Self {
        Self {
            store: TestStore::new(),
            rules: Rules::default(),
            limits: FoldLimits::default(),
            now,
            published: Vec::new(),
            folds: 0,
        }
    }

    /// Settles all slots as one receive.
    pub fn run(&mut self, item_id: &ItemId, slots: &[Slot]) {
        let mut decided = BTreeMap::new();
        let mut rest = slots;
        let mut attempts = 0;
        while !rest.is_empty() {
            attempts += 1;
            assert!(attempts <= 3 * slots.len() + 10, "the worker gets nowhere with {rest:?}");
            let fold = self.fold_with(item_id, rest, &decided);
            assert!(fold.taken >= 1);
            if !fold.commit.is_empty() {
                match self.commit(&fold.commit) {
                    Ok(()) => {}
                    Err(CommitOutcome::Decided(records)) => {
                        self.published.extend(records.iter().flat_map(|record| record.alerts.clone()));
                        decided.extend(records.into_iter().map(|record| (record.outcome.command_id, record)));
                        continue;
                    }
                    Err(refusal) => panic!("an undisturbed worker met {refusal:?}"),
                }
            }
            if let Some(command_id) = fold.rejudge {
                self.rejudge(item_id, command_id);
            }
            rest = &rest[fold.taken..];
        }
    }

    /// Loads and folds without a commit.
    pub fn fold_of(&self, item_id: &ItemId, slots: &[Slot]) -> Fold {
        self.fold_with(item_id, slots, &BTreeMap::new())
    }

    fn fold_with(&self, item_id: &ItemId, slots: &[Slot], decided: &BTreeMap<CommandId, Record>) -> Fold {
        let loaded = self.store.load(&LoadRequest::for_slots(item_id.clone(), slots, &self.rules));
        fold(&loaded, item_id, slots, decided, self.now, &self.rules, &self.limits)
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), CommitOutcome> {
        assert_within(commit, &self.limits);
        for outcome in commit.records.iter().map(|record| &record.outcome) {
            let moment = |effect: &Effect| effect.recorded_at == outcome.settled_at;
            assert!(outcome.effects.iter().all(moment), "both legs of a transfer have one time");
        }
        self.store.commit(commit)?;
        self.folds += 1;
        self.published.extend(commit.records.iter().flat_map(|record| record.alerts.clone()));
        self.published.extend(commit.mark.iter().filter_map(|mark| mark.alert.clone()));
        match self.store.after(commit).map(drop) {
            Err(CommitOutcome::Decided(records)) => assert_eq!(records.len(), commit.records.len()),
            Err(CommitOutcome::Judged(mark)) => assert_eq!(Some(&*mark), commit.mark.as_ref()),
            other => panic!("the same commit again came to {other:?}"),
        }
        Ok(())
    }

    fn rejudge(&mut self, item_id: &ItemId, command_id: CommandId) {
        let loaded = self.store.load(&LoadRequest::of(item_id.clone()));
        let item = loaded.item.unwrap();
        for level in loaded.levels.values() {
            let commit = rejudge(&item, &level.level, command_id, self.now);
            self.commit(&commit).unwrap();
        }
    }
}

/// Checks the rows of a commit with DynamoDB's counts and sizes.
pub fn assert_within(commit: &Commit, limits: &FoldLimits) {
    if commit.records.len() <= 1 {
        return;
    }
    let actions = rows(commit);
    assert!(actions <= limits.max_actions, "{actions} actions of {}", limits.max_actions);
    for put in &commit.levels {
        let tail = encode_entries(&put.level.tail).len();
        assert!(tail <= limits.max_tail_bytes, "a tail of {tail} bytes");
    }
    for chunk in &commit.chunks {
        let bytes = encode_entries(&chunk.entries).len();
        assert!(bytes <= limits.max_level_bytes, "a chunk of {bytes} bytes of {}", limits.max_level_bytes);
    }
    let bytes = weigh(commit);
    assert!(bytes <= limits.max_bytes, "{bytes} bytes of {}", limits.max_bytes);
}

/// Returns how many rows a commit writes or checks.
pub fn rows(commit: &Commit) -> usize {
    commit.records.len()
        + commit.levels.len()
        + commit.chunks.len()
        + commit.claims.len()
        + commit.resubmitted.len()
        + marks_of_reversals(commit)
        + usize::from(commit.item.is_some() || commit.threshold_check.is_some())
}

/// Returns the rows that reversals mark: a record, and one for each entry.
fn marks_of_reversals(commit: &Commit) -> usize {
    commit.reversed.iter().map(|reversal| 1 + reversal.entries.len()).sum()
}

/// The most bytes of the names, keys and index keys of a row.
pub const KEYS_BYTES: usize = 1_000;

/// Returns the most bytes of all rows of a commit: the values as written, and the greatest size of names, keys and
/// index keys.
pub fn weigh(commit: &Commit) -> usize {
    const NAME_KEY_BYTES: usize = 1_000;
    fn json(value: &impl serde::Serialize) -> usize {
        serde_json::to_string(value).unwrap().len() + KEYS_BYTES
    }
    let records: usize = commit.records.iter().map(|record| record.to_bytes().unwrap().len() + KEYS_BYTES).sum();
    let item = commit.item.as_ref().map_or(0, |put| json(&put.item) + NAME_KEY_BYTES);
    let levels: usize = commit.levels.iter().map(|put| json(&put.level) + encode_entries(&put.level.tail).len()).sum();
    let chunks: usize = commit.chunks.iter().map(|chunk| encode_entries(&chunk.entries).len() + KEYS_BYTES).sum();
    let code = |claim: &Claim| match claim {
        Claim::Barcode(code) | Claim::ItemKey(code) => 2 * code.len(),
    };
    let claims: usize = commit.claims.iter().map(|change| code(&change.claim) + KEYS_BYTES).sum();
    records + item + levels + chunks + claims + (commit.resubmitted.len() + marks_of_reversals(commit)) * KEYS_BYTES
}
