//! Mutations of what is written beside the data, and of what happens when a part dies.

use super::edit;
use crate::{Mutation, Suite};

const SERVICE: &Suite = &Suite { arguments: &["-p", "stockline-service", "--lib"], sources: "common/service/src" };
const STANDALONE: &Suite = &Suite { arguments: &["-p", "stockline", "--lib"], sources: "standalone/src" };
const BESIDE: &Suite = &Suite { arguments: &["-p", "stockline", "--test", "it"], sources: "standalone/tests/it" };
const WORKER: &Suite = &Suite { arguments: &["-p", "stockline-worker", "--lib"], sources: "worker/src" };
const INGRESS: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--lib"], sources: "ingress/src" };

const HOME: &str = "serve::home::tests::whichever_part_dies_the_home_sells_on_and_readyz_names_the_part_meanwhile";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "a-line-without-room-waits-for-the-reader",
        edits: &[edit(
            "common/service/src/line_queue.rs",
            "            drop(state);\n            return lose(1);",
            "            drop(state);\n            self.flush(Duration::from_millis(10));\n            return;",
        )],
        suite: SERVICE,
        killed_by: "line_queue::tests::a_reader_that_has_stopped_holds_up_nobody",
    },
    Mutation {
        name: "a-line-that-can-not-be-written-is-not-counted",
        edits: &[edit("common/service/src/line_queue.rs", "Err(_) => lose(1),", "Err(_) => {}")],
        suite: SERVICE,
        killed_by: "line_queue::tests::a_closed_pipe_costs_lines_and_nothing_else",
    },
    Mutation {
        name: "nobody-notices-that-a-writer-has-died",
        edits: &[edit(
            "standalone/src/serve/home.rs",
            "        why = stopped => Err(anyhow!(\"it panicked: {why}\")),",
            "        why = stopped => { tracing::error!(\"{why}\"); std::future::pending().await }",
        )],
        suite: STANDALONE,
        killed_by: HOME,
    },
    Mutation {
        name: "what-a-dead-part-left-is-not-closed",
        edits: &[edit(
            "standalone/src/serve/home.rs",
            "        home.abandon().await;",
            "        std::mem::forget(home);",
        )],
        suite: STANDALONE,
        killed_by: HOME,
    },
    Mutation {
        name: "a-dead-part-is-opened-again-for-ever",
        edits: &[edit(
            "standalone/src/serve/home.rs",
            "        if self.0.len() >= DEATHS_MAX {\n            return None;\n        }",
            "        self.0.truncate(DEATHS_MAX - 1);",
        )],
        suite: STANDALONE,
        killed_by: "serve::home::tests::pauses_grow_and_too_many_deaths_end_the_process",
    },
    Mutation {
        name: "a-receiver-that-panicked-is-not-missed",
        edits: &[edit(
            "worker/src/receivers.rs",
            "        ended = receivers.join_next() => ended.and_then(Result::err),",
            "        never = std::future::pending() => never,",
        )],
        suite: WORKER,
        killed_by: "tests::receivers::a_panic_outside_of_a_round_ends_the_worker_after_its_other_receivers_have_drained",
    },
    Mutation {
        name: "the-ingress-lives-on-without-its-packer",
        edits: &[edit(
            "ingress/src/lib.rs",
            "            shutdown.cancel();\n            serving.await;\n            Err(IngressError::Stopped(\"the packer\"))",
            "            serving.await;\n            Ok(())",
        )],
        suite: INGRESS,
        killed_by: "packer::tests::without_its_packer_the_ingress_stops_and_says_why",
    },
    Mutation {
        name: "a-removed-mail-folder-stays-away",
        edits: &[edit(
            "standalone/src/mail/eml.rs",
            "            std::fs::create_dir(folder)?;",
            "            let _ = folder;",
        )],
        suite: BESIDE,
        killed_by: "beside::a_mail_folder_that_was_removed_comes_back_and_one_that_can_t_is_a_fault_until_it_can",
    },
    Mutation {
        name: "a-closed-pipe-is-an-error-like-any-other",
        edits: &[edit(
            "standalone/src/exit.rs",
            "Err(error) if output::is_closed(error.chain()) =>",
            "Err(error) if output::is_closed(error.chain()) && false =>",
        )],
        suite: BESIDE,
        killed_by: "beside::a_subcommand_whose_reader_has_gone_ends_quietly_and_one_on_a_full_disk_says_so",
    },
];
