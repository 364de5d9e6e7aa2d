use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// 1 while a part of the process does its work, 0 while it does not; label `part`.
pub const PART_UP: &str = "stockline_part_up";

/// What a fault of a part means for requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Requests are answered all the same: the process stays ready.
    Degraded,
    /// The process can't take requests.
    Down,
}

/// A part that does not do its work now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The part's name, one of a few.
    pub part: &'static str,
    /// What it means for requests.
    pub severity: Severity,
    /// Why, for anybody: no paths, addresses or names. The log has the rest.
    pub why: String,
}

/// The parts of a process that do not do their work now. `readyz` shows them, [`PART_UP`] counts them, and one log line says
/// when a fault begins, changes or is over.
#[derive(Debug, Default)]
pub struct Faults {
    open: Mutex<BTreeMap<&'static str, (Severity, String)>>,
    /// How many are open: most calls find none, and take no lock.
    count: AtomicUsize,
}

impl Faults {
    /// Begins without faults. The parts show as up before their first fault.
    pub fn of(parts: &[&'static str]) -> Self {
        metrics::describe_gauge!(PART_UP, "1 while this part of the process does its work");
        for part in parts {
            metrics::gauge!(PART_UP, "part" => *part).set(1.0);
        }
        Self::default()
    }

    /// Records that a part does not do its work, and logs it unless that is known.
    pub fn found(&self, part: &'static str, severity: Severity, why: impl Into<String>) {
        let why = why.into();
        let mut open = self.open();
        if open.get(part).is_some_and(|known| *known == (severity, why.clone())) {
            return;
        }
        match severity {
            Severity::Down => tracing::error!(part, "a part of the process is down: {why}"),
            Severity::Degraded => tracing::warn!(part, "a part of the process does not work: {why}"),
        }
        metrics::gauge!(PART_UP, "part" => part).set(0.0);
        open.insert(part, (severity, why));
        self.count.store(open.len(), Ordering::Release);
    }

    /// Records that a part does its work.
    pub fn over(&self, part: &'static str) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut open = self.open();
        if open.remove(part).is_some() {
            metrics::gauge!(PART_UP, "part" => part).set(1.0);
            tracing::info!(part, "the part works again");
        }
        self.count.store(open.len(), Ordering::Release);
    }

    /// Returns the open faults, ordered by part.
    pub fn all(&self) -> Vec<Fault> {
        let open = self.open();
        open.iter().map(|(part, (severity, why))| Fault { part, severity: *severity, why: why.clone() }).collect()
    }

    /// Returns whether a part is down, so that the process can't take requests.
    pub fn is_down(&self) -> bool {
        self.open().values().any(|(severity, _)| *severity == Severity::Down)
    }

    /// Returns the open faults as one text, such as `queue: the disk is full; mail: …`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Fault { part, why, .. } in self.all() {
            let separator = if text.is_empty() { "" } else { "; " };
            // A String takes everything.
            let _ = write!(text, "{separator}{part}: {why}");
        }
        text
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<&'static str, (Severity, String)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_named_until_it_is_over() {
        let faults = Faults::of(&["mail", "queue"]);
        faults.over("mail");
        assert_eq!((faults.all(), faults.is_down(), faults.text()), (Vec::new(), false, String::new()));
        faults.found("mail", Severity::Degraded, "the folder is full");
        assert!(!faults.is_down(), "selling goes on");
        faults.found("queue", Severity::Down, "it stopped");
        assert!(faults.is_down());
        assert_eq!(faults.text(), "mail: the folder is full; queue: it stopped");
        faults.over("queue");
        faults.found("mail", Severity::Degraded, "the folder is gone");
        assert_eq!(faults.text(), "mail: the folder is gone");
        faults.over("mail");
        assert_eq!(faults.all(), Vec::new());
    }
}
