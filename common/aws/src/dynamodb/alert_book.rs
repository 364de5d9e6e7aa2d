//! The alert history with the alerter's claims. A claim is one conditional put.

use std::collections::{BTreeSet, HashSet};
use std::sync::{MutexGuard, PoisonError};

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use futures_util::FutureExt;
use uuid::Uuid;

use super::DynamoStore;
use super::call::{names, side_by_side};
use super::fault::unavailable;
use super::key::{self, Key};
use super::row::{self, Row};
use stockline_core::domain::{Alert, LocationId, Timestamp};
use stockline_core::ports::{AlertBook, Claimed, RefusedNotice, StoreError, latest_lease_end};

/// Absent, or unsent and past its lease or with a void lease.
const CLAIMABLE: &str = "attribute_not_exists(#pk) OR \
     (attribute_not_exists(#sent_at) AND (#lease_until <= :now OR #lease_until > :latest))";

/// As [`CLAIMABLE`], or sent and void: the row of a sent notice has the time that it covers as the end of its lease.
const NOTICE_CLAIMABLE: &str = "attribute_not_exists(#pk) OR \
     (attribute_not_exists(#sent_at) AND #lease_until <= :now) OR #lease_until > :latest";

/// The attribute that names a claim.
const CLAIM: &str = "claim";

#[expect(clippy::disallowed_methods, reason = "it names one put and is not an id of the domain")]
fn fresh_claim() -> String {
    Uuid::new_v4().to_string()
}

/// Marks an alert as sent and writes the claim's attributes if they are missing, as in a table restored from a backup.
const MARK_SENT: &str = "SET #sent_at = if_not_exists(#sent_at, :at), \
     #lease_until = if_not_exists(#lease_until, :at), #alert = if_not_exists(#alert, :alert), \
     #location_id = if_not_exists(#location_id, :location_id)";

/// How many notices of a location one read returns, newest first, to find the last one sent.
const NOTICES_READ: i32 = 32;

impl DynamoStore {
    /// Puts a row if it can be claimed. The row names this claim, so a put that the SDK repeats after a lost answer
    /// recognises the first.
    async fn claim_row(
        &self,
        mut row: Row,
        condition: &'static str,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let claim = row::text(fresh_claim());
        row.insert(CLAIM.to_owned(), claim.clone());
        let put = PutItemInputBuilder::default()
            .table_name(&self.table)
            .set_item(Some(row))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names(condition)))
            .expression_attribute_values(":now", row::moment(now))
            .expression_attribute_values(":latest", row::moment(latest_lease_end(lease_until)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let error = match self.wire.put_item(put).await {
            Ok(_) => return Ok(Claimed::Ours),
            Err(error) => error,
        };
        if let SdkError::ServiceError(service) = &error
            && let PutItemError::ConditionalCheckFailedException(failed) = service.err()
        {
            // Without the row it is unknown whether the alert was sent, so it must be delivered again: held.
            let stored = failed.item();
            return Ok(if stored.is_some_and(|stored| stored.contains_key(row::SENT_AT)) {
                Claimed::Sent
            } else if stored.is_some_and(|stored| stored.get(CLAIM) == Some(&claim)) {
                Claimed::Ours
            } else {
                Claimed::Held
            });
        }
        Err(unavailable("PutItem", &error))
    }

    fn noted_months(&self) -> MutexGuard<'_, HashSet<String>> {
        self.noted_months.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the months of alerts before the alerts, once per process, so that lists find them.
    async fn note_months(&self, alerts: &[Alert]) -> Result<(), StoreError> {
        let months: BTreeSet<_> = alerts.iter().map(|alert| key::month(alert.raised_at)).collect();
        for month in months {
            if self.noted_months().contains(&month) {
                continue;
            }
            let row = Key::month(&month).attributes();
            let put = PutItemInputBuilder::default().table_name(&self.table).set_item(Some(row));
            self.wire.put_item(put).await.map_err(|error| unavailable("PutItem", &error))?;
            self.noted_months().insert(month);
        }
        Ok(())
    }

    async fn mark_one_sent(&self, alert: &Alert, sent_at: Timestamp) -> Result<(), StoreError> {
        let update = UpdateItemInputBuilder::default()
            .table_name(&self.table)
            .set_key(Some(Key::alert(alert).attributes()))
            .update_expression(MARK_SENT)
            .set_expression_attribute_names(Some(names(MARK_SENT)))
            .expression_attribute_values(":at", row::moment(sent_at))
            .expression_attribute_values(":alert", row::json(alert)?)
            .expression_attribute_values(":location_id", row::text(alert.location_id.as_str()));
        self.wire.update_item(update).await.map(drop).map_err(|error| unavailable("UpdateItem", &error))
    }
}

#[async_trait]
impl AlertBook for DynamoStore {
    async fn claim(
        &self,
        alerts: &[Alert],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Vec<Result<Claimed, StoreError>> {
        if let Err(error) = self.note_months(alerts).await {
            return vec![Err(error); alerts.len()];
        }
        let claim = |alert| {
            async move { self.claim_row(row::of_alert(alert, lease_until)?, CLAIMABLE, now, lease_until).await }.boxed()
        };
        side_by_side(alerts.iter().map(claim).collect()).await
    }

    async fn mark_sent(&self, alerts: &[Alert], sent_at: Timestamp) -> Result<(), StoreError> {
        self.note_months(alerts).await?;
        let marks = alerts.iter().map(|alert| self.mark_one_sent(alert, sent_at).boxed()).collect();
        // Every mark is tried, even if one fails, because an unmarked alert is mailed again.
        side_by_side(marks).await.into_iter().collect()
    }

    async fn claim_notice(
        &self,
        notice: &RefusedNotice,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Claimed, StoreError> {
        self.claim_row(row::of_notice(notice, lease_until), NOTICE_CLAIMABLE, now, lease_until).await
    }

    async fn mark_notice_sent(&self, notice: &RefusedNotice, until: Timestamp) -> Result<(), StoreError> {
        let row = row::of_sent_notice(notice, until);
        let put = PutItemInputBuilder::default().table_name(&self.table).set_item(Some(row));
        self.wire.put_item(put).await.map(drop).map_err(|error| unavailable("PutItem", &error))
    }

    async fn notified_until(&self, location_id: &LocationId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let newest_first = self
            .query_partition(Key::notices_pk(location_id), None)
            .scan_index_forward(false)
            .limit(NOTICES_READ)
            .consistent_read(true);
        let mut from = None;
        loop {
            let page = self.page(newest_first.clone(), from).await?;
            let ends = page.rows.iter().map(|row| row::read_moment(row, row::NOTIFIED_UNTIL));
            let ends: Vec<_> = ends.collect::<Result<_, _>>()?;
            let latest = ends.into_iter().flatten().filter(|end| *end <= now).max();
            if latest.is_some() || page.next.is_none() {
                return Ok(latest);
            }
            from = page.next;
        }
    }
}
