//! Claims, mails and marks of alerts.

use super::edit;
use crate::{Mutation, Suite};

const ALERTER: &Suite = &Suite { arguments: &["-p", "stockline-alerter", "--test", "it"], sources: "alerter/tests/it" };

const FILE: &str = "alerter/src/alerts.rs";

const OPENINGS: &str = "alerter/src/alerts/openings.rs";

const DELIVERIES: &str = "alerter/src/deliveries.rs";

const DELIVERED: &str = "        let Delivered { accepted, refused, missing, reason } = self.deliveries.deliver(&mail, is_rest, window).await;";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "a-claim-counts-as-a-mail",
        edits: &[edit(FILE, "Ok(Claimed::Held) => Err(RetryReason::Held.into()),", "Ok(Claimed::Held) => Ok(()),")],
        suite: ALERTER,
        killed_by: "alerts::a_crash_between_claim_and_mail_delays_the_alert_until_the_lease_ends_and_loses_nothing",
    },
    Mutation {
        name: "a-sent-alert-is-mailed-again",
        edits: &[edit(
            FILE,
            "                Ok(Claimed::Ours) => {",
            "                Ok(Claimed::Ours | Claimed::Sent) => {",
        )],
        suite: ALERTER,
        killed_by: "alerts::a_redelivered_alert_is_mailed_once",
    },
    Mutation {
        name: "an-alert-is-marked-as-sent-before-the-mail",
        edits: &[edit(
            FILE,
            DELIVERED,
            "        let early: Vec<Alert> = alerts.iter().map(|(alert, _)| alert.clone()).collect();
        let sent = Unmarked { sent_at: self.adapters.clock.now(), missing: Vec::new(), tally: MailTally::default() };
        self.mark(&early, &sent, lease).await?;
        let Delivered { accepted, refused, missing, reason } = self.deliveries.deliver(&mail, is_rest, window).await;",
        )],
        suite: ALERTER,
        killed_by: "alerts::while_mail_is_down_alerts_are_redelivered_and_none_is_lost",
    },
    Mutation {
        name: "a-failed-mail-counts-as-sent",
        edits: &[edit(
            FILE,
            DELIVERED,
            "        let Delivered { reason, .. } = self.deliveries.deliver(&mail, is_rest, window).await;
        let (accepted, refused, missing, reason) = (1, 0, Vec::new(), reason.filter(|_| false));",
        )],
        suite: ALERTER,
        killed_by: "alerts::while_mail_is_down_alerts_are_redelivered_and_none_is_lost",
    },
    Mutation {
        name: "a-failed-mail-keeps-its-claim",
        edits: &[edit(
            FILE,
            "            self.give_up(&owned, lease).await;
            return",
            "            return",
        )],
        suite: ALERTER,
        killed_by: "alerts::a_claim_whose_mail_failed_blocks_no_other_alerter",
    },
    Mutation {
        name: "openings-are-mailed-one-by-one",
        edits: &[edit(OPENINGS, "    alert.opening && !contact", "    alert.opening && false && !contact")],
        suite: ALERTER,
        killed_by: "openings::three_hundred_items_that_open_low_are_one_mail_a_location",
    },
    Mutation {
        name: "an-opening-waits-for-no-other",
        edits: &[edit(OPENINGS, "        if !wait.is_zero() {", "        if !wait.is_zero() && false {")],
        suite: ALERTER,
        killed_by: "openings::three_hundred_items_that_open_low_are_one_mail_a_location",
    },
    Mutation {
        name: "a-trickle-of-openings-is-never-mailed",
        edits: &[edit(OPENINGS, ".min(after(*first, WAIT_MAX));", ".max(after(*first, QUIET));")],
        suite: ALERTER,
        killed_by: "openings::the_last_opening_begins_the_wait_anew_but_ten_minutes_are_the_most",
    },
    Mutation {
        name: "only-the-openings-in-hand-are-mailed",
        edits: &[edit(OPENINGS, "chain(listed.into_iter().map(", "chain(listed.into_iter().take(0).map(")],
        suite: ALERTER,
        killed_by: "openings::three_hundred_items_that_open_low_are_one_mail_a_location",
    },
    Mutation {
        name: "two-alerters-mail-a-part-of-the-openings-each",
        edits: &[edit(
            OPENINGS,
            "        if let Some(Err(held)) = notified.get(&id) {",
            "        if let Some(Err(held)) = notified.get(&id).filter(|_| false) {",
        )],
        suite: ALERTER,
        killed_by: "openings::whoever_claims_the_first_opening_mails_all_and_the_others_wait_for_it",
    },
    Mutation {
        name: "openings-that-are-mailed-and-not-marked-are-mailed-again",
        edits: &[edit(
            OPENINGS,
            "!unmarked.contains_key(&opening.alert.id())",
            "!unmarked.contains_key(&opening.alert.id()) || true",
        )],
        suite: ALERTER,
        killed_by: "openings::openings_that_are_mailed_and_not_marked_are_not_mailed_again",
    },
    Mutation {
        name: "an-outage-is-retried-rarely-from-the-first",
        edits: &[edit("alerter/src/schedule.rs", "< FREQUENT_FOR;", "< Duration::ZERO;")],
        suite: ALERTER,
        killed_by: "outages::after_any_outage_of_the_first_hour_an_alert_is_mailed_within_a_minute",
    },
    Mutation {
        name: "one-full-mailbox-puts-a-mail-off-for-all",
        edits: &[edit(
            DELIVERIES,
            "Err(_) if part.to.len() > 1 =>",
            "Err(MailError::Refused(_)) if part.to.len() > 1 =>",
        )],
        suite: ALERTER,
        killed_by: "outages::a_full_mailbox_delays_nobody_else_and_gets_its_mails_when_it_is_emptied",
    },
    Mutation {
        name: "who-did-not-get-a-mail-is-forgotten",
        edits: &[edit(
            FILE,
            "let unmarked = Unmarked { sent_at, missing, tally };",
            "let unmarked = Unmarked { sent_at, missing: missing.into_iter().filter(|_| false).collect(), tally };",
        )],
        suite: ALERTER,
        killed_by: "outages::who_is_still_missing_survives_a_restart",
    },
    Mutation {
        name: "a-refusal-is-final-before-anybody-has-the-mail",
        edits: &[edit(
            DELIVERIES,
            "if delivered.accepted == 0 && !others_have_it {",
            "if delivered.accepted == 0 && !others_have_it && part.to.len() > 1 {",
        )],
        suite: ALERTER,
        killed_by: "outages::alerts_that_gather_while_mail_is_down_go_out_within_a_minute_and_each_once",
    },
    Mutation {
        name: "alerts-are-listed-only-when-their-mail-is-due",
        edits: &[edit(FILE, "        self.list(&not_due).await;", "        let _ = self.list(&not_due);")],
        suite: ALERTER,
        killed_by: "outages::an_alert_is_listed_at_once_while_the_mail_server_is_away",
    },
    Mutation {
        name: "who-refused-a-mail-for-good-is-not-counted",
        edits: &[edit(DELIVERIES, "delivered.refused += count(&part.to);", "delivered.refused += 0;")],
        suite: ALERTER,
        killed_by: "outages::what_became_of_a_mail_is_counted_over_all_its_attempts",
    },
    Mutation {
        name: "a-later-part-forgets-who-has-the-mail",
        edits: &[edit(FILE, "= earlier.unwrap_or_default();", "= earlier.filter(|_| false).unwrap_or_default();")],
        suite: ALERTER,
        killed_by: "outages::what_became_of_a_mail_is_counted_over_all_its_attempts",
    },
    Mutation {
        name: "an-alert-without-a-recipient-looks-as-if-it-waited",
        edits: &[edit(
            FILE,
            "self.adapters.book.mark_unaddressed(&owned).await",
            "self.adapters.book.mark_unaddressed(&[]).await",
        )],
        suite: ALERTER,
        killed_by: "alerts::an_alert_without_recipient_is_handled_and_stays_unsent_in_the_history",
    },
];
