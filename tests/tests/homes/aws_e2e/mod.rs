//! Tests the AWS home end to end: the deployed stack, and real processes that are killed and restarted under load. It
//! checks each of the ten promises (design.md §2) from outside: in the API, the mails and the worker's audit.

use std::time::Instant;

use futures_util::future::join_all;
use stockline_deploy_checks::ministack::aws_tests;
use stockline_tests::aws::{Installation, Program};

mod alerts;
mod load;
mod metrics;
mod outages;
mod people;
mod privilege;
mod promises;
mod trace;

/// The processes of an installation.
struct Fleet {
    ingress: Program,
    workers: Vec<Program>,
}

/// Runs a part and prints how long it took.
async fn timed<T>(part: &str, work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = work.await;
    println!("{:>7.1} s  {part}", begun.elapsed().as_secs_f64());
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_home_keeps_its_promises() {
    if !aws_tests() {
        return;
    }
    let begun = Instant::now();
    let home = timed("the stack is deployed and everybody signed in", Installation::deploy()).await;
    let fleet = timed("an ingress and two workers are ready", async {
        let (ingress, one, other) = tokio::join!(home.ingress(), home.worker(), home.worker());
        Fleet { ingress, workers: vec![one, other] }
    })
    .await;

    timed("P10", people::p10_nobody_acts_beyond_their_role(&home)).await;
    timed("P10: no way to the issuer", people::an_ingress_starts_without_a_way_to_the_issuer(&home)).await;
    timed("P5", promises::p5_no_oversell_where_the_policy_says_reject(&home)).await;
    timed("P2, P7", promises::p2_p7_a_replay_takes_stock_once_and_answers_as_the_first(&home)).await;
    timed("P8", promises::p8_one_bad_command_harms_only_itself(&home)).await;
    timed("SQS sets a message aside", privilege::set_aside_by_sqs(&home)).await;
    let mut alerts = timed("P6: episodes", alerts::p6_each_kind_of_crossing(&home)).await;
    let (fleet, crossed) =
        timed("P1, P2, P3, P6, P7 under kills", load::p1_p2_p3_p7_under_kills_and_duplicates(&home, fleet)).await;
    alerts.extend(crossed);
    alerts.push(timed("P9", outages::p9_an_outage_stops_work_not_correctness(&home, &fleet)).await);
    timed("P6: mails", alerts::p6_every_crossing_was_mailed_once(&home, alerts)).await;
    timed("the rest of the API", privilege::the_rest_of_the_api(&home)).await;
    timed("dead letters again", privilege::dead_letters_are_tried_again(&home)).await;
    timed("the schedule", privilege::the_schedule_is_understood(&home)).await;
    timed("P4", promises::p4_the_ledger_explains_the_stock(&home)).await;
    timed("one trace", trace::one_trace_leads_from_the_request_to_the_mail(&home)).await;
    timed("a sale is refused", metrics::a_refused_sale_is_counted_by_who_lives(&home)).await;
    timed("a mail is refused", metrics::a_refused_mail_is_counted_as_such(&home)).await;
    timed("the fleet drains and ends", async {
        join_all(fleet.workers.into_iter().chain([fleet.ingress]).map(Program::stop)).await;
    })
    .await;
    metrics::what_is_watched_was_told(&home);
    timed("what takes longer", privilege::what_takes_longer(&home)).await;
    timed("least privilege", async { privilege::least_privilege(&home) }).await;
    println!("{:>7.1} s  in all", begun.elapsed().as_secs_f64());
}
