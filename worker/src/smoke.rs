//! The smoke test of a new installation: every transaction that a worker ever commits, and its other calls, made once
//! against items of the test's own. AWS judges rights by each call, so a right that lacks shows here, in the first hour,
//! and not with the first barcode that is given up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stockline_core::domain::{
    CommandId, CommandKey, Commit, DeadLetter, Dismissal, FoldLimits, ItemId, LoadRequest, LocationId, MAIN_LOCATION,
    Queued, Record, Rules, Slot, Status, encode_message, fold, rejudge,
};
use stockline_core::ports::{
    AuditReader, Clock, CommandSender, CommitOutcome, LedgerFrom, Pack, PageRequest, Queries, Store,
};
use uuid::Uuid;

use crate::dead_letters;

#[cfg(test)]
mod tests;

/// Receives in one fold: more than the tail of a level holds, so that the fold writes a chunk of the ledger.
const RECEIVES: usize = 24;
/// How long a running worker may take to apply the command that is sent through the queue.
const APPLIED_WITHIN: Duration = Duration::from_secs(60);
const LOOKED_EVERY: Duration = Duration::from_millis(500);
/// Who submitted the commands of the test.
const OPERATOR: &str = "smoke-test";

/// What the test uses.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Commits.
    pub store: Arc<dyn Store>,
    /// Reads.
    pub queries: Arc<dyn Queries>,
    /// Reads as the audit does.
    pub audit: Arc<dyn AuditReader>,
    /// Sends a command through the queue; `None` leaves that step out, as where no worker runs.
    pub sender: Option<Arc<dyn CommandSender>>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Makes random ids.
    pub new_id: fn() -> Uuid,
}

/// One step of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was tried.
    pub what: &'static str,
    /// How it ended.
    pub ended: Ended,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It worked.
    Works,
    /// It failed, with the reason.
    Fails(String),
    /// It was left out, with the reason.
    LeftOut(&'static str),
}

impl Step {
    /// Returns the step in a line.
    pub fn line(&self) -> String {
        match &self.ended {
            Ended::Works => format!("works     {}", self.what),
            Ended::Fails(why) => format!("FAILS     {}: {why}", self.what),
            Ended::LeftOut(why) => format!("left out  {}: {why}", self.what),
        }
    }
}

/// Runs all steps, also after one has failed, and returns them. The items are named `smoke-…`; in the end their stock is
/// zero and they are archived.
pub async fn smoke(tools: &Tools) -> Vec<Step> {
    let stamp = tools.clock.now().as_millis();
    let [first, second, third] = ["a", "b", "c"].map(|name| format!("smoke-{stamp}-{name}").parse::<ItemId>());
    let main = MAIN_LOCATION.parse::<LocationId>();
    let (Ok(first), Ok(second), Ok(third), Ok(main)) = (first, second, third, main) else {
        let why = Ended::Fails("the test's own ids are not valid".into());
        return vec![Step { what: "the names of the test's items", ended: why }];
    };
    let mut test = Test { tools, main, steps: Vec::new() };
    test.catalogue(&first, &second, stamp).await;
    test.movements(&first, &second).await;
    test.thresholds(&first).await;
    test.refusals(&first, &third, stamp).await;
    test.reads(&first).await;
    test.queue(&first).await;
    for item_id in [&first, &second, &third] {
        test.leave(item_id).await;
    }
    test.steps
}

struct Test<'a> {
    tools: &'a Tools,
    main: LocationId,
    steps: Vec<Step>,
}

type Tried<T> = Result<T, String>;

impl Test<'_> {
    fn note<T>(&mut self, what: &'static str, tried: Tried<T>) -> Option<T> {
        let (ended, value) = match tried {
            Ok(value) => (Ended::Works, Some(value)),
            Err(why) => (Ended::Fails(why), None),
        };
        self.steps.push(Step { what, ended });
        value
    }

    fn leave_out(&mut self, what: &'static str, why: &'static str) {
        self.steps.push(Step { what, ended: Ended::LeftOut(why) });
    }

    async fn catalogue(&mut self, first: &ItemId, second: &ItemId, stamp: i64) {
        let code = format!("99{stamp}");
        let register = json!({"type": "register_item", "name": "Smoke test", "barcodes": [code]});
        let tried = self.settle(first, self.with_receives(first, register)).await;
        self.note("an item with a barcode, its first level and a chunk of its ledger", tried.and_then(all_applied));
        let update = json!({"type": "update_item", "barcodes": []});
        let tried = self.beside_a_reversal(first, self.with_receives(first, update)).await;
        self.note("a barcode that is given up beside a sale that is taken back, with a chunk", tried);
        let tried = self.one(second, json!({"type": "register_item", "name": "Smoke test"})).await;
        self.note("an item alone", tried.and_then(applied));
        let tried = self.settle(second, self.receives(second)).await;
        self.note("a new level that checks the item's threshold, with a chunk", tried.and_then(all_applied));
    }

    async fn movements(&mut self, first: &ItemId, second: &ItemId) {
        let tried = self.one(first, json!({"type": "sell", "quantity": "1"})).await;
        if let Some(sold) = self.note("a sale", tried.and_then(applied)) {
            let back = json!({"type": "reverse", "reverses": sold.outcome.command_id});
            let tried = self.one(first, back).await;
            self.note("a sale that is taken back", tried.and_then(applied));
        }
        let other = self.tools.queries.locations().await;
        let other = other.map(|all| all.into_iter().find(|l| !l.closed && l.location_id != self.main));
        match other {
            Ok(Some(other)) => {
                let there = json!({"type": "transfer", "from_location_id": self.main, "to_location_id": other.location_id, "quantity": "1"});
                let back = json!({"type": "transfer", "from_location_id": other.location_id, "to_location_id": self.main, "quantity": "1"});
                let tried = self.beside_a_reversal(second, self.slot(second, there).map(|slot| vec![slot])).await;
                self.note("a transfer to a new level beside a sale that is taken back", tried);
                let tried = self.one(second, back).await;
                self.note("a transfer between two levels", tried.and_then(applied));
            }
            Ok(None) => self.leave_out("a transfer", "no second location is open"),
            Err(error) => drop(self.note::<()>("the locations", Err(error.to_string()))),
        }
    }

    async fn thresholds(&mut self, item_id: &ItemId) {
        for (what, threshold) in [("a default threshold", json!("1")), ("no threshold any more", Value::Null)] {
            let tried = self.one(item_id, json!({"type": "set_threshold", "low_stock_threshold": threshold})).await;
            let Some(record) = self.note(what, tried.and_then(applied)) else { continue };
            let tried = self.rejudge(item_id, record.outcome.command_id).await;
            self.note("a level that is judged again", tried);
        }
    }

    async fn refusals(&mut self, first: &ItemId, third: &ItemId, stamp: i64) {
        let sale = json!({"type": "sell", "quantity": "9999", "on_shortage": "reject"});
        let tried = self.one(first, sale).await.and_then(rejected);
        if let Some(record) = self.note("a refused sale", tried) {
            let dismissal =
                Dismissal { at: self.tools.clock.now(), because: "smoke test".into(), by: Some(OPERATOR.into()) };
            let dismissed = self.tools.queries.dismiss(&key(&record), &dismissal).await;
            self.note("a refused command that is dismissed", done(dismissed));
        }
        let twice = json!({"type": "register_item", "name": "Smoke test", "barcodes": [format!("98{stamp}")]});
        let tried = self.one(first, twice.clone()).await.and_then(rejected);
        if let Some(refused) = self.note("a refused item", tried) {
            let tried = self.resubmit(&refused, third, twice).await;
            self.note("a resubmission that registers an item with a barcode and a chunk", tried.and_then(all_applied));
        }
        let set_aside = self.set_aside(first).await;
        if let Some(letter) = self.note("a dead letter", set_aside) {
            let tried = match dead_letters::next_retry(&letter) {
                Ok(queued) => self.settle(first, vec![Slot::Command(Box::new(queued))]).await.and_then(all_applied),
                Err(refusal) => Err(refusal.to_string()),
            };
            self.note("a dead letter that is tried again", tried);
        }
        let set_aside = self.set_aside(first).await;
        if let Some(letter) = self.note("another dead letter", set_aside) {
            let discarded = self.tools.store.discard(&key(&letter), self.tools.clock.now()).await;
            self.note("a dead letter that is discarded", done(discarded));
        }
    }

    async fn reads(&mut self, item_id: &ItemId) {
        let Tools { queries, audit, .. } = self.tools;
        let found = queries.item(item_id).await.map_err(|error| error.to_string());
        self.note(
            "an item with its levels, in one transaction",
            found.and_then(|found| found.ok_or("it is not there".into())),
        );
        let commands = queries.commands(&refused_filter(), PageRequest::first(1)).await;
        self.note("the list of dead letters", commands.map_err(|error| error.to_string()));
        let items = audit.audit_items(PageRequest::first(1)).await;
        self.note("the audit's list of items", items.map_err(|error| error.to_string()));
        let ledger =
            audit.audit_ledger(LedgerFrom::new(item_id, &self.main, 1, 1_000)).await.map_err(|error| error.to_string());
        let whole = ledger.and_then(|page| match page.entries.len() {
            found if found > RECEIVES => Ok(()),
            found => Err(format!("it has {found} entries")),
        });
        self.note("the ledger of a level, with its chunks", whole);
        let records = audit.audit_records(PageRequest::first(1)).await;
        self.note("the audit's list of records", records.map_err(|error| error.to_string()));
    }

    /// Sends a command through the queue, and waits until a running worker has applied it.
    async fn queue(&mut self, item_id: &ItemId) {
        const WHAT: &str = "a command through the queue, applied by a running worker";
        let Some(sender) = &self.tools.sender else {
            return self.leave_out(WHAT, "it was not asked for");
        };
        let tried = async {
            let queued = self.queued(item_id, json!({"type": "sell", "quantity": "1"}))?;
            let body = encode_message(item_id, [&queued]).into();
            let pack = Pack { item_id: item_id.clone(), dedup_id: (self.tools.new_id)(), body };
            sender.send(vec![pack]).await.remove(0).map_err(|error| error.to_string())?;
            let key = CommandKey { item_id: item_id.clone(), command_id: queued.command.command_id };
            let look = async {
                loop {
                    let found = self.tools.queries.records(std::slice::from_ref(&key)).await;
                    match found.map_err(|error| error.to_string())?.into_iter().flatten().next() {
                        Some(record) => return applied(record),
                        None => tokio::time::sleep(LOOKED_EVERY).await,
                    }
                }
            };
            let within = tokio::time::timeout(APPLIED_WITHIN, look).await;
            within.unwrap_or_else(|_| Err(format!("no worker applied it within {} s", APPLIED_WITHIN.as_secs())))
        };
        let tried = tried.await;
        self.note(WHAT, tried);
    }

    /// Takes the stock of an item to zero and archives it.
    async fn leave(&mut self, item_id: &ItemId) {
        let zero = json!({"type": "count", "counted": "0"});
        let tried = async {
            self.one(item_id, zero).await.and_then(applied)?;
            self.one(item_id, json!({"type": "archive_item"})).await.and_then(applied)
        };
        let tried = tried.await;
        self.note("an item of the test, counted to zero and archived", tried);
    }

    fn queued(&self, item_id: &ItemId, mut fields: Value) -> Tried<Queued> {
        fields["command_id"] = json!((self.tools.new_id)());
        fields["item_id"] = json!(item_id);
        let command = serde_json::from_str(&fields.to_string()).map_err(|error| error.to_string())?;
        Ok(Queued {
            command,
            accepted_at: self.tools.clock.now(),
            submitted_by: OPERATOR.into(),
            retry: 0,
            resubmits: None,
            first_accepted_at: None,
            reach: None,
            trace: None,
        })
    }

    fn slot(&self, item_id: &ItemId, fields: Value) -> Tried<Slot> {
        Ok(Slot::Command(Box::new(self.queued(item_id, fields)?)))
    }

    fn receives(&self, item_id: &ItemId) -> Tried<Vec<Slot>> {
        (0..RECEIVES).map(|_| self.slot(item_id, json!({"type": "receive", "quantity": "1"}))).collect()
    }

    fn with_receives(&self, item_id: &ItemId, first: Value) -> Tried<Vec<Slot>> {
        Ok(std::iter::once(self.slot(item_id, first)?).chain(self.receives(item_id)?).collect())
    }

    async fn one(&self, item_id: &ItemId, fields: Value) -> Tried<Record> {
        let mut records = self.settle(item_id, self.slot(item_id, fields).map(|slot| vec![slot])).await?;
        records.pop().ok_or_else(|| "it has no record".to_owned())
    }

    /// Sells one piece, and takes that back in one fold with these slots.
    async fn beside_a_reversal(&self, item_id: &ItemId, slots: Tried<Vec<Slot>>) -> Tried<()> {
        let sold = self.one(item_id, json!({"type": "sell", "quantity": "1"})).await.and_then(applied)?;
        let back = self.slot(item_id, json!({"type": "reverse", "reverses": sold.outcome.command_id}))?;
        let slots: Vec<_> = std::iter::once(back).chain(slots?).collect();
        self.settle(item_id, slots).await.and_then(all_applied).map(drop)
    }

    /// Loads, folds and commits, as a worker does. The items are the test's own, so nothing else commits beside it.
    async fn settle(&self, item_id: &ItemId, slots: impl Into<TriedSlots>) -> Tried<Vec<Record>> {
        let slots = slots.into().0?;
        let (mut left, mut records) = (&slots[..], Vec::new());
        let rules = Rules::default();
        while !left.is_empty() {
            let request = LoadRequest::for_slots(item_id.clone(), left, &rules);
            let loaded = self.tools.store.load(&[request]).await.pop();
            let loaded = loaded.ok_or("no answer")?.map_err(|error| format!("loading: {error}"))?;
            let now = self.tools.clock.now();
            let folded = fold(&loaded, item_id, left, &BTreeMap::new(), now, &rules, &FoldLimits::default());
            let written = folded.commit.records.clone();
            self.commit(folded.commit).await?;
            records.extend(written);
            left = left.get(folded.taken.max(1)..).unwrap_or_default();
        }
        Ok(records)
    }

    async fn commit(&self, commit: Commit) -> Tried<()> {
        let outcome = self.tools.store.commit(vec![commit]).await.pop().ok_or("no answer")?;
        match outcome.map_err(|error| format!("committing: {error}"))? {
            CommitOutcome::Committed => Ok(()),
            other => Err(format!("the commit ended as {other:?}")),
        }
    }

    async fn rejudge(&self, item_id: &ItemId, command_id: CommandId) -> Tried<()> {
        let loaded = self.tools.store.load(&[LoadRequest::of(item_id.clone())]).await.pop();
        let loaded = loaded.ok_or("no answer")?.map_err(|error| format!("loading: {error}"))?;
        let item = loaded.item.ok_or("the item is not there")?;
        for level in loaded.levels.values() {
            self.commit(rejudge(&item, &level.level, command_id, self.tools.clock.now())).await?;
        }
        Ok(())
    }

    async fn resubmit(&self, refused: &Record, item_id: &ItemId, fields: Value) -> Tried<Vec<Record>> {
        let mut queued = self.queued(item_id, fields)?;
        queued.command.command_id = refused.outcome.command_id.of_resubmission(&refused.outcome.item_id);
        queued.resubmits = Some(key(refused));
        queued.first_accepted_at = Some(refused.outcome.accepted_at);
        let first = Slot::Command(Box::new(queued));
        self.settle(item_id, self.receives(item_id).map(|receives| [vec![first], receives].concat())).await
    }

    async fn set_aside(&self, item_id: &ItemId) -> Tried<Record> {
        let queued = self.queued(item_id, json!({"type": "receive", "quantity": "1"}))?;
        let id = (item_id.clone(), queued.command.command_id);
        let letter = DeadLetter::of("smoke test".into(), String::new());
        let record = Record::dead_letter(Some(&queued), letter, id, self.tools.clock.now());
        let mut records = self.settle(item_id, vec![Slot::Dead(Box::new(record))]).await?;
        records.pop().ok_or_else(|| "it has no record".to_owned())
    }
}

/// Slots, or why there are none.
struct TriedSlots(Tried<Vec<Slot>>);

impl From<Vec<Slot>> for TriedSlots {
    fn from(slots: Vec<Slot>) -> Self {
        Self(Ok(slots))
    }
}

impl From<Tried<Vec<Slot>>> for TriedSlots {
    fn from(slots: Tried<Vec<Slot>>) -> Self {
        Self(slots)
    }
}

fn key(record: &Record) -> CommandKey {
    CommandKey { item_id: record.outcome.item_id.clone(), command_id: record.outcome.command_id }
}

fn refused_filter() -> stockline_core::ports::CommandFilter {
    stockline_core::ports::CommandFilter {
        status: Status::DeadLettered,
        code: None,
        location_id: None,
        since: None,
        settled_otherwise: false,
    }
}

fn applied(record: Record) -> Tried<Record> {
    has_status(record, Status::Applied)
}

fn rejected(record: Record) -> Tried<Record> {
    has_status(record, Status::Rejected)
}

fn has_status(record: Record, status: Status) -> Tried<Record> {
    let found = record.outcome.status;
    if found == status {
        Ok(record)
    } else {
        Err(format!("it ended as {}: {:?}", found.as_str(), record.outcome.rejection))
    }
}

fn all_applied(records: Vec<Record>) -> Tried<Vec<Record>> {
    records.into_iter().map(applied).collect()
}

fn done(changed: Result<bool, stockline_core::ports::StoreError>) -> Tried<()> {
    match changed {
        Ok(true) => Ok(()),
        Ok(false) => Err("nothing was marked".into()),
        Err(error) => Err(error.to_string()),
    }
}
