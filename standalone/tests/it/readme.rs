//! Runs the first half of the README's tour as a reader pastes it, and compares the output.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::stockline;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
/// How long a read may show an earlier state.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command of a `console` block, and the output below it.
#[derive(Debug)]
struct Step {
    command: String,
    output: String,
}

/// Reads the steps of the first half.
fn steps() -> Vec<Step> {
    let text = std::fs::read_to_string(README).unwrap();
    let (_, tour) = text.split_once("## Tour: five minutes").unwrap();
    let (tour, _) = tour.split_once("\n## ").unwrap();
    let mut steps: Vec<Step> = Vec::new();
    for block in tour.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), output: String::new() }),
                (None, Some(step)) if step.command.ends_with('\\') => {
                    step.command.pop();
                    step.command.push_str(line.trim_start());
                }
                (None, Some(step)) => step.output.extend([line, "\n"]),
                (None, None) => panic!("output without a command: {line}"),
            }
        }
    }
    steps
}

/// Replaces everything that differs from run to run (ids, times, addresses, sizes) and removes all spacing.
fn normalised(text: &str) -> String {
    let mut words = Vec::new();
    for part in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c)) {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c));
        let is_id = word.len() == 36 && word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
        let is_time = word.len() == 24 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
        let is_local = (word.len() == 10 && word.split('-').map(str::len).eq([4, 2, 2]))
            || (word.split(':').count() > 1
                && word.split(':').all(|part| part.len() == 2 && part.parse::<u8>().is_ok()));
        let is_size = word.len() > 4 && word.bytes().all(|byte| byte.is_ascii_digit());
        let is_address = word.starts_with("127.0.0.1:");
        words.push(if is_id || is_time || is_local || is_size || is_address {
            part.replace(word, "#")
        } else {
            part.to_owned()
        });
    }
    words.concat().split_whitespace().collect()
}

/// Reports whether the output is as the README shows it, where `…` means any text.
pub(crate) fn matches(output: &str, shown: &str) -> bool {
    let (output, shown) = (normalised(output), normalised(shown));
    let mut rest = output.as_str();
    for (index, part) in shown.split('…').enumerate() {
        match rest.find(part) {
            Some(0) => rest = &rest[part.len()..],
            Some(at) if index > 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    rest.is_empty() || shown.ends_with('…')
}

struct Tour {
    home: tempfile::TempDir,
    server: Child,
    token: String,
}

impl Tour {
    /// Starts the server like the first step, but on free ports, and returns its welcome.
    fn start() -> (Self, String) {
        let home = tempfile::tempdir().unwrap();
        let mut server = stockline(&["--alert-email", "owner@example.com", "--log", "error"])
            .args(["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"])
            .current_dir(home.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(server.stdout.take().unwrap());
        let mut welcome = String::new();
        while !welcome.contains("A token for the API") {
            assert!(out.read_line(&mut welcome).unwrap() > 0, "the server ended: {welcome}");
        }
        std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
        (Self { home, server, token: String::new() }, welcome)
    }

    /// Runs a line in a shell and returns the output.
    fn run(&self, line: &str) -> String {
        let programs = Path::new(env!("CARGO_BIN_EXE_stockline")).parent().unwrap();
        let output = Command::new("/bin/sh")
            .args(["-c", &line.replace("/tmp/", &format!("{}/", self.home.path().display()))])
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()))
            .current_dir(self.home.path())
            .output()
            .unwrap();
        assert!(output.stderr.is_empty(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.replace(&format!("{}/", self.home.path().display()), "/tmp/")
    }

    /// Sends the request of a `curl` line and returns the answer, so that the test needs no curl.
    fn post(&self, line: &str) -> String {
        let base = std::fs::read_to_string(self.home.path().join("stockline-data/address")).unwrap();
        let path = line.split_once("http://127.0.0.1:8080").unwrap().1.split(' ').next().unwrap();
        let body = line.split_once("-d '").unwrap().1.trim_end_matches('\'').to_owned();
        let request = async {
            let request = reqwest::Client::builder().no_proxy().build().unwrap().post(format!("{}{path}", base.trim()));
            let request = request.bearer_auth(&self.token).header("content-type", "application/json").body(body);
            request.send().await.unwrap().text().await.unwrap()
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(request)
    }
}

impl Drop for Tour {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn the_first_half_of_the_tour_prints_what_the_readme_shows() {
    let mut steps = steps().into_iter();
    let first = steps.next().unwrap();
    assert!(first.command.ends_with("-- --alert-email owner@example.com"), "{first:?}");
    let (mut tour, welcome) = Tour::start();
    assert!(matches(&welcome, &first.output), "{welcome}");
    for Step { command, output: shown } in steps {
        if let Some(line) = command.strip_prefix("TOKEN=$(") {
            tour.token = tour.run(line.trim_end_matches(')')).trim().to_owned();
            continue;
        }
        if command.starts_with("export PATH=") {
            continue;
        }
        // Mails and a command that is only accepted take a moment, so these reads are repeated.
        let reads = ["stockline alerts", "ls ", "stockline audit"].iter().any(|begin| command.starts_with(begin));
        let until = Instant::now() + PATIENCE;
        loop {
            let output = if command.starts_with("curl ") { tour.post(&command) } else { tour.run(&command) };
            if matches(&output, &shown) {
                break;
            }
            assert!(reads && Instant::now() < until, "$ {command}\n{output}\nbut the README shows\n{shown}");
        }
    }
}

#[test]
fn a_difference_is_noticed() {
    assert!(matches(
        "a 01a226a5-4aca-754c-b2d1-199ffa9d9044\n  b (seq 1)\n",
        "a 0380e5a1-2b16-55b0-9496-e1d75ae8580a\nb (seq 1)"
    ));
    assert!(matches("{\"a\":1,\"b\":[2,3]}", "{\"a\":1, … 3]}"));
    assert!(!matches("-6 → 4 on hand (seq 2)", "-6 → 5 on hand (seq 2)"));
    assert!(!matches("one two three", "one … four"));
    assert!(!matches("one two", "one"));
}
