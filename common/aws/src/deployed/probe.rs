//! The health check of the container. The program asks its running copy, because the image has no other tool.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use stockline_service::{Env, EnvError, Variable, output};

/// How long connecting and answering may take together. The health check's own timeout must be longer.
pub const PROBE_WITHIN: Duration = Duration::from_secs(3);

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const HEALTHY: &[u8] = b"HTTP/1.1 200 ";

#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error(transparent)]
    Address(#[from] EnvError),
    #[error("{0} does not answer: {1}")]
    Silent(SocketAddr, #[source] io::Error),
    #[error("{0}/healthz answers {1:?}")]
    Unhealthy(SocketAddr, String),
}

/// Requests `/healthz` from the address in `listen`. Exits with 0 if the answer is 200, else with 1 and the reason on
/// standard error. It reads no other variable.
pub fn probe(mut env: Env, listen: &Variable) -> ExitCode {
    let address = env.address(listen);
    match env.finish_some(address).map_err(ProbeError::from).and_then(ask) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format_args!("error: {error}"));
            // Docker reserves the code 2.
            ExitCode::FAILURE
        }
    }
}

fn ask(listen: SocketAddr) -> Result<(), ProbeError> {
    let address = reachable(listen);
    let answer = answer(address).map_err(|error| ProbeError::Silent(address, error))?;
    if answer == HEALTHY {
        return Ok(());
    }
    Err(ProbeError::Unhealthy(address, String::from_utf8_lossy(&answer).into_owned()))
}

/// Returns the loopback address for a program that listens on every address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let loopback: IpAddr = if listen.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(if listen.ip().is_unspecified() { loopback } else { listen.ip() }, listen.port())
}

/// Reads the answer as far as its status code, or less if it ends before.
fn answer(address: SocketAddr) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + PROBE_WITHIN;
    // A timeout of zero is refused; one of a microsecond is over at once.
    let left = || deadline.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
    let mut stream = TcpStream::connect_timeout(&address, left())?;
    stream.set_write_timeout(Some(left()))?;
    stream.write_all(REQUEST)?;
    let mut answer = vec![0; HEALTHY.len()];
    let mut filled = 0;
    while filled < answer.len() {
        stream.set_read_timeout(Some(left()))?;
        match stream.read(&mut answer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    answer.truncate(filled);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers one request with these parts. If `holds`, the connection stays open after the last part.
    fn server(parts: &'static [&'static str], holds: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; REQUEST.len()];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request, REQUEST);
            for part in parts {
                stream.write_all(part.as_bytes()).unwrap();
                stream.flush().unwrap();
            }
            if holds {
                loop {
                    thread::park();
                }
            }
        });
        address
    }

    #[test]
    fn only_200_is_healthy() {
        ask(server(&["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], false)).unwrap();
        ask(server(&["HTT", "P/1.1 2", "00 OK\r\n"], true)).unwrap();
        for parts in
            [&["HTTP/1.1 503 Service Unavailable\r\n\r\n"][..], &["HTTP/1.1 2000\r\n\r\n"], &["SSH-2.0-x"], &[]]
        {
            let error = ask(server(parts, false)).unwrap_err();
            assert!(matches!(error, ProbeError::Unhealthy(..) | ProbeError::Silent(..)), "{parts:?}: {error}");
        }
    }

    #[test]
    fn a_program_that_does_not_answer_in_time_is_not_healthy() {
        let start = Instant::now();
        let error = ask(server(&["HTTP/1.1 "], true)).unwrap_err();
        assert!(matches!(error, ProbeError::Silent(..)), "{error}");
        assert!(start.elapsed() >= PROBE_WITHIN && start.elapsed() < 2 * PROBE_WITHIN, "{:?}", start.elapsed());
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(ask(closed), Err(ProbeError::Silent(..))));
    }

    #[test]
    fn a_program_on_every_address_is_asked_at_the_loopback_and_one_on_a_single_address_there() {
        for (listen, asked) in
            [("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:8080", "[::1]:8080"), ("10.1.2.3:8081", "10.1.2.3:8081")]
        {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
