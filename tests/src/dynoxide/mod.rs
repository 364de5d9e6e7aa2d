//! Runs DynamoDB in this process: an engine with Stockline's table, on a loopback port or without one.

use std::sync::Arc;
use std::thread::JoinHandle;

use stockline_aws::dynamodb::table;
use stockline_aws::{DynamoOptions, DynamoStore};
use stockline_core::ports::Clock;
use tokio::sync::oneshot;

use crate::inject::{Script, sdk_config};

mod direct;

pub use direct::Direct;

/// The name of the table.
pub const TABLE: &str = "stockline";

/// An engine with an empty table. It ends when dropped.
#[derive(Debug)]
pub struct Dynoxide {
    /// `http://127.0.0.1:port`
    pub url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Dynoxide {
    /// Starts an engine and creates [`TABLE`].
    pub async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        // The engine has its own runtime, so that a test may pause its clock or block its thread.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let database = dynoxide::Database::memory().unwrap();
            tokio::select! {
                served = dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()) => {
                    served.unwrap();
                }
                // Also if the sender was dropped. Connections that clients keep open are cut.
                _ = stopped => {}
            }
        };
        let thread = std::thread::Builder::new().name("dynoxide".into()).spawn(move || {
            runtime.block_on(serve);
            runtime.shutdown_background();
        });
        let engine = Self { url, stop: Some(stop), thread: Some(thread.unwrap()) };
        table::creation(&engine.client(&Script::new()), TABLE).send().await.unwrap();
        engine
    }

    /// Returns a client with the faults of `script`.
    pub fn client(&self, script: &Script) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&sdk_config(&self.url, script))
    }

    /// Returns the store over [`TABLE`] with the faults of `script`.
    pub fn store(&self, script: &Script, options: DynamoOptions, clock: Arc<dyn Clock>) -> DynamoStore {
        DynamoStore::new(self.client(script), TABLE.to_owned(), options, clock)
    }
}

impl Drop for Dynoxide {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been printed.
            let _ = thread.join();
        }
    }
}
