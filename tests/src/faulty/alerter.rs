use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stockline_core::domain::{Alert, LocationId, Timestamp};
use stockline_core::ports::{
    AlertBook, AlertDelivery, AlertHandle, AlertReceiver, Claimed, Gathered, Lease, Mail, MailError, MailTally, Mailer,
    Opening, PartSent, Queries, QueueError, RefusedNotice, StoreError,
};
use stockline_core::testing::{Gate, Read};
use tokio::sync::watch;

use super::wire::Purpose;
use super::{Edge, Kind, Plan, Point, in_real_time};

/// The pause between two reads of an empty alert queue.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The mails and marks of all alerters of a test.
#[derive(Debug, Default)]
pub struct Outbox {
    mails: Mutex<Vec<Mail>>,
    /// The number of acknowledged alert messages.
    pub acknowledged: watch::Sender<usize>,
    /// How often a daily notice was marked as sent.
    pub notices_marked: watch::Sender<usize>,
    /// The first read of this location fails.
    pub away_once: Mutex<Option<LocationId>>,
}

impl Outbox {
    /// Returns the mails that the provider accepted, in order.
    pub fn mails(&self) -> MutexGuard<'_, Vec<Mail>> {
        self.mails.lock().unwrap()
    }

    /// Counts the mails whose subject has this id of an alert or of a notice.
    pub fn count(&self, id: &str) -> usize {
        let names = |mail: &&Mail| mail.subject.split([' ', '[', ']']).any(|word| word == id);
        self.mails().iter().filter(names).count()
    }
}

/// The store, the mail and the queue of one alerter, with the faults of a plan.
#[derive(Debug, Clone)]
pub struct FaultyAlerter {
    /// The faults.
    pub plan: Arc<Plan>,
    /// The alert history and the claims.
    pub book: Arc<dyn AlertBook>,
    /// The settings and the refused commands.
    pub queries: Arc<dyn Queries>,
    /// Whether the store is the DynamoDB adapter over a [`FaultyWire`](super::FaultyWire).
    pub through_wire: bool,
    /// The alert queue of the standalone home.
    pub queue: Option<Arc<dyn AlertReceiver>>,
    /// The mails and marks.
    pub outbox: Arc<Outbox>,
}

fn store_down() -> StoreError {
    StoreError::Unavailable("as planned".into())
}

fn queue_down() -> QueueError {
    QueueError::Unavailable("as planned".into())
}

impl FaultyAlerter {
    async fn stored<T>(
        &self,
        point: Point,
        edge: Edge,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.plan.around(point, vec![edge], self.ask(edge, None, work)).await.unwrap_or_else(|_| Err(store_down()))
    }

    /// Makes one call of the store. Behind a wire no call takes real time, and faults take time of the paused clock.
    async fn ask<T>(&self, edge: Edge, answer: Option<&'static str>, work: impl Future<Output = T>) -> T {
        if self.through_wire {
            Purpose { edges: vec![edge], answer, done: None }.of(work).await
        } else {
            in_real_time(work).await
        }
    }

    /// Counts the alert messages that `work` acknowledges.
    pub async fn settle(&self, edge: Edge, work: impl Future<Output = usize>) -> Result<(), Kind> {
        let work = async {
            let settled = in_real_time(work).await;
            self.outbox.acknowledged.send_modify(|all| *all += settled);
        };
        self.plan.around(Point::Alerts, vec![edge], work).await
    }

    async fn location_read<T>(
        &self,
        location_id: &LocationId,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let away = {
            let mut away_once = self.outbox.away_once.lock().unwrap();
            away_once.take_if(|away| away == location_id).is_some()
        };
        let edge = "read a location";
        let work = async {
            match away {
                true if !self.through_wire => Err(store_down()),
                _ => self.ask(edge, away.then_some("away"), work).await,
            }
        };
        self.plan.around(Point::Location, vec![edge], work).await.unwrap_or_else(|_| Err(store_down()))
    }

    fn queue(&self) -> &dyn AlertReceiver {
        &**self.queue.as_ref().unwrap()
    }
}

#[async_trait]
impl AlertBook for FaultyAlerter {
    async fn gather(&self, openings: &[Alert], at: Timestamp) -> Vec<Result<Gathered, StoreError>> {
        let work = self.ask("gather openings", None, self.book.gather(openings, at));
        let answers = self.plan.around(Point::Claim, vec!["gather openings"], work).await;
        answers.unwrap_or_else(|_| openings.iter().map(|_| Err(store_down())).collect())
    }

    async fn openings(
        &self,
        location_id: &LocationId,
        raised: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<Opening>, StoreError> {
        self.stored(Point::Location, "read openings", self.book.openings(location_id, raised, limit)).await
    }

    async fn claim(&self, alerts: &[Alert], lease: &Lease) -> Vec<Result<Claimed, StoreError>> {
        let work = self.ask("claim alerts", None, self.book.claim(alerts, lease));
        let answers = self.plan.around(Point::Claim, vec!["claim alerts"], work).await;
        answers.unwrap_or_else(|_| alerts.iter().map(|_| Err(store_down())).collect())
    }

    async fn give_up(&self, alerts: &[Alert], lease: &Lease) -> Result<(), StoreError> {
        self.stored(Point::Claim, "give claims up", self.book.give_up(alerts, lease)).await
    }

    async fn mark_sent(&self, alerts: &[Alert], sent_at: Timestamp, tally: MailTally) -> Result<(), StoreError> {
        self.stored(Point::Mark, "mark alerts as sent", self.book.mark_sent(alerts, sent_at, tally)).await
    }

    async fn mark_part_sent(&self, alerts: &[Alert], part: PartSent<'_>) -> Result<(), StoreError> {
        let work = self.book.mark_part_sent(alerts, part);
        self.stored(Point::Mark, "mark alerts as sent to some", work).await
    }

    async fn mark_unaddressed(&self, alerts: &[Alert]) -> Result<(), StoreError> {
        self.stored(Point::Mark, "mark alerts without a recipient", self.book.mark_unaddressed(alerts)).await
    }

    async fn claim_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<Claimed, StoreError> {
        self.stored(Point::ClaimNotice, "claim the notice", self.book.claim_notice(notice, lease)).await
    }

    async fn give_up_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<(), StoreError> {
        self.stored(Point::ClaimNotice, "give the notice up", self.book.give_up_notice(notice, lease)).await
    }

    async fn mark_notice_sent(&self, notice: &RefusedNotice, until: Timestamp) -> Result<(), StoreError> {
        let (edge, outbox) = ("mark the notice as sent", self.outbox.clone());
        let marked = move || outbox.notices_marked.send_modify(|all| *all += 1);
        let mark = self.book.mark_notice_sent(notice, until);
        if self.through_wire {
            return Purpose { edges: vec![edge], answer: None, done: Some(Arc::new(marked)) }.of(mark).await;
        }
        let work = async { mark.await.inspect(|()| marked()) };
        self.stored(Point::MarkNotice, edge, work).await
    }

    async fn notified_until(&self, location_id: &LocationId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.stored(Point::Notice, "read how far was told", self.book.notified_until(location_id, now)).await
    }
}

#[async_trait]
impl Mailer for FaultyAlerter {
    /// The provider may accept a mail long after the caller stopped waiting.
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let (plan, outbox, mail) = (self.plan.clone(), self.outbox.clone(), mail.clone());
        let edge = if mail.id.starts_with("refused:") { "mail the notice" } else { "mail alerts" };
        let sent = tokio::spawn(async move {
            let work = async { outbox.mails().push(mail) };
            plan.around(Point::Mail, vec![edge], work).await
        });
        sent.await.unwrap().map_err(|_| MailError::Unavailable("as planned".into()))
    }
}

#[async_trait]
impl AlertReceiver for FaultyAlerter {
    /// Waits until a message arrives, so that the calls of an alerter have fixed numbers.
    async fn receive(&self, max: usize, _wait: Duration) -> Result<Vec<AlertDelivery>, QueueError> {
        let work = async {
            loop {
                let received = in_real_time(self.queue().receive(max, Duration::ZERO)).await?;
                if !received.is_empty() {
                    return Ok(received);
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let received = self.plan.around(Point::Alerts, vec!["receive alerts"], work).await;
        received.unwrap_or_else(|_| Err(queue_down()))
    }

    async fn ack(&self, handles: &[AlertHandle]) -> Result<(), QueueError> {
        let mut acked = Ok(());
        let work = async {
            acked = self.queue().ack(handles).await;
            if acked.is_ok() { handles.len() } else { 0 }
        };
        self.settle("acknowledge alerts", work).await.map_err(|_| queue_down())?;
        acked
    }

    async fn release(&self, handles: &[AlertHandle], delay: Duration) -> Result<(), QueueError> {
        let work = in_real_time(self.queue().release(handles, delay));
        let released = self.plan.around(Point::Alerts, vec!["give alerts back"], work).await;
        released.unwrap_or_else(|_| Err(queue_down()))
    }
}

impl Gate for FaultyAlerter {
    fn behind(&self) -> &dyn Queries {
        &*self.queries
    }

    /// Passes through the plan what the alerter reads: settings and refused commands.
    async fn pass<T: Send>(
        &self,
        read: Read<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match read {
            Read::Location(location_id) => self.location_read(location_id, work).await,
            Read::Locations => self.stored(Point::Notice, "read all locations", work).await,
            Read::Commands => self.stored(Point::Notice, "read refused commands", work).await,
            Read::Records | Read::Other => work.await,
        }
    }
}
