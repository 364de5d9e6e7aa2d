use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// The lines that may wait for a slow reader, in bytes. Further lines are lost.
const WAITING_MAX_BYTES: usize = 1024 * 1024;

/// Lines of logs and metrics that could not be written. Selling goes on without them.
pub const LINES_LOST: &str = "stockline_log_lines_lost_total";

static LOST: AtomicU64 = AtomicU64::new(0);
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Returns how many lines of logs and metrics this process could not write.
pub fn lines_lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Returns how many lines of logs and metrics this process has written.
pub fn lines_written() -> u64 {
    WRITTEN.load(Ordering::Relaxed)
}

fn lose(lines: u64) {
    LOST.fetch_add(lines, Ordering::Relaxed);
    metrics::counter!(LINES_LOST).increment(lines);
}

/// Lines that wait for the thread that writes them. A full disk, a closed pipe or a reader that has stopped costs lines,
/// and never the time or the life of the thread that logs.
///
/// ```text
///  push ──room──► waiting ──thread──► written
///    │                        └─ the write failed: lost, counted
///    └─ no room: lost, counted
/// ```
#[derive(Debug, Clone)]
pub(crate) struct LineQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Signals a line to the thread.
    arrived: Condvar,
    /// Signals that the thread has written everything.
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
    /// Whether the thread writes lines that it has taken.
    writing: bool,
}

impl LineQueue {
    /// Starts a queue for a stream of this process. The stream is duplicated: its lock may be held by a thread that waits for
    /// a reader.
    pub(crate) fn to_stream(name: &str, stream: impl AsFd) -> io::Result<Self> {
        Self::start(name, File::from(stream.as_fd().try_clone_to_owned()?))
    }

    fn start(name: &str, mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || of_thread.write_for_ever(&mut out))?;
        Ok(Self(shared))
    }

    /// Hands a line over, or loses it where too many wait. Never waits for the stream.
    pub(crate) fn push(&self, line: &[u8]) {
        let mut state = self.0.state();
        if state.waiting_bytes + line.len() > WAITING_MAX_BYTES {
            drop(state);
            return lose(1);
        }
        state.waiting_bytes += line.len();
        state.waiting.push_back(line.to_vec());
        self.0.arrived.notify_one();
    }

    /// Waits until all lines are written, at most for this time.
    pub(crate) fn flush(&self, within: Duration) {
        let busy = |state: &mut State| state.writing || !state.waiting.is_empty();
        // A reader that has stopped must not hold up the end of the process.
        drop(self.0.written.wait_timeout_while(self.0.state(), within, busy));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_for_ever(&self, out: &mut impl Write) {
        loop {
            let mut state = self.state();
            state.writing = false;
            if state.waiting.is_empty() {
                self.written.notify_all();
            }
            let mut state = self
                .arrived
                .wait_while(state, |state| state.waiting.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            state.writing = true;
            let lines = std::mem::take(&mut state.waiting);
            state.waiting_bytes = 0;
            drop(state);
            for line in lines {
                match out.write_all(&line).and_then(|()| out.flush()) {
                    Ok(()) => _ = WRITTEN.fetch_add(1, Ordering::Relaxed),
                    Err(_) => lose(1),
                }
            }
        }
    }
}

/// Takes the line of one event. It never fails: `tracing` would print the failure with `eprintln!`, which panics.
impl Write for &LineQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineQueue {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let (mut reader, writer) = io::pipe().unwrap();
        let lines = LineQueue::to_stream("test-lines", writer).unwrap();
        for number in 0..100 {
            lines.push(format!("line {number}\n").as_bytes());
        }
        lines.flush(PATIENCE);
        let expected: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let mut read = vec![0; expected.len()];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), expected);
    }

    #[test]
    fn a_closed_pipe_costs_lines_and_nothing_else() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let lines = LineQueue::to_stream("test-closed", writer).unwrap();
        let before = lines_lost();
        assert_eq!((&lines).write(b"gone\n").unwrap(), 5, "a failure would make tracing panic");
        lines.flush(PATIENCE);
        assert!(lines_lost() > before);
    }

    #[test]
    fn a_reader_that_has_stopped_holds_up_nobody() {
        let (reader, writer) = io::pipe().unwrap();
        let lines = LineQueue::to_stream("test-stopped", writer).unwrap();
        let before = lines_lost();
        let line = [b'x'; 64 * 1024];
        // More than a pipe takes, and more than may wait. A push that waited would never end.
        for _ in 0..64 {
            lines.push(&line);
        }
        assert!(lines_lost() > before);
        lines.flush(Duration::from_millis(50));
        drop(reader);
        lines.flush(PATIENCE);
    }
}
