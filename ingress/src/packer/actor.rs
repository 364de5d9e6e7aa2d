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
use stockline_service::Retry;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::group::{Entry, Flying, Group, LineOf, Stage};
use super::{MAX_SENDS_IN_FLIGHT, SEND_DEADLINE, SEND_TIMEOUT, Submission};
use crate::metrics;

/// Requests taken in before packs are sent again.
const SUBMISSIONS_PER_TURN: usize = 256;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A request whose lines are not all settled.
struct Request {
    reply: oneshot::Sender<Vec<bool>>,
    queued: Vec<bool>,
    open: usize,
}

/// A call of `send` that ended.
struct Landing {
    items: Vec<ItemId>,
    results: Vec<Result<(), QueueError>>,
}

pub(super) struct Actor {
    queue: Arc<dyn CommandSender>,
    max_batch: usize,
    buffered: Arc<AtomicUsize>,
    requests: HashMap<u64, Request>,
    next_request: u64,
    groups: HashMap<ItemId, Group>,
    ready: VecDeque<ItemId>,
    timers: BinaryHeap<Reverse<(Instant, ItemId)>>,
    flights: FuturesUnordered<BoxFuture<'static, Landing>>,
}

impl Actor {
    pub(super) fn new(queue: Arc<dyn CommandSender>, buffered: Arc<AtomicUsize>) -> Self {
        Self {
            max_batch: queue.max_batch().max(1),
            queue,
            buffered,
            requests: HashMap::new(),
            next_request: 0,
            groups: HashMap::new(),
            ready: VecDeque::new(),
            timers: BinaryHeap::new(),
            flights: FuturesUnordered::new(),
        }
    }

    /// Until it is told to stop (or no [`super::Packer`] is left) and everything is settled.
    pub(super) async fn run(
        mut self,
        mut receiver: mpsc::UnboundedReceiver<Submission>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let (mut open, mut stopping) = (true, false);
        let mut turn = Vec::with_capacity(SUBMISSIONS_PER_TURN);
        while open || !self.groups.is_empty() {
            let wake = self.timers.peek().map(|Reverse((due, _))| *due);
            tokio::select! {
                biased;
                Some(landing) = self.flights.next(), if !self.flights.is_empty() => self.landed(landing),
                count = receiver.recv_many(&mut turn, SUBMISSIONS_PER_TURN), if open => open = count > 0,
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
                _ = &mut stopped, if !stopping => {
                    stopping = true;
                    receiver.close();
                }
            }
            let now = Instant::now();
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
            let group = match self.groups.entry(input.item_id) {
                MapEntry::Occupied(group) => group.into_mut(),
                MapEntry::Vacant(place) => {
                    self.ready.push_back(place.key().clone());
                    place.insert(Group::new(now))
                }
            };
            group.push(entry, now);
        }
    }

    fn fire_timers(&mut self, now: Instant) {
        while let Some(Reverse((due, _))) = self.timers.peek()
            && *due <= now
            && let Some(Reverse((_, item))) = self.timers.pop()
        {
            let Some(group) = self.groups.get_mut(&item) else { continue };
            match group.stage {
                Stage::Held { since } => match group.look(since, now) {
                    Some(later) => self.timers.push(Reverse((later, item))),
                    None => self.ready.push_back(item),
                },
                Stage::Backoff { due } if due <= now => {
                    group.stage = Stage::Ready;
                    self.ready.push_back(item);
                }
                Stage::Backoff { .. } | Stage::Ready | Stage::Sent => {}
            }
        }
    }

    fn dispatch(&mut self, now: Instant) {
        while self.flights.len() < MAX_SENDS_IN_FLIGHT && !self.ready.is_empty() {
            let mut packs = Vec::new();
            while packs.len() < self.max_batch
                && let Some(item) = self.ready.pop_front()
            {
                packs.extend(self.next_pack(item, now));
            }
            if !packs.is_empty() {
                self.flights.push(Box::pin(fly(Arc::clone(&self.queue), packs)));
            }
        }
    }

    /// The pack of a ready item: the one to be sent again, or a new one.
    fn next_pack(&mut self, item: ItemId, now: Instant) -> Option<Pack> {
        let group = self.groups.get_mut(&item)?;
        group.stage = Stage::Sent;
        if let Some(flying) = &group.flying {
            return Some(flying.pack.clone());
        }
        let expired = group.remove(|entry| entry.deadline <= now);
        let entries = group.take();
        if entries.is_empty() {
            self.groups.remove(&item);
            self.settle(&expired, false);
            return None;
        }
        #[expect(clippy::disallowed_methods, reason = "a pack's id must be fresh, and decides nothing")]
        let dedup_id = Uuid::new_v4();
        let (lines, envelopes): (Vec<_>, Vec<_>) = entries.into_iter().map(|entry| (entry.of, entry.envelope)).unzip();
        metrics::pack(lines.len());
        let pack = Pack { item_id: item.clone(), dedup_id, body: join_message(&item, &envelopes).into() };
        let retry = Retry::new(FIRST_PAUSE, LONGEST_PAUSE);
        group.flying = Some(Flying { pack: pack.clone(), lines, retry, deadline: now + SEND_DEADLINE });
        self.settle(&expired, false);
        Some(pack)
    }

    fn landed(&mut self, landing: Landing) {
        let now = Instant::now();
        let mut results = landing.results.into_iter();
        let mut given_up: Option<(usize, QueueError)> = None;
        for item in landing.items {
            let lost = || Err(QueueError::Unavailable("the queue did not answer for this pack".into()));
            match results.next().unwrap_or_else(lost) {
                Ok(()) => self.acknowledged(item, now),
                Err(error) => {
                    let failed = self.not_acknowledged(item, now);
                    if failed > 0 {
                        given_up = Some((given_up.map_or(0, |(count, _)| count) + failed, error));
                    }
                }
            }
        }
        if let Some((commands, error)) = given_up {
            tracing::warn!(commands, %error, "commands could not be queued; their callers were told to send them again");
        }
    }

    fn acknowledged(&mut self, item: ItemId, now: Instant) {
        let Some(flying) = self.groups.get_mut(&item).and_then(|group| group.flying.take()) else { return };
        self.settle(&flying.lines, true);
        self.go_on(item, now);
    }

    /// How many commands were given up: none while the pack is to be tried again.
    fn not_acknowledged(&mut self, item: ItemId, now: Instant) -> usize {
        let Some(group) = self.groups.get_mut(&item) else { return 0 };
        let Some(mut flying) = group.flying.take() else { return 0 };
        let due = now + flying.retry.next_pause();
        if due < flying.deadline {
            group.stage = Stage::Backoff { due };
            group.flying = Some(flying);
            self.timers.push(Reverse((due, item)));
            return 0;
        }
        let failed: Vec<u64> = flying.lines.iter().map(|of| of.request).collect();
        let later = group.remove(|entry| failed.contains(&entry.of.request));
        self.settle(&flying.lines, false);
        self.settle(&later, false);
        self.go_on(item, now);
        flying.lines.len() + later.len()
    }

    /// After a pack of the item landed for good.
    fn go_on(&mut self, item: ItemId, now: Instant) {
        let Some(group) = self.groups.get_mut(&item) else { return };
        if group.waiting.is_empty() {
            self.groups.remove(&item);
            return;
        }
        match group.hold(now) {
            Some(look_at) => self.timers.push(Reverse((look_at, item))),
            None => self.ready.push_back(item),
        }
    }

    fn settle(&mut self, lines: &[LineOf], queued: bool) {
        let before = self.buffered.fetch_sub(lines.len(), Ordering::AcqRel);
        metrics::buffered_commands(before.saturating_sub(lines.len()));
        for of in lines {
            let MapEntry::Occupied(mut request) = self.requests.entry(of.request) else { continue };
            if let Some(place) = request.get_mut().queued.get_mut(of.line as usize) {
                *place = queued;
            }
            request.get_mut().open -= 1;
            if request.get().open == 0 {
                let Request { reply, queued, .. } = request.remove();
                // A caller that has gone needs no answer.
                let _ = reply.send(queued);
            }
        }
    }
}

/// One call of `send`, in a task of its own so that a panic in the adapter counts as a lost answer.
async fn fly(queue: Arc<dyn CommandSender>, packs: Vec<Pack>) -> Landing {
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
    Landing { items, results }
}
