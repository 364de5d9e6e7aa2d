//! A minimal keep-alive HTTP/1.1 client: the generator shares two cores with the measured server, so it must be cheap.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    request: Vec<u8>,
    bytes: Bytes,
}

/// The bytes sent and received on a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    /// Heads and bodies of requests.
    pub(crate) sent: u64,
    /// Heads and bodies of answers.
    pub(crate) received: u64,
}

/// The parts of a response that the generator needs.
pub(crate) struct Response<'a> {
    /// The status code.
    pub(crate) status: u16,
    /// Whether it has a `Retry-After` header.
    pub(crate) retry_after: bool,
    /// The cookie that it sets, as it is sent back.
    pub(crate) cookie: Option<String>,
    /// The body.
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("can't connect to {address}"))?;
        stream.set_nodelay(true)?;
        let room = || Vec::with_capacity(64 * 1024);
        Ok(Self { stream, buffer: room(), request: room(), bytes: Bytes::default() })
    }

    /// Resets the count and returns it.
    pub(crate) fn reset_bytes(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes)
    }

    /// Sends a request with a prepared head (without `Content-Length`) and reads the response.
    pub(crate) async fn send(&mut self, head: &str, body: &[u8]) -> Result<Response<'_>> {
        self.request.clear();
        self.request.extend_from_slice(head.as_bytes());
        self.request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        self.bytes.sent += self.request.len() as u64;
        self.read_response().await
    }

    async fn read_response(&mut self) -> Result<Response<'_>> {
        self.buffer.clear();
        let head_len = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
        };
        let head = std::str::from_utf8(&self.buffer[..head_len])?;
        let status = head.get(9..12).context("no status line")?.parse()?;
        let (mut body_len, mut retry_after, mut cookie) = (0, false, None);
        for line in head.lines() {
            if let Some((name, value)) = line.split_once(':') {
                if name.eq_ignore_ascii_case("content-length") {
                    body_len = value.trim().parse()?;
                }
                retry_after |= name.eq_ignore_ascii_case("retry-after");
                if name.eq_ignore_ascii_case("set-cookie") {
                    cookie = value.split(';').next().map(|cookie| cookie.trim().to_owned());
                }
            }
        }
        while self.buffer.len() < head_len + body_len {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
        }
        self.bytes.received += (head_len + body_len) as u64;
        Ok(Response { status, retry_after, cookie, body: &self.buffer[head_len..head_len + body_len] })
    }
}

/// Returns a request head up to, but not including, `content-length`.
pub(crate) fn head(method: &str, path: &str, token: &str, extra: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n{extra}"
    )
}
