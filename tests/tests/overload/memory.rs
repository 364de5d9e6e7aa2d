//! Tests clients that ask for much and take little. The server's memory stays under a bound, a till is served all the
//! while, and afterwards the memory is free again.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use h2::client::SendRequest;
use h2::{Ping, Reason};
use hyper::Request;
use serde_json::json;
use stockline_core::domain::{Fingerprint, Receipt, ReceiptKeys};
use stockline_core::ports::Clock as _;
use stockline_service::SystemClock;
use stockline_tests::process::{PATIENCE, Server, audit, rss_mb, with_id};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::{OTHER_FILES, SERVED_WITHIN, all_done, most_files, start_with_files};

/// The most memory that the server may have at any time.
const RSS_MB_MAX: f64 = 320.0;
/// How much more it may have after the clients of one kind have gone.
const MORE_MB_AFTER: f64 = 96.0;
/// How long clients come again after the server has closed their connection.
const COMING_AGAIN: Duration = Duration::from_secs(5);
/// With so many of both, a page of items has the most levels that a page may have.
const ITEMS: usize = 400;
const LOCATIONS: usize = 25;
const LARGEST_PAGE: &str = "/v1/items?limit=1000";

/// Clients of one kind. Each ends by itself or when the server closes its connection.
type Clients = Vec<JoinHandle<Duration>>;

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_whatever_clients_do() {
    let files = most_files();
    assert!(4_000 + OTHER_FILES <= files, "too few files");
    let data = tempfile::tempdir().unwrap();
    let unsettled = unsettled(data.path()).await;
    let server = start_with_files(data.path(), files).await;
    server.stock_up("cola", "1000000").await;
    fill(&server).await;
    let page = server.get(LARGEST_PAGE).await.to_string().len();
    println!("the largest page has {page} bytes");
    // The time bound of a page may cut it.
    assert!(page > 300_000);

    observe(&server, "readers of HTTP/1 that do not read", unread(&server, 300)).await;
    observe(&server, "readers of HTTP/2 without a window", unread_http2(&server, 30)).await;
    observe(&server, "waiting polls", polls(&server, 4_000, &unsettled)).await;
    observe(&server, "large pages", large_pages(&server, 200)).await;
    observe(&server, "long queries", long_queries(&server, 4_000)).await;
    observe(&server, "requests that are reset", resets(&server, 30)).await;
    audit(&server.stop());
}

/// Serves a till until the clients have gone, and then until the memory is free.
async fn observe(server: &Server, what: &str, clients: Clients) {
    let (begun, before) = (Instant::now(), rss_mb(server.pid()));
    let most = Cell::new(before);
    let sample = || {
        let now = rss_mb(server.pid());
        most.set(most.get().max(now));
        now
    };
    let mut sales = 0;
    while !all_done(&clients) {
        sample();
        sell(server).await;
        sales += 1;
    }
    let gone = begun.elapsed();
    while sample() > before + MORE_MB_AFTER {
        assert!(begun.elapsed() < PATIENCE, "{what}: {:.0} MB long after", sample());
        sell(server).await;
    }
    let (most, free) = (most.get(), begun.elapsed() - gone);
    println!("{what}: {before:.0} MB before, at most {most:.0} MB, {sales} sales in {gone:.1?}, free after {free:.1?}");
    assert!(most <= RSS_MB_MAX, "{what}: {most:.0} MB");
}

/// Sells and polls as a till does that is not given time to wait. The sale must be settled in time.
async fn sell(server: &Server) {
    let sale = with_id(json!({"type": "sell", "item_id": "cola", "quantity": "1"}));
    let sent = Instant::now();
    let (status, accepted) = server.request("POST", "/v1/commands", Some(&sale)).await.unwrap();
    assert_eq!(status, 202, "{accepted}");
    while server.get(accepted["status_url"].as_str().unwrap()).await["status"] != "applied" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(sent.elapsed() <= SERVED_WITHIN, "a sale took {:?}", sent.elapsed());
}

/// Returns the address of a command that this folder accepts for waiting and never gets: its receipt is signed with the
/// folder's key, and no queue has it.
async fn unsettled(data: &Path) -> String {
    Server::start(data, &[]).await.stop();
    let lines = std::fs::read_to_string(data.join("keys/receipt.keys")).unwrap();
    let (_, key) = lines.lines().next().unwrap().split_once(' ').unwrap();
    let keys = ReceiptKeys::new(&[STANDARD.decode(key.trim()).unwrap()]).unwrap();
    let (item_id, command_id) = ("cola".parse().unwrap(), "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b".parse().unwrap());
    let fingerprint = Fingerprint::from_bytes([7; 16]);
    let receipt = Receipt { accepted_at: SystemClock.now(), fingerprint, without_cost: None };
    let receipt = keys.sign(&item_id, command_id, receipt);
    format!("/v1/items/cola/commands/{command_id}?receipt={receipt}")
}

/// Registers the items with long names and many barcodes, and stocks each at every location.
async fn fill(server: &Server) {
    for location in 0..LOCATIONS {
        let settings = json!({"name": format!("Shop {location}"), "alert_emails": []});
        let (status, _) =
            server.request("PUT", &format!("/v1/locations/{}", location_id(location)), Some(&settings)).await.unwrap();
        assert_eq!(status, 201);
    }
    let register = (0..ITEMS).map(|item| {
        let barcodes: Vec<_> = (0..20).map(|code| format!("{item:030}{code:030}")).collect();
        json!({"type": "register_item", "item_id": item_id(item), "name": "n".repeat(200), "barcodes": barcodes})
    });
    let receive = (0..ITEMS).flat_map(|item| {
        (0..LOCATIONS).map(move |location| {
            json!({"type": "receive", "item_id": item_id(item), "location_id": location_id(location), "quantity": "1"})
        })
    });
    let commands: Vec<_> = register.chain(receive).map(with_id).collect();
    for commands in commands.chunks(200) {
        let batch = json!({ "commands": commands });
        let (_, answer) = server.request("POST", "/v1/commands/batch", Some(&batch)).await.unwrap();
        assert_eq!(answer["queued"], commands.len(), "{answer}");
    }
    let last = json!({"type": "receive", "item_id": item_id(ITEMS - 1), "quantity": "1"});
    assert_eq!(server.settle(last).await["status"], "applied");
}

fn item_id(item: usize) -> String {
    format!("item-{item}")
}

fn location_id(location: usize) -> String {
    format!("shop-{location}")
}

/// Clients of HTTP/1 that ask for the largest page and read nothing.
fn unread(server: &Server, count: usize) -> Clients {
    clients(count, || {
        let (address, request) = (address(server), get(server, LARGEST_PAGE, ""));
        async move {
            let begun = Instant::now();
            loop {
                let mut stream = connect(&address).await;
                stream.write_all(request.as_bytes()).await.unwrap();
                let is_last = begun.elapsed() > COMING_AGAIN;
                tokio::time::sleep(if is_last { Duration::from_secs(20) } else { Duration::from_secs(1) }).await;
                if is_last {
                    // The server has closed the connection. What the system had taken still arrives.
                    read_to_end(stream).await;
                    return;
                }
            }
        }
    })
}

/// Clients of HTTP/2 that ask for the largest page on every stream, give no window to any, and send a `PING` each second.
fn unread_http2(server: &Server, count: usize) -> Clients {
    clients(count, || {
        let (address, request) = (address(server), http2_get(server, LARGEST_PAGE));
        async move {
            let begun = Instant::now();
            while begun.elapsed() < COMING_AGAIN {
                let (client, closed) = http2(&address).await;
                let answers = ask(client, &request, 90).await;
                closed.await.unwrap();
                drop(answers);
            }
        }
    })
}

/// Clients that wait for a command that is never settled, with large heads.
fn polls(server: &Server, count: usize, status_url: &str) -> Clients {
    clients(count, || {
        let padding = "x".repeat(3_000);
        let request = get(server, status_url, &format!("Prefer: wait=8\r\nX-Padding: {padding}\r\n"));
        let address = address(server);
        async move {
            let mut stream = connect(&address).await;
            stream.write_all(request.as_bytes()).await.unwrap();
            assert!(read_to_end(stream).await.starts_with(b"HTTP/1.1 "));
        }
    })
}

/// Clients that read the largest page again and again.
fn large_pages(server: &Server, count: usize) -> Clients {
    clients(count, || {
        let (address, request) = (address(server), get(server, LARGEST_PAGE, ""));
        async move {
            let begun = Instant::now();
            while begun.elapsed() < COMING_AGAIN {
                let mut stream = connect(&address).await;
                stream.write_all(request.as_bytes()).await.unwrap();
                let answer = read_to_end(stream).await;
                assert!(answer.starts_with(b"HTTP/1.1 200") || answer.starts_with(b"HTTP/1.1 503"));
            }
        }
    })
}

/// Clients whose queries are as long as a head may be, or longer, and who read nothing for a while.
fn long_queries(server: &Server, count: usize) -> Clients {
    let (long, longer) = ("x".repeat(14_000), "x".repeat(60_000));
    let valid = format!("/v1/items?name_prefix={0}&category={0}&cursor={0}", "x".repeat(1_000));
    let paths = [format!("/v1/items?name_prefix={long}"), format!("/v1/items?name_prefix={longer}"), valid];
    let mut next = paths.iter().cycle();
    clients(count, || {
        let (address, request) = (address(server), get(server, next.next().unwrap(), ""));
        async move {
            let mut stream = connect(&address).await;
            // The server may answer a head that is too long before all of it is sent.
            let _ = stream.write_all(request.as_bytes()).await;
            tokio::time::sleep(COMING_AGAIN).await;
            read_to_end(stream).await;
        }
    })
}

/// Clients of HTTP/2 that ask for the largest page and take the request back at once.
fn resets(server: &Server, count: usize) -> Clients {
    clients(count, || {
        let (address, request) = (address(server), http2_get(server, LARGEST_PAGE));
        async move {
            let begun = Instant::now();
            while begun.elapsed() < COMING_AGAIN {
                let (client, closed) = http2(&address).await;
                while begun.elapsed() < COMING_AGAIN && !closed.is_finished() {
                    for (_, mut stream) in ask(client.clone(), &request, 10).await {
                        stream.send_reset(Reason::CANCEL);
                    }
                    // The other clients of this test need the processor too.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                closed.abort();
            }
        }
    })
}

fn clients<F: Future<Output = ()> + Send + 'static>(count: usize, mut client: impl FnMut() -> F) -> Clients {
    let client = |_| {
        let (begun, client) = (Instant::now(), client());
        tokio::spawn(async move {
            tokio::time::timeout(PATIENCE, client).await.unwrap();
            begun.elapsed()
        })
    };
    (0..count).map(client).collect()
}

fn address(server: &Server) -> String {
    server.url.trim_start_matches("http://").to_owned()
}

/// Connects with a small buffer, so that what is not read stays with the server.
async fn connect(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(address.parse().unwrap()).await.unwrap()
}

async fn read_to_end(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // The server may close a connection before its answer is sent.
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

fn get(server: &Server, path: &str, headers: &str) -> String {
    let token = &server.manager;
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{headers}Connection: close\r\n\r\n")
}

fn http2_get(server: &Server, path: &str) -> Request<()> {
    let bearer = format!("Bearer {}", server.manager);
    Request::get(format!("{}{path}", server.url)).header("authorization", bearer).body(()).unwrap()
}

/// Connects by HTTP/2 without a window for answers; the task ends when the server closes the connection.
async fn http2(address: &str) -> (SendRequest<Bytes>, JoinHandle<()>) {
    let stream = connect(address).await;
    let (client, mut connection) = h2::client::Builder::new().initial_window_size(0).handshake(stream).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    let closed = tokio::spawn(async move {
        let pinging = async {
            while pings.ping(Ping::opaque()).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            std::future::pending().await
        };
        tokio::select! {
            _ = connection => {}
            () = pinging => {}
        }
    });
    (client, closed)
}

type Asked = (h2::client::ResponseFuture, h2::SendStream<Bytes>);

/// Sends up to `most` requests, as many as the server allows at once.
async fn ask(mut client: SendRequest<Bytes>, request: &Request<()>, most: usize) -> Vec<Asked> {
    let mut asked = Vec::new();
    while asked.len() < most {
        match tokio::time::timeout(Duration::from_millis(200), client.ready()).await {
            Ok(Ok(ready)) => client = ready,
            _ => break,
        }
        let Ok(next) = client.send_request(request.clone(), false) else { break };
        asked.push(next);
    }
    asked
}
