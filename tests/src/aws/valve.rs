use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy before one service that can be shut, which is an outage of that service.
#[derive(Debug)]
pub struct Valve {
    /// `http://127.0.0.1:port`
    pub url: String,
    open: watch::Sender<bool>,
    broken: Arc<AtomicUsize>,
}

impl Valve {
    /// Starts an open valve before the server at this address.
    pub async fn to(url: &str) -> Self {
        let target: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (open, state) = watch::channel(true);
        let broken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&broken);
        tokio::spawn(async move {
            while let Ok((inward, _)) = listener.accept().await {
                tokio::spawn(carry(inward, target, state.clone(), Arc::clone(&count)));
            }
        });
        Self { url, open, broken }
    }

    /// Returns how many connections the outages broke or refused.
    pub fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }

    /// Breaks every connection and accepts no new one.
    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    /// Ends the outage.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

async fn carry(mut inward: TcpStream, target: SocketAddr, mut open: watch::Receiver<bool>, broken: Arc<AtomicUsize>) {
    let carried = async {
        let mut outward = TcpStream::connect(target).await?;
        tokio::io::copy_bidirectional(&mut inward, &mut outward).await
    };
    tokio::select! {
        biased;
        _ = open.wait_for(|open| !open) => {
            broken.fetch_add(1, Ordering::SeqCst);
        }
        _ = carried => {}
    }
}
