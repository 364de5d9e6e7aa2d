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

/// A life ends this long after it was ready, at most.
const LIFE_MAX_MS: u64 = 600;
/// One life of so many ends while it starts.
const DEATHS_AT_START_ONE_IN: u32 = 4;
/// By then a start has taken the folder and opened the files.
const START_MS: u64 = 40;

/// What is done to the standalone server.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often it is killed under load.
    pub rounds: usize,
    /// Decides what the tills send and when it is killed.
    pub seed: u64,
    /// Tills that send at once.
    pub tills: usize,
    /// Items that they sell.
    pub items: usize,
    /// After the rounds the tills go on until this many commands are accepted: how many a life accepts depends on the
    /// machine and its load.
    pub accepted_min: usize,
    /// It is stopped for so long after that, and goes on.
    pub stopped: Option<Duration>,
}

/// One life and its end.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// From 1.
    pub number: usize,
    /// It lived so long after it was ready.
    pub lived: Duration,
    /// It was killed once more while it started again.
    pub killed_at_start: bool,
    /// From its start to ready, after the kill.
    pub ready_in: Duration,
    /// From then until everything accepted had its outcome.
    pub settled_in: Duration,
    /// Commands accepted so far.
    pub accepted: usize,
    /// Alerts mailed so far.
    pub mailed: usize,
    /// Mails so far that tell an alert again.
    pub duplicates: usize,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Every promise that was found broken, in words.
    pub faults: Vec<String>,
    /// Commands accepted, each once.
    pub accepted: usize,
    /// Of these, applied.
    pub applied: usize,
    /// Of these, refused for shortage.
    pub rejected: usize,
    /// Units of all applied sales.
    pub sold_units: i64,
    /// Accepted again under the same id.
    pub replays: usize,
    /// Requests without an answer, sent again.
    pub sent_again: usize,
    /// Crossings, by our own reckoning.
    pub alerts: usize,
    /// Alerts that are in a mail.
    pub mailed: usize,
    /// Mails that tell an alert again.
    pub duplicates: usize,
    /// Alerts that a death left mailed and not marked: so many duplicates P6 allows.
    pub excused: usize,
}

/// The standalone server on one folder, and who deals with it.
struct Home {
    data: tempfile::TempDir,
    address: String,
    memory: Arc<Memory>,
    mails: MailFolder,
}

/// Tills sell and send again; the server is killed, audited and started again, round by round, each told when it is
/// over. In the end everything is reckoned.
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

    /// Lives, is killed, is looked at, and starts again.
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
        // Every other time the server itself finds the files as the kill left them; it is audited while it runs.
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

    /// The product's own audit, which must find nothing.
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
