//! Runs the programs of docs/till.md as a till does: offline, across lost answers, and again after everything was sent.

use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::json;
use stockline_deploy_checks::programs::repository;
use stockline_deploy_checks::{node, python};
use stockline_tests::process::{Server, audit, free_address, stockline_binary};

/// Writes the page's program in this language into a file.
fn program(language: &str, file: &Path) {
    let page = std::fs::read_to_string(repository().join("docs/till.md")).unwrap();
    let (_, block) = page.split_once(&format!("```{language}\n")).unwrap();
    std::fs::write(file, block.split("```").next().unwrap()).unwrap();
}

/// A till: a folder with the program, and how to start it.
struct Till {
    home: tempfile::TempDir,
    start: [&'static str; 2],
    url: String,
    token: String,
}

impl Till {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.start[0]);
        command.arg(self.start[1]).args(arguments).current_dir(self.home.path());
        command.env("STOCKLINE", &self.url).env("TOKEN", &self.token);
        command
    }

    fn sell(&self, quantity: &str) {
        python::assert_ran(&self.command(&["sell", "cola", quantity]).output().unwrap(), "sell");
    }

    /// Starts to send, and returns once the first attempt has lost its answer.
    fn sync_offline(&self, address: &str) -> Child {
        let listener = TcpListener::bind(address).unwrap();
        let child = self.command(&["sync"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut connection, _) = listener.accept().unwrap();
        assert!(connection.read(&mut [0; 1024]).unwrap() > 0);
        child
    }

    fn sync(&self) -> Output {
        self.command(&["sync"]).output().unwrap()
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.home.path().join("till").join(name)
    }

    fn files(&self, name: &str) -> Vec<PathBuf> {
        std::fs::read_dir(self.folder(name)).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

async fn start(address: &str, data: &Path) -> Server {
    let mut server = Server::spawn(Command::new(stockline_binary()), address, data, &[]);
    server.be_ready().await;
    server
}

async fn sells_offline_and_counts_once(home: tempfile::TempDir, start_by: [&'static str; 2]) {
    let (data, address) = (tempfile::tempdir().unwrap(), free_address());
    let server = start(&address, data.path()).await;
    server.stock_up("cola", "10").await;
    let token = server.token(&["--till", "till-3"]);
    let mut till = Till { home, start: start_by, url: server.url.clone(), token };
    server.stop();

    for quantity in ["2", "0", "1"] {
        till.sell(quantity);
    }
    let sync = till.sync_offline(&address);
    let server = start(&address, data.path()).await;
    let sent = sync.wait_with_output().unwrap();
    python::assert_ran(&sent, "sync");
    let told = String::from_utf8_lossy(&sent.stderr).into_owned();
    assert!(told.contains("invalid_command"), "a person sees what can't be sold: {told}");
    assert_eq!([till.files("waiting").len(), till.files("sent").len(), till.files("refused").len()], [0, 2, 1]);

    // As after a restore: everything is sent again, and counts once.
    for file in till.files("sent") {
        std::fs::rename(&file, till.folder("waiting").join(file.file_name().unwrap())).unwrap();
    }
    python::assert_ran(&till.sync(), "sync again");
    let counted = json!({"type": "count", "item_id": "cola", "counted": "7", "expected_on_hand": "7"});
    assert_eq!(server.settle(counted).await["status"], "applied");

    // Without a valid token it ends, and keeps what it has.
    till.token = "none".to_owned();
    till.sell("1");
    let refused = till.sync();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("token_"), "{told}");
    assert_eq!(till.files("waiting").len(), 1);
    audit(&server.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_program_sells_offline_and_each_sale_counts_once() {
    let home = tempfile::tempdir().unwrap();
    program("python", &home.path().join("till.py"));
    sells_offline_and_counts_once(home, ["python3", "till.py"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_program_is_strict_sells_offline_and_each_sale_counts_once() {
    let manifest = include_str!("../../clients/package.json");
    let packages = node::packages("clients", manifest, include_str!("../../clients/package-lock.json"));
    let home = tempfile::tempdir_in(&packages).unwrap();
    std::fs::write(home.path().join("package.json"), r#"{"type": "module"}"#).unwrap();
    program("ts", &home.path().join("till.ts"));
    let compiled = Command::new(packages.join("node_modules/.bin/tsc"))
        .args([
            "--strict",
            "--noUncheckedIndexedAccess",
            "--target",
            "es2022",
            "--module",
            "nodenext",
            "--types",
            "node",
        ])
        .arg("till.ts")
        .current_dir(home.path())
        .output()
        .unwrap();
    python::assert_ran(&compiled, "tsc");
    sells_offline_and_counts_once(home, ["node", "till.js"]).await;
}
