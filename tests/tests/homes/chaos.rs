//! Tests chaos on the standalone home. The real process runs under load; a seed decides when it is killed and
//! restarted. `stockline-bench chaos` runs the same test for longer.

use std::time::Duration;

use stockline_sqlite::QueueOptions;
use stockline_tests::chaos::{Options, run};

const SEED: u64 = 1;

/// P1, P2, P4, P5, P6, P7 across `kill -9`: every accepted command has one outcome, the balances are the sums of the
/// outcomes, the audit is sound, and every crossing is mailed. A crossing is mailed twice only if the kill came between
/// the mail and its mark.
#[tokio::test(flavor = "multi_thread")]
async fn three_kills_under_load_lose_nothing_and_do_nothing_twice() {
    println!("seed {SEED}");
    let options = Options { rounds: 3, seed: SEED, tills: 8, items: 12, accepted_min: 600, stopped: None };
    let report = run(&options, |round| println!("{round:?}")).await;
    println!("{report:?}");
    assert_eq!(report.faults, Vec::<String>::new(), "seed {SEED}");
    assert!(report.accepted > 300 && report.replays > 10 && report.sent_again > 0, "too little happened: {report:?}");
    assert!(report.alerts > 20 && report.rejected > 0, "too little happened: {report:?}");
}

/// The messages that the server holds become visible again while it is stopped. After it resumes, the old work
/// therefore runs beside the next delivery.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_stopped_past_its_visibility_loses_nothing_and_does_nothing_twice() {
    let seed = SEED + 1;
    println!("seed {seed}");
    let stopped = Some(QueueOptions::default().visibility_timeout + Duration::from_secs(3));
    let options = Options { rounds: 1, seed, tills: 8, items: 12, accepted_min: 300, stopped };
    let report = run(&options, |round| println!("{round:?}")).await;
    println!("{report:?}");
    assert_eq!(report.faults, Vec::<String>::new(), "seed {seed}");
    assert!(report.accepted > 100 && report.alerts > 0, "too little happened: {report:?}");
}
