//! The operations that the deployed program offers besides its service.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

#[test]
fn operations_need_the_same_configuration() {
    for arguments in [&["audit"][..], &["dead-letters", "list"], &["dead-letters", "retry", "--all"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_worker")).args(arguments).env_clear().output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("STOCKLINE_TABLE is required"), "{text}");
    }
}
