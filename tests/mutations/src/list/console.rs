//! Mutations of the console: who may come in, and what its pages tell. The flows in a browser cover the rest.

use super::edit;
use crate::{Mutation, Suite};

const LIBRARY: &Suite = &Suite { arguments: &["-p", "stockline-console", "--lib"], sources: "console/src" };
const OIDC: &Suite = &Suite { arguments: &["-p", "stockline-console", "--test", "oidc"], sources: "console/tests" };
const SEARCH: &Suite = &Suite { arguments: &["-p", "stockline-console", "--test", "search"], sources: "console/tests" };
const STANDALONE: &Suite = &Suite { arguments: &["-p", "stockline", "--lib"], sources: "standalone/src" };

const GATHER: &str = "console/src/api/gather.rs";
const GUARD: &str = "console/src/guard.rs";
const SENDER_LOG: &str = "standalone/src/serve/sender_log.rs";
const SIGN_IN: &str = "console/src/oidc.rs";
const TILLS: &str = "console/src/manager/tills.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "another-site-may-change-something",
        edits: &[edit(GUARD, "return site == \"same-origin\";", "return site != \"cross-site\";")],
        suite: LIBRARY,
        killed_by: "guard::tests::only_our_own_pages_may_change_something",
    },
    Mutation {
        name: "a-cookie-is-opened-for-another-use",
        edits: &[
            edit(
                "console/src/sealed.rs",
                "open_in_place(nonce, Aad::from(purpose), ",
                "open_in_place(nonce, Aad::from(\"\"), ",
            ),
            edit("console/src/sealed.rs", "append_tag(Aad::from(purpose), ", "append_tag(Aad::from(\"\"), "),
        ],
        suite: LIBRARY,
        killed_by: "sealed::tests::only_this_installation_opens_a_seal_and_only_for_its_use",
    },
    Mutation {
        name: "a-till-is-silent-though-the-shop-is-closed",
        edits: &[edit(TILLS, "let others_sell = last.values().any(", "let others_sell = !last.values().all(")],
        suite: LIBRARY,
        killed_by: "manager::tills::tests::a_till_is_silent_only_while_another_one_sells_and_only_for_a_week",
    },
    Mutation {
        name: "a-restart-forgets-who-fell-silent",
        edits: &[edit(SENDER_LOG, "saved.map(|saved| saved.senders)", "saved.map(|_| Vec::new())")],
        suite: STANDALONE,
        killed_by: "serve::sender_log::tests::a_till_that_fell_silent_is_remembered_over_a_restart_however_much_others_sent_since",
    },
    Mutation {
        name: "a-start-reads-one-page-of-movements",
        edits: &[edit(SENDER_LOG, "last.entry.recorded_at < since)", "last.entry.recorded_at != since)")],
        suite: STANDALONE,
        killed_by: "serve::sender_log::tests::a_till_that_fell_silent_is_remembered_over_a_restart_however_much_others_sent_since",
    },
    Mutation {
        name: "an-export-leaves-out-its-last-day",
        edits: &[edit(
            "console/src/manager/export.rs",
            "let day = if of_next { day.tomorrow().ok()? } else { day };",
            "let day = if of_next { day } else { day };",
        )],
        suite: LIBRARY,
        killed_by: "manager::export::tests::a_day_begins_and_ends_at_local_midnight",
    },
    Mutation {
        name: "a-rate-goes-on-over-a-restart",
        edits: &[edit(
            "console/src/rates.rs",
            "all(|(last, now)| now >= *last)",
            "all(|(last, now)| now.is_finite() || now >= *last)",
        )],
        suite: LIBRARY,
        killed_by: "rates::tests::a_rate_is_that_of_the_last_minute",
    },
    Mutation {
        name: "a-text-in-a-chart-is-markup",
        edits: &[edit("console/src/chart.rs", ".replace('<', \"&lt;\")", "")],
        suite: LIBRARY,
        killed_by: "chart::tests::a_chart_has_its_label_and_no_markup_of_others",
    },
    Mutation {
        name: "a-search-ends-with-an-empty-page",
        edits: &[edit(GATHER, "if is_cut && Instant::now() < until", "if is_cut && Instant::now() > until")],
        suite: SEARCH,
        killed_by: "an_item_behind_many_empty_pages_is_on_the_first_screen",
    },
    Mutation {
        name: "a-search-that-was-cut-looks-complete",
        edits: &[edit(
            GATHER,
            "let is_cut = next.is_some() && rows.len() < most;",
            "let is_cut = next.is_some() && rows.len() > most;",
        )],
        suite: SEARCH,
        killed_by: "a_search_that_takes_too_long_says_so_and_goes_on_from_there",
    },
    Mutation {
        name: "a-search-that-goes-on-begins-anew",
        edits: &[edit("console/src/staff/lookup.rs", "&filters, cursor, CHOICES_MAX", "&filters, \"\", CHOICES_MAX")],
        suite: SEARCH,
        killed_by: "the_station_finds_a_name_behind_empty_pages_and_searches_on_when_asked",
    },
    Mutation {
        name: "an-answer-for-another-browser-signs-in",
        edits: &[edit(SIGN_IN, "pending.state == answer.state && !answer.code", "!answer.code")],
        suite: OIDC,
        killed_by: "an_answer_for_another_browser_or_a_second_time_signs_nobody_in",
    },
    Mutation {
        name: "an-identity-of-another-sign-in-is-taken",
        edits: &[
            edit(SIGN_IN, "Some(false) => Err(", "Some(false) if nobody() => Err("),
            edit(
                SIGN_IN,
                "Some(true) | None => Ok(tokens.access_token),",
                "Some(_) | None => Ok(tokens.access_token),",
            ),
            edit(
                SIGN_IN,
                "/// Tells whether an identity token",
                "fn nobody() -> bool {\n    false\n}\n\n/// Tells whether an identity token",
            ),
        ],
        suite: OIDC,
        killed_by: "an_identity_of_another_sign_in_signs_nobody_in",
    },
    Mutation {
        name: "forms-may-lead-to-any-site",
        edits: &[edit(
            GUARD,
            "base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
            "base-uri 'none'; frame-ancestors 'none'; form-action https: 'self'",
        )],
        suite: OIDC,
        killed_by: "signing_out_ends_the_issuers_session_too_and_forms_may_lead_nowhere_else",
    },
];
