use std::collections::VecDeque;

use stockline_core::domain::{Alert, CommandId, Fold, Loaded, Record, Timestamp};

use crate::group::Group;
use crate::metrics::{Meters, Tally};

/// One group in one wave.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) group: Group,
    /// The fold is offered the slots before this one.
    pub(crate) end: usize,
    pub(crate) loaded: Option<Loaded>,
    pub(crate) folded: Option<Folded>,
    /// How many slots are durable now, and settled once the alerts are out.
    pub(crate) taken: usize,
    /// To be published before the next fold and before any acknowledgement.
    pub(crate) alerts: Vec<Alert>,
    /// Commands whose default threshold every level is to be judged by.
    pub(crate) rejudges: VecDeque<CommandId>,
    /// It stops here: what is left of it goes back.
    pub(crate) failed: bool,
    /// It stops because store or topic did not answer.
    pub(crate) unanswered: bool,
}

/// A fold whose commit is under way.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) taken: usize,
    records: usize,
    rejudge: Option<CommandId>,
    tally: Tally,
    alerts: Vec<Alert>,
}

impl Folded {
    pub(crate) fn of(fold: &Fold) -> Self {
        let records = &fold.commit.records;
        let mut tally = Tally::default();
        let mut alerts = Vec::new();
        for record in records {
            tally.add(&record.outcome);
            alerts.extend_from_slice(&record.alerts);
        }
        Self { taken: fold.taken, records: records.len(), rejudge: fold.rejudge, tally, alerts }
    }
}

impl Step {
    pub(crate) fn new(mut group: Group, max_commands: usize) -> Self {
        group.ready_at = None;
        let end = group.offer(max_commands);
        Self {
            group,
            end,
            loaded: None,
            folded: None,
            taken: 0,
            alerts: Vec::new(),
            rejudges: VecDeque::new(),
            failed: false,
            unanswered: false,
        }
    }

    pub(crate) fn offered(&self) -> usize {
        self.end - self.group.pos
    }

    /// The fold is durable.
    pub(crate) fn committed(&mut self, folded: Folded, now: Timestamp, meters: &Meters) {
        meters.committed(&folded.tally, now);
        meters.duplicates.increment((folded.taken - folded.records) as u64);
        self.taken = folded.taken;
        self.alerts = folded.alerts;
        self.rejudges.extend(folded.rejudge);
        self.group.attempt_succeeded();
    }

    /// Stored outcomes were met. Whoever decided them may have died before their alerts were out: publishes them
    /// again, unless they were decided before `retained_since`: no message of then can be left.
    pub(crate) fn met(&mut self, mut records: Vec<Record>, retained_since: Timestamp) {
        for record in &mut records {
            let alerts = std::mem::take(&mut record.alerts);
            if record.outcome.settled_at >= retained_since {
                self.alerts.extend(alerts);
                self.rejudges.extend(record.rejudges().then_some(record.outcome.command_id));
            }
        }
        if !self.group.keep_decided(records) {
            self.lost();
        }
    }

    /// Another was faster: load again and judge afresh, or give up.
    pub(crate) fn lost(&mut self) {
        self.failed |= !self.group.attempt_lost();
    }

    /// The store refuses what the fold made of these slots, or judging them panicked.
    pub(crate) fn refused(&mut self, end: usize, reason: &str, now: Timestamp) {
        if !self.group.refuse(end, reason, now) {
            tracing::error!(item_id = %self.group.item_id, reason, "not even a dead letter can be recorded");
            self.failed = true;
        }
    }
}
