use stockline_core::domain::ItemId;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// One command to be queued.
#[derive(Debug)]
pub struct Line {
    /// The command's item.
    pub item_id: ItemId,
    /// The command, written by [`stockline_core::domain::encode_command`].
    pub envelope: String,
}

/// The lines of one request, on their way to the task.
pub(super) struct Submission {
    pub(super) lines: Vec<Line>,
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Vec<bool>>,
}
