//! Mutations that the enumeration of all crash points must notice on its own.

use super::edit;
use crate::{Mutation, Suite};

const POINTS: &Suite =
    &Suite { arguments: &["-p", "stockline-tests", "--test", "crash_points_sqlite"], sources: "tests/tests" };

const POINTS_ON_DYNAMODB: &Suite =
    &Suite { arguments: &["-p", "stockline-tests", "--test", "crash_points_dynamodb"], sources: "tests/tests" };

const WORKER: &str = "one_fault_at_any_call_of_a_worker_takes_every_effect_once";
const ALERTS: &str = "one_fault_at_any_call_for_alerts_mails_each_once_but_where_its_mark_is_missing";

const COMMITTED: &str = "        round.commit(&mut steps, commits).await;";
const ACKNOWLEDGED_BEFORE: &str = "        let folded = steps.iter().filter(|step| step.folded.is_some());
        let early: Vec<_> = folded.filter_map(|step| step.group.first_handle().cloned()).collect();
        round.held.ack(&early).await;
        round.commit(&mut steps, commits).await;";
const MAILED: &str = "        self.deliver(&mail, term).await?;";
const MARKED_BEFORE: &str = "        let early: Vec<&Alert> = alerts.iter().map(|(alert, _)| alert).collect();
        self.mark(&early, self.adapters.clock.now()).await?;
        self.deliver(&mail, term).await?;";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "at-every-point-acknowledged-before-the-commit",
        edits: &[edit("worker/src/round.rs", COMMITTED, ACKNOWLEDGED_BEFORE)],
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
            "common/sqlite/src/stock/commit.rs",
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
        edits: &[edit("alerter/src/alerter.rs", MAILED, MARKED_BEFORE)],
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
    Mutation {
        name: "at-every-call-of-dynamodb-acknowledged-before-the-commit",
        edits: &[edit("worker/src/round.rs", COMMITTED, ACKNOWLEDGED_BEFORE)],
        suite: POINTS_ON_DYNAMODB,
        killed_by: WORKER,
    },
    Mutation {
        name: "at-every-call-of-dynamodb-ids-put-under-no-condition",
        edits: &[edit(
            "common/aws/src/dynamodb/commit.rs",
            "\"attribute_not_exists(#pk) OR #dead < :retry\"",
            "\"attribute_not_exists(#pk) OR attribute_exists(#pk) OR #dead < :retry\"",
        )],
        suite: POINTS_ON_DYNAMODB,
        killed_by: WORKER,
    },
    Mutation {
        name: "at-every-call-of-dynamodb-marked-before-the-mail",
        edits: &[edit("alerter/src/alerter.rs", MAILED, MARKED_BEFORE)],
        suite: POINTS_ON_DYNAMODB,
        killed_by: ALERTS,
    },
];
