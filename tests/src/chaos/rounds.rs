use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::door::Door;
use super::ledger::reckon;
use super::mails::MailFolder;
use super::memory::Memory;
use super::plan::items;
use super::till::{Tills, open_shop};
use crate::process::{Server, free_address, stockline, stockline_binary};

/// The longest time between the ready server and its kill.
const LIFE_MAX_MS: u64 = 600;
/// One life in this many ends during the start.
const DEATHS_AT_START_ONE_IN: u32 = 4;
/// After this time a start has locked the folder and opened the files.
const START_MS: u64 = 40;

/// The chaos of one run.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often the server is killed under load.
    pub rounds: usize,
    /// The seed that decides what the tills send and when the server is killed.
    pub seed: u64,
    /// The tills that send at the same time.
    pub tills: usize,
    /// The items that they sell.
    pub items: usize,
    /// After the rounds the tills continue until this many commands are accepted, because the number per round
    /// depends on the machine and its load.
    pub accepted_min: usize,
    /// Then the server is paused for this time.
    pub stopped: Option<Duration>,
}

/// One life of the server, and its kill.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// The number, from 1.
    pub number: usize,
    /// The time between the ready server and its kill.
    pub lived: Duration,
    /// Whether it was killed once more during the next start.
    pub killed_at_start: bool,
    /// The time from the start after the kill until it was ready.
    pub ready_in: Duration,
    /// The time from then until every accepted command had its outcome.
    pub settled_in: Duration,
    /// The commands accepted so far.
    pub accepted: usize,
    /// The alerts mailed so far.
    pub mailed: usize,
    /// The repeated mails so far.
    pub duplicates: usize,
}

/// The result of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The broken promises, in words.
    pub faults: Vec<String>,
    /// The accepted commands, each counted once.
    pub accepted: usize,
    /// The applied commands among them.
    pub applied: usize,
    /// The commands among them that a shortage refused.
    pub rejected: usize,
    /// The units of all applied sales.
    pub sold_units: i64,
    /// The commands that were accepted again under the same id.
    pub replays: usize,
    /// The requests without an answer, which were sent again.
    pub sent_again: usize,
    /// The crossings, as the test computes them.
    pub alerts: usize,
    /// The alerts that are in a mail.
    pub mailed: usize,
    /// The repeated mails.
    pub duplicates: usize,
    /// The alerts that a kill left mailed and not marked. P6 allows this many repeated mails.
    pub excused: usize,
}

/// The standalone server on one folder, with its clients.
struct Home {
    data: tempfile::TempDir,
    address: String,
    memory: Arc<Memory>,
    mails: MailFolder,
}

/// Runs the chaos: tills sell and retry, while the server is killed, audited and restarted round by round. It reports
/// each round when it ends, and compares everything in the end.
pub async fn run(options: &Options, mut tell: impl FnMut(&Round)) -> Report {
    let data = tempfile::tempdir().unwrap();
    let mails = MailFolder::of(data.path());
    let mut home = Home { mails, data, address: free_address(), memory: Arc::default() };
    let mut server = home.spawn();
    server.be_ready().await;
    let door = Door::new(&server.url, &server.manager);
    let goods = items(options.items);
    open_shop(&door, &home.memory, options.seed, &goods).await;
    let tills = Tills::open(&door, &home.memory, options.seed, options.tills, &goods);
    let mut dice = Rng::with_seed(options.seed);
    for number in 1..=options.rounds {
        let mut round = Round { number, ..Round::default() };
        server = home.round(server, &door, &mut dice, &mut round).await;
        tell(&round);
    }
    home.memory.have_accepted(options.accepted_min).await;
    if let Some(stopped) = options.stopped {
        server.signal("STOP");
        tokio::time::sleep(stopped).await;
        server.signal("CONT");
    }
    tills.close().await;
    home.end(server, &door).await
}

impl Home {
    fn spawn(&self) -> Server {
        let arguments = ["--alert-email", "owner@example.com", "--log", "error"];
        Server::spawn(Command::new(stockline_binary()), &self.address, self.data.path(), &arguments)
    }

    /// Lets the server work, kills it, audits the folder and starts the server again.
    async fn round(&mut self, server: Server, door: &Door, dice: &mut Rng, round: &mut Round) -> Server {
        round.lived = Duration::from_millis(dice.u64(0..LIFE_MAX_MS));
        tokio::time::sleep(round.lived).await;
        server.kill();
        self.mails.after_a_death();
        round.killed_at_start = dice.u32(..DEATHS_AT_START_ONE_IN) == 0;
        if round.killed_at_start {
            let starting = self.spawn();
            tokio::time::sleep(Duration::from_millis(dice.u64(0..START_MS))).await;
            starting.kill();
            self.mails.after_a_death();
        }
        // In every other round the server starts on the files as the kill left them, and is audited while it runs.
        let dead = round.number.is_multiple_of(2);
        if dead {
            self.audit().await;
        }
        let begun = Instant::now();
        let mut server = self.spawn();
        server.be_ready().await;
        round.ready_in = begun.elapsed();
        let begun = Instant::now();
        door.settle(&self.memory).await;
        round.settled_in = begun.elapsed();
        if !dead {
            self.audit().await;
        }
        round.accepted = self.memory.len();
        round.mailed = self.mails.alerts();
        round.duplicates = self.mails.duplicates();
        server
    }

    /// Runs the product's own audit, which must find no fault.
    async fn audit(&self) {
        let data = self.data.path().to_owned();
        let output = tokio::task::spawn_blocking(move || stockline(&["audit"], &data)).await.unwrap();
        if !output.status.success() {
            let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
            self.memory.fault(format!("P4: the audit ended with {}: {}", output.status, text.concat()));
        }
    }

    async fn end(mut self, server: Server, door: &Door) -> Report {
        door.settle(&self.memory).await;
        door.ask_again(&self.memory).await;
        let reckoned = reckon(&self.memory);
        let shown = door.compare(&reckoned).await;
        server.stop();
        self.audit().await;
        self.mails.look();
        let faults = [self.memory.faults(), reckoned.faults.clone(), shown, self.mails.faults(&reckoned.alert_ids())];
        Report {
            faults: faults.concat(),
            accepted: self.memory.len(),
            applied: reckoned.applied,
            rejected: reckoned.rejected,
            sold_units: reckoned.sold_units,
            replays: self.memory.replays(),
            sent_again: self.memory.sent_again(),
            alerts: reckoned.alerts(),
            mailed: self.mails.alerts(),
            duplicates: self.mails.duplicates(),
            excused: self.mails.excused(),
        }
    }
}
