//! Tests the identity of a data folder on the real program: lost parts, restores, copies and revoked tokens.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use crate::server::{Ran, Server};

const ID: &str = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b";

fn shop() -> Server {
    let server = Server::start_logging("info", &[]);
    server.run(&["submit", "register_item", "--item", "cola", "--name", "Cola"]).ok();
    server.run(&["submit", "receive", "--item", "cola", "--quantity", "10"]).ok();
    server
}

/// Sells one without waiting for the outcome, and returns the receipt.
fn sell(server: &Server, id: &str) -> String {
    let token = server.run(&["token", "--till", "till-3"]).ok().stdout;
    let address = server.said("API").trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let sale = format!(r#"{{"type":"sell","command_id":"{id}","item_id":"cola","quantity":"1"}}"#);
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /v1/commands HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{sale}",
        token.trim(),
        sale.len(),
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    answer.split_once("receipt=").unwrap().1.split(['"', '\r']).next().unwrap().to_owned()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else if path.is_file() {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn a_folder_that_is_not_whole_is_refused_until_its_part_is_back_or_replaced() {
    let mut server = shop();
    assert!(server.terminate().success());
    let (queue, aside) = (server.data().join("queue.db"), server.home().join("queue.db"));
    std::fs::rename(&queue, &aside).unwrap();
    for words in [&["serve", "--listen", "127.0.0.1:0"][..], &["audit"], &["backup", "/dev/null/x"]] {
        server.run(words).refused(1, "queue.db").refused(1, "is missing").refused(1, "folder replace queue.db");
    }
    server.run(&["folder", "show"]).refused(1, "is missing");
    assert!(!queue.exists());
    std::fs::rename(&aside, &queue).unwrap();
    server.run(&["folder", "show"]).ok();
    std::fs::remove_file(&queue).unwrap();
    server.run(&["folder", "replace", "queue.db"]).ok();
    server.start_again();
    assert_eq!(server.on_hand("cola", "main"), "10");
    server.run(&["folder", "replace", "stock.db"]).refused(3, "another stockline");
    let empty = server.home().join("nothing");
    Ran::of(&["folder", "replace", "keys", "--data", empty.to_str().unwrap()]).refused(3, "holds no stock");
    assert!(!empty.exists());
}

#[test]
fn after_a_restore_the_receipt_of_a_lost_sale_says_send_it_again() {
    let mut server = shop();
    let before = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a00";
    let kept = sell(&server, before);
    server.run(&["submit", "sell", "--item", "cola", "--quantity", "1"]).ok();
    let file = server.home().join("backup.tar");
    let file = file.to_str().unwrap();
    server.run(&["backup", file]).ok();
    let lost = sell(&server, ID);
    let revoked = server.run(&["token", "--till", "till-9"]).ok().stdout;
    server.run(&["token", "revoke", "--subject", "till-9"]).ok();
    assert!(server.terminate().success());
    let old = server.home().join("old");
    std::fs::rename(server.data(), &old).unwrap();
    server.run(&["restore", file, "--check"]).ok();
    assert!(!server.data().exists());
    server.run(&["restore", file, "--revoked-of", old.to_str().unwrap()]).ok();
    server.start_again();

    server.run(&["status", "cola", before, "--receipt", &kept]).ok();
    let asked = server.run(&["status", "cola", ID, "--receipt", &lost]);
    asked.refused(1, "command_not_found").refused(1, "stock was restored from a backup of").refused(1, "safe to send");
    assert_eq!(server.on_hand("cola", "main"), "8");
    let again = sell(&server, ID);
    server.run(&["submit", "sell", "--item", "cola", "--quantity", "1", "--id", ID]).ok();
    server.run(&["status", "cola", ID, "--receipt", &again]).ok();
    server.run(&["status", "cola", ID, "--receipt", &lost]).ok();
    assert_eq!(server.on_hand("cola", "main"), "7", "once");
    let url = server.said("API").trim_end_matches("/v1").to_owned();
    let words = ["stock", "--url", &url, "--token", revoked.trim()];
    Ran::of(&words).refused(1, "token_revoked");
    server.run(&["audit"]).ok();
}

#[test]
fn a_copy_of_a_running_folder_is_noticed() {
    let mut server = shop();
    let mut other = Server::start_logging("info", &[]);
    assert!(other.terminate().success());
    std::fs::remove_dir_all(other.data()).unwrap();
    copy(&server.data(), &other.data());
    other.start_again();
    assert!(other.log().contains("was last served as"), "{}", other.log());
    assert!(!server.log().contains("was last served as"));
    assert!(other.run(&["folder", "show"]).ok().stdout.contains("moved"));
    // Ten minutes before the copy's start still count as the copy's own.
    let receipt = sell(&server, ID);
    server.run(&["submit", "sell", "--item", "cola", "--quantity", "1"]).ok();
    let asked = other.run(&["status", "cola", ID, "--receipt", &receipt]);
    asked.refused(1, "command_not_found").refused(1, "another copy may have gone on");
    server.run(&["status", "cola", ID, "--receipt", &receipt]).ok();
    assert!(other.terminate().success());
    other.start_again();
    assert!(!other.log().contains("was last served as"), "once");
    assert!(server.terminate().success());
}

#[test]
fn a_revoked_token_stays_revoked_when_its_list_is_lost() {
    let mut server = shop();
    let lost = server.run(&["token", "--role", "manager"]).ok().stdout;
    let url = server.said("API").trim_end_matches("/v1").to_owned();
    server.run(&["token", "revoke", "--subject", "manager"]).ok();
    let list = server.data().join("keys/revoked");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let with_it = |url: &str| Ran::of(&["stock", "--url", url, "--token", lost.trim()]);
    // The server rereads the list every second.
    while !with_it(&url).stderr.contains("token_revoked") {
        assert!(std::time::Instant::now() < until);
    }
    std::fs::write(&list, "").unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !server.log().contains("the list of revoked tokens can't be read") {
        assert!(std::time::Instant::now() < until);
        with_it(&url).refused(1, "token_revoked");
    }
    with_it(&url).refused(1, "token_revoked");
    assert!(server.terminate().success());
    for word in ["serve", "backup"] {
        let words =
            if word == "serve" { vec!["serve", "--listen", "127.0.0.1:0"] } else { vec!["backup", "/dev/null/x"] };
        server.run(&words).refused(1, "keys/revoked").refused(1, "rotate --drop-old");
    }
    server.run(&["keys", "rotate", "--drop-old"]).ok();
    server.start_again();
    let url = server.said("API").trim_end_matches("/v1").to_owned();
    with_it(&url).refused(1, "token_unknown_key");
    server.run(&["stock"]).ok();
}
