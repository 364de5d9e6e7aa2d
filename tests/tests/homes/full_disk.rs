//! Fills the disk of the real process: it refuses commands with advice, leaves nothing half done and loses nothing.

use std::process::Command;

use serde_json::{Value, json};
use stockline_tests::process::{Server, audit, stockline_binary, with_id};

/// The maximum size of a file, in blocks of 512 bytes. A write beyond it fails as on a full disk.
const FILE_BLOCKS: u32 = 8_192;
const COMMANDS_PER_BATCH: usize = 100;
const BATCHES_MAX: usize = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn without_room_commands_are_refused_and_what_was_accepted_is_applied_when_there_is_room_again() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]).await;
    server.stock_up("cola", "1000000").await;
    let folder = server.stop();

    let mut shell = Command::new("sh");
    let script = format!("ulimit -f {FILE_BLOCKS}; trap '' XFSZ; exec \"$0\" \"$@\"");
    shell.arg("-c").arg(script).arg(stockline_binary());
    let server = Server::start_by(shell, &folder, &["--log", "error"]).await;
    let note = "x".repeat(400);
    let mut accepted = 0;
    let mut refused: Option<(u16, Value)> = None;
    for _ in 0..BATCHES_MAX {
        let sale = || with_id(json!({"type": "sell", "item_id": "cola", "quantity": "1", "note": note}));
        let commands: Vec<Value> = (0..COMMANDS_PER_BATCH).map(|_| sale()).collect();
        let (status, answer) =
            server.request("POST", "/v1/commands/batch", Some(&json!({"commands": commands}))).await.unwrap();
        accepted += answer["queued"].as_u64().unwrap_or(0);
        if status != 202 {
            refused = Some((status, answer));
            break;
        }
    }
    let (status, answer) = refused.expect("the files never met their bound");
    assert_eq!(status, 503, "{answer}");
    assert_eq!(answer["retryable"], true, "{answer}");
    server.kill();

    let server = Server::start(&folder, &[]).await;
    let last = server.settle(json!({"type": "sell", "item_id": "cola", "quantity": "1"})).await;
    assert_eq!(last["status"], "applied");
    let on_hand: u64 = server.get("/v1/items/cola").await["on_hand"].as_str().unwrap().parse().unwrap();
    let applied = 1_000_000 - on_hand - 1;
    // A batch that got a 503 may be queued in part. It is not lost, and the client may send it again.
    assert!(applied >= accepted && applied <= accepted + COMMANDS_PER_BATCH as u64, "{applied} of {accepted}");
    audit(&server.stop());
}
