//! Tests clients that only hold connections, against the real process. Their connections end at their time limits, and
//! a till is served meanwhile. `stockline-bench overload` sends more work than the server can do.
#![allow(clippy::disallowed_macros, reason = "a test prints what it found")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod memory;

use std::cell::Cell;
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use stockline_tests::process::{PATIENCE, Server, audit, rss_mb, stockline_binary, with_id};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// The number of connections that never send a byte, if the machine allows that many open files.
const IDLE: usize = 10_000;
/// The number of slow heads, and of slow bodies. They arrive byte by byte.
const SLOW: usize = 100;
const DRIP: Duration = Duration::from_millis(200);
/// The other files that this process opens.
const OTHER_FILES: usize = 1_000;
/// The longest wait of a till for one outcome. Each sale opens a new connection, and some idle connections are closed
/// first to make room.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
/// How much later than its limit a connection may end on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn slow_half_open_and_ten_thousand_idle_connections_do_not_stop_service() {
    let files = most_files();
    let data = tempfile::tempdir().unwrap();
    let server = start_with_files(data.path(), files).await;
    server.stock_up("cola", "1000000").await;
    let limits = server.get("/v1/limits").await;
    let head_within = Duration::from_secs(limits["header_timeout_s"].as_u64().unwrap());
    // The limit for a body is half the limit for a request.
    let body_within = Duration::from_secs(limits["request_timeout_s"].as_u64().unwrap() / 2);

    let idle = IDLE.min(files.saturating_sub(OTHER_FILES));
    let mut held = Vec::new();
    for number in 0..idle {
        let mut stream = connect(&server).await;
        // Half of the clients close their sending side. The others do nothing, as after a cable is cut.
        if number % 2 == 0 {
            stream.shutdown().await.unwrap();
        }
        held.push(tokio::spawn(until_closed(stream)));
    }
    println!("{idle} idle connections");
    let heads = trickles(&server, SLOW, "GET /healthz HTTP/1.1\r\nX-Slow: ").await;
    let bodies = trickles(&server, SLOW, &slow_body(&server)).await;

    let sales = serve_until(&server, |_| [&held, &heads, &bodies].iter().all(|tasks| all_done(tasks))).await;
    println!("{sales} sales meanwhile");
    assert!(sales > 20, "only {sales} sales");
    for (what, tasks, within) in
        [("idle", held, head_within), ("head", heads, head_within), ("body", bodies, body_within)]
    {
        let longest = join_all(tasks).await.into_iter().map(Result::unwrap).max().unwrap();
        println!("{what}: closed after {longest:?} at most");
        assert!(longest <= within + SLACK, "{what}: a connection was held for {longest:?}");
    }
    audit(&server.stop());
}

/// Clients with the right to submit send slow bodies. They are more than the maximum number of concurrent requests.
#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_leave_room_for_a_till() {
    let files = most_files();
    let data = tempfile::tempdir().unwrap();
    let server = start_with_files(data.path(), files).await;
    server.stock_up("cola", "1000000").await;
    let in_work = server.get("/v1/limits").await["concurrent_requests"].as_u64().unwrap();
    let bodies = usize::try_from(in_work + in_work / 4).unwrap();
    assert!(bodies + OTHER_FILES <= files, "too few files for {bodies} connections");
    let bodies = trickles(&server, bodies, &slow_body(&server)).await;
    let sales = serve_until(&server, |_| all_done(&bodies)).await;
    println!("{sales} sales meanwhile");
    audit(&server.stop());
}

/// The same with bodies of the largest size that lack their last byte. The server refuses most of them and buffers none
/// of the refused ones.
#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_have_bounded_memory_and_leave_room_for_a_till() {
    const BODIES: usize = 600;
    /// The budget for bodies, twice as much again for the allocator, and the read-ahead buffer of each connection.
    const MORE_MB_MAX: f64 = (3 * 64 + BODIES / 10) as f64;
    let files = most_files();
    let data = tempfile::tempdir().unwrap();
    let server = start_with_files(data.path(), files).await;
    server.stock_up("cola", "1000000").await;
    let bytes = server.get("/v1/limits").await["body_bytes"].as_u64().unwrap();
    let body: Arc<str> = (head_of_body(&server, bytes) + &" ".repeat(usize::try_from(bytes).unwrap() - 1)).into();
    let (before, refused) = (rss_mb(server.pid()), Arc::new(AtomicUsize::new(0)));
    let mut held = Vec::new();
    for _ in 0..BODIES {
        let (stream, body, refused) = (connect(&server).await, body.clone(), refused.clone());
        held.push(tokio::spawn(async move {
            let begun = Instant::now();
            let (mut read, mut write) = stream.into_split();
            let mut answer = Vec::new();
            // The server may close a refused connection before the body is sent.
            let _ = tokio::join!(read.read_to_end(&mut answer), write.write_all(body.as_bytes()));
            refused.fetch_add(usize::from(answer.starts_with(b"HTTP/1.1 503")), Ordering::Relaxed);
            begun.elapsed()
        }));
    }
    let most = Cell::new(before);
    let sales = serve_until(&server, |_| {
        most.set(rss_mb(server.pid()).max(most.get()));
        all_done(&held)
    })
    .await;
    let more = most.get() - before;
    let refused = refused.load(Ordering::Relaxed);
    println!("{sales} sales meanwhile, {more:.0} MB more than {before:.0} MB, {refused} bodies refused");
    assert!(more <= MORE_MB_MAX, "{BODIES} bodies took {more:.0} MB");
    assert!(refused > BODIES / 2, "only {refused} were refused");
    audit(&server.stop());
}

/// After a network outage, all tills of a chain reconnect at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_tills_that_come_at_once_are_all_served() {
    const TILLS: usize = 2_000;
    let files = most_files();
    assert!(TILLS + OTHER_FILES <= files, "too few files for {TILLS} connections");
    let data = tempfile::tempdir().unwrap();
    let server = start_with_files(data.path(), files).await;
    server.stock_up("cola", "1000000").await;
    let begun = Instant::now();
    let answers = join_all((0..TILLS).map(|_| tokio::spawn(sell_once(connect_to(&server), request_of_sale(&server)))));
    for answer in answers.await {
        let answer = answer.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }
    println!("{TILLS} sales in {:?}", begun.elapsed());
    audit(&server.stop());
}

/// If a process may open few files, it accepts few connections and keeps files for its own work.
#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_files_do_not_stop_service() {
    const FILES: usize = 250;
    let data = tempfile::tempdir().unwrap();
    let server = start_with_files(data.path(), FILES).await;
    server.stock_up("cola", "1000000").await;
    let mut held = Vec::new();
    for _ in 0..2 * FILES {
        held.push(tokio::spawn(until_closed(connect(&server).await)));
    }
    const SALES: usize = 20;
    serve_until(&server, |sales| sales == SALES).await;
    assert!(!all_done(&held), "they were gone before the till came");
    audit(&server.stop());
}

/// Raises the limit of open files to its maximum, up to a bound, and returns it. Child processes inherit it.
fn most_files() -> usize {
    let output = Command::new("sh").args(["-c", "ulimit -H -n"]).output().unwrap();
    let hard = String::from_utf8(output.stdout).unwrap();
    let files = hard.trim().parse().unwrap_or(2 * IDLE).min(2 * IDLE);
    let (pid, limit) = (std::process::id().to_string(), format!("--nofile={files}:"));
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
    files
}

async fn start_with_files(data: &std::path::Path, files: usize) -> Server {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -S -n {files}; exec \"$0\" \"$@\"")).arg(stockline_binary());
    Server::start_by(shell, data, &["--log", "error"]).await
}

async fn connect(server: &Server) -> TcpStream {
    connect_to(server).await.unwrap()
}

fn connect_to(server: &Server) -> impl Future<Output = io::Result<TcpStream>> + use<> {
    TcpStream::connect(server.url.trim_start_matches("http://").to_owned())
}

fn request_of_sale(server: &Server) -> String {
    let sale = with_id(json!({"type": "sell", "item_id": "cola", "quantity": "1"})).to_string();
    format!(
        "POST /v1/commands HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{sale}",
        server.manager,
        sale.len()
    )
}

/// Sends one request over its own connection and returns the answer.
async fn sell_once(stream: impl Future<Output = io::Result<TcpStream>>, request: String) -> io::Result<String> {
    let mut stream = stream.await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Returns how long the server keeps a connection open.
async fn until_closed(mut stream: TcpStream) -> Duration {
    let begun = Instant::now();
    let mut rest = Vec::new();
    // The read may end with an error; only the time counts.
    let _ = stream.read_to_end(&mut rest).await;
    begun.elapsed()
}

fn slow_body(server: &Server) -> String {
    head_of_body(server, 5_000)
}

fn head_of_body(server: &Server, bytes: u64) -> String {
    format!(
        "POST /v1/commands HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n",
        server.manager
    )
}

/// Opens the connections one after the other, so that none waits to be accepted.
async fn trickles(server: &Server, count: usize, beginning: &str) -> Vec<JoinHandle<Duration>> {
    let mut tasks = Vec::new();
    for _ in 0..count {
        tasks.push(tokio::spawn(trickle(connect(server).await, beginning.to_owned())));
    }
    tasks
}

/// Sends `beginning`, then a byte from time to time, and returns how long the server keeps the connection open.
async fn trickle(stream: TcpStream, beginning: String) -> Duration {
    let begun = Instant::now();
    let (mut read, mut write) = stream.into_split();
    let drip = async {
        let mut drips = tokio::time::interval(DRIP);
        let mut sent = write.write_all(beginning.as_bytes()).await;
        while sent.is_ok() {
            drips.tick().await;
            sent = write.write_all(b" ").await;
        }
    };
    let mut answer = [0; 1];
    tokio::select! {
        () = drip => {}
        // The server answered that the request took too long, or closed the connection.
        _ = read.read(&mut answer) => {}
    }
    begun.elapsed()
}

fn all_done(tasks: &[JoinHandle<Duration>]) -> bool {
    tasks.iter().all(JoinHandle::is_finished)
}

/// Sells, each time over a new connection, until `over` holds, and returns the number of sales. Each sale must be
/// settled in time.
async fn serve_until(server: &Server, over: impl Fn(usize) -> bool) -> usize {
    let till = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap();
    let begun = Instant::now();
    let mut sales = 0;
    while !over(sales) {
        assert!(begun.elapsed() < PATIENCE, "connections are still open");
        let sale = with_id(json!({"type": "sell", "item_id": "cola", "quantity": "1"}));
        let sent = Instant::now();
        let request = till.post(format!("{}/v1/commands", server.url)).bearer_auth(&server.manager);
        let answer = request.header("prefer", "wait=20").json(&sale).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(sent.elapsed() <= SERVED_WITHIN, "a sale took {:?}", sent.elapsed());
        sales += 1;
    }
    sales
}
