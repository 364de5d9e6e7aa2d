//! The five steps, and what a worker does with messages.

use super::edit;
use crate::{Mutation, Suite};

const WORKER: &Suite = &Suite { arguments: &["-p", "stockline-worker", "--lib"], sources: "worker/src" };

const ROUND: &str = "worker/src/round.rs";
const STEP: &str = "worker/src/step.rs";
const GROUP: &str = "worker/src/group.rs";
const HELD: &str = "worker/src/held.rs";
const INTAKE: &str = "worker/src/intake.rs";

const COMMIT: &str = "        round.commit(&mut steps, commits).await;";
const REJUDGE: &str = "        round.sound &= rejudge::rejudge_levels(worker, held, &mut steps).await;
        round.publish(&mut steps).await;";
const PUBLISH: &str = "        round.publish(&mut steps).await;
        round.settle(steps).await;";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "acknowledged-before-the-commit",
        edits: &[edit(
            ROUND,
            COMMIT,
            "        let folded = steps.iter().filter(|step| step.folded.is_some());
        let early: Vec<_> = folded.filter_map(|step| step.group.first_handle().cloned()).collect();
        round.held.ack(&early).await;
        round.commit(&mut steps, commits).await;",
        )],
        suite: WORKER,
        killed_by: "tests::crashes::a_fault_at_any_step_ends_at_the_same_stock",
    },
    Mutation {
        name: "acknowledged-before-the-alerts-are-out",
        edits: &[edit(
            ROUND,
            PUBLISH,
            "            let mut early = Vec::new();
            for step in steps.iter_mut().filter(|step| !step.failed) {
                let taken = std::mem::take(&mut step.taken);
                early.extend(step.group.settle(taken));
            }
        round.held.ack(&early).await;
        round.publish(&mut steps).await;
        round.settle(steps).await;",
        )],
        suite: WORKER,
        killed_by: "tests::rounds::an_alert_is_out_before_the_next_fold_and_before_any_acknowledgement",
    },
    Mutation {
        name: "published-before-the-commit",
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
        name: "published-before-the-levels-are-re-judged",
        edits: &[edit(
            ROUND,
            REJUDGE,
            "        round.publish(&mut steps).await;
        round.sound &= rejudge::rejudge_levels(worker, held, &mut steps).await;",
        )],
        suite: WORKER,
        killed_by: "tests::rounds::re_judging_finishes_from_its_marks_before_the_next_sale",
    },
    Mutation {
        name: "judged-by-what-was-loaded-before-the-duplicates-were-met",
        edits: &[
            edit(
                GROUP,
                "    /// Not to be attempted before.",
                "    pub(crate) stale: Option<stockline_core::domain::Loaded>,\n    pub(crate) keep: bool,\n    /// Not to be attempted before.",
            ),
            edit(
                GROUP,
                "            ready_at: None,\n            messages",
                "            stale: None,\n            keep: false,\n            ready_at: None,\n            messages",
            ),
            edit(
                ROUND,
                "            let Group { item_id, slots, pos, decided, .. } = &step.group;",
                "            let stale = step.group.stale.take().filter(|_| step.group.keep);
            let loaded = stale.unwrap_or(loaded);
            step.group.stale = Some(loaded.clone());
            step.group.keep = false;
            let Group { item_id, slots, pos, decided, .. } = &step.group;",
            ),
            edit(
                ROUND,
                "Ok(CommitOutcome::Decided(records)) => step.met(records, retained_since),",
                "Ok(CommitOutcome::Decided(records)) => {
                    step.group.keep = true;
                    step.met(records, retained_since)
                }",
            ),
        ],
        suite: WORKER,
        killed_by: "tests::crashes::two_workers_under_many_faults_keep_every_promise",
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
        name: "re-judging-is-not-finished-by-who-meets-the-change",
        edits: &[edit(STEP, "self.rejudges.extend(record.rejudges().then_some(record.outcome.command_id));", "")],
        suite: WORKER,
        killed_by: "tests::rounds::re_judging_finishes_from_its_marks_before_the_next_sale",
    },
    Mutation {
        name: "a-threshold-that-stands-already-re-judges",
        edits: &[edit(
            "common/core/src/domain/fold/draft.rs",
            "changed_default: queued.command.action.sets_default().then_some(applied.ends_fold),",
            "changed_default: queued.command.action.sets_default().then_some(true),",
        )],
        suite: WORKER,
        killed_by: "tests::rounds::setting_the_threshold_that_stands_does_not_take_the_alert_of_the_change_after_it",
    },
    Mutation {
        name: "a-change-that-an-earlier-version-recorded-judges-no-level",
        edits: &[edit(
            "common/core/src/domain/outcome.rs",
            "self.changed_default.unwrap_or_else(sets_default)",
            "self.changed_default.unwrap_or_else(|| sets_default() && false)",
        )],
        suite: WORKER,
        killed_by: "tests::rounds::a_change_that_an_earlier_version_recorded_is_re_judged_all_the_same",
    },
    Mutation {
        name: "a-message-is-acknowledged-before-its-last-command",
        edits: &[edit(
            GROUP,
            "take_while(|message| message.end <= pos).count();",
            "take_while(|message| message.end <= pos + 1).count();",
        )],
        suite: WORKER,
        killed_by: "tests::crashes::a_fault_at_any_step_ends_at_the_same_stock",
    },
    Mutation {
        name: "after-a-failure-the-rest-of-the-group-goes-on",
        edits: &[edit(
            ROUND,
            "            if step.failed {\n                returned.extend(step.group.into_returned());\n                continue;\n            }",
            "            if step.failed {\n                step.taken = step.taken.max(1);\n            }",
        )],
        suite: WORKER,
        killed_by: "tests::crashes::a_fault_at_any_step_ends_at_the_same_stock",
    },
    Mutation {
        name: "a-permit-is-leaked-with-each-round",
        edits: &[edit(
            INTAKE,
            "    _permit: OwnedSemaphorePermit,\n    trial: bool,\n) {",
            "    permit: OwnedSemaphorePermit,\n    trial: bool,\n) {\n    std::mem::forget(permit);",
        )],
        suite: WORKER,
        killed_by: "tests::crashes::a_fault_at_any_step_ends_at_the_same_stock",
    },
    Mutation {
        name: "visibility-is-not-extended",
        edits: &[edit(
            HELD,
            "            tokio::time::sleep(pause).await;\n",
            "            std::future::pending::<()>().await;\n",
        )],
        suite: WORKER,
        killed_by: "tests::intake::long_work_keeps_its_messages",
    },
    Mutation {
        name: "work-goes-on-though-visibility-has-run-out",
        edits: &[edit(
            HELD,
            "        Instant::now() >= *self.visible_at.lock().unwrap_or_else(PoisonError::into_inner)",
            "        false && Instant::now() >= *self.visible_at.lock().unwrap_or_else(PoisonError::into_inner)",
        )],
        suite: WORKER,
        killed_by: "tests::intake::a_worker_whose_visibility_has_run_out_begins_no_further_attempt",
    },
    Mutation {
        name: "what-failed-comes-back-at-once",
        edits: &[edit(HELD, "    pause.max(GIVE_BACK_FIRST / 2)", "    pause.mul_f64(0.0)")],
        suite: WORKER,
        killed_by: "tests::outages::messages_of_a_failed_group_never_come_back_at_once",
    },
    Mutation {
        name: "a-retried-receive-has-another-attempt-id",
        edits: &[edit(
            INTAKE,
            "worker.adapters.queue.receive(max, wait, attempt).await",
            "worker.adapters.queue.receive(max, wait, { let _ = attempt; fresh_attempt() }).await",
        )],
        suite: WORKER,
        killed_by: "tests::intake::a_retried_receive_keeps_its_attempt_and_the_next_one_has_its_own",
    },
    Mutation {
        name: "receiving-goes-on-in-an-outage",
        edits: &[edit(
            INTAKE,
            "        match self.worker.gate.mode() {\n            Mode::Open => {",
            "        let _ = self.worker.gate.mode();\n        match Mode::Open {\n            Mode::Open => {",
        )],
        suite: WORKER,
        killed_by: "tests::outages::an_outage_stops_receiving_and_burns_no_receives",
    },
    Mutation {
        name: "a-fold-that-panics-takes-its-neighbours-along",
        edits: &[edit(
            GROUP,
            "        if self.undecided(self.pos..end) > 1 {\n            self.suspect = Some(end);\n            return true;\n        }",
            "",
        )],
        suite: WORKER,
        killed_by: "tests::poison::the_one_command_that_panics_is_found_by_halving",
    },
];
