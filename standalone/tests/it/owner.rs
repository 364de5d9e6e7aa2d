//! Root uses the command line on the folder of a service that runs as another user (`sudo stockline …`).

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::Ran;

/// The user of the service: `nobody`.
const SERVICE: u32 = 65_534;
/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service of another user. The test runs as root, who administers it.
struct Service {
    child: Option<Child>,
    home: tempfile::TempDir,
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Service {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(
            std::fs::metadata(home.path()).unwrap().uid(),
            0,
            "this test needs to be root, because it is about what root does with the files of others"
        );
        let open = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        open(home.path());
        // The service's user may not be allowed to enter the folder of the build.
        std::fs::copy(env!("CARGO_BIN_EXE_stockline"), home.path().join("stockline")).unwrap();
        open(&home.path().join("stockline"));
        let service = Self { child: None, home };
        service.own_folder();
        service
    }

    /// Makes the empty folder of the service, as an installation does.
    fn own_folder(&self) {
        std::fs::create_dir(self.data()).unwrap();
        chown(self.data(), Some(SERVICE), Some(SERVICE)).unwrap();
        std::fs::set_permissions(self.data(), std::fs::Permissions::from_mode(0o700)).unwrap();
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.home.path().join("stockline"));
        command.env_clear().args(words).arg("--data").arg(self.data()).current_dir("/");
        command
    }

    /// Runs a subcommand as root.
    fn run(&self, words: &[&str]) -> Ran {
        Ran::from(self.command(words).output().unwrap())
    }

    /// Starts the service as its own user, and waits until it is ready.
    fn start(&mut self) {
        let _ = std::fs::remove_file(self.data().join("address"));
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
        let child = command.uid(SERVICE).gid(SERVICE).stdout(Stdio::null()).spawn().unwrap();
        self.child = Some(child);
        self.until("it is ready", |service| service.get("/readyz", "").starts_with("HTTP/1.0 200"));
    }

    fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        assert!(child.wait().unwrap().success());
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
                panic!("{what}: the service ended with {status}");
            }
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the answer to a request; an empty text while nobody answers.
    fn get(&self, path: &str, token: &str) -> String {
        let Ok(address) = std::fs::read_to_string(self.data().join("address")) else { return String::new() };
        let host = address.trim().trim_start_matches("http://").to_owned();
        let Ok(mut stream) = std::net::TcpStream::connect(&host) else { return String::new() };
        let token = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
        let mut text = String::new();
        let _ = write!(stream, "GET {path} HTTP/1.0\r\nhost: {host}\r\n{token}\r\n");
        let _ = stream.read_to_string(&mut text);
        text
    }

    fn status(&self, token: &str) -> String {
        self.get("/v1/limits", token).split(' ').nth(1).unwrap_or_default().to_owned()
    }

    fn token(&self, words: &[&str]) -> String {
        self.run(&[&["token"], words].concat()).ok().stdout.trim().to_owned()
    }

    /// Asserts that every file belongs to the service.
    fn is_all_its_own(&self) {
        let mut folders = vec![self.data()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let found = std::fs::symlink_metadata(&path).unwrap();
                assert_eq!((found.uid(), found.gid()), (SERVICE, SERVICE), "{}", path.display());
                if found.is_dir() {
                    folders.push(path);
                }
            }
        }
    }
}

#[test]
fn what_root_does_while_the_service_runs_the_service_does_itself() {
    let mut service = Service::new();
    service.start();
    let till = service.token(&["--till", "till-9", "--ttl", "1h"]);
    assert_eq!(service.status(&till), "200");
    service.run(&["token", "revoke", "--subject", "till-9"]).ok();
    assert_eq!(service.status(&till), "401", "at once");
    let kept = service.token(&["--role", "staff"]);
    service.run(&["keys", "rotate"]).ok();
    let fresh = service.token(&["--role", "manager"]);
    assert_eq!((service.status(&kept), service.status(&fresh)), ("200".into(), "200".into()));
    service.run(&["keys", "rotate", "--drop-old"]).ok();
    assert_eq!(service.status(&kept), "401", "after a leak, no old token is good for another moment");
    service.run(&["token", "revoke", "no-such-token"]).refused(1, "no token with the jti no-such-token");
    service.run(&["token", "--till", "two words"]).refused(2, "is not a subject");
    service.run(&["mail", "status"]).ok();
    let items = service.home.path().join("items.csv");
    std::fs::write(&items, "sku\ntea\n").unwrap();
    let load =
        ["load", items.to_str().unwrap(), "--type", "register_item", "--map", "item_id=sku,name=sku", "--id", "sku"];
    service.run(&load).ok();
    assert!(service.data().join("loads.jsonl").exists());
    service.is_all_its_own();
    service.stop();
    service.start();
    assert_eq!(service.status(&till), "401", "for ever");
}

#[test]
fn what_root_does_while_the_service_is_stopped_belongs_to_the_service() {
    let mut service = Service::new();
    service.start();
    let till = service.token(&["--till", "till-9", "--ttl", "1h"]);
    service.stop();
    service.token(&["--role", "manager"]);
    service.run(&["token", "revoke", "--subject", "till-9"]).ok();
    service.run(&["keys", "rotate"]).ok();
    service.run(&["audit"]).ok();
    service.run(&["audit", "--repair"]).ok();
    service.run(&["mail", "test", "--to", "owner@example.com"]).ok();
    service.run(&["tls", "self-signed"]).ok();
    let backup = service.home.path().join("backup.tar");
    service.run(&["backup", backup.to_str().unwrap()]).ok();
    service.is_all_its_own();
    service.start();
    assert_eq!(service.status(&till), "401");
    service.stop();

    std::fs::remove_file(service.data().join("stock.db")).unwrap();
    service.run(&["folder", "replace", "stock.db"]).ok();
    service.is_all_its_own();
    service.start();
    service.stop();

    // Into an empty folder of the service, and where there is none: then the backup says whose it was.
    for is_there in [true, false] {
        std::fs::remove_dir_all(service.data()).unwrap();
        if is_there {
            service.own_folder();
        }
        service.run(&["restore", backup.to_str().unwrap()]).ok().refused(0, "belong to the user 65534");
        service.is_all_its_own();
        service.start();
        assert_eq!(service.status(&till), "401");
        service.stop();
    }
}

#[test]
fn while_the_list_of_revoked_tokens_is_unreadable_no_token_is_accepted() {
    let mut service = Service::new();
    service.start();
    let token = service.token(&["--role", "manager"]);
    let list = service.data().join("keys/revoked");
    chown(&list, Some(0), Some(0)).unwrap();
    service.until("it is closed", |service| service.status(&token) == "503");
    let answer = service.get("/readyz", "");
    assert!(answer.starts_with("HTTP/1.0 503") && answer.contains("the list of revoked tokens"), "{answer}");
    chown(&list, Some(SERVICE), Some(SERVICE)).unwrap();
    service.until("it is open again", |service| service.status(&token) == "200");
    assert!(service.get("/readyz", "").starts_with("HTTP/1.0 200"));
}
