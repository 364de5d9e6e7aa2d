use super::super::{Alert, CommandKey, Fingerprint, Outcome, Queued, Record, Rejection, RejectionCode, Status};
use super::decision::{Applied, reject};
use super::draft::Draft;

impl Draft<'_> {
    /// Decides one command. Returns whether it changed the default threshold, which ends the fold.
    pub(super) fn decide(&mut self, queued: &Queued) -> bool {
        let decision = self.resubmission(queued).and_then(|()| {
            if queued.command.kind().is_movement() { self.movement(queued) } else { self.catalogue_command(queued) }
        });
        let (status, applied, rejection) = match decision {
            Ok(applied) => (Status::Applied, applied, None),
            Err(rejection) => (Status::Rejected, Applied::default(), Some(*rejection)),
        };
        let settled_at =
            applied.effects.iter().map(|e| e.recorded_at).max().unwrap_or(self.now.max(queued.accepted_at));
        self.push(Record {
            outcome: Outcome {
                command_id: queued.command.command_id,
                item_id: self.item_id.clone(),
                status,
                accepted_at: queued.accepted_at,
                settled_at,
                submitted_by: queued.submitted_by.clone(),
                command: Some(queued.command.clone()),
                effects: applied.effects,
                reversed_by: None,
                rejection,
                dead_letter: None,
            },
            fingerprint: Some(Fingerprint::of(&queued.command)),
            retry: queued.retry,
            alerts: applied.alerts.into_iter().map(|alert| Alert { trace: queued.trace.clone(), ..alert }).collect(),
            changed_default: queued.command.action.sets_default().then_some(applied.ends_fold),
            resubmits: queued.resubmits.clone(),
            first_accepted_at: queued.first_accepted_at,
            reach: None,
            resubmitted_as: None,
        });
        applied.ends_fold
    }

    /// Checks that the replaced command took no effect and was not replaced by another.
    fn resubmission(&mut self, queued: &Queued) -> Result<(), Box<Rejection>> {
        let Some(old) = &queued.resubmits else {
            return Ok(());
        };
        let me = CommandKey { item_id: self.item_id.clone(), command_id: queued.command.command_id };
        let refuse = |detail: &str| {
            let detail = format!("command {} of item {} {detail}", old.command_id, old.item_id);
            Err(Box::new(reject(RejectionCode::PreconditionFailed, detail)))
        };
        match self.loaded.records.get(old).filter(|_| *old != me) {
            None => refuse("is not known, so it can't be resubmitted"),
            Some(record) if record.outcome.status == Status::Applied => refuse("was applied in the meantime"),
            Some(record) if record.resubmitted_as.as_ref().is_some_and(|other| *other != me) => {
                refuse("was resubmitted as another command")
            }
            Some(record) if record.outcome.dead_letter.as_ref().is_some_and(|l| l.discarded_at.is_some()) => {
                refuse("was discarded")
            }
            Some(_) => {
                self.resubmitted.push((old.clone(), me.command_id));
                Ok(())
            }
        }
    }
}
