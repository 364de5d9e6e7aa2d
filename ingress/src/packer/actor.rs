use std::cmp::Reverse;
use std::collections::hash_map::Entry as MapEntry;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use stockline_core::domain::{ItemId, join_message};
use stockline_core::ports::{CommandSender, Pack, QueueError};
use stockline_service::{Faults, Retry, Severity};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::item_backlog::{Entry, ItemBacklog, LineOf, Stage, UnacknowledgedPack};
use super::submission::Submission;
use crate::metrics::PackMetrics;

/// How long one pack is tried.
pub(super) const SEND_DEADLINE: Duration = Duration::from_secs(5);
/// How long one try may take; after that its answer counts as lost.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(3);
/// Calls of [`CommandSender::send`] at the same time.
const MAX_SENDS_IN_FLIGHT: usize = 32;
/// Requests that are accepted before packs are sent again.
const SUBMISSIONS_PER_TURN: usize = 256;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A request with lines that are not settled yet.
struct Request {
    reply: oneshot::Sender<Vec<bool>>,
    queued: Vec<bool>,
    open: usize,
}

/// A call of `send` that ended.
struct Sent {
    items: Vec<ItemId>,
    results: Vec<Result<(), QueueError>>,
}

pub(super) struct Actor {
    queue: Arc<dyn CommandSender>,
    max_batch: usize,
    buffered: Arc<AtomicUsize>,
    requests: HashMap<u64, Request>,
    next_request: u64,
    backlogs: HashMap<ItemId, ItemBacklog>,
    ready: VecDeque<ItemId>,
    /// How long packs of different items wait for each other, until they fill a call.
    linger: Duration,
    /// When the first of the ready items became ready, or what was left of them after a call.
    ready_since: Instant,
    timers: BinaryHeap<Reverse<(Instant, ItemId)>>,
    sends: FuturesUnordered<BoxFuture<'static, Sent>>,
    metrics: PackMetrics,
    faults: Arc<Faults>,
}

impl Actor {
    pub(super) fn new(
        queue: Arc<dyn CommandSender>,
        buffered: Arc<AtomicUsize>,
        metrics: PackMetrics,
        faults: Arc<Faults>,
        linger: Duration,
    ) -> Self {
        Self {
            max_batch: queue.max_batch().max(1),
            queue,
            buffered,
            requests: HashMap::new(),
            next_request: 0,
            backlogs: HashMap::new(),
            ready: VecDeque::new(),
            linger,
            ready_since: Instant::now(),
            timers: BinaryHeap::new(),
            sends: FuturesUnordered::new(),
            metrics,
            faults,
        }
    }

    /// Runs until it is stopped (or the last [`super::Packer`] is dropped) and every line is settled.
    pub(super) async fn run(
        mut self,
        mut receiver: mpsc::UnboundedReceiver<Submission>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let (mut open, mut stopping) = (true, false);
        let mut turn = Vec::with_capacity(SUBMISSIONS_PER_TURN);
        while open || !self.backlogs.is_empty() {
            let wake = [self.timers.peek().map(|Reverse((due, _))| *due), self.next_call()].into_iter().flatten().min();
            tokio::select! {
                biased;
                Some(sent) = self.sends.next(), if !self.sends.is_empty() => self.sent(sent),
                count = receiver.recv_many(&mut turn, SUBMISSIONS_PER_TURN), if open => open = count > 0,
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
                _ = &mut stopped, if !stopping => {
                    stopping = true;
                    self.linger = Duration::ZERO;
                    receiver.close();
                }
            }
            let now = Instant::now();
            if self.ready.is_empty() {
                self.ready_since = now;
            }
            for submission in turn.drain(..) {
                self.accept(submission, now);
            }
            self.fire_timers(now);
            self.dispatch(now);
        }
    }

    fn accept(&mut self, submission: Submission, now: Instant) {
        let Submission { lines, deadline, reply } = submission;
        let request = self.next_request;
        self.next_request += 1;
        if lines.is_empty() {
            let _ = reply.send(Vec::new());
            return;
        }
        self.requests.insert(request, Request { reply, queued: vec![false; lines.len()], open: lines.len() });
        for (line, input) in (0_u32..).zip(lines) {
            let entry = Entry { of: LineOf { request, line }, envelope: input.envelope, deadline };
            let backlog = match self.backlogs.entry(input.item_id) {
                MapEntry::Occupied(backlog) => backlog.into_mut(),
                MapEntry::Vacant(place) => {
                    self.ready.push_back(place.key().clone());
                    place.insert(ItemBacklog::new(now))
                }
            };
            backlog.push(entry, now);
        }
    }

    fn fire_timers(&mut self, now: Instant) {
        while let Some(Reverse((due, _))) = self.timers.peek()
            && *due <= now
            && let Some(Reverse((_, item))) = self.timers.pop()
        {
            let Some(backlog) = self.backlogs.get_mut(&item) else { continue };
            match backlog.stage {
                Stage::Lingering { since } => match backlog.check_linger(since, now) {
                    Some(later) => self.timers.push(Reverse((later, item))),
                    None => self.ready.push_back(item),
                },
                Stage::Backoff { due } if due <= now => {
                    backlog.stage = Stage::Ready;
                    self.ready.push_back(item);
                }
                Stage::Backoff { .. } | Stage::Ready | Stage::Sent => {}
            }
        }
    }

    /// Returns when the ready packs are sent although they don't fill a call; `None` if there are none, or if no further
    /// call may begin before one ends.
    fn next_call(&self) -> Option<Instant> {
        let may_call = !self.ready.is_empty() && self.sends.len() < MAX_SENDS_IN_FLIGHT;
        may_call.then(|| self.ready_since + self.linger)
    }

    fn dispatch(&mut self, now: Instant) {
        while let Some(due) = self.next_call()
            && (due <= now || self.ready.len() >= self.max_batch)
        {
            let mut packs = Vec::new();
            while packs.len() < self.max_batch
                && let Some(item) = self.ready.pop_front()
            {
                packs.extend(self.next_pack(item, now));
            }
            if !packs.is_empty() {
                self.sends.push(Box::pin(send(Arc::clone(&self.queue), packs)));
            }
            self.ready_since = now;
        }
    }

    /// Returns the pack of a ready item: the unacknowledged one again, or a new one.
    fn next_pack(&mut self, item: ItemId, now: Instant) -> Option<Pack> {
        let backlog = self.backlogs.get_mut(&item)?;
        backlog.stage = Stage::Sent;
        if let Some(unacknowledged) = &backlog.unacknowledged {
            return Some(unacknowledged.pack.clone());
        }
        let expired = backlog.remove(|entry| entry.deadline <= now);
        let entries = backlog.take_pack();
        if entries.is_empty() {
            self.backlogs.remove(&item);
            self.settle(&expired, false);
            return None;
        }
        #[expect(clippy::disallowed_methods, reason = "the id of a pack must be fresh; nothing is decided by it")]
        let dedup_id = Uuid::new_v4();
        let (lines, envelopes): (Vec<_>, Vec<_>) = entries.into_iter().map(|entry| (entry.of, entry.envelope)).unzip();
        self.metrics.packed(lines.len());
        let pack = Pack { item_id: item.clone(), dedup_id, body: join_message(&item, &envelopes).into() };
        let retry = Retry::new(FIRST_PAUSE, LONGEST_PAUSE);
        let deadline = now + SEND_DEADLINE;
        backlog.unacknowledged = Some(UnacknowledgedPack { pack: pack.clone(), lines, retry, deadline });
        self.settle(&expired, false);
        Some(pack)
    }

    fn sent(&mut self, sent: Sent) {
        let now = Instant::now();
        let mut results = sent.results.into_iter();
        let mut abandoned: Option<(usize, QueueError)> = None;
        for item in sent.items {
            let lost = || Err(QueueError::Unavailable("the queue did not answer for this pack".into()));
            match results.next().unwrap_or_else(lost) {
                Ok(()) => {
                    self.faults.over(super::QUEUE);
                    self.acknowledged(item, now);
                }
                Err(error) => {
                    let failed = self.not_acknowledged(item, now);
                    if failed > 0 {
                        abandoned = Some((abandoned.map_or(0, |(count, _)| count) + failed, error));
                    }
                }
            }
        }
        if let Some((commands, error)) = abandoned {
            tracing::warn!(commands, %error, "commands could not be queued; their callers were asked to send them again");
            // The next command is still tried, so the process stays ready.
            self.faults.found(super::QUEUE, Severity::Degraded, "it does not take commands; the log says why");
        }
    }

    fn acknowledged(&mut self, item: ItemId, now: Instant) {
        let Some(pack) = self.backlogs.get_mut(&item).and_then(|backlog| backlog.unacknowledged.take()) else {
            return;
        };
        self.settle(&pack.lines, true);
        self.next(item, now);
    }

    /// Returns how many commands failed for good: none if the pack is tried again.
    fn not_acknowledged(&mut self, item: ItemId, now: Instant) -> usize {
        let Some(backlog) = self.backlogs.get_mut(&item) else { return 0 };
        let Some(mut pack) = backlog.unacknowledged.take() else { return 0 };
        let due = now + pack.retry.next_pause();
        if due < pack.deadline {
            backlog.stage = Stage::Backoff { due };
            backlog.unacknowledged = Some(pack);
            self.timers.push(Reverse((due, item)));
            return 0;
        }
        let failed: Vec<u64> = pack.lines.iter().map(|of| of.request).collect();
        let later = backlog.remove(|entry| failed.contains(&entry.of.request));
        self.settle(&pack.lines, false);
        self.settle(&later, false);
        self.next(item, now);
        pack.lines.len() + later.len()
    }

    /// Plans the next pack of an item, after one was acknowledged or abandoned.
    fn next(&mut self, item: ItemId, now: Instant) {
        let Some(backlog) = self.backlogs.get_mut(&item) else { return };
        if backlog.waiting.is_empty() {
            self.backlogs.remove(&item);
            return;
        }
        match backlog.begin_linger(now) {
            Some(look_at) => self.timers.push(Reverse((look_at, item))),
            None => self.ready.push_back(item),
        }
    }

    fn settle(&mut self, lines: &[LineOf], queued: bool) {
        let before = self.buffered.fetch_sub(lines.len(), Ordering::AcqRel);
        self.metrics.buffered(before.saturating_sub(lines.len()));
        for of in lines {
            let MapEntry::Occupied(mut request) = self.requests.entry(of.request) else { continue };
            if let Some(place) = request.get_mut().queued.get_mut(of.line as usize) {
                *place = queued;
            }
            request.get_mut().open -= 1;
            if request.get().open == 0 {
                let Request { reply, queued, .. } = request.remove();
                // The caller may have gone away.
                let _ = reply.send(queued);
            }
        }
    }
}

/// Calls `send` in a task of its own, so that a panic in the adapter counts as a lost answer.
async fn send(queue: Arc<dyn CommandSender>, packs: Vec<Pack>) -> Sent {
    let items = packs.iter().map(|pack| pack.item_id.clone()).collect::<Vec<_>>();
    let call = tokio::spawn(async move { tokio::time::timeout(SEND_TIMEOUT, queue.send(packs)).await });
    let results = match call.await {
        Ok(Ok(results)) => results,
        Ok(Err(_)) => {
            let timeout = QueueError::Unavailable(format!("no answer within {} s", SEND_TIMEOUT.as_secs()));
            vec![Err(timeout); items.len()]
        }
        Err(_) => vec![Err(QueueError::Unavailable("the queue adapter panicked".into())); items.len()],
    };
    Sent { items, results }
}
