//! What the enumeration of all crash points must notice too, by itself.

use super::edit;
use crate::{Mutation, Suite};

const POINTS: &Suite =
    &Suite { arguments: &["-p", "stockline-tests", "--test", "crash_points_sqlite"], sources: "tests/tests" };

const WORKER: &str = "one_fault_at_any_call_of_a_worker_takes_every_effect_once";
const ALERTS: &str = "one_fault_at_any_call_for_alerts_mails_each_once_but_where_its_mark_is_missing";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "at-every-point-acknowledged-before-the-commit",
        edits: &[edit(
            "worker/src/round.rs",
            "        round.commit(&mut steps, commits).await;",
            "        let folded = steps.iter().filter(|step| step.folded.is_some());
        let early: Vec<_> = folded.filter_map(|step| step.group.first_handle().cloned()).collect();
        round.held.ack(&early).await;
        round.commit(&mut steps, commits).await;",
        )],
        suite: POINTS,
        killed_by: WORKER,
    },
    Mutation {
        name: "at-every-point-alerts-of-duplicates-forgotten",
        edits: &[edit(
            "worker/src/step.rs",
            "                self.alerts.extend(alerts);",
            "                let _ = alerts;",
        )],
        suite: POINTS,
        killed_by: WORKER,
    },
    Mutation {
        name: "at-every-point-ids-put-under-no-condition",
        edits: &[edit(
            "common/src/sqlite/stock/commit.rs",
            "Some((_, stored)) if stored.decides(record.retry) => decided.push(stored),",
            "Some((_, stored)) if stored.decides(record.retry) && false => decided.push(stored),",
        )],
        suite: POINTS,
        killed_by: WORKER,
    },
    Mutation {
        name: "at-every-point-a-claim-taken-for-a-mail",
        edits: &[edit(
            "alerter/src/alerter.rs",
            "Ok(Claimed::Held) => Err(RetryReason::Held),",
            "Ok(Claimed::Held) => Ok(()),",
        )],
        suite: POINTS,
        killed_by: ALERTS,
    },
    Mutation {
        name: "at-every-point-marked-before-the-mail",
        edits: &[edit(
            "alerter/src/alerter.rs",
            "        self.deliver(&mail, term).await?;",
            "        let early: Vec<&Alert> = alerts.iter().map(|(alert, _)| alert).collect();
        self.mark(&early, self.adapters.clock.now()).await?;
        self.deliver(&mail, term).await?;",
        )],
        suite: POINTS,
        killed_by: ALERTS,
    },
    Mutation {
        name: "at-every-point-a-sent-alert-mailed-again",
        edits: &[edit(
            "alerter/src/alerter.rs",
            "                Ok(Claimed::Ours) => {",
            "                Ok(Claimed::Ours | Claimed::Sent) => {",
        )],
        suite: POINTS,
        killed_by: ALERTS,
    },
];
