use std::io::ErrorKind;
use std::net::SocketAddr;

use axum::routing::{get, post};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::tls::TlsFiles;
use super::*;
use crate::auth::testing::pem;

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

struct Running {
    address: SocketAddr,
    trigger: CancellationToken,
    served: JoinHandle<()>,
    /// Learns when `/slow` is in progress, and lets it continue.
    slow: Arc<(Notify, Notify)>,
}

fn options() -> ServeOptions {
    ServeOptions {
        tls: None,
        connections: 100,
        header_timeout: Duration::from_secs(10),
        drain: Duration::from_secs(10),
        pressure: watch::Sender::new(()),
    }
}

async fn start(options: ServeOptions) -> Running {
    let slow = Arc::new((Notify::new(), Notify::new()));
    let shared = Arc::clone(&slow);
    let router =
        Router::new().route("/hello", get(async || "hello")).route("/echo", post(async |body: String| body)).route(
            "/slow",
            get(move || {
                let slow = Arc::clone(&shared);
                async move {
                    slow.0.notify_one();
                    slow.1.notified().await;
                    "finished"
                }
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let trigger = shutdown.clone();
    let served = tokio::spawn(serve(router, listener, options, shutdown));
    Running { address, trigger, served, slow }
}

async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    while !text.windows(9).any(|end| end == b"\r\n\r\nhello") {
        assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0, "{}", String::from_utf8_lossy(&text));
    }
    String::from_utf8(text).unwrap()
}

/// Reads until the server closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    match stream.read_to_string(&mut text).await {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => text,
    }
}

#[tokio::test]
async fn a_connection_is_kept_for_many_requests() {
    let running = start(options()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    for _ in 0..50 {
        stream.write_all(REQUEST).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    running.trigger.cancel();
    assert_eq!(rest(&mut stream).await, "", "an idle connection is closed at once");
    running.served.await.unwrap();
}

#[tokio::test]
async fn a_head_sent_byte_by_byte_is_cut_off_and_an_idle_client_is_not() {
    let timeout = Duration::from_millis(300);
    let running = start(ServeOptions { header_timeout: timeout, ..options() }).await;

    let mut quiet = TcpStream::connect(running.address).await.unwrap();
    quiet.write_all(REQUEST).await.unwrap();
    answer(&mut quiet).await;

    let began = std::time::Instant::now();
    let mut loris = TcpStream::connect(running.address).await.unwrap();
    let mut after_a_request = TcpStream::connect(running.address).await.unwrap();
    after_a_request.write_all(REQUEST).await.unwrap();
    answer(&mut after_a_request).await;
    let mut http2 = TcpStream::connect(running.address).await.unwrap();
    http2.write_all(b"PRI * HT").await.unwrap();
    let mut silent = TcpStream::connect(running.address).await.unwrap();

    // Each byte would put back a timeout that is set per read.
    let mut drip = tokio::time::interval(Duration::from_millis(20));
    while loris.write_all(b"G").await.is_ok() && after_a_request.write_all(b"G").await.is_ok() {
        drip.tick().await;
        assert!(began.elapsed() < Duration::from_secs(10), "still open");
    }
    assert!(began.elapsed() >= timeout);
    for stream in [&mut loris, &mut after_a_request, &mut http2, &mut silent] {
        rest(stream).await;
    }
    quiet.write_all(REQUEST).await.unwrap();
    answer(&mut quiet).await;
}

#[tokio::test]
async fn a_request_without_one_host_is_400() {
    let running = start(options()).await;
    for hosts in ["", "Host: a\r\nHost: a\r\n"] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let request = format!("GET /hello HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let text = rest(&mut stream).await;
        assert!(text.starts_with("HTTP/1.1 400") && text.contains("\"code\":\"invalid_header\""), "{text}");
    }
}

#[tokio::test]
async fn a_shutdown_lets_the_request_in_progress_finish() {
    let running = start(options()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    running.slow.0.notified().await;
    running.trigger.cancel();
    // The listener closes before the requests in progress are done.
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!running.served.is_finished());
    running.slow.1.notify_one();
    let text = rest(&mut stream).await;
    assert!(text.ends_with("finished") && text.contains("connection: close"), "{text}");
    running.served.await.unwrap();
}

#[tokio::test]
async fn a_request_that_outlives_the_drain_is_cut_off() {
    let running = start(ServeOptions { drain: Duration::from_millis(50), ..options() }).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    running.slow.0.notified().await;
    running.trigger.cancel();
    running.served.await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_their_turn() {
    let running = start(ServeOptions { connections: 1, ..options() }).await;
    let mut first = TcpStream::connect(running.address).await.unwrap();
    first.write_all(REQUEST).await.unwrap();
    answer(&mut first).await;
    let mut second = TcpStream::connect(running.address).await.unwrap();
    second.write_all(REQUEST).await.unwrap();
    let (sender, answered) = oneshot::channel();
    tokio::spawn(async move {
        let text = answer(&mut second).await;
        let _ = sender.send(text);
    });
    for _ in 0..20 {
        first.write_all(REQUEST).await.unwrap();
        answer(&mut first).await;
    }
    assert!(!sender_is_done(&answered));
    drop(first);
    assert!(answered.await.unwrap().ends_with("hello"));
}

/// Idle or slow connections would otherwise occupy every place for longer than a client waits.
#[tokio::test]
async fn idle_connections_are_closed_when_all_are_taken() {
    let running = start(ServeOptions { connections: 3, ..options() }).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(REQUEST).await.unwrap();
    answer(&mut idle).await;
    let mut loris = TcpStream::connect(running.address).await.unwrap();
    loris.write_all(b"GET /hello").await.unwrap();
    let mut busy = TcpStream::connect(running.address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    running.slow.0.notified().await;

    let mut next = TcpStream::connect(running.address).await.unwrap();
    next.write_all(REQUEST).await.unwrap();
    let trickle = async {
        let mut drip = tokio::time::interval(Duration::from_millis(50));
        while loris.write_all(b"G").await.is_ok() {
            drip.tick().await;
        }
    };
    let (answered, ()) = tokio::join!(answer(&mut next), trickle);
    assert!(answered.ends_with("hello"));
    rest(&mut idle).await;
    running.slow.1.notify_one();
    let mut text = [0; 12];
    busy.read_exact(&mut text).await.unwrap();
    assert_eq!(text, *b"HTTP/1.1 200", "a request in progress is never cut off");
}

fn sender_is_done(answered: &oneshot::Receiver<String>) -> bool {
    !answered.is_empty()
}

#[test]
fn only_the_errors_of_one_connection_are_skipped_without_a_pause() {
    assert!(is_of_one_connection(&io::Error::from(ErrorKind::ConnectionAborted)));
    for lasting in [23, 24, 105, 12] {
        assert!(!is_of_one_connection(&io::Error::from_raw_os_error(lasting)), "{lasting}");
    }
}

struct Certificate {
    folder: tempfile::TempDir,
    cert_pem: String,
}

impl Certificate {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let cert_pem = pem("CERTIFICATE", made.cert.der());
        std::fs::write(folder.path().join("cert.pem"), &cert_pem).unwrap();
        std::fs::write(folder.path().join("key.pem"), pem("PRIVATE KEY", made.signing_key.serialized_der())).unwrap();
        Self { folder, cert_pem }
    }

    fn files(&self) -> TlsFiles {
        TlsFiles { cert: self.folder.path().join("cert.pem"), key: self.folder.path().join("key.pem") }
    }

    /// Connects a client, with a protocol agreed on.
    async fn connect(&self, address: SocketAddr, alpn: &[u8]) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.cert_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![alpn.to_vec()];
        let stream = TcpStream::connect(address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap()
    }
}

#[tokio::test]
async fn silent_handshakes_are_cut_off_when_all_connections_are_taken() {
    let certificate = Certificate::new();
    let running = start(ServeOptions {
        tls: Some(Certificates::open(certificate.files()).unwrap()),
        connections: 2,
        ..options()
    })
    .await;
    let began = Instant::now();
    let mut silent =
        [TcpStream::connect(running.address).await.unwrap(), TcpStream::connect(running.address).await.unwrap()];
    let mut next = certificate.connect(running.address, b"http/1.1").await;
    next.write_all(REQUEST).await.unwrap();
    answer(&mut next).await;
    assert!(began.elapsed() < HANDSHAKE_TIMEOUT, "after {:?}", began.elapsed());
    for stream in &mut silent {
        rest(stream).await;
    }
}

#[tokio::test]
async fn tls_serves_http1_and_http2() {
    let certificate = Certificate::new();
    let running =
        start(ServeOptions { tls: Some(Certificates::open(certificate.files()).unwrap()), ..options() }).await;
    let root = reqwest::Certificate::from_pem(certificate.cert_pem.as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([root])
        .resolve("localhost", running.address)
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("https://localhost:{}", running.address.port());
    assert_eq!(client.get(format!("{url}/hello")).send().await.unwrap().text().await.unwrap(), "hello");
    let large = "x".repeat(1024 * 1024);
    let echoed = client.post(format!("{url}/echo")).body(large.clone()).send().await.unwrap();
    assert_eq!(echoed.text().await.unwrap(), large);

    for (alpn, version) in [(&b"h2"[..], "h2"), (b"http/1.1", "http/1.1")] {
        let stream = certificate.connect(running.address, alpn).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn), "{version}");
    }

    let mut plain = TcpStream::connect(running.address).await.unwrap();
    plain.write_all(REQUEST).await.unwrap();
    let text = rest(&mut plain).await;
    assert!(!text.contains("hello"), "plain text is no way in");
    assert!(text.starts_with("HTTP/1.1 400") && text.contains("https://"), "and its sender is told: {text}");
    running.trigger.cancel();
    running.served.await.unwrap();
}

#[test]
fn tls_files_that_cannot_be_used_say_which_and_why() {
    let (one, other) = (Certificate::new(), Certificate::new());
    let error = |files: &TlsFiles| Certificates::open(files.clone()).unwrap_err().to_string();
    assert!(Certificates::open(one.files()).is_ok());
    let crossed = TlsFiles { key: other.files().key, ..one.files() };
    assert!(error(&crossed).contains("does not belong to the certificate"), "{}", error(&crossed));
    let swapped = TlsFiles { cert: one.files().key, key: one.files().cert };
    assert!(error(&swapped).contains("holds no certificate"), "{}", error(&swapped));
    let no_key = TlsFiles { key: one.files().cert, ..one.files() };
    assert!(error(&no_key).contains("holds no private key"), "{}", error(&no_key));
    let missing = TlsFiles { cert: one.folder.path().join("gone.pem"), ..one.files() };
    assert!(error(&missing).contains("gone.pem can't be read"), "{}", error(&missing));
    std::fs::write(&one.files().cert, "-----BEGIN CERTIFICATE-----\nMIIB\n").unwrap();
    assert!(error(&one.files()).contains("is not PEM"), "{}", error(&one.files()));
}
