//! A small SMTP server that keeps the mails it accepts, and answers otherwise where a test says so.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A mail as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
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
}

impl SmtpServer {
    pub(crate) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            received: Mutex::default(),
            to_recipients: Mutex::default(),
            to_mail: Mutex::default(),
            greeting: Mutex::default(),
            drops_after_data: AtomicBool::default(),
        });
        let serving = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                tokio::spawn(async move { drop(serving.session(stream).await) });
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

    async fn session(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let greeting = self.greeting.lock().unwrap().unwrap_or("220 test ESMTP");
        stream.write_all(format!("{greeting}\r\n").as_bytes()).await?;
        let (mut to, mut line) = (Vec::new(), String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            let answer: &str = match verb.as_str() {
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
                    let data = read_data(&mut stream).await?;
                    self.received.lock().unwrap().push(Received { to: to.clone(), data });
                    if self.drops_after_data.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    "250 accepted"
                }
                _ => "250 OK",
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
    }
}

async fn read_data(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
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
