//! Provides what the tests of several crates need beside the core's `testing`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A collector of spans that lives as long as the process. It accepts OTLP over HTTP and keeps the bytes.
#[derive(Debug)]
pub struct Collector {
    /// The address for `STOCKLINE_OTLP_ENDPOINT`.
    pub url: String,
    exported: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    /// Starts one on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let exported = Arc::<Mutex<Vec<u8>>>::default();
        let collected = Arc::clone(&exported);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let collected = Arc::clone(&collected);
                std::thread::spawn(move || collect(stream, &collected));
            }
        });
        Self { url, exported }
    }

    /// Returns all requests that arrived so far, whole and one after the other.
    pub fn exported(&self) -> Vec<u8> {
        self.exported.lock().unwrap().clone()
    }

    /// Counts how often these bytes were exported so far.
    pub fn count(&self, bytes: &[u8]) -> usize {
        self.exported().windows(bytes.len()).filter(|window| *window == bytes).count()
    }

    /// Counts the spans of a trace that were exported so far. No span names the trace of another as its link.
    pub fn spans_of(&self, trace_id: u128) -> usize {
        self.count(&trace_id.to_be_bytes())
    }
}

/// Answers the requests of one connection. A program that is killed may end it anywhere.
fn collect(mut stream: TcpStream, collected: &Mutex<Vec<u8>>) {
    let mut received = Vec::new();
    let mut buffer = [0; 16_384];
    loop {
        while let Some(end) = end_of_request(&received) {
            collected.lock().unwrap().extend(received.drain(..end));
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(read) => received.extend_from_slice(&buffer[..read]),
        }
    }
}

fn end_of_request(received: &[u8]) -> Option<usize> {
    let head = received.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&received[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
    (received.len() >= head + length).then_some(head + length)
}
