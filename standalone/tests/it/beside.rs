//! What is written beside the data harms nothing: the log, the output, mails and the socket for orders.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::{Ran, stockline};

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server whose output goes where the test says.
struct Beside {
    child: Child,
    home: tempfile::TempDir,
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have been stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Beside {
    /// Starts a server by this command, which the serve arguments are appended to.
    fn start(mut command: Command, options: &[&str], stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        let child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .args(options)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut server = Self { child, home };
        server.until("it is ready", |server| server.readyz().starts_with("200"));
        server
    }

    fn data(&self) -> std::path::PathBuf {
        self.home.path().join("data")
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{what}: the server ended with {status}");
            }
            assert!(Instant::now() < deadline, "{what}: {}", self.readyz());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the status and the body of `/readyz`; an empty text while nobody answers.
    fn readyz(&self) -> String {
        let Ok(address) = std::fs::read_to_string(self.data().join("address")) else { return String::new() };
        let host = address.trim().trim_start_matches("http://").to_owned();
        let Ok(mut stream) = std::net::TcpStream::connect(&host) else { return String::new() };
        let mut text = String::new();
        if write!(stream, "GET /readyz HTTP/1.0\r\nhost: {host}\r\n\r\n").is_err()
            || stream.read_to_string(&mut text).is_err()
        {
            return String::new();
        }
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        format!("{} {body}", head.split(' ').nth(1).unwrap_or_default())
    }

    fn run(&self, words: &[&str]) -> Ran {
        let data = self.data();
        let arguments: Vec<&str> = words.iter().copied().chain(["--data", data.to_str().unwrap()]).collect();
        Ran::of(&arguments)
    }

    fn stock_up(&self) {
        self.run(&["submit", "register_item", "--item", "cola", "--name", "Cola", "--threshold", "5"]).ok();
        self.run(&["submit", "receive", "--item", "cola", "--quantity", "1000"]).ok();
    }

    fn sell(&self) {
        self.run(&["submit", "sell", "--item", "cola", "--quantity", "1"]).ok();
    }

    /// Stops the server as SIGTERM does; its books must be right.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.run(&["audit"]).ok();
    }
}

fn full_disk() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[test]
fn with_its_log_on_a_full_disk_the_server_sells_on_and_readyz_names_the_log() {
    let mut server = Beside::start(stockline(&[]), &["--log", "info"], full_disk(), full_disk());
    server.stock_up();
    server.sell();
    server.until("readyz names the log", |server| server.readyz().contains("\"part\":\"log\""));
    assert!(server.readyz().starts_with("200 {\"status\":\"degraded\""), "{}", server.readyz());
    server.sell();
    server.stop();
}

#[test]
fn when_the_reader_of_its_log_has_gone_the_server_sells_on() {
    let ((_, stdout), (_, stderr)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let server = Beside::start(stockline(&[]), &["--log", "debug"], stdout, stderr);
    server.stock_up();
    server.sell();
    server.stop();
}

#[test]
fn when_the_reader_of_its_log_has_stopped_the_server_sells_on() {
    let (reader, stderr) = std::io::pipe().unwrap();
    // It writes far more than a pipe takes, and nobody reads.
    let server = Beside::start(stockline(&[]), &["--log", "trace"], Stdio::null(), stderr);
    server.stock_up();
    for _ in 0..5 {
        server.sell();
    }
    server.stop();
    drop(reader);
}

/// The disk of data and log fills, and gets room again. (A bound on the size of files is as a full disk to the process. The
/// log is beyond it from the beginning.)
#[test]
fn when_a_full_disk_of_data_and_log_gets_room_again_the_server_goes_on_by_itself() {
    const BLOCKS: u64 = 4_096;
    let log = tempfile::NamedTempFile::new().unwrap();
    log.as_file().set_len(BLOCKS * 512).unwrap();
    let appended = OpenOptions::new().append(true).open(log.path()).unwrap();
    let mut shell = Command::new("sh");
    let script = format!("ulimit -S -f {BLOCKS}; trap '' XFSZ; exec \"$0\" \"$@\"");
    shell.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_stockline"));
    let mut server = Beside::start(shell, &["--log", "info"], Stdio::null(), appended);
    server.stock_up();
    let note = "x".repeat(450);
    let folder = server.home.path().join("sales.csv");
    let mut lines = String::from("id,item,n,note\n");
    for line in 0..20_000 {
        lines.push_str(&format!("{line},cola,1,{note}\n"));
    }
    std::fs::write(&folder, lines).unwrap();
    let map = "item_id=item,quantity=n,note=note";
    let load = ["load", folder.to_str().unwrap(), "--type", "sell", "--map", map, "--id", "id", "--retry-for", "1s"];
    assert_ne!(server.run(&load).code, 0, "the files never met their bound");
    let refused =
        server.run(&["submit", "sell", "--item", "cola", "--quantity", "1", "--note", &note, "--timeout", "2s"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    let readyz = server.readyz();
    let named = ["queue", "settling"].map(|part| readyz.contains(&format!("\"part\":\"{part}\"")));
    assert!(named.contains(&true), "{readyz}");

    let pid = server.child.id().to_string();
    assert!(Command::new("prlimit").args(["--fsize=unlimited:unlimited", "--pid", &pid]).status().unwrap().success());
    let sale = server.run(&["submit", "sell", "--item", "cola", "--quantity", "1"]);
    assert_eq!(sale.code, 0, "{sale:?}");
    server.until("no fault is left", |server| server.readyz() == "200 {\"status\":\"ok\"}");
    assert!(std::fs::metadata(log.path()).unwrap().len() > BLOCKS * 512, "the log goes on too");
    server.stop();
}

#[test]
fn a_mail_folder_that_was_removed_comes_back_and_one_that_can_t_is_a_fault_until_it_can() {
    let options = ["--log", "error", "--alert-email", "owner@example.com"];
    let mut server = Beside::start(stockline(&[]), &options, Stdio::null(), Stdio::null());
    server.stock_up();
    let mail = server.data().join("mail");
    let mails = move |server: &Beside| std::fs::read_dir(server.data().join("mail")).map_or(0, Iterator::count);
    std::fs::remove_dir_all(&mail).unwrap();
    server.run(&["submit", "sell", "--item", "cola", "--quantity", "997"]).ok();
    server.until("the mail is written", |server| mails(server) == 1);

    std::fs::remove_dir_all(&mail).unwrap();
    std::fs::write(&mail, "not a folder").unwrap();
    server.run(&["submit", "sell", "--item", "cola", "--quantity", "3"]).ok();
    server.until("readyz names the mail", |server| server.readyz().contains("\"part\":\"mail\""));
    std::fs::remove_file(&mail).unwrap();
    // The alert above may be claimed for a while yet. The next one shows that mails are written again.
    server.run(&["submit", "register_item", "--item", "tea", "--name", "Tea", "--threshold", "5"]).ok();
    server.run(&["submit", "receive", "--item", "tea", "--quantity", "10"]).ok();
    server.run(&["submit", "sell", "--item", "tea", "--quantity", "7"]).ok();
    server.until("the mail is written", |server| mails(server) >= 1);
    server.until("no fault is left", |server| server.readyz() == "200 {\"status\":\"ok\"}");
    server.stop();
}

#[test]
fn a_socket_for_orders_that_was_removed_comes_back() {
    let mut server = Beside::start(stockline(&[]), &["--log", "error"], Stdio::null(), Stdio::null());
    let socket = server.data().join("control.sock");
    let is_there = |path: &Path| std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket());
    assert!(is_there(&socket));
    std::fs::remove_file(&socket).unwrap();
    server.until("the socket is back", |server| is_there(&server.data().join("control.sock")));
    let order = ["dead-letters", "discard", "cola", "00000000-0000-7000-8000-000000000001"];
    server.run(&order).refused(1, "no dead letter");
    server.stop();
}

#[test]
fn a_subcommand_whose_reader_has_gone_ends_quietly_and_one_on_a_full_disk_says_so() {
    let server = Beside::start(stockline(&[]), &["--log", "error"], Stdio::null(), Stdio::null());
    let data = server.data();
    let arguments = ["token", "--role", "staff", "--data", data.to_str().unwrap()];
    let (_, closed) = std::io::pipe().unwrap();
    let quiet = stockline(&arguments).stdout(closed).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((quiet.status.code(), String::from_utf8_lossy(&quiet.stderr).as_ref()), (Some(141), ""));
    let full = stockline(&arguments).stdout(full_disk()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(full.status.code(), Some(1));
    let said = String::from_utf8_lossy(&full.stderr);
    assert!(said.contains("can't write to standard output") && !said.contains("panicked"), "{said}");
    let nowhere = stockline(&["stock", "--data", "/nowhere"]).stderr(full_disk()).status().unwrap();
    assert_ne!(nowhere.code(), Some(101), "an error that can't be shown is no panic");
    server.stop();
}
