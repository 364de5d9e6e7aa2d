//! Mutations that the enumeration of all crash points must notice on its own.

use super::edit;
use crate::{Mutation, Suite};

const POINTS: &Suite =
    &Suite { arguments: &["-p", "stockline-tests", "--test", "homes"], sources: "tests/tests/homes" };

const WORKER_ON_SQLITE: &str = "crash_points_sqlite::one_fault_at_any_call_of_a_worker_takes_every_effect_once";
const ALERTS_ON_SQLITE: &str =
    "crash_points_sqlite::one_fault_at_any_call_for_alerts_mails_each_once_but_where_its_mark_is_missing";
const WORKER_ON_DYNAMODB: &str = "crash_points_dynamodb::one_fault_at_any_call_of_a_worker_takes_every_effect_once";
const ALERTS_ON_DYNAMODB: &str =
    "crash_points_dynamodb::one_fault_at_any_call_for_alerts_mails_each_once_but_where_its_mark_is_missing";

const COMMITTED: &str = "        round.commit(&mut steps, commits).await;";
const ACKNOWLEDGED_BEFORE: &str = "        let folded = steps.iter().filter(|step| step.folded.is_some());
        let early: Vec<_> = folded.filter_map(|step| step.work.first_handle().cloned()).collect();
        round.leases.ack(&early).await;
        round.commit(&mut steps, commits).await;";
const MAILED: &str = "        let Delivered { accepted, refused, missing, reason } = self.deliveries.deliver(&mail, is_rest, window).await;";
const MARKED_BEFORE: &str = "        let early: Vec<Alert> = alerts.iter().map(|(alert, _)| alert.clone()).collect();
        let sent = Unmarked { sent_at: self.adapters.clock.now(), missing: Vec::new(), tally: MailTally::default() };
        self.mark(&early, &sent, lease).await?;
        let Delivered { accepted, refused, missing, reason } = self.deliveries.deliver(&mail, is_rest, window).await;";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "crash-points-messages-are-acknowledged-before-the-commit",
        edits: &[edit("worker/src/round.rs", COMMITTED, ACKNOWLEDGED_BEFORE)],
        suite: POINTS,
        killed_by: WORKER_ON_SQLITE,
    },
    Mutation {
        name: "crash-points-alerts-of-duplicates-are-forgotten",
        edits: &[edit(
            "worker/src/step.rs",
            "                self.alerts.extend(alerts);",
            "                let _ = alerts;",
        )],
        suite: POINTS,
        killed_by: WORKER_ON_SQLITE,
    },
    Mutation {
        name: "crash-points-ids-are-put-without-a-condition",
        edits: &[edit(
            "common/sqlite/src/stock/commit.rs",
            "Some((_, stored)) if stored.decides(record.retry) => decided.push(stored),",
            "Some((_, stored)) if stored.decides(record.retry) && false => decided.push(stored),",
        )],
        suite: POINTS,
        killed_by: WORKER_ON_SQLITE,
    },
    Mutation {
        name: "crash-points-a-claim-counts-as-a-mail",
        edits: &[edit(
            "alerter/src/alerts.rs",
            "Ok(Claimed::Held) => Err(RetryReason::Held.into()),",
            "Ok(Claimed::Held) => Ok(()),",
        )],
        suite: POINTS,
        killed_by: ALERTS_ON_SQLITE,
    },
    Mutation {
        name: "crash-points-an-alert-is-marked-before-the-mail",
        edits: &[edit("alerter/src/alerts.rs", MAILED, MARKED_BEFORE)],
        suite: POINTS,
        killed_by: ALERTS_ON_SQLITE,
    },
    Mutation {
        name: "crash-points-a-sent-alert-is-mailed-again",
        edits: &[edit(
            "alerter/src/alerts.rs",
            "                Ok(Claimed::Ours) => {",
            "                Ok(Claimed::Ours | Claimed::Sent) => {",
        )],
        suite: POINTS,
        killed_by: ALERTS_ON_SQLITE,
    },
    Mutation {
        name: "crash-points-on-dynamodb-messages-are-acknowledged-before-the-commit",
        edits: &[edit("worker/src/round.rs", COMMITTED, ACKNOWLEDGED_BEFORE)],
        suite: POINTS,
        killed_by: WORKER_ON_DYNAMODB,
    },
    Mutation {
        name: "crash-points-on-dynamodb-ids-are-put-without-a-condition",
        edits: &[edit(
            "common/aws/src/dynamodb/commit.rs",
            "\"attribute_not_exists(#pk) OR #dead < :retry\"",
            "\"attribute_not_exists(#pk) OR attribute_exists(#pk) OR #dead < :retry\"",
        )],
        suite: POINTS,
        killed_by: WORKER_ON_DYNAMODB,
    },
    Mutation {
        name: "crash-points-on-dynamodb-an-alert-is-marked-before-the-mail",
        edits: &[edit("alerter/src/alerts.rs", MAILED, MARKED_BEFORE)],
        suite: POINTS,
        killed_by: ALERTS_ON_DYNAMODB,
    },
];
