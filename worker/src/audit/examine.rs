//! The third pass: suspect items, entry by entry, as they are now.

use std::collections::{BTreeSet, HashMap};

use futures_util::StreamExt;
use stockline_core::domain::{CommandId, CommandKey, ItemId, Level, LocationId, Status};
use stockline_core::ports::{ItemWithLevels, LedgerFrom, StoreError};

use super::{Audit, Chain, PAGE, all_records, chain, level_faults, outcomes};

/// The most effects of suspect items kept in memory, some 100 bytes each. Further items wait for another audit.
const CLOSE_EFFECTS_MAX: usize = 2_000_000;

/// The entries and alerts that the outcomes of one item claim.
#[derive(Default)]
struct Claims {
    entries: HashMap<(LocationId, u64), (CommandId, u64)>,
    alert_nos: HashMap<LocationId, BTreeSet<u64>>,
    twice: Vec<(LocationId, String)>,
}

impl Audit<'_> {
    pub(super) async fn examine_suspects(&mut self) -> Result<(), StoreError> {
        let mut suspects = std::mem::take(&mut self.suspects);
        while suspects.len() > self.options.close_items_max {
            if let Some(item_id) = suspects.pop_last() {
                self.report.fault(
                    &item_id,
                    None,
                    "outcomes and ledger disagree; this item was not examined, because too many items disagree".into(),
                );
            }
        }
        if suspects.is_empty() && !self.pairs.are_suspect() {
            return Ok(());
        }
        // Outcomes are read first: whatever they claim must be in the ledgers that are read after them.
        let mut claims = self.claims_of(&suspects).await?;
        for item_id in suspects {
            self.examine_item(&item_id, claims.remove(&item_id)).await?;
        }
        Ok(())
    }

    /// Reads all outcomes once more, for the suspect items and the suspect pairs.
    async fn claims_of(&mut self, suspects: &BTreeSet<ItemId>) -> Result<HashMap<ItemId, Claims>, StoreError> {
        let mut claims: HashMap<ItemId, Claims> = HashMap::new();
        let mut kept = 0;
        let reader = self.reader;
        let mut pages = all_records(reader);
        while let Some(read) = pages.next().await {
            let records = match read {
                Ok(records) => records,
                // The second pass has reported it.
                Err(StoreError::Unreadable(_)) => continue,
                Err(error) => return Err(error),
            };
            let applied = records.iter().filter(|record| record.outcome.status == Status::Applied);
            for record in applied {
                if self.range.holds(&record.outcome.item_id) {
                    self.pairs.keep_if_suspect(record);
                }
                if kept >= CLOSE_EFFECTS_MAX || !suspects.contains(&record.outcome.item_id) {
                    continue;
                }
                let claims = claims.entry(record.outcome.item_id.clone()).or_default();
                let command_id = record.outcome.command_id;
                for (location_id, entry) in outcomes::entries(&record.outcome) {
                    let claim = (command_id, chain::hash(&location_id, &entry));
                    let before = claims.entries.insert((location_id.clone(), entry.seq), claim);
                    if let Some((other, _)) = before {
                        let what = format!("commands {other} and {command_id} both claim entry {}", entry.seq);
                        claims.twice.push((location_id, what));
                    }
                    kept += 1;
                }
                for alert in &record.alerts {
                    let numbers = claims.alert_nos.entry(alert.location_id.clone()).or_default();
                    if !numbers.insert(alert.alert_no) {
                        let what = format!("alert {} was raised twice", alert.alert_no);
                        claims.twice.push((alert.location_id.clone(), what));
                    }
                }
            }
        }
        Ok(claims)
    }

    async fn examine_item(&mut self, item_id: &ItemId, claims: Option<Claims>) -> Result<(), StoreError> {
        let was_applied = claims.is_some();
        let mut claims = claims.unwrap_or_default();
        for (location_id, what) in std::mem::take(&mut claims.twice) {
            self.report.fault(item_id, Some(&location_id), what);
        }
        let levels = match self.queries.item(item_id).await {
            Ok(Some(view)) => {
                for level in &view.levels {
                    self.examine_level(&view, level, &mut claims).await?;
                }
                view.levels
            }
            Ok(None) => {
                if was_applied {
                    self.report.fault(item_id, None, "it has applied commands, yet there is no such item".into());
                }
                Vec::new()
            }
            Err(StoreError::Unreadable(what)) => {
                self.report.fault(item_id, None, format!("the item can't be read: {what}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for (location_id, numbers) in &claims.alert_nos {
            let raised = numbers.last().copied().unwrap_or(0);
            let known = levels.iter().find(|level| level.location_id == *location_id).map_or(0, |l| l.alert_no);
            if raised > known {
                let what = format!("alert {raised} was raised, yet the level has counted {known}");
                self.report.fault(item_id, Some(location_id), what);
            }
        }
        for ((location_id, seq), (command_id, _)) in claims.entries {
            let what = format!("command {command_id} is applied, yet its entry {seq} is not in the ledger");
            self.report.fault(item_id, Some(&location_id), what);
        }
        Ok(())
    }

    /// Checks a level again, and removes the claims that its ledger confirms.
    async fn examine_level(
        &mut self,
        view: &ItemWithLevels,
        level: &Level,
        claims: &mut Claims,
    ) -> Result<(), StoreError> {
        let item_id = &view.item.item_id;
        let location_id = &level.location_id;
        let found = Chain::read(self.reader, item_id, level).await?;
        let level_faults = level_faults(&view.item, level, &found);
        for what in found.faults.into_iter().chain(level_faults) {
            self.report.fault(item_id, Some(location_id), what);
        }
        let mut from_seq = Some(1);
        while let Some(from) = from_seq {
            let Ok(page) = self.reader.audit_ledger(LedgerFrom::new(item_id, location_id, from, PAGE)).await else {
                return Ok(());
            };
            for entry in page.entries {
                let hash = chain::hash(location_id, &entry);
                let says = |what: &str| format!("entry {} of command {} {what}", entry.seq, entry.command_id);
                match claims.entries.remove(&(location_id.clone(), entry.seq)) {
                    Some((_, claimed)) if claimed == hash => {}
                    Some(_) => self.report.fault(item_id, Some(location_id), says("differs from the outcome")),
                    None if self.is_claimed_by_now(item_id, location_id, entry.command_id, hash).await? => {}
                    None => self.report.fault(item_id, Some(location_id), says("has no applied outcome")),
                }
            }
            from_seq = page.next_seq.filter(|next| *next > from);
        }
        Ok(())
    }

    /// Returns whether an applied outcome now has exactly this entry.
    async fn is_claimed_by_now(
        &self,
        item_id: &ItemId,
        location_id: &LocationId,
        command_id: CommandId,
        hash: u64,
    ) -> Result<bool, StoreError> {
        let key = CommandKey { item_id: item_id.clone(), command_id };
        let record = match self.queries.records(std::slice::from_ref(&key)).await {
            Ok(records) => records.into_iter().next().flatten(),
            Err(StoreError::Unreadable(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(record.is_some_and(|record| {
            record.outcome.status == Status::Applied
                && outcomes::entries(&record.outcome)
                    .any(|(at, entry)| at == *location_id && chain::hash(&at, &entry) == hash)
        }))
    }
}
