//! The alert history with the alerter's claims. A claim is one conditional put.

use std::collections::{BTreeSet, HashSet};
use std::sync::{MutexGuard, PoisonError};

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use futures_util::FutureExt;

use super::DynamoStore;
use super::call::{names, side_by_side};
use super::fault::unavailable;
use super::key::{self, Key};
use super::row::{self, Row};
use stockline_core::domain::{Alert, LocationId, Timestamp};
use stockline_core::ports::{
    AlertBook, Claimed, Gathered, Lease, MailTally, Opening, PartSent, RefusedNotice, Rest, StoreError,
    latest_lease_end,
};

/// Absent, or unsent and free: past its lease, with a void lease, or an earlier claim of this holder. A put that arrives late
/// never shortens the lease of a newer claim.
const CLAIMABLE: &str = "attribute_not_exists(#pk) OR (attribute_not_exists(#sent_at) AND \
     (#lease_until <= :now OR #lease_until > :latest OR (#claim = :claim AND #lease_until <= :until)))";

/// As [`CLAIMABLE`], or sent and void: the row of a sent notice has the time that it covers as the end of its lease.
const NOTICE_CLAIMABLE: &str = "attribute_not_exists(#pk) OR #lease_until > :latest OR \
     (attribute_not_exists(#sent_at) AND (#lease_until <= :now OR (#claim = :claim AND #lease_until <= :until)))";

/// Takes a claim on what some recipients have.
const CLAIM_REST: &str = "SET #claim = :claim, #lease_until = :until";

/// The same recipients still wait for it, and it is free.
const REST_CLAIMABLE: &str = "#missing = :missing AND (#lease_until <= :now OR #lease_until > :latest OR (#claim = :claim AND #lease_until <= :until))";

/// Ends a claim: its lease is over.
const GIVE_UP: &str = "SET #lease_until = :over REMOVE #claim";

/// This very claim still holds.
const CLAIMED: &str = "#claim = :claim AND #lease_until = :until";

/// Marks an alert as sent, but for some recipients, and ends its claim.
const MARK_PART_SENT: &str = "SET #sent_at = if_not_exists(#sent_at, :at), #missing = :missing, #tally = :tally, #lease_until = :over REMOVE #claim";

/// Notes that nobody was to get an alert.
const MARK_UNADDRESSED: &str = "SET #no_recipient = :yes";

/// It is in the history, and nobody has it.
const UNSENT: &str = "attribute_exists(#pk) AND attribute_not_exists(#sent_at)";

/// It is not in the history yet.
const ABSENT: &str = "attribute_not_exists(#pk)";

/// The alerts of a month that were raised within a time.
const RAISED: &str = "#pk = :pk AND #sk BETWEEN :from AND :to";

/// The attribute that names a claim.
const CLAIM: &str = "claim";

/// Marks an alert as sent and writes the claim's attributes if they are missing, as in a table restored from a backup.
const MARK_SENT: &str = "SET #sent_at = if_not_exists(#sent_at, :at), \
     #lease_until = if_not_exists(#lease_until, :at), #alert = if_not_exists(#alert, :alert), \
     #location_id = if_not_exists(#location_id, :location_id), #tally = :tally REMOVE #missing";

/// Nobody has it, or somebody still waits.
const UNFINISHED: &str = "attribute_not_exists(#sent_at) OR attribute_exists(#missing)";

/// How many notices of a location one read returns, newest first, to find the last one sent.
const NOTICES_READ: i32 = 32;

/// What became of a put with a condition.
enum Put {
    Done,
    /// The condition failed, because of this row.
    Refused(Option<Row>),
}

/// Returns whether all recipients have the mail of this alert.
fn is_sent(row: &Row) -> bool {
    row.contains_key(row::SENT_AT) && !row.contains_key(row::MISSING)
}

/// The end of a lease that was given up.
fn over() -> AttributeValue {
    row::moment(Timestamp::EPOCH)
}

impl DynamoStore {
    /// Puts a row if it can be claimed. The row names the holder, so a put that the SDK repeats after a lost answer finds
    /// the claim its own.
    async fn claim_row(
        &self,
        key: &Key,
        mut row: Row,
        condition: &'static str,
        lease: &Lease,
    ) -> Result<Claimed, StoreError> {
        row.insert(CLAIM.to_owned(), row::text(&*lease.holder));
        let put = PutItemInputBuilder::default()
            .table_name(&self.table)
            .set_item(Some(row))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names(condition)))
            .expression_attribute_values(":latest", row::moment(latest_lease_end(lease.until)))
            .expression_attribute_values(":now", row::moment(lease.from))
            .expression_attribute_values(":claim", row::text(&*lease.holder))
            .expression_attribute_values(":until", row::moment(lease.until))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let stored = match self.put_if(put).await? {
            Put::Done => return Ok(Claimed::Ours),
            // Without the row it is unknown whether the alert was sent, so it must be delivered again: held.
            Put::Refused(None) => return Ok(Claimed::Held),
            Put::Refused(Some(stored)) => stored,
        };
        match (stored.get(row::SENT_AT), stored.get(row::MISSING)) {
            (None, _) => Ok(Claimed::Held),
            (Some(_), None) => Ok(Claimed::Sent),
            (Some(_), Some(missing)) => self.claim_rest(key, &stored, missing, lease).await,
        }
    }

    /// Claims what some recipients have, for the others.
    async fn claim_rest(
        &self,
        key: &Key,
        stored: &Row,
        missing: &AttributeValue,
        lease: &Lease,
    ) -> Result<Claimed, StoreError> {
        let rest = Rest { missing: row::missing(stored)?, tally: row::tally(stored)?.unwrap_or_default() };
        let update = self
            .update_claim(key, CLAIM_REST, REST_CLAIMABLE, lease)
            .expression_attribute_values(":now", row::moment(lease.from))
            .expression_attribute_values(":latest", row::moment(latest_lease_end(lease.until)))
            .expression_attribute_values(":missing", missing.clone());
        Ok(if self.update_if(update).await? { Claimed::OursFor(rest) } else { Claimed::Held })
    }

    /// Ends a claim, unless it is another's by now.
    async fn give_up_row(&self, key: &Key, lease: &Lease) -> Result<(), StoreError> {
        let update = self.update_claim(key, GIVE_UP, CLAIMED, lease).expression_attribute_values(":over", over());
        self.update_if(update).await.map(drop)
    }

    async fn mark_one_part_sent(
        &self,
        alert: &Alert,
        lease: &Lease,
        sent_at: Timestamp,
        rest: &Rest,
    ) -> Result<(), StoreError> {
        let update = self
            .update_claim(&Key::alert(alert), MARK_PART_SENT, CLAIMED, lease)
            .expression_attribute_values(":over", over())
            .expression_attribute_values(":at", row::moment(sent_at))
            .expression_attribute_values(":tally", row::json(&rest.tally)?)
            .expression_attribute_values(":missing", row::json(&rest.missing)?);
        self.update_if(update).await.map(drop)
    }

    async fn mark_one_unaddressed(&self, alert: &Alert) -> Result<(), StoreError> {
        let update = UpdateItemInputBuilder::default()
            .table_name(&self.table)
            .set_key(Some(Key::alert(alert).attributes()))
            .update_expression(MARK_UNADDRESSED)
            .condition_expression(UNSENT)
            .set_expression_attribute_names(Some(names(&format!("{MARK_UNADDRESSED} {UNSENT}"))))
            .expression_attribute_values(":yes", AttributeValue::Bool(true));
        self.update_if(update).await.map(drop)
    }

    fn update_claim(&self, key: &Key, update: &str, condition: &str, lease: &Lease) -> UpdateItemInputBuilder {
        UpdateItemInputBuilder::default()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names(&format!("{update} {condition}"))))
            .expression_attribute_values(":claim", row::text(&*lease.holder))
            .expression_attribute_values(":until", row::moment(lease.until))
    }

    /// Updates a row and returns whether its condition held.
    pub(super) async fn update_if(&self, update: UpdateItemInputBuilder) -> Result<bool, StoreError> {
        match self.wire.update_item(update).await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => Ok(false),
            Err(error) => Err(unavailable("UpdateItem", &error)),
        }
    }

    async fn gather_one(&self, alert: &Alert, at: Timestamp) -> Result<Gathered, StoreError> {
        // Its lease is over, so it can be claimed at once.
        let mut row = row::of_alert(alert, Timestamp::EPOCH)?;
        row.insert(row::GATHERED_AT.to_owned(), row::moment(at));
        let put = PutItemInputBuilder::default()
            .table_name(&self.table)
            .set_item(Some(row))
            .condition_expression(ABSENT)
            .set_expression_attribute_names(Some(names(ABSENT)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(match self.put_if(put).await? {
            Put::Refused(Some(stored)) if is_sent(&stored) => Gathered::Sent,
            Put::Done | Put::Refused(_) => Gathered::Waiting,
        })
    }

    /// Puts a row, or returns the row that is there instead, if the answer names it.
    async fn put_if(&self, put: PutItemInputBuilder) -> Result<Put, StoreError> {
        let error = match self.wire.put_item(put).await {
            Ok(_) => return Ok(Put::Done),
            Err(error) => error,
        };
        let SdkError::ServiceError(service) = &error else { return Err(unavailable("PutItem", &error)) };
        let PutItemError::ConditionalCheckFailedException(failed) = service.err() else {
            return Err(unavailable("PutItem", &error));
        };
        Ok(Put::Refused(failed.item().cloned()))
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

    async fn mark_one_sent(&self, alert: &Alert, sent_at: Timestamp, tally: MailTally) -> Result<(), StoreError> {
        let update = UpdateItemInputBuilder::default()
            .table_name(&self.table)
            .set_key(Some(Key::alert(alert).attributes()))
            .update_expression(MARK_SENT)
            .condition_expression(UNFINISHED)
            .set_expression_attribute_names(Some(names(&format!("{MARK_SENT} {UNFINISHED}"))))
            .expression_attribute_values(":at", row::moment(sent_at))
            .expression_attribute_values(":tally", row::json(&tally)?)
            .expression_attribute_values(":alert", row::json(alert)?)
            .expression_attribute_values(":location_id", row::text(alert.location_id.as_str()));
        self.update_if(update).await.map(drop)
    }
}

/// Returns the opening of a row, if it is one of this location that is not mailed to all.
fn opening_at(row: &Row, location_id: &LocationId) -> Option<Opening> {
    let of_location =
        row.get(row::LOCATION_ID).and_then(|id| id.as_s().ok()).is_some_and(|id| id == location_id.as_str());
    if !of_location || is_sent(row) {
        return None;
    }
    let read = || Ok((row::alert(row)?.alert, row::read_moment(row, row::GATHERED_AT)?));
    match read() {
        Ok((alert, gathered_at)) => alert.opening.then_some(Opening { alert, gathered_at }),
        Err::<_, StoreError>(error) => {
            tracing::error!(%error, "an alert can't be read; its own message decides");
            None
        }
    }
}

#[async_trait]
impl AlertBook for DynamoStore {
    async fn gather(&self, alerts: &[Alert], at: Timestamp) -> Vec<Result<Gathered, StoreError>> {
        if let Err(error) = self.note_months(alerts).await {
            return vec![Err(error); alerts.len()];
        }
        side_by_side(alerts.iter().map(|alert| self.gather_one(alert, at).boxed()).collect()).await
    }

    async fn openings(
        &self,
        location_id: &LocationId,
        raised: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<Opening>, StoreError> {
        let (from, to) = Key::alerts_between(raised);
        let months = BTreeSet::from([key::month(raised.0), key::month(raised.1)]);
        let mut found = Vec::new();
        for month in months {
            let values = [(":pk", Key::alerts_pk(&month)), (":from", from.clone()), (":to", to.clone())];
            let query = self.query(RAISED, &values.map(|(name, value)| (name, row::text(value)))).consistent_read(true);
            let mut next = None;
            loop {
                let page = self.page(query.clone(), next).await?;
                found.extend(page.rows.iter().filter_map(|row| opening_at(row, location_id)));
                if page.next.is_none() || found.len() >= limit {
                    break;
                }
                next = page.next;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn claim(&self, alerts: &[Alert], lease: &Lease) -> Vec<Result<Claimed, StoreError>> {
        if let Err(error) = self.note_months(alerts).await {
            return vec![Err(error); alerts.len()];
        }
        let claim = |alert| {
            async move { self.claim_row(&Key::alert(alert), row::of_alert(alert, lease.until)?, CLAIMABLE, lease).await }
                .boxed()
        };
        side_by_side(alerts.iter().map(claim).collect()).await
    }

    async fn give_up(&self, alerts: &[Alert], lease: &Lease) -> Result<(), StoreError> {
        let give_up = |alert| async move { self.give_up_row(&Key::alert(alert), lease).await }.boxed();
        side_by_side(alerts.iter().map(give_up).collect()).await.into_iter().collect()
    }

    async fn mark_sent(&self, alerts: &[Alert], sent_at: Timestamp, tally: MailTally) -> Result<(), StoreError> {
        self.note_months(alerts).await?;
        let marks = alerts.iter().map(|alert| self.mark_one_sent(alert, sent_at, tally).boxed()).collect();
        // Every mark is tried, even if one fails, because an unmarked alert is mailed again.
        side_by_side(marks).await.into_iter().collect()
    }

    async fn mark_part_sent(&self, alerts: &[Alert], part: PartSent<'_>) -> Result<(), StoreError> {
        let mark =
            |alert| async move { self.mark_one_part_sent(alert, part.lease, part.sent_at, part.rest).await }.boxed();
        side_by_side(alerts.iter().map(mark).collect()).await.into_iter().collect()
    }

    async fn mark_unaddressed(&self, alerts: &[Alert]) -> Result<(), StoreError> {
        let marks = alerts.iter().map(|alert| self.mark_one_unaddressed(alert).boxed()).collect();
        side_by_side(marks).await.into_iter().collect()
    }

    async fn claim_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<Claimed, StoreError> {
        let key = Key::notice(&notice.location_id, &notice.day);
        self.claim_row(&key, row::of_notice(notice, lease.until), NOTICE_CLAIMABLE, lease).await
    }

    async fn give_up_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<(), StoreError> {
        self.give_up_row(&Key::notice(&notice.location_id, &notice.day), lease).await
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
