use std::collections::VecDeque;

use stockline_core::domain::{Alert, CommandId, Fold, Loaded, Record, Status, Timestamp};

use crate::item_work::ItemWork;
use crate::metrics::{Meters, Tally};

/// The work of one item in one wave.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) work: ItemWork,
    /// The end of the slots that the fold is offered.
    pub(crate) end: usize,
    pub(crate) loaded: Option<Loaded>,
    pub(crate) folded: Option<Folded>,
    /// The number of slots that are durable now. They are settled once the alerts are published.
    pub(crate) taken: usize,
    /// Alerts to publish before the next fold and before any acknowledgement.
    pub(crate) alerts: Vec<Alert>,
    /// Commands that changed the default threshold. Every level must be re-judged for each of them.
    pub(crate) rejudges: VecDeque<CommandId>,
    pub(crate) course: Course,
    /// Whether what is stored of the item can't be read.
    pub(crate) is_set_aside: bool,
    /// Whether its commands are set aside as dead letters for that.
    pub(crate) is_parked: bool,
}

/// How a step goes. It only ever gets worse, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Course {
    /// The wave continues with it.
    Running,
    /// It stops here: its remaining messages go back to the queue.
    Failed,
    /// It stops because the store or the topic didn't answer. A probation tries it again.
    Unanswered,
}

/// A fold whose commit is in flight.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) taken: usize,
    records: usize,
    rejudge: Option<CommandId>,
    tally: Tally,
    alerts: Vec<Alert>,
    /// What the fold made of each command; only where somebody looks at their spans.
    statuses: Vec<(CommandId, Status)>,
}

impl Folded {
    pub(crate) fn of(fold: &Fold, with_statuses: bool) -> Self {
        let records = &fold.commit.records;
        let mut tally = Tally::default();
        let mut alerts = Vec::new();
        for record in records {
            tally.add(&record.outcome);
            alerts.extend_from_slice(&record.alerts);
        }
        let status = |record: &Record| (record.outcome.command_id, record.outcome.status);
        let statuses = if with_statuses { records.iter().map(status).collect() } else { Vec::new() };
        Self { taken: fold.taken, records: records.len(), rejudge: fold.rejudge, tally, alerts, statuses }
    }
}

impl Step {
    pub(crate) fn new(mut work: ItemWork, max_commands: usize) -> Self {
        work.ready_at = None;
        let end = work.next_end(max_commands);
        Self {
            work,
            end,
            loaded: None,
            folded: None,
            taken: 0,
            alerts: Vec::new(),
            rejudges: VecDeque::new(),
            course: Course::Running,
            is_set_aside: false,
            is_parked: false,
        }
    }

    /// Returns the number of slots that the fold is offered.
    pub(crate) fn offered(&self) -> usize {
        self.end - self.work.settled
    }

    pub(crate) fn is_running(&self) -> bool {
        self.course == Course::Running
    }

    /// Stops the step.
    pub(crate) fn failed(&mut self) {
        self.course = self.course.max(Course::Failed);
    }

    /// Stops the step because what is stored of the item can't be read.
    pub(crate) fn set_aside(&mut self) {
        self.is_set_aside = true;
        self.failed();
    }

    /// Goes on without what is stored of the item: its commands become dead letters, which need nothing of it.
    pub(crate) fn park(&mut self, why: &str, now: Timestamp) {
        self.is_parked = true;
        self.work.park(self.end, why, now);
        self.loaded = Some(Loaded::default());
    }

    /// Stops the step because the store or the topic didn't answer.
    pub(crate) fn unanswered(&mut self) {
        self.course = Course::Unanswered;
    }

    /// Records that the fold is durable.
    pub(crate) fn committed(&mut self, folded: Folded, now: Timestamp, meters: &Meters) {
        meters.committed(&folded.tally, now);
        meters.duplicates.increment((folded.taken - folded.records) as u64);
        for (command_id, status) in folded.statuses {
            self.work.spans.settled(command_id, status.as_str());
        }
        self.taken = folded.taken;
        self.alerts = folded.alerts;
        self.rejudges.extend(folded.rejudge);
        self.work.attempt_succeeded();
    }

    /// Records stored outcomes that the commit met, and publishes their alerts again: the worker that decided them may
    /// have crashed before it did. No message is left of commands decided before `retained_since`, unless this worker's
    /// clock is ahead: the message with the record's own time of acceptance is the one that decided it.
    pub(crate) fn found_decided(&mut self, mut records: Vec<Record>, retained_since: Timestamp) {
        for record in &mut records {
            self.work.spans.settled(record.outcome.command_id, "decided before");
            let alerts = std::mem::take(&mut record.alerts);
            if record.outcome.settled_at >= retained_since || self.work.holds_message_of(record) {
                self.alerts.extend(alerts);
                self.rejudges.extend(record.rejudges().then_some(record.outcome.command_id));
            }
        }
        if !self.work.keep_decided(records) {
            self.lost();
        }
    }

    /// Records that another worker was faster. The next attempt loads again and judges afresh, unless it was the last.
    pub(crate) fn lost(&mut self) {
        if !self.work.attempt_lost() {
            self.failed();
        }
    }

    /// Records that the fold of the slots up to `end` panicked, or that the store refused its commit.
    pub(crate) fn refused(&mut self, end: usize, reason: &str, now: Timestamp) {
        if !self.work.refuse(end, reason, now) {
            tracing::error!(item_id = %self.work.item_id, reason, "even the dead letter can't be recorded");
            self.failed();
        }
    }
}
