//! Runs the commands of the till's page (docs/till.md) as a reader pastes them, and compares the answers.

use std::process::Command;

use crate::readme::matches;
use crate::server::{Server, stockline};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/till.md");
/// Separates the outputs of the blocks.
const MARK: char = '\u{1e}';

/// Returns the blocks of a shell, each with the answer that the page shows below it.
fn blocks(page: &str) -> Vec<(String, Option<String>)> {
    let mut blocks: Vec<(String, Option<String>)> = Vec::new();
    let mut parts = page.split("```");
    while let (Some(_), Some(block)) = (parts.next(), parts.next()) {
        match (block.split_once('\n').unwrap(), blocks.last_mut()) {
            (("sh", commands), _) => blocks.push((commands.to_owned(), None)),
            (("json", answer), Some((_, shown @ None))) => *shown = Some(answer.to_owned()),
            (("python" | "ts", _), _) => {}
            ((language, _), _) => panic!("a block of {language} that no test runs: {block}"),
        }
    }
    blocks
}

#[test]
fn the_commands_of_the_tills_page_are_answered_as_it_shows() {
    let server = Server::start(&[]);
    server
        .run(&["submit", "register_item", "--item", "cola", "--name", "Cola 0.33 l", "--pack", "14006381333938", "12"])
        .ok();
    server.run(&["submit", "receive", "--item", "cola", "--quantity", "10"]).ok();
    let base = server.said("docs").replace("/docs", "");
    let page = std::fs::read_to_string(PAGE).unwrap().replace("http://127.0.0.1:8080", &base);
    let blocks = blocks(&page);
    assert!(blocks.iter().filter(|(_, shown)| shown.is_some()).count() >= 7, "{blocks:?}");

    let script: String = blocks.iter().map(|(commands, _)| format!("{commands}printf '{MARK}'\n")).collect();
    let programs = std::path::Path::new(stockline(&[]).get_program()).parent().unwrap().display().to_string();
    let ran = Command::new("/bin/sh")
        .args(["-euc", &script])
        .env_clear()
        .env("PATH", format!("{programs}:/usr/local/bin:/usr/bin:/bin"))
        .env("STOCKLINE_DATA", server.data())
        .current_dir(server.home())
        .output()
        .unwrap();
    let output = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{output}{}", String::from_utf8_lossy(&ran.stderr));
    let outputs: Vec<&str> = output.split_terminator(MARK).collect();
    assert_eq!(outputs.len(), blocks.len(), "{output}");
    for ((commands, shown), output) in blocks.iter().zip(outputs) {
        let shown = shown.as_deref().unwrap_or_default();
        assert!(matches(output, shown), "{commands}\n{output}\nbut the page shows\n{shown}");
    }
    assert_eq!(server.on_hand("cola", "main"), "4");
}
