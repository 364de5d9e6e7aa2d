use std::future::Future;
use std::thread::JoinHandle;

use anyhow::Result;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A server on a loopback port, with its own thread and runtime. It stops when it is dropped.
#[derive(Debug)]
pub(crate) struct BackgroundServer {
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl BackgroundServer {
    /// Listens on a free port and serves on a thread of this name.
    pub(crate) fn start<F, Serving>(thread_name: &str, serve: F) -> Result<Self>
    where
        F: FnOnce(TcpListener) -> Serving + Send + 'static,
        Serving: Future<Output = ()>,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name(thread_name.to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else {
                    return;
                };
                tokio::select! {
                    () = serve(listener) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { url, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns the address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for BackgroundServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has already shown up in its callers.
            let _ = thread.join();
        }
    }
}
