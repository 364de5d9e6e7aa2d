//! Claims, mails and marks of alerts.

use super::edit;
use crate::{Mutation, Suite};

const ALERTER: &Suite = &Suite { arguments: &["-p", "stockline-alerter", "--test", "it"], sources: "alerter/tests/it" };

const FILE: &str = "alerter/src/alerts.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "a-claim-counts-as-a-mail",
        edits: &[edit(FILE, "Ok(Claimed::Held) => Err(RetryReason::Held),", "Ok(Claimed::Held) => Ok(()),")],
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
            "        self.deliveries.deliver(&mail, window).await?;",
            "        let early: Vec<&Alert> = alerts.iter().map(|(alert, _)| alert).collect();
        self.mark(&early, self.adapters.clock.now()).await?;
        self.deliveries.deliver(&mail, window).await?;",
        )],
        suite: ALERTER,
        killed_by: "alerts::while_mail_is_down_alerts_are_redelivered_and_none_is_lost",
    },
    Mutation {
        name: "a-failed-mail-counts-as-sent",
        edits: &[edit(
            FILE,
            "        self.deliveries.deliver(&mail, window).await?;",
            "        let _ = self.deliveries.deliver(&mail, window).await;",
        )],
        suite: ALERTER,
        killed_by: "alerts::while_mail_is_down_alerts_are_redelivered_and_none_is_lost",
    },
];
