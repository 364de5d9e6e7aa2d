//! The five steps of the worker, and its handling of messages.

use super::edit;
use crate::{Mutation, Suite};

const WORKER: &Suite = &Suite { arguments: &["-p", "stockline-worker", "--lib"], sources: "worker/src" };

const ROUND: &str = "worker/src/round.rs";
const STEP: &str = "worker/src/step.rs";
const ITEM_WORK: &str = "worker/src/item_work.rs";
const LEASES: &str = "worker/src/leases.rs";
const RECEIVERS: &str = "worker/src/receivers.rs";

const COMMIT: &str = "        round.commit(&mut steps, commits).await;";
const REJUDGE: &str = "        round.rejudge(&mut steps).await;
        round.publish(&mut steps).await;";
const PUBLISH: &str = "        round.publish(&mut steps).await;
        round.settle(steps).await;";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "items-that-are-new-beside-an-audit-are-faults",
        edits: &[edit("worker/src/audit.rs", "for run in 0..RUNS_MAX {", "for run in 0..RUNS_MAX.min(1) {")],
        suite: WORKER,
        killed_by: "tests::audit::more_new_items_than_can_be_examined_are_no_faults_and_damage_among_them_is_found",
    },
    Mutation {
        name: "messages-are-acknowledged-before-the-commit",
        edits: &[edit(
            ROUND,
            COMMIT,
            "        let folded = steps.iter().filter(|step| step.folded.is_some());
        let early: Vec<_> = folded.filter_map(|step| step.work.first_handle().cloned()).collect();
        round.leases.ack(&early).await;
        round.commit(&mut steps, commits).await;",
        )],
        suite: WORKER,
        killed_by: "tests::crashes::a_fault_at_any_step_ends_at_the_same_stock",
    },
    Mutation {
        name: "messages-are-acknowledged-before-the-alerts-are-published",
        edits: &[edit(
            ROUND,
            PUBLISH,
            "            let mut early = Vec::new();
            for step in steps.iter_mut().filter(|step| step.is_running()) {
                let taken = std::mem::take(&mut step.taken);
                early.extend(step.work.settle(taken));
            }
        round.leases.ack(&early).await;
        round.publish(&mut steps).await;
        round.settle(steps).await;",
        )],
        suite: WORKER,
        killed_by: "tests::rounds::an_alert_is_published_before_the_next_fold_and_before_any_acknowledgement",
    },
    Mutation {
        name: "alerts-are-published-before-the-commit",
        edits: &[
            edit(
                ROUND,
                COMMIT,
                "            for step in &mut steps {
                if let Some(folded) = &step.folded {
                    step.alerts = folded.alerts.clone();
                }
            }
        round.publish(&mut steps).await;
        round.commit(&mut steps, commits).await;",
            ),
            edit(
                STEP,
                "    tally: Tally,\n    alerts: Vec<Alert>,",
                "    tally: Tally,\n    pub(crate) alerts: Vec<Alert>,",
            ),
        ],
        suite: WORKER,
        killed_by: "tests::crashes::two_workers_under_many_faults_keep_every_promise",
    },
    Mutation {
        name: "alerts-are-published-before-the-levels-are-re-judged",
        edits: &[edit(
            ROUND,
            REJUDGE,
            "        round.publish(&mut steps).await;
        round.rejudge(&mut steps).await;",
        )],
        suite: WORKER,
        killed_by: "tests::rounds::re_judging_finishes_from_its_marks_before_the_next_sale",
    },
    Mutation {
        name: "a-retry-after-a-duplicate-uses-the-old-load",
        edits: &[
            edit(
                ITEM_WORK,
                "    /// No attempt begins before this time.",
                "    pub(crate) stale: Option<stockline_core::domain::Loaded>,\n    pub(crate) keep: bool,\n    /// No attempt begins before this time.",
            ),
            edit(
                ITEM_WORK,
                "            ready_at: None,\n            messages",
                "            stale: None,\n            keep: false,\n            ready_at: None,\n            messages",
            ),
            edit(
                ROUND,
                "            let ItemWork { item_id, slots, settled, decided, .. } = &step.work;",
                "            let stale = step.work.stale.take().filter(|_| step.work.keep);
            let loaded = stale.unwrap_or(loaded);
            step.work.stale = Some(loaded.clone());
            step.work.keep = false;
            let ItemWork { item_id, slots, settled, decided, .. } = &step.work;",
            ),
            edit(
                ROUND,
                "Ok(CommitOutcome::Decided(records)) => step.found_decided(records, retained_since),",
                "Ok(CommitOutcome::Decided(records)) => {
                    step.work.keep = true;
                    step.found_decided(records, retained_since)
                }",
            ),
        ],
        suite: WORKER,
        killed_by: "tests::crashes::two_workers_under_many_faults_keep_every_promise",
    },
    Mutation {
        name: "a-worker-whose-clock-is-ahead-forgets-alerts",
        edits: &[edit(STEP, " || self.work.holds_message_of(record) {", " {")],
        suite: WORKER,
        killed_by: "tests::rounds::a_worker_whose_clock_is_ahead_forgets_no_alert",
    },
    Mutation {
        name: "alerts-of-duplicates-are-not-published-again",
        edits: &[edit(STEP, "                self.alerts.extend(alerts);", "                let _ = alerts;")],
        suite: WORKER,
        killed_by: "tests::rounds::a_redelivered_sale_takes_stock_once_and_publishes_its_alert_again",
    },
    Mutation {
        name: "a-changed-default-threshold-judges-no-level",
        edits: &[edit(STEP, "self.rejudges.extend(folded.rejudge);", "let _ = folded.rejudge;")],
        suite: WORKER,
        killed_by: "tests::rounds::re_judging_finishes_from_its_marks_before_the_next_sale",
    },
    Mutation {
        name: "a-duplicate-change-does-not-finish-the-re-judging",
        edits: &[edit(STEP, "self.rejudges.extend(record.rejudges().then_some(record.outcome.command_id));", "")],
        suite: WORKER,
        killed_by: "tests::rounds::re_judging_finishes_from_its_marks_before_the_next_sale",
    },
    Mutation {
        name: "an-unchanged-threshold-re-judges",
        edits: &[edit(
            "common/core/src/domain/fold/decide.rs",
            "changed_default: queued.command.action.sets_default().then_some(applied.ends_fold),",
            "changed_default: queued.command.action.sets_default().then_some(true),",
        )],
        suite: WORKER,
        killed_by: "tests::rounds::setting_an_unchanged_threshold_does_not_take_the_alert_of_the_change_after_it",
    },
    Mutation {
        name: "a-change-recorded-by-an-earlier-version-judges-no-level",
        edits: &[edit(
            "common/core/src/domain/record.rs",
            "self.changed_default.unwrap_or_else(sets_default)",
            "self.changed_default.unwrap_or_else(|| sets_default() && false)",
        )],
        suite: WORKER,
        killed_by: "tests::rounds::a_change_that_an_earlier_version_recorded_is_re_judged_too",
    },
    Mutation {
        name: "a-message-is-acknowledged-before-its-last-command",
        edits: &[edit(
            ITEM_WORK,
            "take_while(|message| message.end <= settled).count();",
            "take_while(|message| message.end <= settled + 1).count();",
        )],
        suite: WORKER,
        killed_by: "tests::crashes::a_fault_at_any_step_ends_at_the_same_stock",
    },
    Mutation {
        name: "the-rest-of-a-group-continues-after-a-failure",
        edits: &[edit(
            ROUND,
            "            if !step.is_running() {\n                let pause = if step.is_set_aside { set_aside_pause } else { return_pause };\n                returned.extend(step.work.into_returned(pause));\n                continue;\n            }",
            "            if !step.is_running() {\n                let _ = (set_aside_pause, return_pause, &mut returned);\n                step.taken = step.taken.max(1);\n            }",
        )],
        suite: WORKER,
        killed_by: "tests::crashes::a_fault_at_any_step_ends_at_the_same_stock",
    },
    Mutation {
        name: "a-permit-is-leaked-with-each-round",
        edits: &[edit(
            RECEIVERS,
            "    _permit: OwnedSemaphorePermit,\n    purpose: Purpose,\n) {",
            "    permit: OwnedSemaphorePermit,\n    purpose: Purpose,\n) {\n    std::mem::forget(permit);",
        )],
        suite: WORKER,
        killed_by: "tests::crashes::a_fault_at_any_step_ends_at_the_same_stock",
    },
    Mutation {
        name: "visibility-is-not-extended",
        edits: &[edit(
            LEASES,
            "            tokio::time::sleep(pause).await;\n",
            "            std::future::pending::<()>().await;\n",
        )],
        suite: WORKER,
        killed_by: "tests::receivers::long_work_keeps_its_messages",
    },
    Mutation {
        name: "work-continues-after-the-visibility-has-expired",
        edits: &[edit(
            LEASES,
            "        Instant::now() >= *self.expires_at.lock().unwrap_or_else(PoisonError::into_inner)",
            "        false && Instant::now() >= *self.expires_at.lock().unwrap_or_else(PoisonError::into_inner)",
        )],
        suite: WORKER,
        killed_by: "tests::receivers::a_worker_whose_leases_have_expired_begins_no_further_attempt",
    },
    Mutation {
        name: "failed-messages-return-at-once",
        edits: &[edit(LEASES, "    pause.max(RETURN_PAUSE_FIRST / 2)", "    pause.mul_f64(0.0)")],
        suite: WORKER,
        killed_by: "tests::outages::messages_of_a_failed_item_are_never_delivered_again_at_once",
    },
    Mutation {
        name: "a-retried-receive-uses-a-new-attempt-id",
        edits: &[edit(
            RECEIVERS,
            "worker.adapters.queue.receive(max, wait, attempt).await",
            "worker.adapters.queue.receive(max, wait, { let _ = attempt; fresh_attempt() }).await",
        )],
        suite: WORKER,
        killed_by: "tests::receivers::a_retried_receive_keeps_its_attempt_and_the_next_one_has_its_own",
    },
    Mutation {
        name: "receiving-continues-in-an-outage",
        edits: &[edit(
            RECEIVERS,
            "        match self.worker.breaker.phase() {\n            Phase::Receiving => {",
            "        let _ = self.worker.breaker.phase();\n        match Phase::Receiving {\n            Phase::Receiving => {",
        )],
        suite: WORKER,
        killed_by: "tests::outages::an_outage_stops_receiving_and_burns_no_receives",
    },
    Mutation {
        name: "a-fold-that-panics-sets-its-neighbours-aside-too",
        edits: &[edit(
            ITEM_WORK,
            "        if self.undecided(self.settled..end) > 1 {\n            self.offer = Offer::Halving { end };\n            return true;\n        }",
            "",
        )],
        suite: WORKER,
        killed_by: "tests::poison::the_one_command_that_panics_is_found_by_halving",
    },
    Mutation {
        name: "the-commands-of-a-stuck-item-wait-for-ever",
        edits: &[edit(
            ROUND,
            "Err(StoreError::Unreadable(why)) if parks(step) => {",
            "Err(StoreError::Unreadable(why)) if parks(step) && false => {",
        )],
        suite: WORKER,
        killed_by: "tests::poison::the_commands_of_an_item_that_cant_be_read_are_set_aside_in_the_end_and_retried_in_their_order",
    },
    Mutation {
        name: "an-item-is-parked-at-its-first-failure",
        edits: &[edit(
            ITEM_WORK,
            "receives >= parking.receives || (is_old && receives >= Parking::RECEIVES_MIN)",
            "receives >= 1",
        )],
        suite: WORKER,
        killed_by: "tests::poison::the_commands_of_an_item_that_cant_be_read_are_set_aside_in_the_end_and_retried_in_their_order",
    },
];
