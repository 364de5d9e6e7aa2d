//! The contract of the stock store: [`Store`], [`Queries`], [`AuditReader`] and [`AlertBook`] over the same data.
//!
//! Each claim takes a [`Shop`] over an empty store. [`store_contract`](crate::store_contract) makes a test of each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde_json::Value;
use stockline_core::domain::{
    CommandId, CommandKey, Commit, Fold, FoldLimits, Level, LoadRequest, Loaded, LocationSettings, Queued, Record,
    Rules, Slot, Timestamp, fold,
};
use stockline_core::ports::{
    AlertBook, AuditReader, CommitOutcome, LedgerFrom, PAGE_LEVELS_MAX, PAGE_ROWS_MAX, Page, Queries, Store, StoreError,
};
pub use stockline_core::testing::{at, id, item_id, place, queued};
use stockline_worker::audit::audit;

pub mod alerts;
pub mod awkward;
pub mod changes;
pub mod commits;
pub mod days;
pub mod dead_letters;
pub mod homes;
pub mod lists;
pub mod money;
pub mod overrides;
pub mod racing;
pub mod reading;
pub mod sizes;

/// The ports of one store.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The port of the worker.
    pub store: Arc<dyn Store>,
    /// The port of the ingress.
    pub queries: Arc<dyn Queries>,
    /// The port of the audit.
    pub audit: Arc<dyn AuditReader>,
    /// The port of the alerter.
    pub alerts: Arc<dyn AlertBook>,
}

impl Ports {
    /// Returns the ports of one adapter.
    pub fn of<S: Store + Queries + AuditReader + AlertBook + 'static>(adapter: S) -> Self {
        let all = Arc::new(adapter);
        Self { store: all.clone(), queries: all.clone(), audit: all.clone(), alerts: all }
    }
}

/// The bounds that claims of the contract set.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most entries that a late count looks back over.
    pub late_count_entries_max: usize,
    /// The most levels in a page of items.
    pub page_levels_max: usize,
    /// The most rows that a page examines.
    pub page_rows_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { late_count_entries_max: 10_000, page_levels_max: PAGE_LEVELS_MAX, page_rows_max: PAGE_ROWS_MAX }
    }
}

/// The place where one store is kept.
#[async_trait]
pub trait Home: Send + Sync + std::fmt::Debug {
    /// Opens the store. The caller has dropped all earlier ports.
    async fn open(&self, bounds: Bounds) -> Ports;
}

/// A store that is open already.
#[async_trait]
impl Home for Ports {
    async fn open(&self, _bounds: Bounds) -> Ports {
        self.clone()
    }
}

/// Returns a slot that holds this command.
pub fn slot_of(queued: Queued) -> Slot {
    Slot::Command(Box::new(queued))
}

/// A store, used as the worker and the ingress use it.
#[derive(Debug)]
pub struct Shop {
    home: Box<dyn Home>,
    ports: Option<Ports>,
    next_id: AtomicU64,
    /// The limits of a fold.
    pub limits: FoldLimits,
}

impl Shop {
    /// Opens a shop over an empty store.
    pub async fn new(home: Box<dyn Home>) -> Self {
        let ports = Some(home.open(Bounds::default()).await);
        Self { home, ports, next_id: AtomicU64::new(1), limits: FoldLimits::default() }
    }

    /// Returns the ports of the store.
    pub fn ports(&self) -> &Ports {
        self.ports.as_ref().unwrap()
    }

    /// Drops the ports and opens the store again.
    pub async fn reopened(mut self, bounds: Bounds) -> Self {
        self.ports = None;
        self.ports = Some(self.home.open(bounds).await);
        self
    }

    /// Returns an id that no other command has.
    pub fn fresh_id(&self) -> CommandId {
        id(self.next_id.fetch_add(1, Ordering::Relaxed).into())
    }

    /// Returns a slot with a command under a fresh id, as [`queued`] builds it.
    pub fn slot(&self, kind: &str, item: &str, fields: &str, now: Timestamp) -> Slot {
        slot_of(queued(self.fresh_id(), kind, item, fields, now))
    }

    /// Loads the state that these slots need.
    pub async fn load(&self, item: &str, slots: &[Slot]) -> Loaded {
        let request = LoadRequest::for_slots(item_id(item), slots, &Rules::default());
        self.ports().store.load(&[request]).await.remove(0).unwrap()
    }

    /// Loads the state and folds the slots over it.
    pub async fn fold(&self, item: &str, slots: &[Slot], now: Timestamp) -> Fold {
        let loaded = self.load(item, slots).await;
        fold(&loaded, &item_id(item), slots, &BTreeMap::new(), now, &Rules::default(), &self.limits)
    }

    /// Commits one fold, which must not fail.
    pub async fn commit(&self, commit: Commit) -> CommitOutcome {
        self.try_commit(commit).await.unwrap()
    }

    /// Commits one fold. The store may fail.
    pub async fn try_commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        let mut answers = self.ports().store.commit(vec![commit]).await;
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    /// Loads, folds and commits one command, and returns its record.
    pub async fn run(&self, kind: &str, item: &str, fields: &str, now: Timestamp) -> Record {
        self.settle(item, vec![self.slot(kind, item, fields, now)], now).await.remove(0)
    }

    /// Settles all these slots in as many folds as they need, and returns their records.
    pub async fn settle(&self, item: &str, slots: Vec<Slot>, now: Timestamp) -> Vec<Record> {
        let mut records = Vec::new();
        let mut left = &slots[..];
        while !left.is_empty() {
            let fold = self.fold(item, left, now).await;
            records.extend(fold.commit.records.clone());
            assert_eq!(self.commit(fold.commit).await, CommitOutcome::Committed);
            left = &left[fold.taken..];
        }
        assert_eq!(records.len(), slots.len());
        records
    }

    /// Registers an item.
    pub async fn register(&self, item: &str, fields: &str) -> Record {
        let name = Value::from(format!("Item {item}"));
        self.run("register_item", item, &format!(r#","name":{name}{fields}"#), at(0)).await
    }

    /// Receives a quantity at a location.
    pub async fn receive(&self, item: &str, location: &str, quantity: i64, now: Timestamp) -> Record {
        let location = Value::from(location);
        self.run("receive", item, &format!(r#","location_id":{location},"quantity":{quantity}"#), now).await
    }

    /// Returns a slot that sells a quantity at `main`.
    pub fn sale(&self, item: &str, quantity: i64, now: Timestamp) -> Slot {
        self.slot("sell", item, &format!(r#","quantity":{quantity}"#), now)
    }

    /// Creates a location.
    pub async fn open_location(&self, location: &str) {
        let settings = LocationSettings { location_id: place(location), ..LocationSettings::main() };
        self.ports().queries.put_location(&settings).await.unwrap();
    }

    /// Returns the record of a command.
    pub async fn record(&self, item: &str, command_id: CommandId) -> Option<Record> {
        let state = CommandKey { item_id: item_id(item), command_id };
        self.ports().queries.records(&[state]).await.unwrap().remove(0)
    }

    /// Returns the levels of an item.
    pub async fn levels(&self, item: &str) -> Vec<Level> {
        self.ports().queries.item(&item_id(item)).await.unwrap().unwrap().levels
    }

    /// Returns the location, the whole units on hand and the seq of each level.
    pub async fn on_hand(&self, item: &str) -> Vec<(String, i64, u64)> {
        let levels = self.levels(item).await;
        levels.iter().map(|level| (level.location_id.to_string(), level.on_hand.raw() / 1_000, level.seq)).collect()
    }

    /// Reads the ledger of a level as the audit does, in pages of `limit`, and returns the seqs.
    pub async fn ledger_seqs(&self, item: &str, location: &str, limit: usize) -> Vec<u64> {
        let (mut seqs, mut next) = (Vec::new(), Some(1));
        while let Some(from) = next {
            let reader = &self.ports().audit;
            let page =
                reader.audit_ledger(LedgerFrom::new(&item_id(item), &place(location), from, limit)).await.unwrap();
            seqs.extend(page.entries.iter().map(|entry| entry.seq));
            next = page.next_seq;
        }
        seqs
    }

    /// Asserts that the audit finds no fault.
    pub async fn audit(&self) {
        let report = audit(&*self.ports().audit, &*self.ports().queries, &mut |_| {}).await.unwrap();
        assert!(report.is_sound(), "{:?}", report.faults);
    }
}

/// Reads all pages of a list.
pub async fn all_pages<T>(limit: usize, mut read: impl AsyncFnMut(Option<&str>) -> Page<T>) -> Vec<T> {
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = read(cursor.as_deref()).await;
        assert!(page.entries.len() <= limit, "{} entries of at most {limit}", page.entries.len());
        assert!(page.next_cursor != cursor || cursor.is_none(), "the cursor stands");
        seen.extend(page.entries);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return seen;
        }
    }
}

/// Makes a test of each claim of the contract. `$home` is an async expression of an `Option<Box<dyn Home>>`. `None`
/// leaves the test out; the expression itself must report that.
#[macro_export]
macro_rules! store_contract {
    ($home:expr) => {
        $crate::store_contract! { @claims $home;
            alerts: a_claim_holds_for_its_lease_and_only_a_sent_alert_is_dropped
                a_claim_is_its_holders_until_it_gives_it_up
                an_alert_that_some_have_is_claimed_for_the_others
                an_alert_without_a_recipient_says_so_unless_it_was_mailed
                a_claim_that_is_mixed_answers_each_alert_in_order
                the_history_pages_newest_first_by_location_or_all
                a_days_notice_is_claimed_like_an_alert_and_says_how_far_it_told
                what_a_clock_ahead_claimed_or_told_is_void
                openings_are_listed_until_all_recipients_have_their_mail;
            awkward: ids_that_a_shop_writes_are_kept_apart
                lists_of_awkward_ids_page_in_the_order_of_their_bytes
                alerts_of_ids_with_separators_are_kept_apart
                an_id_that_differs_by_case_is_taken;
            changes: a_reader_that_follows_the_changes_ends_with_the_state_of_the_store
                a_mark_of_another_store_makes_the_reader_begin_anew
                archived_items_and_renamed_ones_are_among_the_changes;
            commits: what_a_fold_wrote_is_loaded_as_it_was
                a_redelivered_sale_takes_stock_once_and_answers_as_the_first_did
                a_duplicate_is_named_whatever_else_failed_and_nothing_is_written
                a_stale_level_or_item_is_a_conflict
                a_transfer_is_all_or_nothing
                a_chunk_is_written_with_its_level_or_not_at_all
                a_rejection_needs_no_version
                commits_of_one_call_are_answered_each_by_itself
                a_claim_is_taken_when_absent_or_mine_and_given_up_when_mine
                a_level_is_rejudged_once_and_only_by_the_threshold_that_holds
                every_level_has_a_mark_of_its_own
                a_planning_with_what_locations_have_instead_is_loaded_as_it_was
                a_load_answers_each_request_by_itself;
            days: the_days_of_a_level_are_those_of_its_whole_ledger_in_the_zone_of_its_location
                days_from_a_moment_on_are_those_of_the_whole_ledger;
            dead_letters: a_dead_letter_gives_way_to_a_later_retry_only
                a_dead_letter_is_discarded_once_and_then_final
                a_dismissed_rejection_leaves_the_list_and_can_still_be_resubmitted
                a_refused_command_is_replaced_by_one_resubmission
                a_discarded_dead_letter_is_not_resubmitted
                a_resubmitted_dead_letter_is_final;
            lists: items_are_listed_by_name_whatever_its_case_and_by_every_filter
                a_page_of_items_ends_before_it_holds_too_many_levels_and_the_next_goes_on
                a_barcode_that_moved_is_found_where_it_is
                a_barcode_is_found_in_every_spelling_and_keeps_its_quantity
                levels_are_listed_by_item_then_location_and_by_the_state_that_reads_show
                an_item_that_a_location_carries_is_out_there_until_its_first_stock
                refused_commands_are_listed_newest_first_until_they_are_settled_otherwise
                changes_of_the_catalogue_are_listed_newest_first_by_every_filter
                main_is_a_location_before_and_after_it_is_put
                of_locations_that_differ_by_case_one_is_registered
                settings_that_were_put_hold_for_the_next_load
                a_damaged_or_foreign_cursor_is_refused
                a_list_of_many_rows_that_do_not_match_is_read_to_its_end_in_pages_of_few_rows;
            money: costs_and_amounts_are_kept_in_levels_entries_and_outcomes
                a_level_without_a_tail_keeps_its_value
                a_movement_is_taken_back_once_and_both_of_the_pair_say_so
                a_reversal_is_written_only_while_no_other_took_the_movement_back
                a_reversal_of_what_took_no_effect_is_a_conflict
                of_many_reversals_of_one_movement_one_is_applied;
            overrides: a_page_of_items_counts_what_locations_have_instead_and_the_next_goes_on
                a_page_of_changed_items_counts_what_locations_have_instead;
            racing: many_buyers_never_oversell
                an_item_is_never_shown_in_the_middle_of_a_transfer
                movements_page_rightly_while_the_ledger_moves
                the_past_stays_as_it_was_while_the_ledger_moves;
            reading: movements_page_newest_first_across_chunks_tails_and_locations
                movements_of_all_items_page_newest_first_by_every_filter_or_are_not_kept
                a_page_goes_on_rightly_while_the_tail_moves_into_chunks
                the_stock_at_any_time_is_the_balance_after_its_last_entry
                a_late_count_gets_the_history_back_to_its_time_and_no_further_than_the_bound
                the_audit_reads_every_entry_and_record_once
                records_answer_in_input_order_and_absence_is_told
                items_are_read_by_their_ids_and_barcodes_lead_to_their_holders
                a_snapshot_shows_the_moment_when_it_was_opened;
            sizes: a_fold_over_many_levels_is_one_commit
                a_thousand_commands_with_long_notes_keep_every_word
                a_level_near_its_bound_reads_back
                more_than_sixteen_megabytes_are_loaded_whole
                more_than_sixteen_megabytes_of_records_are_read_whole
                an_item_at_more_places_than_one_transaction_reads_is_shown_whole;
        }
    };
    (@claims $home:expr; $($module:ident: $($claim:ident)+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                if let Some(home) = $home.await {
                    let shop = $crate::contract::store::Shop::new(home).await;
                    $crate::contract::store::$module::$claim(shop).await;
                }
            }
        )+)+
    };
}
