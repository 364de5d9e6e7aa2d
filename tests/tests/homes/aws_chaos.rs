//! Tests chaos on the AWS home. The deployed programs run behind a network that delays, loses and repeats their calls.
//! A seed decides when workers are killed. One worker is stopped past its visibility and continues as a zombie.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::json;
use stockline_deploy_checks::ministack::aws_tests;
use stockline_tests::aws::{Installation, Program};
use stockline_tests::chaos::{Door, Memory, Reckoned, Tills, items, open_shop, reckon};
use stockline_tests::flaky_network::{FlakyNetwork, Trouble};
use stockline_tests::stack::STACK_VISIBILITY_S;

const SEED: u64 = 1;
const TILLS: usize = 4;
const ITEMS: usize = 8;
/// How much longer than its visibility the zombie sleeps.
const OVERSLEPT: Duration = Duration::from_secs(2);
const LIFE_MAX_MS: u64 = 2_500;

/// P1, P2, P4, P5, P6, P7 under all these faults at once.
#[tokio::test(flavor = "multi_thread")]
async fn killed_and_stopped_workers_on_a_flaky_network_lose_nothing_and_do_nothing_twice() {
    if !aws_tests() {
        return;
    }
    println!("seed {SEED}");
    let begun = Instant::now();
    let home = Installation::deploy_on_flaky_network(SEED).await;
    let network = home.network.as_ref().unwrap();
    let (ingress, zombie, worker) = tokio::join!(home.ingress(), home.worker(), home.worker());
    let door = Door::new(&home.api, &home.manager);
    let (memory, goods) = (Arc::new(Memory::default()), items(ITEMS));
    open_shop(&door, &memory, SEED, &goods).await;
    println!("{:>5.1} s  open", begun.elapsed().as_secs_f64());

    let tills = Tills::open(&door, &memory, SEED, TILLS, &goods);
    network.set_flaky(true);
    let worker = disturb(&home, &zombie, worker).await;
    tills.close().await;
    network.set_flaky(false);
    println!("{:>5.1} s  {} accepted", begun.elapsed().as_secs_f64(), memory.len());

    door.settle(&memory).await;
    door.ask_again(&memory).await;
    let reckoned = reckon(&memory);
    let mut faults = [memory.faults(), reckoned.faults.clone(), door.compare(&reckoned).await].concat();
    faults.extend(mail_faults(&home, network, &reckoned).await);
    let audit = home.worker_command(&["audit"]).await;
    assert!(audit.status.success(), "{audit:?}");
    println!("{:>5.1} s  {} crossings", begun.elapsed().as_secs_f64(), reckoned.alerts());
    for trouble in [Trouble::Delayed, Trouble::Lost, Trouble::Unanswered, Trouble::Twice] {
        println!("         {trouble:?}: {}", network.seen(trouble, None));
        assert!(network.seen(trouble, Some("dynamodb")) > 0, "too little happened");
    }
    assert_eq!(faults, Vec::<String>::new(), "seed {SEED}");
    assert!(reckoned.applied > 300 && reckoned.alerts() > 20 && memory.replays() > 5, "too little happened");
    drop([zombie, worker, ingress]);
}

/// Stops one worker past its visibility, kills the other one repeatedly meanwhile, and resumes the first.
async fn disturb(home: &Installation, zombie: &Program, mut worker: Program) -> Program {
    let mut dice = Rng::with_seed(SEED);
    let lives = async |worker: &mut Program, dice: &mut Rng| {
        tokio::time::sleep(Duration::from_millis(dice.u64(..LIFE_MAX_MS))).await;
        let next = home.worker().await;
        std::mem::replace(worker, next).kill();
    };
    lives(&mut worker, &mut dice).await;
    zombie.signal("STOP");
    let asleep = Duration::from_secs(STACK_VISIBILITY_S.into()) + OVERSLEPT;
    let until = Instant::now() + asleep;
    while Instant::now() < until {
        lives(&mut worker, &mut dice).await;
    }
    zombie.signal("CONT");
    lives(&mut worker, &mut dice).await;
    worker
}

/// P6: a mail may arrive twice only if the network repeated the call to the mail provider.
async fn mail_faults(home: &Installation, network: &FlakyNetwork, reckoned: &Reckoned) -> Vec<String> {
    let mut mailed: BTreeMap<String, usize> = BTreeMap::new();
    for mail in home.server.ses_messages().await {
        let text = mail["BodyText"].as_str().unwrap_or_default();
        for id in text.lines().filter_map(|line| line.strip_prefix("Alert ")) {
            *mailed.entry(id.trim().to_owned()).or_default() += 1;
        }
    }
    let twice = mailed.values().filter(|times| **times > 1).count();
    let again = network.seen(Trouble::Twice, Some("ses"));
    println!("         {twice} alerts mailed twice, {again} mails carried out twice");
    let raised = reckoned.alert_ids();
    let mut faults = Vec::new();
    if !mailed.keys().eq(raised.iter()) {
        faults.push(format!("P6: {}", json!({"raised": raised, "mailed": mailed})));
    }
    // A repeated call sends each of its alerts twice.
    if again == 0 && twice > 0 {
        faults.push(format!("P6: {twice} alerts were mailed twice"));
    }
    faults
}
