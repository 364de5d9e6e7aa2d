//! Time on a connection, over a pipe and a clock that jumps: no network, no waiting.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::advance;

use super::super::sending::USUAL;
use super::super::{HTTP2_AHEAD_BYTES, Phase, Server, UNDER_PRESSURE, http};
use super::*;

const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
/// Bytes that the pipe holds.
const PIPE_BYTES: usize = 1024;

struct Client {
    stream: DuplexStream,
    phase: watch::Sender<Phase>,
    pressure: watch::Sender<()>,
    served: JoinHandle<Duration>,
}

/// Serves a connection until it ends; the task returns how long that took.
fn connect() -> Client {
    let router = Router::new()
        .route("/hello", get(async || "hello"))
        .route("/large", get(async || "x".repeat(100 * PIPE_BYTES)))
        .route("/long", get(async || tokio::time::sleep(10 * IDLE_TIMEOUT).await))
        .route(
            "/body",
            post(async |request: Request<Body>| {
                axum::body::to_bytes(request.into_body(), PIPE_BYTES)
                    .await
                    .map(|_| "hello")
                    .map_err(|error| error.to_string())
            }),
        );
    let pressure = watch::Sender::new(());
    let server = Server {
        http: http(),
        router,
        tls: None,
        header_timeout: HEADER_TIMEOUT,
        reclaim: watch::Sender::new(()),
        pressure: pressure.clone(),
    };
    let (stream, theirs) = tokio::io::duplex(PIPE_BYTES);
    let (phase, phases) = watch::channel(Phase::Serving);
    let began = Instant::now();
    let served = tokio::spawn(async move {
        server.http(theirs, phases).await;
        began.elapsed()
    });
    Client { stream, phase, pressure, served }
}

impl Client {
    async fn request(&mut self) {
        self.stream.write_all(REQUEST).await.unwrap();
        self.hello().await;
    }

    async fn hello(&mut self) {
        let mut text = Vec::new();
        while !text.ends_with(b"hello") {
            assert_ne!(self.stream.read_buf(&mut text).await.unwrap(), 0, "{}", String::from_utf8_lossy(&text));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_ends_with_the_header_timeout() {
    assert_eq!(connect().served.await.unwrap().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_longer_than_a_load_balancer_does() {
    let mut client = connect();
    for _ in 0..3 {
        client.request().await;
        advance(IDLE_TIMEOUT - SECOND).await;
    }
    client.request().await;
    let idle_from = 3 * (IDLE_TIMEOUT - SECOND);
    assert_eq!(client.served.await.unwrap().as_secs(), (idle_from + IDLE_TIMEOUT).as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_head_is_timed_from_its_first_byte() {
    let mut client = connect();
    client.request().await;
    advance(60 * SECOND).await;
    for byte in b"GET /he" {
        client.stream.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(SECOND).await;
    }
    assert!(!client.served.is_finished());
    assert_eq!(client.served.await.unwrap().as_secs(), 70);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_progress_and_its_slow_body_are_not_cut_off() {
    let mut client = connect();
    client.stream.write_all(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut head = [0; 15];
    client.stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");

    let mut client = connect();
    client.stream.write_all(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n").await.unwrap();
    for byte in b"body" {
        tokio::time::sleep(2 * HEADER_TIMEOUT).await;
        client.stream.write_all(&[*byte]).await.unwrap();
    }
    client.hello().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answer_is_cut_off() {
    let mut client = connect();
    client.stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut some = [0; PIPE_BYTES];
    client.stream.read_exact(&mut some).await.unwrap();
    tokio::time::sleep(10 * SECOND).await;
    client.stream.read_exact(&mut some).await.unwrap();
    let ended = client.served.await.unwrap();
    assert_eq!(ended.as_secs(), (10 * SECOND + STALL_TIMEOUT).as_secs());
}

/// 100 KiB at 1 KiB a second is too slow; one byte now and then even more so.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_answer_byte_by_byte_is_cut_off() {
    let mut client = connect();
    client.stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut some = [0; PIPE_BYTES];
    while client.stream.read_exact(&mut some).await.is_ok() {
        tokio::time::sleep(SECOND).await;
    }
    let ended = client.served.await.unwrap();
    let most = USUAL.stall + Duration::from_secs(100 * PIPE_BYTES as u64 / USUAL.bytes_per_s) + 3 * SECOND;
    assert!(ended > USUAL.stall && ended <= most, "after {ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_answer_in_time_gets_all_of_it() {
    let mut client = connect();
    client.stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut all = Vec::new();
    while client.stream.read_buf(&mut all).await.unwrap() > 0 {
        tokio::time::sleep(SECOND / 10).await;
    }
    assert!(all.ends_with(&b"x".repeat(100 * PIPE_BYTES)));
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_is_cut_off_sooner_while_other_answers_wait_for_memory() {
    let mut slow = connect();
    slow.stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut idle = connect();
    idle.request().await;
    tokio::time::sleep(UNDER_PRESSURE.stall - SECOND).await;
    slow.pressure.send_replace(());
    tokio::time::sleep(SECOND).await;
    assert!(!slow.served.is_finished());
    for client in [&slow, &idle] {
        client.pressure.send_replace(());
    }
    assert_eq!(slow.served.await.unwrap(), UNDER_PRESSURE.stall);
    assert!(!idle.served.is_finished(), "it holds no answer");
}

/// A `PING` in time keeps no connection whose client gives no window to its answers (RFC 9113, section 5.2).
#[tokio::test(start_paused = true)]
async fn an_http2_client_without_a_window_is_cut_off_whatever_else_it_sends() {
    let mut client = connect();
    // SETTINGS_INITIAL_WINDOW_SIZE = 0.
    let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    let request = http2_request();
    client.stream.write_all(&request[..24]).await.unwrap();
    client.stream.write_all(&settings).await.unwrap();
    client.stream.write_all(&request[24 + 9..]).await.unwrap();
    let (mut read, mut write) = tokio::io::split(client.stream);
    let pings = async {
        let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        for _ in 0..100 {
            if write.write_all(&ping).await.is_err() {
                return;
            }
            tokio::time::sleep(SECOND).await;
        }
        panic!("it is still served");
    };
    let mut answers = Vec::new();
    let (_, ()) = tokio::join!(read.read_to_end(&mut answers), pings);
    let ended = client.served.await.unwrap();
    assert!(ended >= STALL_TIMEOUT && ended <= STALL_TIMEOUT + 3 * SECOND, "after {ended:?}");
    let pongs = answers.windows(2).filter(|pair| *pair == [6, 1]).count();
    assert!(pongs >= 10, "{pongs} pings were answered");
}

/// `GET /hello` as HTTP/2 frames: the preface, empty settings, headers that end the stream.
fn http2_request() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let block = [&[0x82, 0x86, 0x04, 0x06][..], b"/hello", &[0x01, 0x01], b"a"].concat();
    bytes.extend([0, 0, block.len() as u8, 1, 0x05, 0, 0, 0, 1]);
    bytes.extend(block);
    bytes
}

#[tokio::test(start_paused = true)]
async fn http2_is_served_and_its_control_frames_are_no_slow_head() {
    let mut client = connect();
    client.stream.write_all(&http2_request()).await.unwrap();
    client.hello().await;
    let settings_ack = [0, 0, 0, 4, 1, 0, 0, 0, 0];
    client.stream.write_all(&settings_ack).await.unwrap();
    tokio::time::sleep(2 * HEADER_TIMEOUT).await;
    assert!(!client.served.is_finished());
    assert_eq!(client.served.await.unwrap().as_secs(), IDLE_TIMEOUT.as_secs());

    let mut client = connect();
    client.stream.write_all(&http2_request()).await.unwrap();
    client.hello().await;
    client.phase.send_replace(Phase::Draining);
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.windows(2).any(|pair| pair == [7, 0]), "a GOAWAY frame: {rest:?}");
    client.served.await.unwrap();

    let mut partial = connect();
    partial.stream.write_all(&http2_request()[..30]).await.unwrap();
    assert_eq!(partial.served.await.unwrap().as_secs(), 10, "a preface is no request");
}

/// The server's settings bound the bytes that a request may send before a handler reads them (RFC 9113, 6.5 and 6.9).
#[tokio::test(start_paused = true)]
async fn http2_reads_few_bytes_ahead_of_a_body() {
    let mut client = connect();
    client.stream.write_all(&http2_request()).await.unwrap();
    let (mut of_stream, mut of_connection) = (65_535, 65_535);
    let mut head = [0; 9];
    loop {
        client.stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
        client.stream.read_exact(&mut payload).await.unwrap();
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap()) as usize;
        match (head[3], head[4]) {
            (4, 0) => {
                for setting in payload.chunks(6).filter(|setting| setting[..2] == [0, 4]) {
                    of_stream = number(&setting[2..]);
                }
            }
            (8, _) => of_connection += number(&payload),
            (1, _) => break,
            _ => {}
        }
    }
    let ahead = HTTP2_AHEAD_BYTES as usize;
    assert_eq!((of_stream, of_connection), (ahead, 2 * ahead));
}

/// `RST_STREAM` right after each request (CVE-2023-44487).
#[tokio::test(start_paused = true)]
async fn an_http2_client_that_gives_up_its_requests_is_cut_off() {
    let mut client = connect();
    let settings = http2_request();
    client.stream.write_all(&settings[..33]).await.unwrap();
    let (mut read, mut write) = tokio::io::split(client.stream);
    let requests = async {
        let block = [&[0x82, 0x86, 0x04, 0x05][..], b"/long", &[0x01, 0x01], b"a"].concat();
        let mut sent = 0_u32;
        while sent < 10 * GIVE_UPS_MAX as u32 {
            let stream = (2 * sent + 1).to_be_bytes();
            let head = [&[0, 0, block.len() as u8, 1, 0x05][..], &stream, &block].concat();
            let reset = [&[0, 0, 4, 3, 0][..], &stream, &[0, 0, 0, 8]].concat();
            if write.write_all(&head).await.is_err() {
                return sent;
            }
            // The handler runs, and then it is given up.
            tokio::time::sleep(Duration::from_millis(1)).await;
            if write.write_all(&reset).await.is_err() {
                return sent;
            }
            sent += 1;
        }
        panic!("it is still served");
    };
    let mut answers = Vec::new();
    let (_, sent) = tokio::join!(read.read_to_end(&mut answers), requests);
    client.served.await.unwrap();
    assert!((GIVE_UPS_MAX as u32..2 * GIVE_UPS_MAX as u32).contains(&sent), "after {sent} requests");
}

#[tokio::test(start_paused = true)]
async fn a_client_may_give_up_a_request_for_each_one_that_it_lets_the_server_answer() {
    let requests = Arc::new(Requests::new());
    let mut too_many = std::pin::pin!(requests.are_given_up());
    for _ in 0..10 * GIVE_UPS_MAX {
        drop(requests.begin(Version::HTTP_2));
        requests.begin(Version::HTTP_2).answered();
    }
    for _ in 0..GIVE_UPS_MAX {
        drop(requests.begin(Version::HTTP_2));
    }
    assert!(futures_util::poll!(too_many.as_mut()).is_pending());
    drop(requests.begin(Version::HTTP_2));
    assert!(futures_util::poll!(too_many.as_mut()).is_ready());
}
