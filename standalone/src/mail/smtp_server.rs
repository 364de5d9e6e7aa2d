//! A small SMTP server that keeps the mails it accepts, and answers otherwise where a test says so.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A mail as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// The name in EHLO.
    pub(crate) hello: String,
    pub(crate) to: Vec<String>,
    /// Headers and body, without the line breaks of quoted-printable.
    pub(crate) data: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> String {
        let head = self.data.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
        let prefix = format!("{name}: ");
        head.lines().find_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).unwrap_or_default()
    }
}

#[derive(Debug)]
pub(crate) struct SmtpServer {
    pub(crate) address: SocketAddr,
    received: Mutex<Vec<Received>>,
    /// Answers to RCPT by address. Other addresses are accepted.
    to_recipients: Mutex<BTreeMap<String, &'static str>>,
    /// The answer to MAIL, if it is not "250".
    to_mail: Mutex<Option<&'static str>>,
    /// The greeting, if it is not "220".
    greeting: Mutex<Option<&'static str>>,
    /// Whether it closes the connection after a mail, without an answer.
    drops_after_data: AtomicBool,
    /// Encrypts connections, and whether from the first byte on.
    tls: Option<(Arc<ServerConfig>, bool)>,
}

impl SmtpServer {
    pub(crate) async fn start() -> Arc<Self> {
        Self::start_with(None).await
    }

    /// Starts a server with this certificate. It encrypts from the first byte on, or after STARTTLS.
    pub(crate) async fn start_tls(made: &rcgen::CertifiedKey<rcgen::KeyPair>, is_wrapped: bool) -> Arc<Self> {
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self::start_with(Some((Arc::new(config), is_wrapped))).await
    }

    async fn start_with(tls: Option<(Arc<ServerConfig>, bool)>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            received: Mutex::default(),
            to_recipients: Mutex::default(),
            to_mail: Mutex::default(),
            greeting: Mutex::default(),
            drops_after_data: AtomicBool::default(),
            tls,
        });
        let serving = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                tokio::spawn(async move { drop(serving.connection(stream).await) });
            }
        });
        server
    }

    /// Returns the mails that were accepted.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn refuse(&self, recipient: &str, answer: &'static str) {
        self.to_recipients.lock().unwrap().insert(recipient.into(), answer);
    }

    pub(crate) fn answer_mail_with(&self, answer: &'static str) {
        *self.to_mail.lock().unwrap() = Some(answer);
    }

    pub(crate) fn greet_with(&self, greeting: Option<&'static str>) {
        *self.greeting.lock().unwrap() = greeting;
    }

    pub(crate) fn drop_after_data(&self, drops: bool) {
        self.drops_after_data.store(drops, Ordering::Relaxed);
    }

    async fn connection(&self, stream: TcpStream) -> std::io::Result<()> {
        let acceptor = |config: &Arc<ServerConfig>| TlsAcceptor::from(Arc::clone(config));
        match &self.tls {
            None => self.session(&mut BufReader::new(stream), true).await.map(drop),
            Some((tls, true)) => {
                self.session(&mut BufReader::new(acceptor(tls).accept(stream).await?), true).await.map(drop)
            }
            Some((tls, false)) => {
                let mut stream = BufReader::new(stream);
                if self.session(&mut stream, true).await? {
                    let stream = acceptor(tls).accept(stream.into_inner()).await?;
                    self.session(&mut BufReader::new(stream), false).await?;
                }
                Ok(())
            }
        }
    }

    /// Serves until the client ends the session, or returns true if it wants to encrypt it.
    async fn session(
        &self,
        stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>,
        greets: bool,
    ) -> std::io::Result<bool> {
        if greets {
            let greeting = self.greeting.lock().unwrap().unwrap_or("220 test ESMTP");
            stream.write_all(format!("{greeting}\r\n").as_bytes()).await?;
        }
        let offers_tls = greets && matches!(self.tls, Some((_, false)));
        let (mut to, mut line, mut hello) = (Vec::new(), String::new(), String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(false);
            }
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            let answer: &str = match verb.as_str() {
                "EHLO" => {
                    hello = line.get(5..).unwrap_or_default().trim().to_owned();
                    if offers_tls { "250-test\r\n250 STARTTLS" } else { "250 OK" }
                }
                "STAR" if offers_tls => {
                    stream.write_all(b"220 go\r\n").await?;
                    return Ok(true);
                }
                "MAIL" => {
                    to.clear();
                    self.to_mail.lock().unwrap().unwrap_or("250 OK")
                }
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    let answer = self.to_recipients.lock().unwrap().get(&address).copied();
                    to.push(address);
                    answer.unwrap_or("250 OK")
                }
                "DATA" => {
                    stream.write_all(b"354 go\r\n").await?;
                    let data = read_data(stream).await?;
                    self.received.lock().unwrap().push(Received { hello: hello.clone(), to: to.clone(), data });
                    if self.drops_after_data.load(Ordering::Relaxed) {
                        return Ok(false);
                    }
                    "250 accepted"
                }
                _ => "250 OK",
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
    }
}

async fn read_data(stream: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<String> {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            // In a header it would end an encoded word.
            let (head, body) = data.split_once("\r\n\r\n").unwrap_or((&data, ""));
            return Ok(format!("{head}\r\n\r\n{}", body.replace("=\r\n", "")));
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
