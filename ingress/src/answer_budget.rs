//! How many bytes answers may occupy together, from before the store is read until the network has taken them.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::response::Response;
use bytes::Buf as _;
use hyper::body::{Frame, SizeHint};
use stockline_core::ports::PAGE_LEVELS_MAX;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::config::Limits;

/// How long an answer waits for its bytes. It is longer than a connection may stall while others wait.
const WAIT: Duration = Duration::from_secs(5);
/// How often a waiting answer has stalled connections closed.
const PRESS_EVERY: Duration = Duration::from_millis(500);
/// Answers up to this size have a part of the budget of their own, so that large ones can't displace them.
pub(crate) const SMALL_ANSWER_BYTES: usize = 16 * 1024;
/// Bytes of a list entry, as read and as JSON together: a note, a reference and the codes take 3.3 KB at most, each twice.
const ENTRY_BYTES: usize = 8 * 1024;
/// While items with their levels are made into JSON, they take this many times the bytes of the JSON.
const BUILDING: usize = 3;
/// Bytes of a level as JSON, and of an item without its levels; most are smaller.
const LEVEL_JSON_BYTES: usize = 300;
const ITEM_JSON_BYTES: usize = 2 * 1024;
/// The unit in which bytes are counted, so that every budget fits into a semaphore.
const UNIT_BYTES: usize = 1024;

/// Bounds the bytes of answers.
///
/// Half of the budget is for lists, a quarter for all other answers, and a quarter for small answers of either kind. If a
/// part is used up, further answers wait for it, and connections that do not take their answers are closed for them.
#[derive(Debug)]
pub(crate) struct AnswerBudget {
    lists: Part,
    others: Part,
    small: Part,
    waiting: Semaphore,
    pressure: watch::Sender<()>,
    /// When slow clients were last closed for waiting answers.
    pressed: Mutex<Option<Instant>>,
    /// The most bytes of JSON that an item with its levels had so far.
    largest_item: AtomicUsize,
}

/// A part of the budget.
#[derive(Debug, Clone)]
struct Part {
    free: Arc<Semaphore>,
    units: u32,
}

/// The bytes that one answer may occupy. They are free again when it is dropped; an answer that is sent frees them piece
/// by piece.
#[derive(Debug)]
pub(crate) struct Room {
    part: Part,
    permit: OwnedSemaphorePermit,
}

impl AnswerBudget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            lists: Part::new(limits.answers_bytes / 2),
            others: Part::new(limits.answers_bytes / 4),
            small: Part::new(limits.answers_bytes / 4),
            waiting: Semaphore::new(limits.concurrent_requests.div_ceil(8)),
            pressure: watch::Sender::new(()),
            pressed: Mutex::new(None),
            largest_item: AtomicUsize::new(ENTRY_BYTES / BUILDING),
        }
    }

    /// Signals that an answer waits for the bytes of others.
    pub(crate) fn pressure(&self) -> watch::Sender<()> {
        self.pressure.clone()
    }

    /// Waits for the bytes that a page of `entries` may need. Returns `None` after 5 s, or at once if too many wait.
    pub(crate) async fn list(&self, entries: usize) -> Option<Room> {
        self.room(&self.lists, entries.saturating_mul(ENTRY_BYTES)).await
    }

    /// As [`Self::list`], for items with their levels. How many levels an item has is learned from earlier answers.
    pub(crate) async fn items(&self, items: usize) -> Option<Room> {
        let largest = PAGE_LEVELS_MAX * LEVEL_JSON_BYTES + items.saturating_mul(ITEM_JSON_BYTES);
        self.room(&self.lists, BUILDING * items.saturating_mul(self.item_bytes()).min(largest)).await
    }

    /// As [`Self::items`], for one item.
    pub(crate) async fn item(&self) -> Option<Room> {
        self.room(&self.others, BUILDING * self.item_bytes()).await
    }

    /// As [`Self::list`], for the outcomes of commands.
    pub(crate) async fn outcomes(&self, commands: usize) -> Option<Room> {
        self.room(&self.others, commands.saturating_mul(ENTRY_BYTES)).await
    }

    fn item_bytes(&self) -> usize {
        self.largest_item.load(Ordering::Relaxed)
    }

    /// Notes the bytes that items took as JSON.
    pub(crate) fn learn(&self, items: usize, bytes: usize) {
        if let Some(each) = bytes.checked_div(items) {
            self.largest_item.fetch_max(each, Ordering::Relaxed);
        }
    }

    /// Counts the bytes of an answer that has no room yet. Returns `None` if there was no room for it within 5 s.
    pub(crate) async fn count(&self, response: Response) -> Option<Response> {
        let bytes = response.body().size_hint().lower();
        if bytes == 0 || response.extensions().get::<Counted>().is_some() {
            return Some(response);
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let part = if bytes <= SMALL_ANSWER_BYTES { &self.small } else { &self.others };
        Some(self.room(part, bytes).await?.hold(response))
    }

    async fn room(&self, part: &Part, bytes: usize) -> Option<Room> {
        let units = part.units_of(bytes);
        let permit = match Arc::clone(&part.free).try_acquire_many_owned(units) {
            Ok(permit) => permit,
            Err(_) => self.wait(part, units).await?,
        };
        Some(Room { part: part.clone(), permit })
    }

    async fn wait(&self, part: &Part, units: u32) -> Option<OwnedSemaphorePermit> {
        let _place = self.waiting.try_acquire().ok()?;
        let pressing = async {
            loop {
                tokio::time::sleep(PRESS_EVERY).await;
                self.press();
            }
        };
        tokio::select! {
            biased;
            permit = timeout(WAIT, Arc::clone(&part.free).acquire_many_owned(units)) => permit.ok()?.ok(),
            () = pressing => None,
        }
    }
}

impl AnswerBudget {
    /// Has slow clients closed, but not more often than needed: every connection looks at its answers then.
    fn press(&self) {
        let mut pressed = self.pressed.lock().unwrap_or_else(PoisonError::into_inner);
        if pressed.is_none_or(|pressed| pressed.elapsed() >= PRESS_EVERY) {
            *pressed = Some(Instant::now());
            self.pressure.send_replace(());
        }
    }
}

impl Part {
    fn new(bytes: usize) -> Self {
        let units = units(bytes).max(1);
        Self { free: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// An answer larger than the part takes all of it.
    fn units_of(&self, bytes: usize) -> u32 {
        units(bytes).min(self.units)
    }
}

impl Room {
    /// Fits the room to the size of the answer. Returns `false` if the answer is larger and the part has no more bytes.
    pub(crate) fn fit(&mut self, bytes: usize) -> bool {
        let (needed, has) = (self.part.units_of(bytes) as usize, self.permit.num_permits());
        if let Some(spare) = has.checked_sub(needed) {
            drop(self.permit.split(spare));
            return true;
        }
        let missing = u32::try_from(needed - has).unwrap_or(u32::MAX);
        match Arc::clone(&self.part.free).try_acquire_many_owned(missing) {
            Ok(more) => {
                self.permit.merge(more);
                true
            }
            Err(_) => false,
        }
    }

    /// Lets the answer occupy this room until its bytes are sent.
    pub(crate) fn hold(self, response: Response) -> Response {
        let (mut head, body) = response.into_parts();
        head.extensions.insert(Counted);
        Response::from_parts(head, Body::new(Held { body, room: self.permit }))
    }
}

/// Marks an answer that occupies a [`Room`].
#[derive(Debug, Clone, Copy)]
struct Counted;

/// The body of an answer. Each of its pieces carries its share of the room with it, into the buffers of the connection.
struct Held {
    body: Body,
    room: OwnedSemaphorePermit,
}

struct Piece {
    bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|bytes| {
                    let units = units(bytes.remaining()) as usize;
                    let all = self.room.num_permits();
                    let share = if self.body.is_end_stream() { all } else { units.min(all) };
                    Bytes::from_owner(Piece { bytes, _share: self.room.split(share) })
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "answer_budget_tests.rs"]
mod tests;
