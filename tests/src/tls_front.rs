//! Serves the AWS stand-in under a name of its own and behind TLS, as on AWS. A name server knows only this name, and a
//! program must be configured to trust the certificate.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use stockline_deploy_checks::ministack::random_id;

/// The name that only the name server knows.
const NAME: &str = "aws.stockline.test";

const DNS_HEAD_BYTES: usize = 12;
const DNS_TYPE_A: u16 = 1;

/// The TLS front of a server. It ends with the test process.
#[derive(Debug)]
pub struct TlsFront {
    /// `https://name:port`
    pub url: String,
    /// The self-signed certificate.
    pub certificate_pem: String,
    /// The `resolv.conf` of a program that must resolve the name.
    pub resolv_conf: String,
    carried: Arc<AtomicUsize>,
}

impl TlsFront {
    /// Starts a front before the server at this address, `http://127.0.0.1:port`.
    pub async fn of(url: &str) -> Self {
        let target: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let key = made.signing_key.serialized_der().to_vec().try_into().unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let carried = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&carried);
        tokio::spawn(async move {
            while let Ok((inward, _)) = listener.accept().await {
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    // A client that does not trust the certificate ends the handshake.
                    let mut inward = acceptor.accept(inward).await?;
                    count.fetch_add(1, Ordering::SeqCst);
                    let mut outward = TcpStream::connect(target).await?;
                    tokio::io::copy_bidirectional(&mut inward, &mut outward).await
                });
            }
        });
        Self {
            url: format!("https://{NAME}:{port}"),
            certificate_pem: format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                STANDARD.encode(made.cert.der())
            ),
            resolv_conf: format!("nameserver {}\noptions attempts:1 timeout:2\n", name_server()),
            carried,
        }
    }

    /// Returns how many connections trusted the certificate.
    pub fn carried(&self) -> usize {
        self.carried.load(Ordering::SeqCst)
    }
}

/// Starts a name server on a loopback address of its own, because the port of a name server is fixed.
fn name_server() -> Ipv4Addr {
    let [_, a, b, c] = random_id().as_bytes()[..4] else { unreachable!("four bytes were taken") };
    let address = Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254));
    let socket = UdpSocket::bind((address, 53)).unwrap_or_else(|error| {
        let hint = if error.kind() == ErrorKind::PermissionDenied {
            ": this test needs to be root, or STOCKLINE_TEST_IMAGES=0 to leave it out"
        } else {
            ""
        };
        panic!("no name server at {address}:53: {error}{hint}")
    });
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            if let Some(answer) = answer(&query[..length]) {
                // A client that has ended needs no answer.
                let _ = socket.send_to(&answer, client);
            }
        }
    });
    address
}

/// Returns the answer to a query with one question (RFC 1035, section 4), or `None` if the bytes are no query.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let question = query.get(DNS_HEAD_BYTES..)?;
    let end = question.iter().position(|byte| *byte == 0)? + 1;
    let kind = u16::from_be_bytes(question.get(end..end + 2)?.try_into().ok()?);
    let question = question.get(..end + 4)?;
    let known = question[..end].eq_ignore_ascii_case(&encoded(NAME));
    let answers = known && kind == DNS_TYPE_A;
    let mut answer = query[..2].to_vec();
    // The answer is authoritative, with recursion desired and available. Any other name does not exist.
    answer.extend([0x85, if known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(answers), 0, 0, 0, 0]);
    answer.extend(question);
    if answers {
        // The name of the question, type A, class IN, TTL 0, a length of four bytes.
        answer.extend([0xc0, DNS_HEAD_BYTES as u8, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}

fn encoded(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[label.len() as u8], label.as_bytes()].concat();
    [name.split('.').flat_map(label).collect(), vec![0]].concat()
}
