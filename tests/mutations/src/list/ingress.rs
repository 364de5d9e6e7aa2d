//! Rights, answers, and the order of packs.

use super::edit;
use crate::{Mutation, Suite};

const LIBRARY: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--lib"], sources: "ingress/src" };
const SERVICE: &Suite = &Suite { arguments: &["-p", "stockline-service", "--lib"], sources: "common/service/src" };
const API: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--test", "api"], sources: "ingress/tests/api" };

const RIGHTS: &str = "ingress/src/auth/rights.rs";
const TOKEN: &str = "ingress/src/auth/token.rs";
const REGISTRY: &str = "ingress/src/auth/registry.rs";
const ACTOR: &str = "ingress/src/packer/actor.rs";
const RECEIPT: &str = "ingress/src/receipt.rs";
const BODY_BUDGET: &str = "ingress/src/body_budget.rs";
const ANSWER_BUDGET: &str = "ingress/src/answer_budget.rs";
const RESUBMIT: &str = "ingress/src/routes/resubmit.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "one-of-two-commands-with-one-id-in-a-batch-is-queued",
        edits: &[edit(
            "ingress/src/routes/batch.rs",
            "if same.other.is_none() && !lines[same.first]",
            "if false && !lines[same.first]",
        )],
        suite: API,
        killed_by: "batch::all_lines_of_an_id_with_different_contents_are_refused",
    },
    Mutation {
        name: "a-command-that-stands-twice-in-a-batch-is-queued-twice",
        edits: &[edit(
            "ingress/src/routes/batch.rs",
            "(Ok(_), Some((first, None))) if first < index =>",
            "(Ok(_), Some((first, None))) if first > index =>",
        )],
        suite: API,
        killed_by: "batch::the_same_command_twice_is_queued_once_and_both_lines_are_answered_alike",
    },
    Mutation {
        name: "a-reference-in-the-description-has-a-text-of-its-own",
        edits: &[edit(
            "ingress/src/openapi/for_generators.rs",
            "members.retain(|name, _| name == \"$ref\")",
            "members.retain(|_, _| true)",
        )],
        suite: API,
        killed_by: "description::nothing_in_the_document_confuses_a_generator",
    },
    Mutation {
        name: "a-caller-takes-every-turn-of-the-lists",
        edits: &[edit(
            "ingress/src/list_turns.rs",
            "                self.round.push_back(caller);",
            "                self.round.push_front(caller);",
        )],
        suite: LIBRARY,
        killed_by: "list_turns::tests::callers_take_turns_however_many_lists_one_of_them_wants",
    },
    Mutation {
        name: "a-client-that-has-gone-keeps-its-turn",
        edits: &[edit(
            "ingress/src/list_turns.rs",
            "                Err(unused) => turn = unused,",
            "                Err(mut unused) => return drop(unused.0.take()),",
        )],
        suite: LIBRARY,
        killed_by: "list_turns::tests::a_client_that_has_gone_takes_no_turn_and_no_place",
    },
    Mutation {
        name: "a-page-may-run-any-script",
        edits: &[edit("ingress/src/openapi/served.rs", "script-src 'self';", "script-src 'unsafe-inline';")],
        suite: API,
        killed_by: "description::the_pages_run_one_script_of_this_server_and_load_nothing_else",
    },
    Mutation {
        name: "a-page-links-to-the-root-of-the-host",
        edits: &[edit(
            "ingress/src/openapi/guide.rs",
            "Frame { title: \"Stockline\", root: \"./\",",
            "Frame { title: \"Stockline\", root: \"/\",",
        )],
        suite: API,
        killed_by: "description::every_anchor_of_a_page_is_unique_and_every_link_leads_somewhere",
    },
    Mutation {
        name: "a-section-of-the-reference-takes-the-anchor-of-a-heading",
        edits: &[edit(
            "ingress/src/openapi/page.rs",
            "format!(\"api-{}\", markdown::slug(tag))",
            "markdown::slug(tag)",
        )],
        suite: API,
        killed_by: "description::every_anchor_of_a_page_is_unique_and_every_link_leads_somewhere",
    },
    Mutation {
        name: "a-role-may-submit-everything",
        edits: &[edit(
            RIGHTS,
            "if !self.role_may_submit(command, staff_may) {",
            "if !self.role_may_submit(command, staff_may) && false {",
        )],
        suite: LIBRARY,
        killed_by: "auth::rights::tests::every_role_may_submit_what_the_table_says_and_only_where_it_is_bound",
    },
    Mutation {
        name: "a-token-acts-at-every-location",
        edits: &[edit(
            RIGHTS,
            "Some(bound) if !bound.contains(location) =>",
            "Some(bound) if !bound.contains(location) && false =>",
        )],
        suite: LIBRARY,
        killed_by: "auth::rights::tests::every_role_may_submit_what_the_table_says_and_only_where_it_is_bound",
    },
    Mutation {
        name: "a-token-of-any-client-is-accepted",
        edits: &[edit(
            TOKEN,
            "if !is_configured && !may_be_registered {",
            "if !is_configured && !may_be_registered && false {",
        )],
        suite: LIBRARY,
        killed_by: "auth::tests::attacks::claims_that_do_not_fit_are_refused_by_name",
    },
    Mutation {
        name: "a-location-scope-of-another-server-binds-to-nothing",
        edits: &[edit(
            RIGHTS,
            "_ if scope.split('/').any(is_about_location) => {",
            "_ if name.is_some_and(is_about_location) => {",
        )],
        suite: LIBRARY,
        killed_by: "auth::rights::tests::a_scope_about_a_location_that_is_not_understood_refuses_the_token",
    },
    Mutation {
        name: "a-registered-client-acts-everywhere",
        edits: &[edit(RIGHTS, "(None, Some(bound)) => Some(Arc::new(bound.clone())),", "(None, Some(_)) => None,")],
        suite: LIBRARY,
        killed_by: "auth::rights::tests::a_client_narrows_its_tokens_and_never_widens_them",
    },
    Mutation {
        name: "a-disabled-client-is-accepted",
        edits: &[edit(REGISTRY, "if client.disabled {", "if client.disabled && false {")],
        suite: LIBRARY,
        killed_by: "auth::tests::registered::a_busy_client_is_cut_off_within_a_minute_too",
    },
    Mutation {
        name: "a-clients-row-is-never-read-again",
        edits: &[edit(
            REGISTRY,
            "if is_within(*asked_at, now, refreshed_from_s) {",
            "if is_within(*asked_at, now, i64::MAX / 1_000) {",
        )],
        suite: LIBRARY,
        killed_by: "auth::tests::registered::a_busy_client_is_cut_off_within_a_minute_too",
    },
    Mutation {
        name: "a-token-of-any-issuer-is-accepted",
        edits: &[edit(
            TOKEN,
            "if self.iss.as_deref() != Some(&expected.issuer) {",
            "if self.iss.as_deref() != Some(&expected.issuer) && false {",
        )],
        suite: LIBRARY,
        killed_by: "auth::tests::attacks::claims_that_do_not_fit_are_refused_by_name",
    },
    Mutation {
        name: "an-id-token-is-accepted-as-an-access-token",
        edits: &[edit(
            TOKEN,
            "if self.token_use.as_deref() != Some(\"access\") {",
            "if self.token_use.as_deref() != Some(\"access\") && false {",
        )],
        suite: LIBRARY,
        killed_by: "auth::tests::attacks::claims_that_do_not_fit_are_refused_by_name",
    },
    Mutation {
        name: "an-expired-token-is-accepted",
        edits: &[edit(TOKEN, "if now > usable_until(exp) {", "if now > usable_until(exp) && false {")],
        suite: LIBRARY,
        killed_by: "auth::tests::attacks::claims_that_do_not_fit_are_refused_by_name",
    },
    Mutation {
        name: "a-failed-pack-counts-as-queued",
        edits: &[edit(
            ACTOR,
            "                    let failed = self.not_acknowledged(item, now);",
            "                    let failed = { self.acknowledged(item, now); 0 };",
        )],
        suite: LIBRARY,
        killed_by: "packer::tests::when_a_line_fails_the_later_ones_of_its_item_in_the_request_fail_unsent",
    },
    Mutation {
        name: "a-resent-pack-has-a-new-id",
        edits: &[edit(
            ACTOR,
            "            return Some(unacknowledged.pack.clone());",
            "            return Some(Pack { dedup_id: Uuid::new_v4(), ..unacknowledged.pack.clone() });",
        )],
        suite: LIBRARY,
        killed_by: "packer::tests::an_ambiguous_pack_goes_again_under_its_id_before_anything_later_of_its_item",
    },
    Mutation {
        name: "lines-after-a-failed-line-of-their-item-are-sent",
        edits: &[edit(
            ACTOR,
            "backlog.remove(|entry| failed.contains(&entry.of.request));",
            "backlog.remove(|entry| failed.contains(&entry.of.request) && false);",
        )],
        suite: LIBRARY,
        killed_by: "packer::tests::when_a_line_fails_the_later_ones_of_its_item_in_the_request_fail_unsent",
    },
    Mutation {
        name: "the-fingerprint-is-ignored",
        edits: &[edit(
            RECEIPT,
            "if viewer.is_another(&record, receipt) =>",
            "if viewer.is_another(&record, receipt) && false =>",
        )],
        suite: API,
        killed_by: "status::the_status_of_a_reused_id_shows_the_command_that_holds_it",
    },
    Mutation {
        name: "a-record-with-a-cost-is-compared-with-nothing",
        edits: &[edit(
            "ingress/src/view/viewer.rs",
            "print != receipt.without_cost.unwrap_or(receipt.fingerprint)",
            "print != receipt.without_cost.unwrap_or(receipt.fingerprint) && false",
        )],
        suite: API,
        killed_by: "rights::a_sale_under_the_id_of_a_delivery_with_a_cost_is_reported_as_reused",
    },
    Mutation {
        name: "a-cost-can-be-guessed",
        edits: &[edit(
            "ingress/src/view/viewer.rs",
            "if command.has_cost() && !self.costs && outcome",
            "if command.has_cost() && !self.costs && false && outcome",
        )],
        suite: API,
        killed_by: "rights::staff_cant_guess_a_cost_by_submitting_it_under_the_id_that_holds_it",
    },
    Mutation {
        name: "queued-is-answered-without-a-receipt",
        edits: &[edit(
            RECEIPT,
            "            (None, None) => Standing::Problem(not_found()),",
            "            (None, None) => Standing::Queued(Receipt { accepted_at: self.clock.now(), fingerprint: stockline_core::domain::Fingerprint::from_bytes([0; 16]), without_cost: None }),",
        )],
        suite: API,
        killed_by: "status::without_a_receipt_an_unknown_id_is_404_and_says_that_sending_again_is_safe",
    },
    Mutation {
        name: "a-lost-command-is-queued-for-ever",
        edits: &[edit(
            RECEIPT,
            "self.clock.now().millis_since(receipt.accepted_at) > self.retention_ms =>",
            "self.clock.now().millis_since(receipt.accepted_at) > self.retention_ms && false =>",
        )],
        suite: API,
        killed_by: "status::a_receipt_older_than_the_retention_without_an_outcome_is_410",
    },
    Mutation {
        name: "a-late-resubmission-is-sent-again",
        edits: &[edit(
            RESUBMIT,
            "if mark.is_some_and(|by| by.item_id == it.item_id && by.command_id == it.command_id) {",
            "if mark.is_some_and(|by| by.command_id == it.command_id) {",
        )],
        suite: API,
        killed_by: "resubmit::of_two_resubmissions_at_once_the_later_one_is_not_sent_again",
    },
    Mutation {
        name: "a-set-aside-resubmission-is-sent-again",
        edits: &[edit(
            RESUBMIT,
            "if let Some(old) = &record.resubmits {",
            "if let Some(old) = record.resubmits.as_ref().filter(|_| record.outcome.status == Status::Rejected) {",
        )],
        suite: API,
        killed_by: "resubmit::a_resubmission_that_was_set_aside_is_retried_and_not_resubmitted",
    },
    Mutation {
        name: "a-resubmission-sent-again-is-a-conflict",
        edits: &[edit(
            RESUBMIT,
            "if by.item_id != command.item_id || by.command_id != command.command_id =>",
            "if true =>",
        )],
        suite: API,
        killed_by: "resubmit::a_refused_sale_is_listed_and_resubmitted_once_with_its_own_time",
    },
    Mutation {
        name: "a-replaced-command-is-sent-again-for-another-item",
        edits: &[edit(
            RESUBMIT,
            "if by.item_id != command.item_id || by.command_id != command.command_id =>",
            "if false =>",
        )],
        suite: API,
        killed_by: "resubmit::a_refused_sale_is_listed_and_resubmitted_once_with_its_own_time",
    },
    Mutation {
        name: "large-bodies-are-not-counted",
        edits: &[edit(BODY_BUDGET, "self.large.acquire_many(units)", "self.large.acquire_many(0)")],
        suite: LIBRARY,
        killed_by: "body_budget::tests::large_bodies_fit_into_the_budget_or_wait",
    },
    Mutation {
        name: "slow-large-bodies-take-the-whole-budget",
        edits: &[edit(BODY_BUDGET, "slow_large: Semaphore::new(large / 2)", "slow_large: Semaphore::new(large)")],
        suite: API,
        killed_by: "limits::slow_large_bodies_leave_room_for_others",
    },
    Mutation {
        name: "answers-have-no-budget",
        edits: &[edit(ANSWER_BUDGET, "try_acquire_many_owned(units) {", "try_acquire_many_owned(0) {")],
        suite: LIBRARY,
        killed_by: "answer_budget::tests::lists_wait_for_each_other_and_small_answers_for_none_of_them",
    },
    Mutation {
        name: "an-answer-frees-its-bytes-before-they-are-sent",
        edits: &[edit(
            ANSWER_BUDGET,
            "_share: self.room.split(share) }",
            "_share: self.room.split(share).and_then(|mut share| share.split(0)) }",
        )],
        suite: LIBRARY,
        killed_by: "answer_budget::tests::an_answer_frees_its_bytes_piece_by_piece_as_they_are_sent",
    },
    Mutation {
        name: "the-levels-of-an-item-are-not-learned",
        edits: &[edit(ANSWER_BUDGET, "self.largest_item.fetch_max(each", "self.largest_item.fetch_max(each * 0")],
        suite: LIBRARY,
        killed_by: "answer_budget::tests::the_levels_of_an_item_are_learned_from_answers",
    },
    Mutation {
        name: "a-ping-keeps-a-client-that-takes-no-answer",
        edits: &[edit(
            "ingress/src/server/sending.rs",
            "if self.is_late(USUAL) {",
            "if self.is_late(USUAL) && false {",
        )],
        suite: LIBRARY,
        killed_by: "server::connection::tests::an_http2_client_without_a_window_is_cut_off_whatever_else_it_sends",
    },
    Mutation {
        name: "a-client-may-give-up-any-number-of-requests",
        edits: &[edit(
            "ingress/src/server/connection.rs",
            "            self.requests.given_up.notify_one();",
            "            let _ = &self.requests.given_up;",
        )],
        suite: LIBRARY,
        killed_by: "server::connection::tests::an_http2_client_that_gives_up_its_requests_is_cut_off",
    },
    Mutation {
        name: "large-heads-are-not-counted",
        edits: &[edit("ingress/src/admission.rs", "..=SMALL_HEAD_BYTES => None,", "..=usize::MAX => None,")],
        suite: LIBRARY,
        killed_by: "admission::tests::large_heads_have_a_budget_and_small_ones_do_not_need_it",
    },
    Mutation {
        name: "a-request-names-two-hosts",
        edits: &[edit("ingress/src/server/host.rs", "_ if more.is_some() =>", "_ if more.is_some() && false =>")],
        suite: LIBRARY,
        killed_by: "server::host::tests::a_request_names_exactly_one_host",
    },
    Mutation {
        name: "a-hangup-ends-the-server",
        edits: &[edit(
            "common/service/src/shutdown.rs",
            "        _ = interrupt.recv() => {}",
            "        _ = interrupt.recv() => {}\n        () = async { Hangups::begin().unwrap().next().await } => {}",
        )],
        suite: SERVICE,
        killed_by: "shutdown::tests::a_hangup_is_told_and_ends_nothing",
    },
    Mutation {
        name: "silent-handshakes-are-never-cut-off",
        edits: &[edit(
            "ingress/src/server/mod.rs",
            "if begun.elapsed() >= RECLAIM_AFTER {",
            "if begun.elapsed() >= HANDSHAKE_TIMEOUT {",
        )],
        suite: LIBRARY,
        killed_by: "server::tests::silent_handshakes_are_cut_off_when_all_connections_are_taken",
    },
    Mutation {
        name: "the-ingress-dates-a-resubmission-by-its-own-acceptance",
        edits: &[edit("ingress/src/accept.rs", "replaced.map(Record::first_accepted_at)", "None")],
        suite: API,
        killed_by: "resubmit::a_refused_sale_can_be_corrected_more_than_a_month_later_and_again",
    },
    Mutation {
        name: "the-ingress-dates-a-resubmission-by-the-previous-acceptance",
        edits: &[edit(
            "common/core/src/domain/record.rs",
            "self.first_accepted_at.unwrap_or(self.outcome.accepted_at)",
            "self.outcome.accepted_at",
        )],
        suite: API,
        killed_by: "resubmit::a_refused_sale_can_be_corrected_more_than_a_month_later_and_again",
    },
    Mutation {
        name: "the-block-of-a-discarded-resubmission-is-not-checked",
        edits: &[edit(RESUBMIT, "was_not_set_aside(&app, &command).await?;", "let _ = was_not_set_aside;")],
        suite: API,
        killed_by: "resubmit::a_resubmission_that_was_set_aside_is_retried_and_not_resubmitted",
    },
    Mutation {
        name: "commands-of-two-items-are-resubmitted-under-one-id",
        edits: &[edit("common/core/src/domain/ids.rs", "format!(\"resubmit {item_id}\")", "\"resubmit\"")],
        suite: API,
        killed_by: "resubmit::refused_commands_of_two_items_with_one_id_are_both_resubmitted_for_a_third",
    },
];
