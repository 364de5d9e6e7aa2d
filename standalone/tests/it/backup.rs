use crate::server::{Ran, Server};

#[test]
fn a_backup_taken_while_serving_restores_to_a_folder_that_serves() {
    let server = Server::start(&[]);
    server.run(&["submit", "register_item", "--item", "cola", "--name", "Cola"]).ok();
    server.run(&["submit", "receive", "--item", "cola", "--quantity", "10"]).ok();
    let token = server.run(&["token", "--role", "staff"]).ok().stdout;
    let file = server.home().join("backup.tar");
    let file = file.to_str().unwrap();
    server.run(&["backup", file]).ok();
    let id = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b";
    let sell = ["submit", "sell", "--item", "cola", "--quantity", "1", "--id", id];
    server.run(&sell).ok();
    server.run(&["restore", file]).refused(1, "not empty");

    let mut restored = Server::start(&[]);
    assert!(restored.terminate().success());
    std::fs::remove_dir_all(restored.data()).unwrap();
    restored.run(&["restore", file]).ok();
    restored.start_again();
    assert_eq!(restored.on_hand("cola", "main"), "10", "as of the backup");
    restored.run(&sell).ok();
    restored.run(&sell).ok();
    assert_eq!(restored.on_hand("cola", "main"), "9", "the till sends the later sale again");
    let url = restored.said("API").trim_end_matches("/v1").to_owned();
    Ran::of(&["stock", "cola", "--url", &url, "--token", token.trim()]).ok();
    restored.run(&["audit"]).ok();
}

#[test]
fn a_backup_of_a_wrong_folder_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let (file, data) = (home.path().join("x.tar"), home.path().join("data"));
    let words = ["backup", file.to_str().unwrap(), "--data", data.to_str().unwrap()];
    Ran::of(&words).refused(3, "name the data folder");
    assert!(!file.exists() && !data.exists());
}
