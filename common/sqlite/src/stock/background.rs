use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// How far these threads stand behind the others of the machine (`nice`). A core that both want goes to the others for
/// nine tenths of the time, so that a page still gets on beside a bulk load.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Threads for pages of lists, exports and reports. On Linux a sale that wants the core gets it before them; elsewhere
/// priorities belong to whole processes, and these threads are like the others.
#[derive(Debug)]
pub(super) struct BackgroundThreads(Option<Runtime>);

impl BackgroundThreads {
    /// Prepares the threads. Each starts with the first read that needs it, and ends when it was idle for a while.
    pub(super) fn new(threads: usize) -> io::Result<Self> {
        // Only its threads that may block are used.
        let mut runtime = Builder::new_current_thread();
        runtime.thread_name("list-reader").max_blocking_threads(threads.max(1)).on_thread_start(stand_behind);
        runtime.build().map(|runtime| Self(Some(runtime)))
    }

    /// Returns where to run reads, until this is dropped.
    pub(super) fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for BackgroundThreads {
    /// Lets the reads in progress finish by themselves: the store may be dropped where nothing may block.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lowers the priority of the calling thread.
fn stand_behind() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::warn!(%error, "lists can't be read at a lower priority; they are read like everything else");
    }
}
