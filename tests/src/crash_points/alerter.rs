//! The alerter: whatever goes wrong at any of its calls, every alert and every daily notice is mailed, and once only
//! but where nobody can know better: the provider took the mail, and the alerter's mark of it is missing (P6).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use stockline_core::ports::PageRequest;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use serde_json::json;
use stockline_core::domain::{Alert, LocationSettings, Timestamp};
use stockline_core::ports::Clock;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{AT_ONCE, Table, WITHIN};
use crate::contract::store::{Ports, Shop, at, place};
use crate::faulty::{Call, Edge, FaultyAlerter, Kind, Outbox, Plan, Point, in_real_time};

/// Whoever else has mail to send tries within this time.
const LATER: Duration = Duration::from_secs(3_600 + 1_800);

/// Where the provider's answer is lost, or the process ends or sleeps past its lease between asking the provider and
/// marking: a second mail.
const TWICE: [(Edge, Kind); 6] = [
    ("mail", Kind::LoseAnswer),
    ("mail", Kind::DieAfter),
    ("mail", Kind::PauseBefore),
    ("mail", Kind::PauseAfter),
    ("mark", Kind::DieBefore),
    ("mark", Kind::PauseBefore),
];

/// One home of the alerter, with a store and an alert queue of its own.
#[async_trait]
pub trait Home: Send + Sync + std::fmt::Debug {
    /// The store, for what is looked at beside the alerter.
    fn ports(&self) -> Ports;

    /// Queues alerts.
    async fn publish(&self, alerts: &[Alert]);

    /// The calls of this work that are numbered.
    fn points(&self, work: Work) -> &'static [Point];

    /// What one more alerter has; its mails and marks go to `outbox`.
    fn alerter(&self, plan: &Arc<Plan>, outbox: &Arc<Outbox>) -> FaultyAlerter;

    /// Runs an alerter until it is taken away; this at least is its work.
    async fn run(&self, ports: FaultyAlerter, config: stockline_alerter::Config, clock: Arc<dyn Clock>, work: Work);

    /// The process is gone.
    async fn restart(&self);
}

/// Makes homes.
#[async_trait]
pub trait Homes: Send + Sync + std::fmt::Debug {
    /// A new one, empty.
    async fn open(&self) -> Arc<dyn Home>;
}

/// A clock that goes with the paused one.
#[derive(Debug)]
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        at(i64::try_from(self.0.elapsed().as_millis()).unwrap())
    }
}

/// The adapters of an alerter over these ports.
pub fn adapters(ports: FaultyAlerter, clock: Arc<dyn Clock>) -> stockline_alerter::Adapters {
    let ports = Arc::new(ports);
    stockline_alerter::Adapters {
        book: ports.clone(),
        locations: ports.clone(),
        queries: ports.clone(),
        mailer: ports,
        clock,
    }
}

/// One item at `north` and two at `main`: a mail of its own, and one for both.
fn alerts(opening: bool) -> Vec<Alert> {
    let alert = |item: &str, location: &str| {
        serde_json::from_value(json!({
            "item_id": item, "location_id": location, "alert_no": 1, "kind": "low", "on_hand": "3",
            "low_stock_threshold": "5", "seq": 17, "raised_at": at(-60_000), "item_name": item, "unit": "piece",
            "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b", "opening": opening,
        }))
        .unwrap()
    };
    vec![alert("cola", "north"), alert("tea", "main"), alert("milk", "main")]
}

/// What an alerter has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Alerts that wait in its queue.
    Alerts,
    /// Openings that wait in its queue, and for each other.
    Openings,
    /// A daily notice that is due.
    Notice,
}

impl Work {
    /// The alerts that wait.
    fn alerts(self) -> Vec<Alert> {
        alerts(self == Self::Openings)
    }

    /// What is to be mailed.
    fn ids(self) -> Vec<String> {
        match self {
            Self::Alerts | Self::Openings => self.alerts().iter().map(Alert::id).collect(),
            Self::Notice => vec!["refused:north:2026-01-31".into()],
        }
    }
}

/// A home with work to do, and what came of it.
struct World {
    home: Arc<dyn Home>,
    work: Work,
    outbox: Arc<Outbox>,
    clock: Arc<PausedClock>,
}

impl World {
    async fn new(homes: &dyn Homes, work: Work) -> Self {
        let home = homes.open().await;
        let ports = home.ports();
        let outbox = Arc::<Outbox>::default();
        in_real_time(async {
            let north = LocationSettings {
                location_id: place("north"),
                alert_emails: vec!["north@example.com".into()],
                ..LocationSettings::main()
            };
            ports.queries.put_location(&north).await.unwrap();
            match work {
                Work::Alerts | Work::Openings => home.publish(&work.alerts()).await,
                Work::Notice => {
                    // Of an item that nobody registered.
                    let shop = Shop::new(Box::new(ports)).await;
                    shop.run("sell", "ghost", r#","location_id":"north","quantity":1"#, at(-3_600_000)).await;
                }
            }
        })
        .await;
        if work != Work::Notice {
            *outbox.away_once.lock().unwrap() = Some(place("north"));
        }
        Self { home, work, outbox, clock: Arc::new(PausedClock(Instant::now())) }
    }

    fn start(&self, plan: &Arc<Plan>) -> JoinHandle<()> {
        let config = stockline_alerter::Config {
            recipients: vec!["all@example.com".into()],
            lease: stockline_alerter::MIN_LEASE,
            public_url: None,
        };
        let (home, ports, clock) = (self.home.clone(), self.home.alerter(plan, &self.outbox), self.clock.clone());
        let work = self.work;
        tokio::spawn(async move { home.run(ports, config, clock, work).await })
    }

    /// Until all is mailed and nothing comes again.
    async fn done(&self) {
        let (mut of, all) = match self.work {
            Work::Alerts | Work::Openings => (self.outbox.acknowledged.subscribe(), self.work.alerts().len()),
            Work::Notice => (self.outbox.notices_marked.subscribe(), 1),
        };
        tokio::time::timeout(WITHIN, of.wait_for(|done| *done >= all)).await.expect("it is done").unwrap();
    }

    /// One that nothing happens to finishes what is left, and goes on for some hours; its calls.
    async fn finish(&self) -> Vec<Call> {
        let plan = Plan::with(self.home.points(self.work), &[]);
        let alerter = self.start(&plan);
        self.done().await;
        let mut calls = plan.calls();
        // The last receive finds nothing, for ever: nothing can go wrong after it.
        while calls.last().is_some_and(|call| call.edges == ["receive alerts"]) {
            calls.pop();
        }
        tokio::time::sleep(LATER).await;
        end(alerter).await;
        calls
    }

    /// In how many mails the most often mailed one is; all are mailed and marked.
    async fn mailed(&self, what: &str) -> usize {
        let ports = self.home.ports();
        let marked = in_real_time(async {
            match self.work {
                Work::Alerts | Work::Openings => {
                    let page = ports.queries.alerts(None, PageRequest::first(100)).await.unwrap();
                    page.entries.iter().filter(|record| record.sent_at.is_some()).count()
                }
                Work::Notice => {
                    let end_of_time = Timestamp::from_millis(i64::MAX);
                    usize::from(ports.alerts.notified_until(&place("north"), end_of_time).await.unwrap().is_some())
                }
            }
        });
        let ids = self.work.ids();
        assert_eq!(marked.await, ids.len(), "{what}: not all are marked");
        let counts: Vec<_> = ids.iter().map(|id| self.outbox.count(id)).collect();
        assert!(counts.iter().all(|count| (1..=2).contains(count)), "{what}: mailed {counts:?} times");
        counts.into_iter().max().unwrap()
    }
}

/// As `kill -9`.
async fn end(alerter: JoinHandle<()>) {
    alerter.abort();
    assert!(alerter.await.unwrap_err().is_cancelled());
}

/// One fault at the nth call; how often the most often mailed alert was mailed.
async fn fault(homes: &dyn Homes, work: Work, n: usize, kind: Kind) -> usize {
    let what = format!("{kind:?} at call {n} of {work:?}");
    let world = World::new(homes, work).await;
    let plan = Plan::with(world.home.points(work), &[(n, kind)]);
    let alerter = world.start(&plan);
    tokio::time::timeout(WITHIN, plan.next_fault()).await.unwrap_or_else(|_| panic!("{what} is not met"));
    if kind.is_death() {
        end(alerter).await;
        world.home.restart().await;
        world.finish().await;
    } else if kind.is_pause() {
        // Another takes over when lease and visibility of the one that sleeps have run out.
        world.finish().await;
        world.mailed(&what).await;
        plan.resume();
        tokio::time::sleep(LATER).await;
        end(alerter).await;
    } else {
        world.done().await;
        tokio::time::sleep(LATER).await;
        end(alerter).await;
    }
    world.mailed(&what).await
}

/// Is this one of the points where a second mail can't be helped? `next` is the call after it: where an alerter's mark
/// of one mail is several calls, it is missing as long as another of them is to come.
fn may_be_twice(call: &Call, next: Option<&Call>, kind: Kind) -> bool {
    if matches!(kind, Kind::DieAfter | Kind::PauseAfter) && next.is_some_and(|next| next.edges == call.edges) {
        return may_be_twice(call, None, Kind::DieBefore);
    }
    let is =
        |(edge, of): &(Edge, Kind)| *of == kind && call.edges.iter().any(|other| other.split(' ').next() == Some(edge));
    TWICE.iter().any(is)
}

async fn everywhere(homes: &dyn Homes, work: Work, title: &str, edges: &[Edge]) {
    let world = World::new(homes, work).await;
    let calls = &world.finish().await;
    assert_eq!(world.mailed("undisturbed").await, 1);
    for edge in edges {
        assert!(calls.iter().any(|call| call.edges.contains(edge)), "nothing reaches {edge:?}: {calls:?}");
    }
    let cases = (1..=calls.len()).flat_map(|n| Kind::ALL.map(|kind| (n, kind)));
    let played = cases.map(async |(n, kind)| (n, kind, fault(homes, work, n, kind).await));
    let played: Vec<_> = futures_util::stream::iter(played).buffer_unordered(AT_ONCE).collect().await;
    let (mut table, mut twice) = (Table::new(title), Table::new("  of these, mailed twice"));
    let mut wrong = BTreeSet::new();
    for (n, kind, mails) in played {
        let call = &calls[n - 1];
        table.add(call, kind);
        if mails == 2 {
            twice.add(call, kind);
        }
        if (mails == 2) != may_be_twice(call, calls.get(n), kind) {
            wrong.insert((n, kind, call.edges.clone(), mails));
        }
    }
    table.is_full(calls);
    table.print();
    twice.print();
    assert!(wrong.is_empty(), "mailed once where twice was expected, or the other way round: {wrong:?}");
}

/// Every kind of fault at every call that turns alerts into mails.
pub async fn one_fault_at_any_call_for_alerts_mails_each_once_but_where_its_mark_is_missing(
    homes: &dyn Homes,
    edges: &[Edge],
) {
    let always = ["read a location", "claim alerts", "mail alerts", "mark alerts as sent"];
    everywhere(homes, Work::Alerts, "alerter, alerts", &[&always, edges].concat()).await;
}

/// Every kind of fault at every call that gathers openings and mails those of a location together.
pub async fn one_fault_at_any_call_for_openings_mails_each_once_but_where_its_mark_is_missing(
    homes: &dyn Homes,
    edges: &[Edge],
) {
    let always = ["gather openings", "read openings", "claim alerts", "mail alerts", "mark alerts as sent"];
    everywhere(homes, Work::Openings, "alerter, openings", &[&always, edges].concat()).await;
}

/// Every kind of fault at every call that makes a daily notice.
pub async fn one_fault_at_any_call_for_a_notice_mails_it_once_but_where_its_mark_is_missing(homes: &dyn Homes) {
    let edges = [
        "read all locations",
        "read how far was told",
        "read refused commands",
        "claim the notice",
        "mail the notice",
        "mark the notice as sent",
    ];
    everywhere(homes, Work::Notice, "alerter, daily notice", &edges).await;
}
