//! Tears a table as a restore to a point in time may: of the rows that the last transactions wrote, each is independently as
//! it was before or after any of them. Then `repair` must leave a store without faults, in which every command that a row
//! still proves has taken effect, and in which sending everything again makes the stock that there was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use fastrand::Rng;
use stockline_aws::dynamodb::{Repair, RepairReport, table};
use stockline_aws::{DynamoOptions, DynamoStore};
use stockline_core::domain::{
    CommandId, CommandKey, LocationSettings, Quantity, Queued, Record, Slot, Status, Timestamp,
};
use stockline_core::ports::{FixedClock, Locations, Queries};
use stockline_core::testing::{Shop, at, id, item_id, queued};
use stockline_tests::dynoxide::{Direct, TABLE};
use stockline_worker::audit::audit;

type Row = std::collections::HashMap<String, AttributeValue>;
type Rows = BTreeMap<(String, String), Row>;

/// When the torn transactions were committed: an hour after what is older than the window.
const WINDOW_MS: i64 = 3_600_000;

/// One table.
struct Store {
    client: Client,
    shop: Shop<DynamoStore>,
}

impl Store {
    async fn with(rows: &Rows) -> Self {
        let client = Direct::new().client();
        table::creation(&client, TABLE).send().await.unwrap();
        for row in rows.values() {
            client.put_item().table_name(TABLE).set_item(Some(row.clone())).send().await.unwrap();
        }
        let clock = Arc::new(FixedClock::at(at(WINDOW_MS)));
        let store = DynamoStore::new(client.clone(), TABLE.into(), DynamoOptions::default(), clock);
        Self { client, shop: Shop::over(store) }
    }

    async fn rows(&self) -> Rows {
        let found = self.client.scan().table_name(TABLE).consistent_read(true).send().await.unwrap();
        assert!(found.last_evaluated_key.is_none(), "one page holds the table");
        let key = |row: &Row| ["pk", "sk"].map(|name| row[name].as_s().unwrap().clone()).into();
        found.items.unwrap_or_default().into_iter().map(|row| (key(&row), row)).collect()
    }

    async fn repair(&self, apply: bool) -> RepairReport {
        let repair = Repair { restored_at: at(WINDOW_MS + 600_000), window_ms: 15 * 60_000, apply };
        self.shop.store.repair(repair).await.unwrap()
    }

    async fn faults(&self) -> Vec<String> {
        let report = audit(&self.shop.store, &self.shop.store, &mut |_| {}).await.unwrap();
        report
            .faults
            .iter()
            .map(|fault| format!("{:?} {:?}: {}", fault.item_id, fault.location_id, fault.what))
            .collect()
    }

    async fn record(&self, sent: &Queued) -> Option<Record> {
        let key = CommandKey { item_id: sent.command.item_id.clone(), command_id: sent.command.command_id };
        self.shop.store.records(&[key]).await.unwrap().remove(0)
    }

    /// Applies a command unless it is decided, as a worker does.
    async fn send(&self, sent: &Queued, now: Timestamp) {
        if self.record(sent).await.is_some_and(|record| record.decides(sent.retry)) {
            return;
        }
        let item = sent.command.item_id.to_string();
        self.shop.settle(&item, vec![Slot::Command(Box::new(sent.clone()))], now).await;
    }

    async fn balances(&self, items: &BTreeSet<String>) -> BTreeMap<(String, String), Quantity> {
        let mut balances = BTreeMap::new();
        for item in items {
            let view = self.shop.store.item(&item_id(item)).await.unwrap();
            for level in view.map(|view| view.levels).unwrap_or_default() {
                balances.insert((item.clone(), level.location_id.to_string()), level.on_hand);
            }
        }
        balances
    }
}

/// What was sent, and the rows after each transaction.
struct History {
    sent: Vec<Queued>,
    snapshots: Vec<Rows>,
    items: BTreeSet<String>,
    balances: BTreeMap<(String, String), Quantity>,
}

/// Makes a history: some old stock, and then transactions of all kinds within the window.
async fn history(rng: &mut Rng, counts: bool) -> History {
    let store = Store::with(&Rows::new()).await;
    let back = LocationSettings { location_id: "back".parse().unwrap(), ..LocationSettings::main() };
    store.shop.store.put_location(&back).await.unwrap();
    let mut sent = Vec::new();
    let mut snapshots = Vec::new();
    for (n, item) in ["cola", "te#a:7%"].into_iter().enumerate() {
        let number = 1_000 + n as u128 * 100;
        let barcode = format!(r#","name":"{item}","barcodes":["4006381333{n:03}"],"low_stock_threshold":5"#);
        let register = queued(id(number), "register_item", item, &barcode, at(0));
        store.send(&register, at(0)).await;
        for i in 1..8 {
            let fields = format!(r#","location_id":"{}","quantity":40,"unit_cost":"0.5""#, place_of(rng));
            let receive = queued(id(number + i), "receive", item, &fields, at(i as i64));
            store.send(&receive, at(i as i64)).await;
        }
    }
    snapshots.push(store.rows().await);
    let mut items: BTreeSet<String> = ["cola", "te#a:7%"].map(str::to_owned).into();
    let mut moved: Vec<(String, CommandId)> = Vec::new();
    for n in 0..24_u32 {
        let now = at(WINDOW_MS + i64::from(n) * 20);
        let mut item = ["cola", "te#a:7%"][rng.usize(..2)].to_owned();
        let command_id = id(u128::from(n) + 1);
        let note = "n".repeat(rng.usize(1..160));
        let (place, other) = if rng.bool() { ("main", "back") } else { ("back", "main") };
        let common = format!(r#","location_id":"{place}","note":"{note}""#);
        let quantity = rng.u32(1..9);
        let (kind, fields) = match rng.u32(..if counts { 14 } else { 12 }) {
            0..4 => {
                ("sell", format!(r#"{common},"quantity":{quantity},"on_shortage":"allow","amount":"{quantity}.10""#))
            }
            4 => ("receive", format!(r#"{common},"quantity":{quantity},"unit_cost":"0.7""#)),
            5 => ("return", format!(r#"{common},"quantity":{quantity}"#)),
            6 => ("adjust", format!(r#"{common},"quantity":-{quantity},"reason":"damaged""#)),
            7 | 8 => (
                "transfer",
                format!(
                    r#","from_location_id":"{place}","to_location_id":"{other}","quantity":{quantity},"note":"{note}""#
                ),
            ),
            9 if !moved.is_empty() => {
                let (of, reverses) = moved.swap_remove(rng.usize(..moved.len()));
                item = of;
                ("reverse", format!(r#","reverses":"{reverses}""#))
            }
            10 => ("update_item", format!(r#","name":"{item} {n}","barcodes":["400638144{n:04}"]"#)),
            11 => {
                item = format!("new-{n}");
                items.insert(item.clone());
                ("register_item", format!(r#","name":"{item}","barcodes":["400638155{n:04}"]"#))
            }
            12.. => ("count", format!(r#"{common},"counted":{quantity}"#)),
            _ => ("set_threshold", format!(r#","location_id":"{place}","low_stock_threshold":{quantity}"#)),
        };
        let command = queued(command_id, kind, &item, &fields, now);
        if matches!(kind, "sell" | "transfer" | "receive") {
            moved.push((item.clone(), command_id));
        }
        store.send(&command, now).await;
        snapshots.push(store.rows().await);
        if kind == "register_item" {
            let stock = queued(id(u128::from(n) + 500), "receive", &item, r#","location_id":"main","quantity":9"#, now);
            store.send(&stock, now).await;
            snapshots.push(store.rows().await);
            sent.push(command);
            sent.push(stock);
        } else {
            sent.push(command);
        }
    }
    assert_eq!(store.faults().await, Vec::<String>::new(), "the history is sound");
    let balances = store.balances(&items).await;
    History { sent, snapshots, items, balances }
}

fn place_of(rng: &mut Rng) -> &'static str {
    ["main", "back"][rng.usize(..2)]
}

impl History {
    /// Returns the table as a restore may leave it: each row as after any of the last transactions.
    fn torn(&self, rng: &mut Rng) -> Rows {
        let last = (self.snapshots.len() - 1).saturating_sub(rng.usize(..12));
        let first = last.saturating_sub(rng.usize(1..7));
        let keys: BTreeSet<_> = self.snapshots[first..=last].iter().flat_map(BTreeMap::keys).collect();
        let version = |rng: &mut Rng, key: &(String, String)| self.snapshots[rng.usize(first..=last)].get(key).cloned();
        keys.into_iter().filter_map(|key| Some((key.clone(), version(rng, key)?))).collect()
    }
}

/// Returns the commands that rows prove: applied outcomes and entries of ledgers.
async fn proven(store: &Store, sent: &[Queued]) -> BTreeSet<CommandId> {
    let mut proven = BTreeSet::new();
    for sent in sent {
        if store.record(sent).await.is_some_and(|record| record.outcome.status == Status::Applied) {
            proven.insert(sent.command.command_id);
        }
    }
    proven
}

async fn tear_and_repair(seed: u64, history: &History, rng: &mut Rng, exact: bool) -> bool {
    let torn = history.torn(rng);
    let store = Store::with(&torn).await;
    let before = proven(&store, &history.sent).await;
    let was_sound = store.faults().await.is_empty();
    let dry = store.repair(false).await;
    assert_eq!(store.rows().await, torn, "seed {seed}: a dry run writes nothing");
    let done = store.repair(true).await;
    assert_eq!(done.refused, 0, "seed {seed}: {:?}", done.lines);
    assert_eq!(dry.torn > 0, done.torn > 0, "seed {seed}: {:?} {:?}", dry.lines, done.lines);
    assert_eq!(store.faults().await, Vec::<String>::new(), "seed {seed}: {:?}", done.lines);
    let again = store.repair(true).await;
    assert_eq!((again.torn, again.refused), (0, 0), "seed {seed}: {:?} after {:?}", again.lines, done.lines);
    for sent in history.sent.iter().filter(|sent| before.contains(&sent.command.command_id)) {
        let record = store.record(sent).await.unwrap();
        let is_set_aside = sent.command.action.reverses().is_some() && record.outcome.status == Status::DeadLettered;
        assert!(record.outcome.status == Status::Applied || is_set_aside, "seed {seed}: {record:?}");
    }
    let later = |n: usize| at(WINDOW_MS + 1_200_000 + n as i64 * 20);
    for (n, sent) in history.sent.iter().enumerate() {
        store.send(sent, later(n)).await;
    }
    for (n, sent) in history.sent.iter().enumerate() {
        let record = store.record(sent).await.unwrap();
        if record.outcome.status == Status::DeadLettered {
            let retry = Queued { retry: record.retry + 1, ..sent.clone() };
            store.send(&retry, later(n + 1_000)).await;
        }
    }
    assert_eq!(store.faults().await, Vec::<String>::new(), "seed {seed}: after everything was sent again");
    if exact {
        assert_eq!(store.balances(&history.items).await, history.balances, "seed {seed}: {:?}", done.lines);
    }
    !was_sound
}

async fn seeds(seeds: std::ops::Range<u64>, tears: u32, counts: bool) -> u32 {
    let mut torn = 0;
    for seed in seeds {
        let mut rng = Rng::with_seed(seed);
        let history = history(&mut rng, counts).await;
        for _ in 0..tears {
            torn += u32::from(tear_and_repair(seed, &history, &mut rng, !counts).await);
        }
    }
    torn
}

#[tokio::test]
async fn any_subset_of_the_rows_of_the_last_transactions_is_mended_and_sending_all_again_sells_nothing_twice() {
    assert!(seeds(0..6, 5, false).await > 8, "most tears are seen by the audit");
}

#[tokio::test]
async fn counts_are_mended_too() {
    seeds(1_000..1_003, 4, true).await;
}

/// Copies a table row by row, as a backup does, while commands are applied.
async fn copied(store: &Store, beside: impl Future<Output = ()>) -> Rows {
    let copying = async {
        let mut copy = Rows::new();
        let keys: Vec<_> = store.rows().await.into_keys().collect();
        // The keys of rows that are made meanwhile are not known yet: they are looked for at the end.
        for round in 0..2 {
            let keys = if round == 0 { keys.clone() } else { store.rows().await.into_keys().collect() };
            for (pk, sk) in keys {
                if copy.contains_key(&(pk.clone(), sk.clone())) {
                    continue;
                }
                let get = store.client.get_item().table_name(TABLE).consistent_read(true);
                let get = get.key("pk", AttributeValue::S(pk.clone())).key("sk", AttributeValue::S(sk.clone()));
                if let Some(row) = get.send().await.unwrap().item {
                    copy.insert((pk, sk), row);
                }
                tokio::task::yield_now().await;
            }
        }
        copy
    };
    tokio::pin!(beside);
    tokio::pin!(copying);
    let mut is_over = false;
    let copy = loop {
        tokio::select! {
            copy = &mut copying => break copy,
            () = &mut beside, if !is_over => is_over = true,
        }
    };
    if !is_over {
        beside.await;
    }
    copy
}

#[tokio::test]
async fn a_copy_that_is_made_row_by_row_under_traffic_is_mended_too() {
    for seed in 2_000..2_004 {
        let mut rng = Rng::with_seed(seed);
        let store = Store::with(&Rows::new()).await;
        let back = LocationSettings { location_id: "back".parse().unwrap(), ..LocationSettings::main() };
        store.shop.store.put_location(&back).await.unwrap();
        let mut sent = Vec::new();
        for item in ["cola", "te#a:7%"] {
            let number = 1_000 + sent.len() as u128;
            let register = queued(id(number), "register_item", item, &format!(r#","name":"{item}""#), at(0));
            store.send(&register, at(0)).await;
            sent.push(register);
        }
        for n in 0..60_u32 {
            let item = ["cola", "te#a:7%"][rng.usize(..2)];
            let note = "n".repeat(rng.usize(1..160));
            let (kind, fields) = match rng.u32(..3) {
                0 => ("sell", format!(r#","location_id":"main","quantity":1,"on_shortage":"allow","note":"{note}""#)),
                1 => ("receive", format!(r#","location_id":"back","quantity":2,"note":"{note}""#)),
                _ => ("transfer", r#","from_location_id":"back","to_location_id":"main","quantity":1"#.to_owned()),
            };
            sent.push(queued(id(u128::from(n) + 1), kind, item, &fields, at(WINDOW_MS + i64::from(n) * 20)));
        }
        let traffic = async {
            for (n, command) in sent.iter().enumerate() {
                store.send(command, at(WINDOW_MS + n as i64 * 20)).await;
                tokio::task::yield_now().await;
            }
        };
        let torn = copied(&store, traffic).await;
        let items: BTreeSet<String> = ["cola", "te#a:7%"].map(str::to_owned).into();
        let balances = store.balances(&items).await;
        let history = History { sent, snapshots: vec![torn], items, balances };
        tear_and_repair(seed, &history, &mut rng, true).await;
    }
}
