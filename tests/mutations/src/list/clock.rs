//! Mutations of the rules that hold wrong clocks back. Those of the fold are in `fold.rs`.

use super::edit;
use crate::{Mutation, Suite};

const SERVICE: &Suite = &Suite { arguments: &["-p", "stockline-service", "--lib"], sources: "common/service/src" };
const API: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--test", "api"], sources: "ingress/tests/api" };
const ALERTER: &Suite = &Suite { arguments: &["-p", "stockline-alerter", "--test", "it"], sources: "alerter/tests/it" };
const CONTRACT: &Suite =
    &Suite { arguments: &["-p", "stockline-tests", "--test", "contract"], sources: "tests/src/contract/store" };
const HOMES: &Suite = &Suite { arguments: &["-p", "stockline-tests", "--test", "homes"], sources: "tests/tests/homes" };

const CLOCK: &str = "common/service/src/clock.rs";
const STORES: &str = "standalone/src/stores.rs";
const ITEMS: &str = "ingress/src/routes/items.rs";
const HISTORY: &str = "ingress/src/routes/history.rs";
const DYNAMO: &str = "common/aws/src/dynamodb/alert_book.rs";
const SQLITE: &str = "common/sqlite/src/stock/alert_book.rs";
const NOTICES: &str = "alerter/src/notices.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "the-clock-takes-any-step",
        edits: &[edit(
            CLOCK,
            "if step_ms.abs() <= CLOCK_STEP_MAX_MS || is_explained {",
            "if step_ms.abs() <= i64::MAX || is_explained {",
        )],
        suite: SERVICE,
        killed_by: "clock::tests::a_great_step_is_held_until_the_clock_is_right_again",
    },
    Mutation {
        name: "the-clock-goes-back",
        edits: &[edit(CLOCK, "state.last = state.last.max(", "state.last = Timestamp::EPOCH.max(")],
        suite: SERVICE,
        killed_by: "clock::tests::small_steps_are_taken_and_time_never_goes_back",
    },
    Mutation {
        name: "a-start-forgets-what-is-stored",
        edits: &[edit(
            CLOCK,
            "let begin = last_stored.filter(|last| !follows(*last)).unwrap_or(wall);",
            "let begin = last_stored.filter(|last| !follows(*last) && false).unwrap_or(wall);",
        )],
        suite: SERVICE,
        killed_by: "clock::tests::a_start_goes_on_from_the_last_stored_time",
    },
    Mutation {
        name: "the-store-says-no-last-time",
        edits: &[edit(
            STORES,
            "GuardedClock::new(last_accepted_at(&lock.stock_db(), &open)?, CLOCK_REMEDY)",
            "GuardedClock::new(last_accepted_at(&lock.stock_db(), &open)?.filter(|_| false), CLOCK_REMEDY)",
        )],
        suite: HOMES,
        killed_by: "wrong_clock::a_start_an_hour_behind_goes_on_from_what_is_stored",
    },
    Mutation {
        name: "now-hides-entries-of-a-clock-ahead",
        edits: &[edit(ITEMS, "if as_of >= now {", "if as_of > now.plus_millis(i64::MAX) {")],
        suite: API,
        killed_by: "reads::entries_that_a_clock_ahead_recorded_hide_nothing",
    },
    Mutation {
        name: "an-end-that-is-not-past-hides-entries",
        edits: &[edit(
            HISTORY,
            "paging.cursor.is_none() && *to < read.app.clock.now()",
            "paging.cursor.is_none() || *to < read.app.clock.now()",
        )],
        suite: API,
        killed_by: "reads::entries_that_a_clock_ahead_recorded_hide_nothing",
    },
    Mutation {
        name: "dynamodb-a-claim-of-a-clock-ahead-holds",
        edits: &[edit(
            DYNAMO,
            "     (#lease_until <= :now OR #lease_until > :latest OR",
            "     (#lease_until <= :now OR (#lease_until > :latest AND #lease_until < :latest) OR",
        )],
        suite: CONTRACT,
        killed_by: "store_dynamodb::what_a_clock_ahead_claimed_or_told_is_void",
    },
    Mutation {
        name: "dynamodb-a-notice-of-a-clock-ahead-covers-all",
        edits: &[edit(DYNAMO, ".filter(|end| *end <= now).max()", ".max()")],
        suite: CONTRACT,
        killed_by: "store_dynamodb::what_a_clock_ahead_claimed_or_told_is_void",
    },
    Mutation {
        name: "sqlite-a-claim-of-a-clock-ahead-holds",
        edits: &[edit(SQLITE, "..=latest_lease_end(lease.until).as_millis();", "..=i64::MAX;")],
        suite: CONTRACT,
        killed_by: "store_sqlite::what_a_clock_ahead_claimed_or_told_is_void",
    },
    Mutation {
        name: "sqlite-a-notice-of-a-clock-ahead-covers-all",
        edits: &[edit(SQLITE, " AND notified_until <= ?2", " AND coalesce(?2, 1)")],
        suite: CONTRACT,
        killed_by: "store_sqlite::what_a_clock_ahead_claimed_or_told_is_void",
    },
    Mutation {
        name: "the-alerter-remembers-what-a-clock-ahead-showed",
        edits: &[edit(NOTICES, " && *learned_at <= now)", " && learned_at.as_millis() >= 0)")],
        suite: ALERTER,
        killed_by: "notices::a_notice_under_a_wrong_date_silences_no_other",
    },
];
