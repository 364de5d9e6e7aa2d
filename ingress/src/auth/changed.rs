use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Says that the files of keys and of revoked tokens were changed by this process. Every request that begins after
/// [`FilesChanged::tell`] is judged by the new files, not by those of up to a second ago.
#[derive(Debug, Clone, Default)]
pub struct FilesChanged(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    told: AtomicU64,
    /// How many of them a look at the files has covered.
    seen: AtomicU64,
}

impl FilesChanged {
    /// Says so, after the files are written.
    pub fn tell(&self) {
        self.0.told.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns what must be noted by [`FilesChanged::note`] after the next look, if one is due.
    pub(super) fn due(&self) -> Option<u64> {
        let told = self.0.told.load(Ordering::Acquire);
        (told > self.0.seen.load(Ordering::Acquire)).then_some(told)
    }

    /// Notes that the files were looked at after that.
    pub(super) fn note(&self, told: u64) {
        self.0.seen.fetch_max(told, Ordering::AcqRel);
    }
}
